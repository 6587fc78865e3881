defmodule ElixirScope.Path do
  @moduledoc """
  The way to a part of a term, as a list such as `[:items, 0, :price]`.

  | step | into |
  |---|---|
  | a key | a map; a struct; a list of pairs, and then the first pair of that key |
  | `{:at, 2}` or `2` | a list: the third element |
  | `{:elem, 1}` or `1` | a tuple: the second element |
  | `{:queue, 0}` | a `:queue`: the element that leaves it next |
  | `{:member, x}` | a `MapSet`: `x`, where it is a member |
  | `:tail` | an improper list: what stands behind the last `\|` |

  What holds the part decides how a step is read: into a map each step is a key, `2` and `{:at, 2}` too.
  """

  alias ElixirScope.Cut

  @type step ::
          {:at, non_neg_integer}
          | {:elem, non_neg_integer}
          | {:queue, non_neg_integer}
          | {:member, term}
          | :tail
          | (key :: term)
  @type t :: [step]

  @doc """
  The part of a term that a path leads to. `:error` when there is none, and the `ElixirScope.Cut` when a limit has kept out
  what the path leads to or through, so that nobody knows.

      iex> ElixirScope.Path.fetch(%{items: [%{price: 7}]}, [:items, 0, :price])
      {:ok, 7}
      iex> ElixirScope.Path.fetch(%{items: []}, [:items, 0, :price])
      :error
      iex> ElixirScope.Path.fetch(%{text: %ElixirScope.Cut{kind: :binary}}, [:text])
      {:cut, %ElixirScope.Cut{kind: :binary}}
      iex> ElixirScope.Path.fetch({:idle, [name: "x"]}, [1, :name])
      {:ok, "x"}
  """
  @spec fetch(term, t) :: {:ok, term} | :error | {:cut, Cut.t()}
  def fetch(term, path) do
    case part(term, path) do
      {:within, cut} -> {:cut, cut}
      other -> other
    end
  end

  @doc """
  As `fetch/2`, but tells a part that was cut itself from one that may stand, or not, within what was cut.

      iex> ElixirScope.Path.part(%{items: %ElixirScope.Cut{kind: :list}}, [:items])
      {:cut, %ElixirScope.Cut{kind: :list}}
      iex> ElixirScope.Path.part(%{items: %ElixirScope.Cut{kind: :list}}, [:items, 0])
      {:within, %ElixirScope.Cut{kind: :list}}
  """
  @spec part(term, t) :: {:ok, term} | :error | {:cut, Cut.t()} | {:within, Cut.t()}
  def part(%Cut{} = cut, []), do: {:cut, cut}
  def part(%Cut{} = cut, _path), do: {:within, cut}
  def part(term, []), do: {:ok, term}

  def part(term, [step | rest]) do
    case step(term, step) do
      {:ok, part} -> part(part, rest)
      {:cut, cut} -> {:within, cut}
      :error -> :error
    end
  end

  defp step(%MapSet{} = set, {:member, member}) do
    if MapSet.member?(set, member), do: {:ok, member}, else: set |> Map.get(:map) |> cut_key()
  end

  defp step(map, key) when is_map(map) do
    case Map.fetch(map, key) do
      :error -> cut_key(map)
      found -> found
    end
  end

  defp step(list, {:at, index}) when is_list(list), do: nth(list, index)
  defp step(list, index) when is_list(list) and is_integer(index), do: nth(list, index)
  defp step(list, :tail) when is_list(list), do: list |> pair(:tail) |> or_else(fn -> tail(list) end)
  defp step(list, key) when is_list(list), do: pair(list, key)
  defp step(tuple, {:elem, index}) when is_tuple(tuple), do: element_of(tuple, index)
  defp step({_rear, _front} = queue, {:queue, index}), do: queued(queue, index)
  defp step(tuple, index) when is_tuple(tuple) and is_integer(index), do: element_of(tuple, index)
  defp step(_term, _step), do: :error

  # A key that was cut may be any. So may one be that was cut within, and keys that were cut alike are one.
  defp cut_key(map) when is_map(map) do
    Enum.find_value(:maps.keys(map), :error, fn key ->
      case cut_in(key) do
        nil -> nil
        cut -> {:cut, cut}
      end
    end)
  end

  defp cut_key(_members), do: :error

  @doc false
  @spec cut_in(term) :: Cut.t() | nil
  def cut_in(%Cut{} = cut), do: cut
  def cut_in([part | rest]), do: cut_in(part) || cut_in(rest)
  def cut_in(tuple) when is_tuple(tuple), do: tuple |> Tuple.to_list() |> cut_in()
  def cut_in(map) when is_map(map), do: map |> :maps.to_list() |> cut_in()
  def cut_in(_whole), do: nil

  defp nth([element | _], 0), do: {:ok, element}
  defp nth([_ | rest], index) when is_integer(index) and index > 0, do: nth(rest, index - 1)
  defp nth(%Cut{} = cut, _index), do: {:cut, cut}
  defp nth(_rest, _index), do: :error

  # The first pair of a key is not known where one before it may be of that key.
  defp pair([{key, value} | _], key), do: {:ok, value}
  defp pair([{%Cut{} = cut, _value} | _], _key), do: {:cut, cut}
  defp pair([%Cut{} = cut | _], _key), do: {:cut, cut}
  defp pair([_ | rest], key), do: pair(rest, key)
  defp pair(%Cut{} = cut, _key), do: {:cut, cut}
  defp pair(_rest, _key), do: :error

  defp or_else({:ok, found}, _fun), do: {:ok, found}
  defp or_else(_not_found, fun), do: fun.()

  defp tail([_ | rest]), do: tail(rest)
  defp tail([]), do: :error
  defp tail(%Cut{} = cut), do: {:cut, cut}
  defp tail(tail), do: {:ok, tail}

  defp element_of(tuple, index) when index in 0..(tuple_size(tuple) - 1)//1, do: {:ok, elem(tuple, index)}
  defp element_of(_tuple, _index), do: :error

  defp queued({%Cut{} = cut, _front}, _index), do: {:cut, cut}
  defp queued({_rear, %Cut{} = cut}, _index), do: {:cut, cut}

  defp queued({rear, front}, index) when is_list(rear) and is_list(front) do
    case nth(front, index) do
      :error when length(rear) >= 0 and length(front) >= 0 -> nth(Enum.reverse(rear), index - length(front))
      # The last of the rear list are the next ones.
      :error -> with {:cut, cut} <- nth(rear, length_of(rear)), do: {:cut, cut}
      found_or_cut -> found_or_cut
    end
  end

  defp queued(_tuple, _index), do: :error

  defp length_of([_ | rest]), do: 1 + length_of(rest)
  defp length_of(_tail), do: 0

  @doc """
  A path in words; of the whole term it is `"."`.

      iex> ElixirScope.Path.format([:items, {:at, 0}, :price])
      ".items[0].price"
      iex> ElixirScope.Path.format([{:elem, 1}, "name", {:member, :a}])
      "{1}[\\"name\\"](member :a)"
      iex> ElixirScope.Path.format([])
      "."
  """
  @spec format(t) :: String.t()
  def format([]), do: "."
  def format(path) when is_list(path), do: Enum.map_join(path, &text/1)

  defp text({:at, index}) when is_integer(index), do: "[#{index}]"
  defp text({:elem, index}) when is_integer(index), do: "{#{index}}"
  defp text({:queue, index}) when is_integer(index), do: "(queue #{index})"
  defp text({:member, member}), do: "(member #{inspect(member)})"

  defp text(key) when is_atom(key) and key not in [nil, true, false] do
    case inspect(key) do
      # A name that needs no quotes reads as a field.
      ":" <> name -> if name =~ ~r/\A[\p{L}_][\p{L}\p{N}_]*[?!]?\z/u, do: "." <> name, else: "[:#{name}]"
      module -> "[#{module}]"
    end
  end

  defp text(key), do: "[#{inspect(key)}]"
end
