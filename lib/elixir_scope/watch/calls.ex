defmodule ElixirScope.Watch.Calls do
  @moduledoc false
  # Functions whose calls the VM is to see, as users name them.

  alias ElixirScope.Error
  alias ElixirScope.Watch.Kinds

  # With a frame for the return a tail call is none any more: a loop that never returns would fill the memory.
  @returning [{:_, [], [{:exception_trace}]}]

  @doc "Checks them. `returns`: whether their returns and exceptions are wanted too."
  @spec check(term, term) :: {:ok, [Kinds.pattern()]} | {:error, Error.t()}
  def check(_calls, returns) when not is_boolean(returns),
    do: Error.new(:bad_option, "expected returns: to be true or false, got: #{inspect(returns)}")

  def check([], _returns), do: {:ok, []}

  def check(calls, returns) when is_list(calls) do
    if Kinds.sessions?(),
      do: patterns(calls, if(returns, do: @returning, else: []), []),
      else: unsupported(calls)
  end

  def check(other, _returns), do: bad(other)

  defp patterns([], _spec, found), do: {:ok, Enum.reverse(found)}

  defp patterns([call | rest], spec, found) do
    case pattern(call, spec) do
      nil -> bad(call)
      :returns -> twice(call)
      {:_, _, _, _} -> bad(call)
      pattern -> if ours?(elem(pattern, 0)), do: ours(call), else: patterns(rest, spec, [pattern | found])
    end
  end

  defp pattern(module, spec) when is_atom(module), do: {module, :_, :_, spec}

  defp pattern({module, function}, spec) when is_atom(module) and is_atom(function),
    do: {module, function, :_, spec}

  defp pattern({module, function, arity}, spec)
       when is_atom(module) and is_atom(function) and (arity in 0..255 or arity == :_),
       do: {module, function, arity, spec}

  # What is to be told with the call stands in its own specification.
  defp pattern({_module, _function, _arity, given}, @returning) when is_list(given), do: :returns

  defp pattern({module, function, arity, given}, _spec)
       when is_atom(module) and is_atom(function) and (arity in 0..255 or arity == :_) and is_list(given) do
    # Compiled, and thrown away: the VM says nothing of what it does not like.
    case :erlang.match_spec_test([], given, :trace) do
      {:ok, _, _, _} -> {module, function, arity, given}
      {:error, _} -> nil
    end
  rescue
    ArgumentError -> nil
  end

  defp pattern(_other, _spec), do: nil

  defp ours?(module), do: Application.get_application(module) == :elixir_scope

  defp ours(call) do
    Error.new(
      :bad_option,
      "expected calls: of functions that are not ElixirScope's own, got: #{inspect(call)}"
    )
  end

  defp twice(call) do
    Error.new(
      :bad_option,
      "expected returns: true for functions without a match specification, got it together with #{inspect(call)}; put " <>
        "{:exception_trace} among the actions of the specification"
    )
  end

  defp unsupported(calls) do
    Error.new(
      :unsupported,
      "calls: needs OTP 27, got OTP #{:erlang.system_info(:otp_release)} and #{inspect(calls)}: before it those who trace would get " <>
        "each other's calls. Instrument the modules instead, see ElixirScope.instrument/2"
    )
  end

  defp bad(other) do
    Error.new(
      :bad_option,
      "expected calls: as a list of modules, {module, function}, {module, function, arity} or {module, function, arity, match_spec} " <>
        "(as :erlang.trace_pattern/3 takes it), got: #{inspect(other)}"
    )
  end
end
