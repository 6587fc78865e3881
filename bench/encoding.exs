# What it costs to keep a term, in four ways: our walk, a copy into an environment that many terms share, that copy with
# the walk over it later, and the external term format. From an atom to a megabyte, with and without our limits.

Code.require_file("table.exs", __DIR__)

defmodule Bench.Encoding do
  @moduledoc false

  alias Bench.Table
  alias ElixirScope.Native

  @ways [:walk, :copy, :copy_and_walk, :external]
  @rounds 15

  # A measurement lasts about so many nanoseconds.
  @span 2_000_000

  defmodule Order do
    @moduledoc false
    defstruct [:id, :customer, :lines, :placed, :notes]
  end

  def run do
    dir = Path.join(System.tmp_dir!(), "elixir_scope_bench_encoding_#{System.pid()}")

    try do
      # The walk gives the words of a term their meaning, which needs a recording; nothing else comes into it.
      {:ok, _} = ElixirScope.start(dir: dir)
      rows = for {label, term} <- terms(), do: row(label, term, false)
      limited = for {label, term} <- terms(), cut?(term), do: row(label, term, true)
      :ok = ElixirScope.stop()
      report(rows, limited)
    after
      File.rm_rf!(dir)
    end
  end

  defp terms do
    order = %{id: 42, count: 3, price: 995, title: "a book"}

    lines =
      for n <- 1..18,
          do: %{sku: "sku-#{n}", count: n, price: n * 95, title: "a book about #{n} things", tags: [:new, n]}

    customer = %{
      name: "Ada",
      mail: "ada@example.org",
      address: {"1 Some Street", "London", :uk},
      since: ~D[2020-01-01]
    }

    nested = %Order{id: 7, customer: customer, lines: lines, placed: ~U[2026-01-01 10:00:00Z], notes: nil}

    [
      {"an atom", :ok},
      {"a small integer", 42},
      {"a pid", self()},
      {"a tuple of 5", {:ok, 1, :two, 3, nil}},
      {"a map of 4 keys", order},
      {"a keyword list of 4", [id: 42, count: 3, price: 995, title: "a book"]},
      {"a binary of 100 B", String.duplicate("x", 100)},
      {"a binary of 64 KB, shared", String.duplicate("x", 64_000)},
      {"a list of 1,000 integers", Enum.to_list(1..1_000)},
      {"a map of 100 keys", Map.new(1..100, &{&1, &1 * 3})},
      {"nested structs, 3 KB", nested},
      {"a state, a map of 1,000 entries", Map.new(1..1_000, &{&1, {&1, :open, "item #{&1}"}})},
      {"a list of maps, 64 KB", List.duplicate(0, 1_150) |> Enum.with_index(fn _, n -> %{order | id: n} end)},
      {"nested terms, 1 MB", for(n <- 1..330, do: %{nested | id: n})}
    ]
  end

  defp cut?(term), do: Native.encoded(term, true) != Native.encoded(term, false)

  defp row(label, term, limited?) do
    rounds = Map.new(@ways, fn way -> {way, rounds(way, term, limited?)} end)
    measured = for _ <- 1..@rounds, way <- @ways, do: {way, weigh(way, term, rounds[way], limited?)}
    times = measured |> Enum.group_by(&elem(&1, 0), fn {_, {time, _}} -> time end) |> Map.new(&median/1)
    bytes = for way <- [:walk, :external], do: measured |> Keyword.fetch!(way) |> elem(1)
    {label, bytes, times}
  end

  defp rounds(way, term, limited?) do
    {time, _bytes} = weigh(way, term, 4, limited?)
    (@span / max(time, 1)) |> round() |> max(4) |> min(20_000)
  end

  defp weigh(way, term, rounds, limited?) do
    {:ok, {time, bytes}} = Native.weigh(way, term, rounds, limited?)
    {time / rounds, bytes}
  end

  defp median({way, times}), do: {way, Enum.at(Enum.sort(times), div(length(times), 2))}

  defp report(rows, limited) do
    """
    ### Ways to keep a term

    #{table(rows)}

    Nanoseconds for one term; the last columns are ratios: the walk against `term_to_binary`, and a copy against the walk, as
    the capturing thread sees it and with what the drain thread has to do later. #{copies(rows)}

    With the default limits, those of them that are cut:

    #{table(limited)}

    The decision is the walk for every class. A copy is not bounded while it is made, so a term that some code holds by
    accident would cost the traced program its whole size. It lies in memory that a killed VM takes along. And the walk
    is only put off: both together cost the machine #{both(rows)} the walk alone. What the walk would pay too much for,
    the limits cut.
    """
  end

  defp table(rows) do
    lines =
      for {label, [ours, theirs], t} <- rows do
        cells =
          [label, ours, theirs] ++
            Enum.map([t.walk, t.copy, t.copy_and_walk, t.external], &Table.number/1) ++
            [ratio(t.walk, t.external), ratio(t.copy, t.walk), ratio(t.copy_and_walk, t.walk)]

        "| #{Enum.join(cells, " | ")} |"
      end

    Enum.join(
      [
        "| term | bytes | bytes, external | walk | copy | copy, walk later | `term_to_binary` | walk / external | copy / walk | both / walk |",
        "|---|---|---|---|---|---|---|---|---|---|" | lines
      ],
      "\n"
    )
  end

  defp ratio(time, base), do: Table.number(time / base) <> " x"

  defp both(rows) do
    {least, most} = rows |> Enum.map(fn {_, _, t} -> t.copy_and_walk / t.walk end) |> Enum.min_max()
    "#{ratio(least, 1)} to #{ratio(most, 1)}"
  end

  defp copies(rows) do
    case for {label, _, t} <- rows, t.copy < t.walk, do: "#{label} (#{ratio(t.walk, t.copy)})" do
      [] -> "On the capturing thread no copy is cheaper than the walk."
      cheaper -> "On the capturing thread a copy is cheaper for: #{Enum.join(cheaper, ", ")}."
    end
  end
end
