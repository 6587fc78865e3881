# The literal by which rewritten code names the function it stands in. The recorder writes it down once and
# from then on only its key. A site is addressed by its content, so the same code compiled twice, on another
# machine or by another OTP release has the same key.
defmodule ElixirScope.Instrument.Site do
  @moduledoc false

  alias ElixirScope.Instrument.Closure

  @typedoc "`{key, node, module, function, arity, file, line}`"
  @type t ::
          {key :: integer(), node :: integer(), module(), function :: atom(), arity(), file :: String.t(),
           line :: non_neg_integer()}

  @typedoc "The same of a place that binds variables, with their names at the end"
  @type binding ::
          {key :: integer(), node :: integer(), module(), function :: atom(), arity(), file :: String.t(),
           line :: non_neg_integer(), names :: [atom(), ...]}

  @doc """
  Builds the site of a function. `file` is as compiled, `line` that of the first clause.

      iex> ElixirScope.Instrument.Site.new({Cart, :add, 2}, "lib/cart.ex", 12)
      {76408215915710908, 355735409236058850, Cart, :add, 2, "lib/cart.ex", 12}
  """
  @spec new(mfa(), String.t(), non_neg_integer()) :: t()
  def new({module, function, arity}, file, line) do
    seal({node_id({module, function, arity}), module, function, arity, file, line})
  end

  @doc """
  Builds the site of an anonymous function: of the one number `ordinal`, of so many arguments, in a function. `line` is
  that of `fn` or `&`. Its node is found anew as long as no other one is put before it in the same function.

      iex> site = ElixirScope.Instrument.Site.closure({Cart, :total, 1}, 2, 3, "lib/cart.ex", 14)
      iex> {elem(site, 2), elem(site, 3), elem(site, 4), elem(site, 6)}
      {Cart, :"total/1-fn-2", 3, 14}
  """
  @spec closure(mfa(), pos_integer(), arity(), String.t(), non_neg_integer()) :: t()
  def closure({module, function, arity}, ordinal, own_arity, file, line) do
    node = digest({module, function, arity, :fn, ordinal})
    seal({node, module, Closure.name({function, arity}, ordinal), own_arity, file, line})
  end

  @doc """
  Builds the site of a place that binds variables: number `ordinal` of those in the function, or anonymous function, that
  it is recorded under. The names are what the user calls the variables.

      iex> ElixirScope.Instrument.Site.binding({Cart, :add, 2}, 1, [:cart, :item], "lib/cart.ex", 12) |> elem(7)
      [:cart, :item]
  """
  @spec binding(mfa(), pos_integer(), [atom(), ...], String.t(), non_neg_integer()) :: binding()
  def binding({module, function, arity}, ordinal, names, file, line) do
    node = digest({module, function, arity, :binding, ordinal})
    seal({node, module, function, arity, file, line, names})
  end

  defp seal(rest), do: Tuple.insert_at(rest, 0, digest(rest))

  @doc """
  The id of the function's AST node: it survives edits that only move lines.

      iex> ElixirScope.Instrument.Site.node_id({Cart, :add, 2})
      355735409236058850
  """
  @spec node_id(mfa()) :: integer()
  def node_id({module, function, arity}), do: digest({module, function, arity, :function, 0})

  @doc """
  Whether a term is the site of a function with a name in this module: its key must be the digest of what it says.

      iex> site = ElixirScope.Instrument.Site.new({Cart, :add, 2}, "lib/cart.ex", 12)
      iex> ElixirScope.Instrument.Site.valid?(site, Cart)
      true
      iex> ElixirScope.Instrument.Site.valid?(put_elem(site, 6, 13), Cart)
      false
  """
  @spec valid?(term(), module()) :: boolean()
  def valid?({key, _, module, function, arity, file, line} = _site, module) do
    {key, module} == {elem(new({module, function, arity}, file, line), 0), module}
  end

  def valid?(_term, _module), do: false

  # 59 bits are what fits a small integer. minor_version 2 is spelt out because the default changed in OTP 26.
  defp digest(term) do
    <<id::59, _rest::bitstring>> = :erlang.md5(:erlang.term_to_binary(term, minor_version: 2))
    id
  end
end
