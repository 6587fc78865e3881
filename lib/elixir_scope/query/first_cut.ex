defmodule ElixirScope.Query.FirstCut do
  @moduledoc false
  # Where in a term something was kept out first. A function that is given such a term computes with the stand-in.

  alias ElixirScope.{Cut, Path}

  # So many parts of a term are looked at, no more: one that is larger than what limits let through is not expected.
  @parts 1_000_000

  @doc """
  The path to the first cut in a term, and the cut; `nil` where there is none. What was cut within a key of a map, or a member of
  a set, has the path of that map or set.

      iex> ElixirScope.Query.FirstCut.find(%{a: 1, b: {2, %ElixirScope.Cut{kind: :binary}}})
      {[:b, {:elem, 1}], %ElixirScope.Cut{kind: :binary}}
      iex> ElixirScope.Query.FirstCut.find([1 | %ElixirScope.Cut{kind: :list}])
      {[:tail], %ElixirScope.Cut{kind: :list}}
      iex> ElixirScope.Query.FirstCut.find(%{a: [1, 2]})
      nil
  """
  @spec find(term) :: {Path.t(), Cut.t()} | nil
  def find(term), do: first(term, [])

  @doc """
  As `find/1`, for what a limit kept out. Of that nobody can know what it was; what redaction or the view of a struct keeps out is
  kept out of every state alike, and by its name.

      iex> secret = %ElixirScope.Cut{kind: :redacted}
      iex> ElixirScope.Query.FirstCut.by_limit(%{a: secret, b: {2, %ElixirScope.Cut{kind: :binary}}})
      {[:b, {:elem, 1}], %ElixirScope.Cut{kind: :binary}}
      iex> ElixirScope.Query.FirstCut.by_limit([secret, %{secret => secret}])
      nil
  """
  @spec by_limit(term) :: {Path.t(), Cut.t()} | nil
  def by_limit(term), do: first(term, [:redacted, :left_out])

  defp first(term, without) do
    walk(term, [], @parts, without)
    nil
  catch
    {__MODULE__, :many} -> nil
    {__MODULE__, path, cut} -> {Enum.reverse(path), cut}
  end

  # How many parts may still be looked at. Paths are turned round while they grow.
  defp walk(_term, _path, 0, _without), do: throw({__MODULE__, :many})

  defp walk(%Cut{} = cut, path, left, without),
    do: if(cut.kind in without, do: left - 1, else: throw({__MODULE__, path, cut}))

  defp walk([_ | _] = list, path, left, without), do: list(list, 0, path, left, without)

  defp walk(tuple, path, left, without) when is_tuple(tuple) do
    tuple
    |> Tuple.to_list()
    |> Enum.reduce({0, left - 1}, fn part, {at, left} ->
      {at + 1, walk(part, [{:elem, at} | path], left, without)}
    end)
    |> elem(1)
  end

  defp walk(map, path, left, without) when is_map(map) do
    map
    |> :maps.to_list()
    |> Enum.reduce(left - 1, fn {key, value}, left ->
      walk(value, [key | path], key(key, path, left, without), without)
    end)
  end

  defp walk(_other, _path, left, _without), do: left - 1

  defp key(key, _path, left, _without) when is_atom(key) or is_number(key) or is_binary(key), do: left

  defp key(key, path, left, without) do
    walk(key, [], left, without)
  catch
    {__MODULE__, _within, cut} -> throw({__MODULE__, path, cut})
  end

  defp list([part | rest], at, path, left, without) do
    list(rest, at + 1, path, walk(part, [{:at, at} | path], left, without), without)
  end

  defp list([], _at, _path, left, _without), do: left
  defp list(tail, _at, path, left, without), do: walk(tail, [:tail | path], left, without)
end
