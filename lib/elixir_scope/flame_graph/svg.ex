defmodule ElixirScope.FlameGraph.Svg do
  @moduledoc false
  # The picture: a box for each stack, as wide as its share of the time, on the box of the stack around it.

  alias ElixirScope.FlameGraph

  @width 1200
  @margin 10
  @head 56
  @row 18
  # Of a letter in a monospaced font of 12 pixels.
  @letter 7.25
  @narrowest 0.25

  @doc "The text of the picture."
  @spec text(FlameGraph.t()) :: String.t()
  def text(%FlameGraph{} = graph) do
    boxes = boxes(graph)
    rows = boxes |> Enum.map(& &1.row) |> Enum.max(fn -> 0 end)
    height = @head + (rows + 1) * @row + @margin

    IO.iodata_to_binary([
      ~s|<?xml version="1.0" encoding="UTF-8"?>\n|,
      ~s|<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 #{@width} #{height}" width="#{@width}" height="#{height}" |,
      ~s|font-family="ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="12">\n|,
      ~s|<rect width="100%" height="100%" fill="#fffdf8"/>\n|,
      ~s|<text x="#{@margin}" y="24" font-size="16" font-weight="bold" fill="#222">#{title(graph)}</text>\n|,
      ~s|<text x="#{@margin}" y="44" fill="#666">#{about(graph)}</text>\n|,
      Enum.map(boxes, &box(&1, graph.total, height)),
      "</svg>\n"
    ])
  end

  defp title(%{total: 0}), do: "No instrumented call was open"
  defp title(graph), do: "#{duration(graph.total)} in instrumented calls"

  defp about(graph) do
    range = "#{clock(graph.since)} to #{clock(graph.until)} UTC, #{duration(graph.until - graph.since)}"
    merged = if graph.by == :process, do: "by process", else: "processes together"
    missing = if graph.gaps == [], do: "", else: "; events are missing: #{length(graph.gaps)} gaps"
    "#{range}; wall time, #{merged}#{missing}"
  end

  # The root lies below, and is as wide as the picture.
  defp boxes(%{total: 0}), do: []

  defp boxes(graph) do
    scale = (@width - 2 * @margin) / graph.total
    root = %{label: "all", own: 0, total: graph.total, calls: nil, children: graph.roots, frame: :all}
    [root] |> lay(@margin * 1.0, 0, scale, []) |> Enum.reverse()
  end

  defp lay(trees, x, row, scale, boxes) do
    {_x, boxes} =
      Enum.reduce(trees, {x, boxes}, fn tree, {x, boxes} ->
        width = tree.total * scale
        {x + width, if(width < @narrowest, do: boxes, else: one(tree, x, row, width, scale, boxes))}
      end)

    boxes
  end

  defp one(tree, x, row, width, scale, boxes) do
    box = tree |> Map.delete(:children) |> Map.merge(%{x: x, row: row, width: width})
    lay(tree.children, x, row + 1, scale, [box | boxes])
  end

  defp box(box, total, height) do
    y = height - @margin - (box.row + 1) * @row
    [x, width] = for number <- [box.x, max(box.width - 0.5, 0.2)], do: decimal(number, 2)

    [
      "<g><title>#{escape(hover(box, total))}</title>",
      ~s|<rect x="#{x}" y="#{y}" width="#{width}" height="#{@row - 1}" rx="2" fill="#{color(box.frame)}"/>|,
      name(box, y),
      "</g>\n"
    ]
  end

  defp hover(box, total) do
    calls = if box.calls in [nil, 0], do: "", else: ", calls: #{box.calls}"

    "#{box.label}\n#{duration(box.total)}, #{decimal(box.total * 100 / total, 1)} %, own #{duration(box.own)}#{calls}"
  end

  defp name(box, y) do
    case shortened(box.label, trunc((box.width - 6) / @letter)) do
      "" -> []
      text -> ~s|<text x="#{decimal(box.x + 3, 2)}" y="#{y + 13}" fill="#201808">#{escape(text)}</text>|
    end
  end

  defp shortened(_label, room) when room < 3, do: ""

  defp shortened(label, room) do
    if String.length(label) <= room, do: label, else: String.slice(label, 0, room - 2) <> ".."
  end

  # Functions of one module have one colour.
  defp color(:all), do: "#d8d2c4"
  defp color(:missing), do: "#c9c9c9"
  defp color(pid) when is_pid(pid), do: "#a9c6de"

  defp color({module, function, arity}) do
    hue = 8 + rem(:erlang.phash2(module), 46)
    light = 60 + rem(:erlang.phash2({function, arity}), 14)
    "hsl(#{hue}, 82%, #{light}%)"
  end

  # Characters that XML does not have are left out.
  defp escape(text) do
    text
    |> String.replace(~r/[^\x{9}\x{A}\x{20}-\x{D7FF}\x{E000}-\x{FFFD}\x{10000}-\x{10FFFF}]/u, "?")
    |> String.replace("&", "&amp;")
    |> String.replace("<", "&lt;")
    |> String.replace(">", "&gt;")
    |> String.replace("\"", "&quot;")
  end

  defp clock(ns),
    do: ns |> DateTime.from_unix!(:nanosecond) |> DateTime.truncate(:millisecond) |> DateTime.to_time()

  defp duration(ns) when ns < 1_000, do: "#{ns} ns"
  defp duration(ns) when ns < 1_000_000, do: "#{decimal(ns / 1_000, 1)} µs"
  defp duration(ns) when ns < 1_000_000_000, do: "#{decimal(ns / 1_000_000, 2)} ms"
  defp duration(ns), do: "#{decimal(ns / 1_000_000_000, 2)} s"

  defp decimal(number, digits), do: :erlang.float_to_binary(number * 1.0, decimals: digits)
end
