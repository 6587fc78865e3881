defmodule ElixirScope.Query.Function do
  @moduledoc """
  The forms in which functions may be named: `{module, function, arity}`, `{module, function}` for every arity, a
  module for all of its functions, or a capture such as `&Cart.add/2`.

      iex> ElixirScope.Query.Function.pattern(&String.trim/1)
      {:ok, {String, :trim, 1}}
      iex> ElixirScope.Query.Function.pattern({Cart, :add})
      {:ok, {Cart, :add, :_}}
  """

  alias ElixirScope.Error

  @type t :: mfa | {module, atom} | module | function
  @type pattern :: {module | :_, atom, arity | :_}

  @doc "The pattern of a form; `:_` stands for anything."
  @spec pattern(t) :: {:ok, pattern} | {:error, Error.t()}
  def pattern({module, function, arity})
      when is_atom(module) and is_atom(function) and (is_integer(arity) or arity == :_) do
    {:ok, {module, function, arity}}
  end

  def pattern({module, function}) when is_atom(module) and is_atom(function),
    do: {:ok, {module, function, :_}}

  def pattern(module) when is_atom(module) and module not in [nil, true, false], do: {:ok, {module, :_, :_}}

  def pattern(fun) when is_function(fun) do
    case Function.info(fun, :type) do
      {:type, :external} ->
        {:ok,
         {Function.info(fun, :module) |> elem(1), Function.info(fun, :name) |> elem(1),
          elem(Function.info(fun, :arity), 1)}}

      _ ->
        bad(fun)
    end
  end

  def pattern(other), do: bad(other)

  @doc "Whether a function is one of those that the pattern names."
  @spec match?(pattern, mfa) :: boolean
  def match?({module, function, arity}, {m, f, a}) do
    module in [:_, m] and function in [:_, f] and arity in [:_, a]
  end

  @doc """
  A pattern in words.

      iex> ElixirScope.Query.Function.label({Cart, :add, :_})
      "Cart.add"
  """
  @spec label(pattern) :: String.t()
  def label({module, :_, _arity}), do: "a function of #{inspect(module)}"
  def label({module, function, :_}), do: "#{inspect(module)}.#{function}"
  def label({module, function, arity}), do: Exception.format_mfa(module, function, arity)

  defp bad(other) do
    Error.new(
      :bad_function,
      "expected a function as {module, function, arity}, {module, function}, a module or &Mod.fun/2, " <>
        "got: #{inspect(other)}"
    )
  end
end
