defmodule ElixirScope.Text.Stats do
  @moduledoc false
  # Figures as tables: the first rows of each, and how many more there are.

  alias ElixirScope.{Stats, Text}

  # Rows that are shown of functions, and of anything else.
  @functions 20
  @rows 8

  @doc "The lines of an `Inspect`."
  @spec lines(Stats.t(), Inspect.Opts.t()) :: [String.t() | [String.t()]]
  def lines(%Stats{} = stats, opts) do
    options = Text.options(opts)
    all? = opts.limit == :infinity

    [head(stats), missing(stats, options)]
    |> Enum.concat([functions(stats, if(all?, do: :infinity, else: @functions), options)])
    |> Enum.concat(
      for part <- parts(stats, options), do: part(part, if(all?, do: :infinity, else: @rows), options)
    )
    |> Enum.reject(&(&1 == []))
  end

  defp head(stats) do
    count = stats.events |> Map.values() |> Enum.sum()
    if count == 0 and stats.since == 0, do: "nothing was recorded", else: head(stats, count)
  end

  defp head(stats, count) do
    "#{Text.clock(stats.since)} to #{Text.clock(stats.until)}, #{Text.duration(stats.until - stats.since)}: " <>
      "#{Text.number(count)} events of #{Text.number(length(stats.processes))} processes"
  end

  defp missing(%{gaps: []}, _options), do: []

  defp missing(%{gaps: gaps}, options) do
    text = "events are missing (#{length(gaps)} gaps, see gaps): all figures are lower bounds"
    [Text.paint(text, :red, options)]
  end

  defp functions(%{functions: []}, _limit, _options), do: ["no instrumented function was called"]

  defp functions(%{functions: functions, sort: sort}, limit, options) do
    shown = first(functions, limit)
    columns = columns(shown)
    title = Text.paint("functions by #{sort}#{if sort == :calls, do: "", else: " time"}", :bright, options)
    header = [title | for({name, _cell} <- columns, do: Text.paint(name, :bright, options))]
    all = functions |> Enum.map(& &1.own) |> Enum.sum()

    rows = for one <- shown, do: [name(one.mfa, options) | for({_name, cell} <- columns, do: cell.(one, all))]

    Text.table([header | rows], right: Enum.to_list(1..length(columns))) ++ more(functions, shown)
  end

  @columns [
    {"calls", :calls},
    {"own", :own},
    {"own %", :share},
    {"total", :total},
    {"running", :running},
    {"mean", :mean},
    {"p50", :p50},
    {"p99", :p99},
    {"max", :max},
    {"raised", :raised},
    {"open", :open},
    {"unknown", :unknown}
  ]

  # What is nowhere takes no column.
  defp columns(shown) do
    for {name, key} <- @columns, key == :share or Enum.any?(shown, &(Map.fetch!(&1, key) not in [nil, 0])) do
      {name, &cell(key, &1, &2)}
    end
  end

  defp cell(:share, _one, 0), do: ""
  defp cell(:share, one, all), do: Text.decimal(one.own * 100 / all, 1)

  defp cell(key, one, _all) when key in [:calls, :raised, :open, :unknown] do
    case Map.fetch!(one, key) do
      0 when key != :calls -> ""
      count -> Text.number(count)
    end
  end

  defp cell(key, one, _all) do
    case Map.fetch!(one, key) do
      nil -> ""
      time -> Text.duration(time)
    end
  end

  defp parts(stats, options) do
    process = &process(stats, &1, stats.until, options)

    [
      {"messages", stats.messages, &message(&1, process)},
      {"longest mailboxes", stats.mailboxes,
       &[process.(&1.pid), Text.number(&1.most), "at #{Text.clock(&1.at)}"]},
      {"restarts", stats.restarts,
       &[
         "#{child(&1.child)} by #{process.(&1.supervisor)}",
         Text.number(&1.count),
         "last at #{Text.clock(&1.last)}"
       ]},
      {"exits", stats.exits, fn {reason, count} -> [Text.short(reason, options), Text.number(count)] end},
      {"busiest processes", stats.processes,
       fn {pid, count} -> [process.(pid), Text.number(count), "events"] end},
      {"events", stats.events |> Enum.sort_by(fn {kind, count} -> {-count, kind} end),
       fn {kind, count} -> ["#{kind}", Text.number(count)] end}
    ]
  end

  defp message(row, process),
    do: ["#{process.(row.from)} -> #{process.(row.to)}", Text.number(row.count)]

  defp child(nil), do: "a child"
  defp child(mfa), do: Text.mfa(mfa)

  defp process(_stats, nil, _time, _options), do: "?"

  defp process(stats, pid, time, options),
    do: stats.recording |> Text.process(pid, time) |> Text.paint(:cyan, options)

  defp part({_title, [], _row}, _limit, _options), do: []

  defp part({title, :not_watched, _row}, _limit, options) do
    ["#{Text.paint(title, :bright, options)}  not recorded, see ElixirScope.watch/2"]
  end

  defp part({title, rows, row}, limit, options) do
    shown = first(rows, limit)

    [Text.paint(title, :bright, options) | Text.table(Enum.map(shown, row), right: [1], indent: 2)] ++
      for(line <- more(rows, shown), do: "  " <> line)
  end

  defp first(rows, :infinity), do: rows
  defp first(rows, limit), do: Enum.take(rows, limit)

  defp more(rows, shown) do
    case length(rows) - length(shown) do
      0 -> []
      left -> ["and #{Text.number(left)} more"]
    end
  end

  defp name(nil, _options), do: "unknown"
  defp name(mfa, options), do: mfa |> Text.mfa() |> Text.paint(:cyan, options)
end

defimpl Inspect, for: ElixirScope.Stats do
  alias ElixirScope.Text

  def inspect(%{since: since, functions: functions} = stats, opts)
      when is_integer(since) and is_list(functions),
      do: Text.view("Stats", Text.Stats.lines(stats, opts))

  # Made by hand.
  def inspect(stats, opts), do: Inspect.Any.inspect(stats, opts)
end
