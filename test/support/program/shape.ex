# Patterns, guards and literals of random programs, by type. The types are a promise of the generator to itself, which
# it breaks now and then, so that things go wrong at run time too:
#
#     :int   :list (of integers)   :bin   :map (%{a: integer, b: integer}, perhaps more)   :tagged   :atom   :bool
#     :point   :fun (of one integer, to an integer)
defmodule ElixirScope.Program.Shape do
  @moduledoc false

  import ElixirScope.Program.Dice

  alias ElixirScope.Program.Point

  @names ~w(a b c d x y z w)a
  @wholes [:all, :whole]

  @doc "A variable, as quoted code."
  @spec variable(atom()) :: Macro.t()
  def variable(name), do: {name, [], nil}

  @doc "A name for a variable, most often one that hides another."
  @spec name() :: atom()
  def name, do: pick(@names)

  @doc "A value of a type, as a term."
  @spec value(atom()) :: term()
  def value(:int), do: :rand.uniform(12) - 4
  def value(:list), do: several(0, 4, fn -> value(:int) end)
  def value(:bin), do: pick(["", "a", "ab", "xyz", <<1, 2, 3>>, <<2, ?a, ?b, 255>>, "ä"])
  def value(:map), do: pick([%{a: value(:int), b: value(:int)}, %{a: value(:int), b: 0, c: 1}])

  def value(:tagged),
    do: pick([{:ok, value(:int)}, {:error, value(:atom)}, {:more, value(:int), value(:list)}, :none])

  def value(:atom), do: pick([:a, :b, nil, :ok])
  def value(:bool), do: pick([true, false])
  def value(:point), do: %Point{x: value(:int), y: value(:list)}

  @doc "The same as quoted code."
  @spec literal(atom()) :: Macro.t()
  def literal(type), do: type |> value() |> quoted()

  @doc "A value as quoted code."
  @spec quoted(term()) :: Macro.t()
  def quoted(%Point{x: x, y: y}), do: quote(do: %ElixirScope.Program.Point{x: unquote(x), y: unquote(y)})
  def quoted(term), do: Macro.escape(term)

  @doc "What a value is called that a pattern names as a whole."
  @spec wholes() :: [atom()]
  def wholes, do: @wholes

  @doc """
  A pattern of a type, and the variables that it binds with their types. `known` are the variables that may be pinned.
  """
  @spec pattern(atom(), [{atom(), atom()}]) :: {Macro.t(), [{atom(), atom()}]}
  def pattern(type, known \\ []) do
    {pattern, names} = bare(type, known)

    cond do
      chance(8) and not is_atom(pattern) and not match?({_, [], nil}, pattern) ->
        all = pick(@wholes)

        {pick([
           quote(do: unquote(pattern) = unquote(variable(all))),
           quote(do: unquote(variable(all)) = unquote(pattern))
         ]), names ++ [{all, type}]}

      true ->
        {pattern, names}
    end
  end

  defp bare(type, known) do
    pinned = for {name, ^type} <- known, do: name

    cond do
      chance(30) -> bind(type)
      chance(5) -> {quote(do: _), []}
      chance(5) -> {variable(:_ignored), []}
      pinned != [] and chance(10) -> {quote(do: ^unquote(variable(pick(pinned)))), []}
      true -> shaped(type)
    end
  end

  @doc "A plain variable of a type."
  @spec bind(atom()) :: {Macro.t(), [{atom(), atom()}]}
  def bind(type) do
    name = name()
    {variable(name), [{name, type}]}
  end

  defp shaped(:int), do: pick([{literal(:int), []}, bind(:int), bind(:int)])
  defp shaped(:bool), do: {literal(:bool), []}
  defp shaped(:atom), do: pick([{literal(:atom), []}, bind(:atom)])
  defp shaped(:fun), do: bind(:fun)

  defp shaped(:list) do
    {[p, q], [a, b]} = two()

    pick([
      {[], []},
      {quote(do: [unquote(p) | unquote(q)]), [{a, :int}, {b, :list}]},
      {quote(do: [unquote(p) | unquote(q)]), [{a, :int}, {b, :list}]},
      {[p, q], [{a, :int}, {b, :int}]},
      {quote(do: [unquote(literal(:int)) | unquote(q)]), [{b, :list}]},
      {quote(do: [unquote(p), unquote(p) | _]), [{a, :int}]}
    ])
  end

  defp shaped(:bin) do
    {[p, q], [a, b]} = two()

    pick([
      {"", []},
      {quote(do: <<unquote(p), unquote(q)::binary>>), [{a, :int}, {b, :bin}]},
      {quote(do: <<unquote(p)::4, unquote(q)::4, _::bitstring>>), [{a, :int}, {b, :int}]},
      {quote(do: "a" <> unquote(q)), [{b, :bin}]},
      {quote(do: <<unquote(p), unquote(q)::binary-size(unquote(p)), _::binary>>), [{a, :int}, {b, :bin}]},
      {quote(do: <<unquote(p)::utf8, unquote(q)::binary>>), [{a, :int}, {b, :bin}]},
      {quote(do: <<unquote(p)::little-signed-16, _::bits>>), [{a, :int}]}
    ])
  end

  defp shaped(:map) do
    {[p, q], [a, b]} = two()

    pick([
      {quote(do: %{a: unquote(p)}), [{a, :int}]},
      {quote(do: %{a: unquote(p), b: unquote(q)}), [{a, :int}, {b, :int}]},
      {quote(do: %{b: 0, a: unquote(p)}), [{a, :int}]},
      {quote(do: %{c: unquote(p)}), [{a, :int}]}
    ])
  end

  defp shaped(:point) do
    {[p, q], [a, b]} = two()

    pick([
      {quote(do: %ElixirScope.Program.Point{x: unquote(p)}), [{a, :int}]},
      {quote(do: %ElixirScope.Program.Point{x: unquote(p), y: [unquote(q) | _]}), [{a, :int}, {b, :int}]},
      {quote(do: %ElixirScope.Program.Point{}), []}
    ])
  end

  defp shaped(:tagged) do
    {[p, q], [a, b]} = two()

    pick([
      {quote(do: {:ok, unquote(p)}), [{a, :int}]},
      {quote(do: {:ok, unquote(p)}), [{a, :int}]},
      {quote(do: {:error, unquote(p)}), [{a, :atom}]},
      {quote(do: {:more, unquote(p), unquote(q)}), [{a, :int}, {b, :list}]},
      {quote(do: {:more, _, [unquote(p) | unquote(q)]}), [{a, :int}, {b, :list}]},
      {:none, []}
    ])
  end

  # Two names that differ.
  defp two do
    [a, b] = @names |> Enum.sort_by(fn _ -> :rand.uniform() end) |> Enum.take(2)
    {[variable(a), variable(b)], [a, b]}
  end

  @doc "A guard over variables, or `nil`. `is_small/1` is a `defguard` of each module."
  @spec guard([{atom(), atom()}]) :: Macro.t() | nil
  def guard(names) do
    case Enum.filter(names, fn {_, type} -> type in [:int, :list, :bin, :map, :atom, :tagged] end) do
      [] -> nil
      some -> pick([nil, test(pick(some)), both(test(pick(some)), test(pick(some)))])
    end
  end

  defp both(one, two) do
    pick([
      quote(do: unquote(one) and unquote(two)),
      quote(do: unquote(one) or not unquote(two)),
      # As `when one when two`.
      {:when, [], [one, two]}
    ])
  end

  defp test({name, type}) do
    x = variable(name)

    case type do
      :int ->
        pick([
          quote(do: unquote(x) > unquote(value(:int))),
          quote(do: is_small(unquote(x))),
          quote(do: unquote(x) in [1, 2, 5]),
          quote(do: rem(unquote(x), 2) == 0),
          quote(do: is_integer(unquote(x)))
        ])

      :list ->
        pick([
          quote(do: length(unquote(x)) > 1),
          quote(do: hd(unquote(x)) > 2),
          quote(do: unquote(x) != [])
        ])

      :bin ->
        pick([quote(do: byte_size(unquote(x)) > 1), quote(do: unquote(x) == "ab")])

      :map ->
        pick([quote(do: is_map_key(unquote(x), :c)), quote(do: unquote(x).a > 1)])

      :atom ->
        pick([quote(do: is_nil(unquote(x))), quote(do: unquote(x) == :a)])

      :tagged ->
        pick([quote(do: is_tuple(unquote(x))), quote(do: elem(unquote(x), 0) == :ok)])
    end
  end

  @doc "A pattern with its guard, as the left side of an arrow."
  @spec guarded([Macro.t()], Macro.t() | nil) :: [Macro.t()]
  def guarded(patterns, nil), do: patterns
  def guarded(patterns, guard), do: [{:when, [], patterns ++ [guard]}]
end
