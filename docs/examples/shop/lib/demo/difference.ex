defmodule Demo.Difference do
  @moduledoc """
  What differs between two states that are maps, however deep.

      iex> Demo.Difference.of(%{pieces: %{cup: 1, tea: 4}, sold: 7}, %{pieces: %{cup: 1, tea: 2}, sold: 9})
      {[{"pieces.tea", 4, 2}, {"sold", 7, 9}], ["pieces.cup"]}
  """

  @doc "What changed, as `{path, old, new}`, and the paths of what did not."
  @spec of(map, map) :: {[{String.t(), term, term}], [String.t()]}
  def of(old, new) do
    {changed, same} = old |> pairs(new, []) |> Enum.split_with(fn {_path, old, new} -> old !== new end)
    {changed, for({path, _old, _new} <- same, do: path)}
  end

  defp pairs(old, new, path) when is_map(old) and is_map(new) and not is_struct(old) do
    keys = Enum.uniq(Map.keys(old) ++ Map.keys(new))
    Enum.flat_map(keys, &pairs(old[&1], new[&1], [&1 | path]))
  end

  defp pairs(old, new, path), do: [{path |> Enum.reverse() |> Enum.join("."), old, new}]
end
