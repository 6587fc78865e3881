defmodule ElixirScope.Case.Snapshot.Diff do
  @moduledoc false
  # Two texts by their lines, as `diff -u` shows them.

  @around 3
  @shown 120

  @doc """
  The lines that differ, with some around them.

      iex> ElixirScope.Case.Snapshot.Diff.lines(~w(a b c), ~w(a x c))
      ["  a", "- b", "+ x", "  c"]
      iex> ElixirScope.Case.Snapshot.Diff.lines(~w(a b), ~w(a b))
      []
  """
  @spec lines([String.t()], [String.t()]) :: [String.t()]
  def lines(old, new) do
    edits = old |> List.myers_difference(new) |> Enum.with_index()
    last = length(edits) - 1
    {shown, more} = edits |> Enum.flat_map(&edit(&1, last)) |> Enum.split(@shown)
    shown ++ if(more == [], do: [], else: ["  ... and #{length(more)} more lines"])
  end

  defp edit({{:del, lines}, _place}, _last), do: Enum.map(lines, &String.trim_trailing("- " <> &1))
  defp edit({{:ins, lines}, _place}, _last), do: Enum.map(lines, &String.trim_trailing("+ " <> &1))
  defp edit({{:eq, _lines}, 0}, 0), do: []

  defp edit({{:eq, lines}, 0}, _last),
    do: skipped(length(lines) - @around) ++ same(Enum.take(lines, -@around))

  defp edit({{:eq, lines}, last}, last),
    do: same(Enum.take(lines, @around)) ++ skipped(length(lines) - @around)

  defp edit({{:eq, lines}, _place}, _last) do
    if length(lines) <= 2 * @around + 1,
      do: same(lines),
      else:
        same(Enum.take(lines, @around)) ++
          skipped(length(lines) - 2 * @around) ++ same(Enum.take(lines, -@around))
  end

  defp same(lines), do: Enum.map(lines, &String.trim_trailing("  " <> &1))

  defp skipped(count) when count > 0, do: ["  ... #{count} equal lines"]
  defp skipped(_none), do: []
end
