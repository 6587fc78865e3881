# The plan as an aligned table for people.
defmodule ElixirScope.Project.Table do
  @moduledoc false

  alias ElixirScope.Project.Survey

  @columns ["MODULE", "KIND", "RECORDS", "FUNCTIONS", "WHY, AND WHAT IS LEFT ALONE"]

  @doc "Lines with colours, as `IO.ANSI.format/1` takes them; widths do not count the colours."
  @spec lines([Survey.row()]) :: [IO.ANSI.ansidata()]
  def lines(rows) do
    cells = for row <- rows, do: {colour(row), cells(row)}
    widths = [@columns | Enum.map(cells, &elem(&1, 1))] |> Enum.zip_with(&widest/1)

    for {colour, texts} <- [{:bright, @columns} | cells] do
      [first | rest] =
        texts |> Enum.zip_with(widths, &String.pad_trailing/2) |> List.update_at(-1, &String.trim_trailing/1)

      [colour, first, :reset | Enum.map(rest, &["  ", &1])]
    end
  end

  defp widest(texts), do: texts |> Enum.map(&String.length/1) |> Enum.max()

  defp colour(%{records: []}), do: :light_black
  defp colour(%{records: records}), do: if(:states in records, do: :green, else: :cyan)

  defp cells(row) do
    {instrumented, all} = row.functions
    [inspect(row.module), row.kind, records(row.records), "#{instrumented} of #{all}", why(row)]
  end

  defp records([]), do: "nothing"
  defp records(records), do: Enum.join(records, ", ")

  defp why(%{left: [], why: why}), do: why

  defp why(%{left: left, why: why}) do
    "#{why}; not #{Enum.map_join(left, ", ", fn {name, arity, reason} -> "#{name}/#{arity} (#{reason})" end)}"
  end
end
