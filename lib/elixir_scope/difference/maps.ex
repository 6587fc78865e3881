defmodule ElixirScope.Difference.Maps do
  @moduledoc false
  # The pairs of two maps that may differ. A map of more than 32 keys is a tree in memory, and of two versions of one
  # map most branches are the same words. Those are left out without being looked at, so that a change in a map of
  # 100,000 keys costs a few steps.
  #
  # The branches come from a function that the VM has for measuring terms. They are no terms for anybody else: here they
  # are only compared, taken apart and dropped. They need not be paired rightly: a branch that is in both maps
  # holds the same pairs wherever it stands, and all other pairs are compared by their keys in the end.

  # Up to so many keys the VM keeps a map flat.
  @flat 32

  @doc "What is left of both when pairs that they share in memory are taken out."
  @spec apart(map, map) :: {map, map}
  def apart(old, new) when map_size(old) > @flat and map_size(new) > @flat do
    if function_exported?(:erts_internal, :map_hashmap_children, 1) do
      {olds, news} = branches([old], [new], {[], []})
      {Map.new(olds), Map.new(news)}
    else
      {old, new}
    end
  end

  def apart(old, new), do: {old, new}

  defp branches(olds, news, found) when length(olds) == length(news), do: pairs(olds, news, found)

  # A branch more in one of them: what stands before and behind it is mostly in both.
  defp branches(olds, news, found) do
    {olds, news} = without_same(olds, news)
    {olds, news} = without_same(Enum.reverse(olds), Enum.reverse(news))
    pairs(Enum.reverse(olds), Enum.reverse(news), found)
  end

  defp without_same([old | olds], [new | news]) do
    if :erts_debug.same(old, new), do: without_same(olds, news), else: {[old | olds], [new | news]}
  end

  defp without_same(olds, news), do: {olds, news}

  defp pairs([old | olds], [new | news], found) do
    cond do
      :erts_debug.same(old, new) -> pairs(olds, news, found)
      is_map(old) and is_map(new) -> pairs(olds, news, branches(children(old), children(new), found))
      true -> pairs(olds, news, found |> add(0, old) |> add(1, new))
    end
  end

  defp pairs(olds, news, found) do
    found = Enum.reduce(olds, found, &add(&2, 0, &1))
    Enum.reduce(news, found, &add(&2, 1, &1))
  end

  defp add(found, side, branch), do: put_elem(found, side, leaves(branch, elem(found, side)))

  defp leaves([key | value], found), do: [{key, value} | found]

  # Keys of one hash stand side by side.
  defp leaves(several, found) when is_tuple(several) do
    several |> Tuple.to_list() |> Enum.reduce(found, &leaves/2)
  end

  defp leaves(branch, found), do: branch |> children() |> Enum.reduce(found, &leaves/2)

  defp children(branch), do: :erts_internal.map_hashmap_children(branch)
end
