# The literal by which rewritten code names the AST node it stands at. The recorder writes it down once and from then on
# only its key. A site is addressed by its content, so the same code compiled twice, on another machine or by another
# OTP release has the same key.
#
# The node is another number: it is made of the names of module and function and of a place in that function, so it
# stays when other functions of the file change, while the key does not.
#
# What clauses call the arguments is needed for redaction alone: an argument has no key, but `def login(user, password)` says all the
# same what it is; likewise by which keys patterns find the variables that they bind. It is a last element that a site without such
# names does not have.
defmodule ElixirScope.Instrument.Site do
  @moduledoc false

  alias ElixirScope.Instrument.Closure

  @typedoc """
  `line` and `column` are 0 when unknown; `clause` is that of the innermost function or anonymous function, 0 for all
  of them; `source` is the digest of the file's text, 0 when that is unknown; `names` are the variables bound there;
  `args`, where there are any, what the clauses of a function call each of its arguments, or the keys under which its pattern finds
  each of the variables.
  """
  @type t ::
          {key :: integer(), node :: integer(), module(), function :: atom(), arity(), file :: String.t(),
           line :: non_neg_integer(), column :: non_neg_integer(), kind(), clause :: non_neg_integer(),
           source :: non_neg_integer(), names :: [atom()]}
          | {key :: integer(), node :: integer(), module(), function :: atom(), arity(), file :: String.t(),
             line :: non_neg_integer(), column :: non_neg_integer(), kind(), clause :: non_neg_integer(),
             source :: non_neg_integer(), names :: [atom()], args :: args()}

  @typedoc "For each argument its names; see `ElixirScope.Instrument.Pattern.arguments/1`."
  @type args :: [[atom() | String.t()]]

  @typedoc "Those of `NodeKind` in `native/event`."
  @type kind :: :function | :fn | :counted | :head | :match | :case | :receive | :try | :generator

  @typedoc "A file as the compiler knew it, and the digest of its text or 0."
  @type origin :: {file :: String.t(), digest :: non_neg_integer()}

  @doc """
  Builds the site of a function, `kind` being `:function`, or `:counted`. `anno` is that of the first clause.

      iex> site = ElixirScope.Instrument.Site.new({Cart, :add, 2}, :function, {"lib/cart.ex", 0}, {12, 3})
      iex> tl(Tuple.to_list(site))
      [355735409236058850, Cart, :add, 2, "lib/cart.ex", 12, 3, :function, 0, 0, []]
      iex> site = ElixirScope.Instrument.Site.new({Cart, :add, 2}, :function, {"lib/cart.ex", 0}, 12, [[:cart], []])
      iex> elem(site, 12)
      [[:cart], []]
  """
  @spec new(mfa(), :function | :counted, origin(), :erl_anno.anno(), args()) :: t()
  def new({module, function, arity} = mfa, kind, origin, anno, args \\ []) do
    seal(digest({module, function, arity, :function, 0}), mfa, origin, anno, {kind, 0, []}, args)
  end

  @doc """
  Builds the site of an anonymous function: of the one number `ordinal`, of so many arguments, in a function. `anno` is
  that of `fn` or `&`. Its node is found anew as long as no other one is put before it in the same function.

      iex> site = ElixirScope.Instrument.Site.closure({Cart, :total, 1}, 2, 3, {"lib/cart.ex", 0}, 14)
      iex> {elem(site, 2), elem(site, 3), elem(site, 4), elem(site, 6)}
      {Cart, :"total/1-fn-2", 3, 14}
  """
  @spec closure(mfa(), pos_integer(), arity(), origin(), :erl_anno.anno(), args()) :: t()
  def closure({module, function, arity}, ordinal, own_arity, origin, anno, args \\ []) do
    node = digest({module, function, arity, :fn, ordinal})

    seal(
      node,
      {module, Closure.name({function, arity}, ordinal), own_arity},
      origin,
      anno,
      {:fn, 0, []},
      args
    )
  end

  @doc """
  Builds the site of a place that binds variables: number `ordinal` of those in the function, or anonymous function, that
  it is recorded under. The names are what the user calls the variables.

      iex> site = ElixirScope.Instrument.Site.binding({Cart, :add, 2}, {1, :head, 2}, [:cart], {"lib/cart.ex", 0}, 12)
      iex> {elem(site, 8), elem(site, 9), elem(site, 11)}
      {:head, 2, [:cart]}
  """
  @spec binding(
          mfa(),
          {ordinal :: pos_integer(), kind(), clause :: pos_integer()},
          [atom(), ...],
          origin(),
          :erl_anno.anno(),
          args()
        ) :: t()
  def binding({module, function, arity} = mfa, {ordinal, kind, clause}, names, origin, anno, keys \\ []) do
    seal(digest({module, function, arity, :binding, ordinal}), mfa, origin, anno, {kind, clause, names}, keys)
  end

  @doc """
  Builds the site of a `receive`: number `ordinal` of those in the function. `part` is 0 for the whole, the number of a clause of
  it, or `:after`; `clause` is that of the function, or anonymous function, that it is recorded under.

      iex> site = ElixirScope.Instrument.Site.reception({Cart, :loop, 1}, {1, 2, 1}, {"lib/cart.ex", 0}, {14, 7})
      iex> {elem(site, 6), elem(site, 7), elem(site, 8), elem(site, 9)}
      {14, 7, :receive, 1}
  """
  @spec reception(
          mfa(),
          {ordinal :: pos_integer(), part :: non_neg_integer() | :after, clause :: non_neg_integer()},
          origin(),
          :erl_anno.anno()
        ) :: t()
  def reception({module, function, arity} = mfa, {ordinal, part, clause}, origin, anno) do
    node = digest({module, function, arity, :receive, {ordinal, part}})
    seal(node, mfa, origin, anno, {:receive, clause, []})
  end

  defp seal(node, {module, function, arity}, {file, source}, anno, {kind, clause, names}, args \\ []) do
    {line, column} = place(anno)
    rest = {node, module, function, arity, file, line, column, kind, clause, source, names}
    rest = if Enum.all?(args, &(&1 == [])), do: rest, else: Tuple.insert_at(rest, tuple_size(rest), args)
    Tuple.insert_at(rest, 0, digest(rest))
  end

  defp place(anno) do
    case {:erl_anno.line(anno), :erl_anno.column(anno)} do
      {line, :undefined} -> {line, 0}
      place -> place
    end
  end

  @doc """
  Whether a term is the site of a function with a name in this module: its key must be the digest of what it says.

      iex> site = ElixirScope.Instrument.Site.new({Cart, :add, 2}, :function, {"lib/cart.ex", 0}, 12)
      iex> ElixirScope.Instrument.Site.function?(site, Cart)
      true
      iex> ElixirScope.Instrument.Site.function?(put_elem(site, 6, 13), Cart)
      false
  """
  @spec function?(term(), module()) :: boolean()
  def function?(site, module) when tuple_size(site) in [12, 13] do
    elem(site, 2) == module and elem(site, 8) == :function and
      elem(site, 0) == site |> Tuple.delete_at(0) |> digest()
  end

  def function?(_term, _module), do: false

  # 59 bits are what fits a small integer. minor_version 2 is spelt out because the default changed in OTP 26.
  defp digest(term) do
    <<id::59, _rest::bitstring>> = :erlang.md5(:erlang.term_to_binary(term, minor_version: 2))
    id
  end
end
