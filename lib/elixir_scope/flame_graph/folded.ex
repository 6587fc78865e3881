defmodule ElixirScope.FlameGraph.Folded do
  @moduledoc false
  # Stacks as lines: "a;b;c 123".

  @doc "The text."
  @spec text(ElixirScope.FlameGraph.t()) :: String.t()
  def text(graph) do
    {lines, _passed} = trees(graph.roots, [], {[], 0})
    lines |> Enum.reverse() |> IO.iodata_to_binary()
  end

  defp trees(trees, around, acc), do: Enum.reduce(trees, acc, &tree(&1, around, &2))

  # What rounding takes from one stack goes to the next one, so that the sum is right.
  defp tree(tree, around, {lines, passed}) do
    stack = [name(tree.label) | around]
    weight = div(passed + tree.own, 1_000) - div(passed, 1_000)
    lines = if weight > 0, do: [line(stack, weight) | lines], else: lines
    trees(tree.children, stack, {lines, passed + tree.own})
  end

  defp line(stack, weight), do: [stack |> Enum.reverse() |> Enum.intersperse(";"), " #{weight}\n"]

  # Such a character would end the name.
  defp name(label),
    do: String.replace(label, ~r/[;\s]+/u, fn found -> if found =~ ";", do: ",", else: " " end)
end
