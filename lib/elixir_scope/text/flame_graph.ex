defmodule ElixirScope.Text.FlameGraph do
  @moduledoc false
  # A flame graph as lines: a bar, the share and the time, and the function under the one that called it. Of many stacks the longest.

  alias ElixirScope.{FlameGraph, Text}

  @rows 40
  @depth 24

  @doc "The lines of an `Inspect`."
  @spec lines(FlameGraph.t(), Inspect.Opts.t()) :: [String.t() | [String.t()]]
  def lines(%FlameGraph{} = graph, opts) do
    options = Text.options(opts)
    [head(graph), missing(graph, options), rows(graph, opts, options)]
  end

  # Without a first event there is no beginning.
  defp head(%{since: 0, total: 0}), do: "nothing was recorded"

  defp head(graph) do
    "#{Text.clock(graph.since)} to #{Text.clock(graph.until)}, #{Text.duration(graph.until - graph.since)}: " <>
      if(graph.total == 0,
        do: "no instrumented call was open",
        else: "#{Text.duration(graph.total)} in instrumented calls (wall time)"
      )
  end

  defp missing(%{gaps: []}, _options), do: []

  defp missing(%{gaps: gaps}, options) do
    text = "events are missing (#{length(gaps)} gaps, see gaps): what happened there is in no stack"
    [Text.paint(text, :red, options)]
  end

  defp rows(%{total: 0}, _opts, _options), do: []

  defp rows(graph, opts, options) do
    all = flat(graph.roots, 0)
    shown = if opts.limit == :infinity, do: all, else: longest(all)
    width = if is_integer(opts.width), do: opts.width, else: 100
    bar = width |> div(5) |> max(8) |> min(40)
    lines = for {tree, depth} <- shown, do: row(tree, depth, graph.total, bar, width, options)
    lines ++ more(all, shown, graph.total)
  end

  defp flat(trees, depth),
    do: Enum.flat_map(trees, fn tree -> [{tree, depth} | flat(tree.children, depth + 1)] end)

  # What is around another is at least as long, and comes before it; so nothing is shown without what is around it.
  defp longest(all) do
    all
    |> Enum.with_index()
    |> Enum.filter(fn {{_tree, depth}, _place} -> depth < @depth end)
    |> Enum.sort_by(fn {{tree, _depth}, place} -> {-tree.total, place} end)
    |> Enum.take(@rows)
    |> Enum.sort_by(&elem(&1, 1))
    |> Enum.map(&elem(&1, 0))
  end

  defp row(tree, depth, total, bar, width, options) do
    share = tree.total / total
    figures = "#{percent(share)}  #{String.pad_leading(Text.duration(tree.total), 9)}  "
    name = String.duplicate("  ", depth) <> tree.label
    room = max(width - bar - String.length(figures) - 6, 24)
    painted = share |> bar(bar) |> Text.paint(color(share), options)
    String.trim_trailing("#{painted} #{figures}#{shortened(name, room)}")
  end

  defp percent(share), do: String.pad_leading("#{Text.decimal(share * 100, 1)} %", 7)

  defp shortened(name, room) do
    if Text.width(name) <= room, do: name, else: String.slice(name, 0, max(room - 3, 1)) <> "..."
  end

  # Eighths of a column.
  @eighths {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"}

  defp bar(share, width) do
    eighths = max(round(share * width * 8), 1)
    Text.pad(String.duplicate("█", div(eighths, 8)) <> elem(@eighths, rem(eighths, 8)), width)
  end

  defp color(share) when share >= 0.5, do: :red
  defp color(share) when share >= 0.1, do: :yellow
  defp color(_share), do: :green

  defp more(all, shown, total) do
    case length(all) - length(shown) do
      0 ->
        []

      left ->
        own = fn rows -> rows |> Enum.map(fn {tree, _depth} -> tree.own end) |> Enum.sum() end
        share = (own.(all) - own.(shown)) / total
        ["and #{Text.number(left)} more stacks, #{Text.decimal(share * 100, 1)} % of the time"]
    end
  end
end

defimpl Inspect, for: ElixirScope.FlameGraph do
  alias ElixirScope.Text

  def inspect(%{since: since, until: until, roots: roots} = graph, opts)
      when is_integer(since) and is_integer(until) and is_list(roots),
      do: Text.view("FlameGraph", Text.FlameGraph.lines(graph, opts))

  # Made by hand.
  def inspect(graph, opts), do: Inspect.Any.inspect(graph, opts)
end
