# What a pattern of abstract format binds, and what it only reads. A name in the size of a binary segment or in the key
# of a map is read; every other one is bound, unless it was bound before, which the pattern alone cannot say.
defmodule ElixirScope.Instrument.Pattern do
  @moduledoc false

  alias ElixirScope.Instrument.Syntax

  @doc ~S"""
  The variables that a pattern, or a list of patterns, may bind: each once, in the order in which they stand.

      iex> {:ok, tokens, _} = :erl_scan.string(String.to_charlist(~S|{B, #{K := A}, <<S, R:S/binary>>, _, B}.|))
      iex> {:ok, [pattern]} = :erl_parse.parse_exprs(tokens)
      iex> ElixirScope.Instrument.Pattern.binds(pattern)
      [:B, :A, :S, :R]
  """
  @spec binds(tuple() | [tuple()]) :: [atom()]
  def binds(pattern), do: pattern |> bound([]) |> Enum.reverse() |> Enum.uniq()

  @doc ~S"""
  The variables whose values the pattern reads.

      iex> {:ok, tokens, _} = :erl_scan.string(String.to_charlist(~S|{B, #{K := A}, <<S, R:S/binary>>, _, B}.|))
      iex> {:ok, [pattern]} = :erl_parse.parse_exprs(tokens)
      iex> ElixirScope.Instrument.Pattern.reads(pattern) |> Enum.sort()
      [:K, :S]
  """
  @spec reads(tuple() | [tuple()]) :: [atom()]
  def reads(pattern), do: pattern |> read([]) |> Enum.uniq()

  @doc """
  Where the first variable of a pattern, or of a list of patterns, stands that no tool has made; `nil` if there is none.

      iex> generated = [generated: true, location: 1]
      iex> ElixirScope.Instrument.Pattern.place([{:tuple, generated, [{:var, generated, :X}, {:var, 7, :Y}]}])
      7
  """
  @spec place(tuple() | [tuple()]) :: :erl_anno.anno() | nil
  def place(patterns) do
    patterns |> places([]) |> Enum.reverse() |> Enum.find(&(not :erl_anno.generated(&1)))
  end

  @doc ~S"""
  What the clauses of a function call each of its arguments, or elements of it that no key names: the variables that stand for
  the whole, or in a tuple or a binary, without leading underscores. What stands in a map has a key, and a list has elements of one kind.

      iex> {:ok, tokens, _} = :erl_scan.string(String.to_charlist(~S|f(A, {login, _B} = C, _) -> A; f(A, D, #{k := E}) -> D.|))
      iex> {:ok, {:function, _, :f, 3, clauses}} = :erl_parse.parse_form(tokens)
      iex> ElixirScope.Instrument.Pattern.arguments(clauses)
      [[:A], [:B, :C, :D], []]
  """
  @spec arguments([tuple()]) :: [[atom()]]
  def arguments([{:clause, _, first, _, _} | _] = clauses) do
    clauses
    |> Enum.map(fn {:clause, _, patterns, _, _} -> Enum.map(patterns, &named/1) end)
    |> Enum.reduce(List.duplicate([], length(first)), &Enum.zip_with(&2, &1, fn old, new -> old ++ new end))
    |> Enum.map(&Enum.uniq/1)
  end

  defp named(pattern), do: for(name <- whole(pattern), given = Syntax.given_name(name), do: given)

  defp whole({:var, _, name}), do: [name]
  defp whole({:match, _, left, right}), do: whole(left) ++ whole(right)
  defp whole({:tuple, _, elements}), do: Enum.flat_map(elements, &whole/1)
  defp whole({:bin, _, segments}), do: Enum.flat_map(segments, &whole(elem(&1, 2)))
  defp whole(_other), do: []

  @doc ~S"""
  The keys under which a pattern, or a list of patterns, finds its variables, or what they are parts of: of maps, and of pairs that begin with an
  atom or a text.

      iex> {:ok, tokens, _} = :erl_scan.string(String.to_charlist(~S|{ok, #{k := A, l := #{m := B}}, [{n, C}], D}.|))
      iex> {:ok, [pattern]} = :erl_parse.parse_exprs(tokens)
      iex> ElixirScope.Instrument.Pattern.keys(pattern)
      %{A: [:k], B: [:l, :m], C: [:n]}
  """
  @spec keys(tuple() | [tuple()]) :: %{optional(atom()) => [atom() | String.t()]}
  def keys(pattern) do
    for {name, keys} <- keyed(pattern, [], []), keys != [], reduce: %{} do
      found -> Map.update(found, name, keys, &Enum.uniq(&1 ++ keys))
    end
  end

  defp keyed({:var, _, :_}, _keys, found), do: found
  defp keyed({:var, _, name}, keys, found), do: [{name, Enum.reverse(keys)} | found]
  defp keyed({:value, _, _literal}, _keys, found), do: found
  defp keyed({:bin_element, _, value, _size, _type}, keys, found), do: keyed(value, keys, found)

  defp keyed({:map_field_exact, _, key, value}, keys, found),
    do: keyed(value, key |> literal() |> under(keys), found)

  defp keyed({:tuple, _, [first, second]}, keys, found),
    do: keyed(second, first |> literal() |> under(keys), keyed(first, keys, found))

  defp keyed(other, keys, found), do: inside(other, found, &keyed(&1, keys, &2))

  defp under(nil, keys), do: keys
  defp under(key, keys), do: [key | keys]

  # A key that is a name.
  defp literal({:atom, _, name}), do: name
  defp literal({:bin, _, [{:bin_element, _, {:string, _, text}, _, _}]}), do: List.to_string(text)
  defp literal(_other), do: nil

  defp bound({:var, _, :_}, found), do: found
  defp bound({:var, _, name}, found), do: [name | found]
  defp bound({:bin_element, _, value, _size, _type}, found), do: bound(value, found)
  defp bound({:map_field_exact, _, _key, value}, found), do: bound(value, found)
  defp bound({:value, _, _literal}, found), do: found
  defp bound(other, found), do: inside(other, found, &bound/2)

  defp read({:bin_element, _, value, size, _type}, found), do: variables(size, read(value, found))
  defp read({:map_field_exact, _, key, value}, found), do: variables(key, read(value, found))
  defp read({:value, _, _literal}, found), do: found
  defp read(other, found), do: inside(other, found, &read/2)

  defp places({:var, anno, _name}, found), do: [anno | found]
  defp places({:value, _, _literal}, found), do: found
  defp places(other, found), do: inside(other, found, &places/2)

  defp variables({:var, _, name}, found), do: [name | found]
  defp variables(other, found), do: inside(other, found, &variables/2)

  defp inside([head | tail], found, fun), do: inside(tail, fun.(head, found), fun)

  defp inside(node, found, fun) when is_tuple(node) and tuple_size(node) > 2 do
    [_kind, _anno | parts] = Tuple.to_list(node)
    inside(parts, found, fun)
  end

  defp inside(_leaf, found, _fun), do: found
end
