defmodule Bench.Table do
  @moduledoc false
  # Measures loops of calls in rounds, each case once a round so that all see the same weather, and prints the
  # median as a table with ratios, which is all that holds on a noisy machine.

  @rounds 41

  @doc "Median nanoseconds a call of each case, less those of the empty loop."
  def measure(cases, count) do
    rounds =
      for _ <- 1..@rounds do
        for {name, before, loop} <- [{:empty, fn -> :ok end, &empty/1} | cases] do
          before.()
          :erlang.garbage_collect()
          started = System.monotonic_time(:nanosecond)
          loop.(count)
          {name, (System.monotonic_time(:nanosecond) - started) / count}
        end
      end

    medians =
      rounds
      |> List.flatten()
      |> Enum.group_by(&elem(&1, 0), &elem(&1, 1))
      |> Map.new(fn {name, times} -> {name, Enum.at(Enum.sort(times), div(@rounds, 2))} end)

    for {name, _before, _loop} <- cases, do: {name, max(medians[name] - medians[:empty], 0.0)}
  end

  def empty(0), do: :ok
  def empty(count), do: empty(count - 1)

  @doc "Rows `{label, nanoseconds, [{ratio, label of its baseline}]}` as Markdown."
  def markdown(title, rows) do
    lines =
      for {label, time, ratios} <- rows do
        ratios = Enum.map_join(ratios, ", ", fn {ratio, base} -> "#{number(ratio)} x #{base}" end)
        "| #{label} | #{number(time)} | #{ratios} |"
      end

    Enum.join(["### #{title}", "", "| case | ns a call | ratio |", "|---|---|---|" | lines], "\n") <> "\n"
  end

  @doc """
  Notes what was measured of a promise of the design: a figure that is to be `:most` or `:least` of another one. The benches
  of one run all come through one process, which keeps them.
  """
  def promise(label, figure, {way, bound}, unit) when way in [:most, :least] do
    Process.put(__MODULE__, [{label, figure, way, bound, unit} | Process.get(__MODULE__, [])])
    figure
  end

  @doc "The promises that were noted, as one table. The last column says how often the figure fits its bound: 1 and more is kept."
  def promises do
    rows =
      for {label, figure, way, bound, unit} <- Enum.reverse(Process.get(__MODULE__, [])) do
        fits = if way == :most, do: bound / max(figure, 1.0e-9), else: figure / bound
        sign = if way == :most, do: "at most", else: "at least"
        kept = if fits >= 1, do: "kept", else: "**not kept**"
        "| #{label} | #{number(figure)} #{unit} | #{sign} #{number(bound)} | #{number(fits)} x, #{kept} |"
      end

    Enum.join(["### Promises", "", "| promise | measured | promised | |", "|---|---|---|---|" | rows], "\n") <>
      "\n"
  end

  @doc "A number with as many digits as it deserves."
  def number(number) when number >= 100, do: number |> round() |> Integer.to_string()
  def number(number), do: :erlang.float_to_binary(number * 1.0, decimals: if(number < 10, do: 2, else: 1))
end
