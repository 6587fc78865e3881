defmodule ElixirScope.Query.Replay.Literal do
  @moduledoc false
  # Recorded terms as source. What has an identity of its own (a pid, a reference) cannot be written down: a variable stands
  # for it, the same one wherever the same pid or reference occurs.

  @typedoc "The variables by what they stand for."
  @type names :: %{optional(pid | reference) => String.t()}

  @doc """
  The variables that some terms need.

      iex> names = ElixirScope.Query.Replay.Literal.names([{self(), [self()]}])
      iex> names[self()]
      "pid_1"
  """
  @spec names([term]) :: names
  def names(terms) do
    found = terms |> identities([]) |> Enum.reverse() |> Enum.uniq()

    for {kind, prefix} <- [pid: "pid", reference: "ref"],
        {term, number} <- found |> Enum.filter(&(kind(&1) == kind)) |> Enum.with_index(1),
        into: %{},
        do: {term, "#{prefix}_#{number}"}
  end

  defp kind(term) when is_pid(term), do: :pid
  defp kind(term) when is_reference(term), do: :reference

  defp identities(term, found) when is_pid(term) or is_reference(term), do: [term | found]
  defp identities([head | tail], found), do: identities(tail, identities(head, found))
  defp identities(tuple, found) when is_tuple(tuple), do: identities(Tuple.to_list(tuple), found)
  defp identities(map, found) when is_map(map), do: map |> Map.to_list() |> identities(found)
  defp identities(_leaf, found), do: found

  @doc """
  A term as source, or what in it cannot be written down. As a pattern, what has no variable is `_`.

      iex> ElixirScope.Query.Replay.Literal.source(%{at: ~D[2026-01-01], tags: MapSet.new([:a])}, %{})
      {:ok, "%{at: %Date{calendar: Calendar.ISO, day: 1, month: 1, year: 2026}, tags: MapSet.new([:a])}"}
      iex> ElixirScope.Query.Replay.Literal.source({:ok, self()}, %{}, :pattern)
      {:ok, "{:ok, _}"}
      iex> {:error, port} = ElixirScope.Query.Replay.Literal.source([Port.open({:spawn, "true"}, [])], %{})
      iex> is_port(port)
      true
  """
  @spec source(term, names, :value | :pattern) :: {:ok, String.t()} | {:error, term}
  def source(term, names, as \\ :value) do
    {:ok, term |> text(%{names: names, as: as}) |> IO.iodata_to_binary() |> escape()}
  catch
    {:no_literal, what} -> {:error, what}
  end

  # `inspect/1` leaves characters that turn the direction of text as they are; in source the tokenizer refuses them.
  defp escape(source) do
    String.replace(source, ~r/[\x{202A}-\x{202E}\x{2066}-\x{2069}]/u, fn <<character::utf8>> ->
      "\\u" <> Integer.to_string(character, 16)
    end)
  end

  defp text(term, how) when is_pid(term) or is_reference(term) do
    case {Map.fetch(how.names, term), how.as} do
      {{:ok, name}, :value} -> name
      {{:ok, name}, :pattern} -> ["^", name]
      {:error, :pattern} -> "_"
      {:error, :value} -> throw({:no_literal, term})
    end
  end

  defp text(fun, how) when is_function(fun) do
    case {Function.info(fun, :type), how.as} do
      {{:type, :external}, _as} -> inspect(fun)
      {_local, :pattern} -> "_"
      {_local, :value} -> throw({:no_literal, fun})
    end
  end

  defp text(port, %{as: :pattern}) when is_port(port), do: "_"
  defp text(port, _how) when is_port(port), do: throw({:no_literal, port})

  defp text([], _how), do: "[]"
  defp text([_ | _] = list, how), do: ["[", elements(list, how), "]"]
  defp text(tuple, how) when is_tuple(tuple), do: ["{", tuple |> Tuple.to_list() |> separated(how), "}"]
  defp text(%MapSet{} = set, %{as: :value} = how), do: ["MapSet.new(", set |> Enum.sort() |> text(how), ")"]
  defp text(%module{} = struct, how), do: struct(struct, module, how)
  defp text(map, how) when is_map(map), do: ["%{", pairs(map, how), "}"]

  defp text(atom, how) when is_atom(atom) do
    cond do
      byte_size(Atom.to_string(atom)) < 256 -> inspect(atom)
      how.as == :pattern -> "_"
      true -> ["String.to_atom(", inspect(Atom.to_string(atom), printable_limit: :infinity), ")"]
    end
  end

  defp text(leaf, _how) do
    inspect(leaf, limit: :infinity, printable_limit: :infinity, charlists: :as_lists)
  end

  # A struct of a module that is not there, or has other fields now, is the map that it is.
  defp struct(struct, module, how) do
    fields = Map.from_struct(struct)

    if Code.ensure_loaded?(module) and function_exported?(module, :__struct__, 0) and
         Map.keys(module.__struct__()) == Map.keys(struct) do
      ["%", inspect(module), "{", fields |> Map.delete(:__exception__) |> pairs(how), "}"]
    else
      ["%{__struct__: ", inspect(module), if(fields == %{}, do: "", else: ", "), pairs(fields, how), "}"]
    end
  end

  defp elements([last], how), do: text(last, how)
  defp elements([head | tail], how) when is_list(tail), do: [text(head, how), ", ", elements(tail, how)]
  defp elements([head | tail], how), do: [text(head, how), " | ", text(tail, how)]

  defp separated(terms, how), do: terms |> Enum.map(&text(&1, how)) |> Enum.intersperse(", ")

  # Keys of keyword form stand last. Names of modules have none.
  defp pairs(map, how) do
    {atoms, others} =
      map |> Enum.sort() |> Enum.split_with(fn {key, _value} -> is_atom(key) and keyword(key) != nil end)

    others = for {key, value} <- others, do: [key(key, how), " => ", text(value, how)]
    atoms = for {key, value} <- atoms, do: [keyword(key), " ", text(value, how)]
    Enum.intersperse(others ++ atoms, ", ")
  end

  # In a pattern a key must be known: one without a variable is left out by the whole map being `_`.
  defp key(key, %{as: :value} = how), do: text(key, how)

  defp key(key, how) do
    case source(key, how.names, :value) do
      {:ok, _text} -> text(key, how)
      {:error, what} -> throw({:no_literal, what})
    end
  end

  defp keyword(key) do
    case inspect([{key, 0}]) do
      "[{" <> _tuple -> nil
      # Longer than an atom that is written down may be.
      "[" <> pair when byte_size(pair) > 256 -> nil
      # The formatter of Elixir 1.14 loses the backslashes of such a key.
      "[\"" <> pair -> if(pair =~ "\\", do: nil, else: "\"" <> String.replace_suffix(pair, " 0]", ""))
      "[" <> pair -> String.replace_suffix(pair, " 0]", "")
    end
  end
end
