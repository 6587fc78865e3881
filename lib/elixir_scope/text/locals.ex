defimpl Inspect, for: ElixirScope.Locals do
  # A line of the source each, with what was bound there.
  alias ElixirScope.Text
  alias ElixirScope.Text.Sentence

  def inspect(%{mfa: {_, _, _}} = locals, opts) do
    options = Text.options(opts)
    rows = for {line, bindings} <- locals.lines, do: ["#{line}", Sentence.bindings(bindings, options)]
    head = Text.columns([Text.mfa(locals.mfa), Kernel.inspect(locals.pid), locals.file || ""])
    Text.view("Locals", [head, Text.table(rows, right: [0]), ambiguous(locals), missing(locals)])
  end

  # Made by hand.
  def inspect(locals, opts), do: Inspect.Any.inspect(locals, opts)

  defp ambiguous(%{ambiguous: []}), do: []

  defp ambiguous(locals) do
    "bound at more than one place, of which the last may be a branch's own: #{Enum.join(locals.ambiguous, ", ")}"
  end

  defp missing(%{complete?: true}), do: []
  defp missing(_locals), do: ["events are missing in the time of this call: there may be more"]
end
