# What came of it, one line a suite.
defmodule World.Table do
  @moduledoc false

  @heads ~w(SUITE VERSION MODULES FUNCTIONS EVENTS LOST TESTS PASS PASS* DIFFER TIME TIME* COMPILE COMPILE* MiB MiB*)

  @doc "Aligned lines; a star marks the instrumented run."
  def lines(rows) do
    cells = [@heads | Enum.map(rows, &cells/1)]
    widths = for column <- 0..(length(@heads) - 1), do: width(cells, column)

    Enum.map(cells, fn
      [name, why] ->
        "#{name}  not run: #{why}"

      row ->
        row
        |> Enum.zip(widths)
        |> Enum.with_index()
        |> Enum.map_join("  ", fn {{cell, width}, column} -> pad(cell, width, column) end)
        |> String.trim_trailing()
    end)
  end

  defp cells(%{not_run: why, name: name}), do: [name, why]

  defp cells(%{plain: plain, instrumented: instrumented} = row) do
    [
      row.name,
      row.version,
      instrumented.modules,
      instrumented.functions,
      instrumented.events,
      instrumented.lost,
      map_size(plain.tests),
      passed(plain),
      passed(instrumented),
      row.different,
      seconds(plain.time),
      seconds(instrumented.time),
      seconds(plain.compiled_in),
      seconds(instrumented.compiled_in),
      div(plain.memory, 1024),
      div(instrumented.memory, 1024)
    ]
    |> Enum.map(&to_string/1)
  end

  defp passed(run), do: Enum.count(run.tests, fn {_test, outcome} -> outcome == :passed end)

  defp seconds(nil), do: "-"
  defp seconds(seconds), do: "#{Float.round(seconds, 1)} s"

  defp width(cells, column),
    do: for([_, _, _ | _] = row <- cells, do: row |> Enum.at(column) |> String.length()) |> Enum.max()

  # Names to the left, numbers to the right.
  defp pad(cell, width, column) when column < 2, do: String.pad_trailing(cell, width)
  defp pad(cell, width, _column), do: String.pad_leading(cell, width)
end
