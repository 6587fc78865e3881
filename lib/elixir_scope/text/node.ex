defimpl Inspect, for: ElixirScope.Node do
  alias ElixirScope.Text
  alias ElixirScope.Text.Sentence

  def inspect(%{mfa: {_, _, _}} = node, _opts) do
    Text.view("Node", [
      Text.columns(["#{node.kind}", Text.mfa(node.mfa), clause(node), names(node), Sentence.place(node)])
    ])
  end

  # Made by hand.
  def inspect(node, opts), do: Inspect.Any.inspect(node, opts)

  defp clause(%{clause: nil}), do: ""
  defp clause(%{clause: clause}), do: "clause #{clause}"

  defp names(%{names: []}), do: ""
  defp names(%{names: names}), do: "binds #{Enum.join(names, ", ")}"
end
