# What `cargo bench` measured, out of the files that criterion leaves in target/criterion. `make bench` runs it before.

Code.require_file("table.exs", __DIR__)

defmodule Bench.Cargo do
  @moduledoc false

  alias Bench.Table

  @found Path.expand("../target/criterion", __DIR__)
  # Of this bench each time is that of so many events (native/recorder/benches/drain.rs).
  @drain {"drain", "rings into the store"}
  @drained 100_000

  def run do
    rows =
      for file <- Path.wildcard("#{@found}/*/*/new/benchmark.json") |> Enum.sort() do
        [group, function] = for name <- ["group_id", "function_id"], do: file |> File.read!() |> text(name)
        median = file |> Path.dirname() |> Path.join("estimates.json") |> File.read!() |> median()
        if {group, function} == @drain, do: drain(median)
        "| #{group} | #{function} | #{time(median)} |"
      end

    """
    ### Rust alone, without a VM

    | group | bench | median |
    |---|---|---|
    #{if rows == [], do: "| none: run cargo bench before | | |", else: Enum.join(rows, "\n")}
    """
  end

  defp drain(median) do
    Table.promise("drain into the store, of one thread", @drained / median * 1_000, {:least, 5}, "M events/s")
  end

  # Criterion writes its JSON without spaces, and there is no JSON reader before OTP 27.
  defp text(json, name) do
    case Regex.run(~r/"#{name}":"([^"]*)"/, json, capture: :all_but_first) do
      [text] -> text
      nil -> ""
    end
  end

  defp median(json) do
    [_, number] = Regex.run(~r/"median":\{.*?"point_estimate":([0-9.e+-]+)/, json)
    {number, _} = Float.parse(number)
    number
  end

  defp time(ns) when ns >= 1.0e6, do: "#{Table.number(ns / 1.0e6)} ms"
  defp time(ns) when ns >= 1.0e3, do: "#{Table.number(ns / 1.0e3)} us"
  defp time(ns), do: "#{Table.number(ns)} ns"
end
