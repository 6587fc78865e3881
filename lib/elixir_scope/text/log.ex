defimpl Inspect, for: ElixirScope.Log do
  # When, who and how bad; the text; the call that it was written in; what else is known.
  alias ElixirScope.{Native, Text}
  alias ElixirScope.Text.{Names, Sentence}

  # Lines of a text, such as that of a crash.
  @lines 12

  def inspect(%{id: id, time: time, level: level} = log, opts) when is_integer(time) and is_atom(level) do
    options = Text.options(opts)

    head = [
      "#{id}",
      Text.moment(time, Native.now()),
      Names.of(log, time),
      Atom.to_string(level),
      Sentence.place(log)
    ]

    Text.view("Log", [Text.columns(head), message(log.message, options), Text.Span.about(pairs(log), options)])
  end

  # Made by hand.
  def inspect(log, opts), do: Inspect.Any.inspect(log, opts)

  defp message(text, options) when is_binary(text) do
    {first, more} = text |> String.trim_trailing() |> String.split("\n") |> Enum.split(@lines)
    lines = for line <- first, do: line(line, options[:width])
    if more == [], do: lines, else: lines ++ ["... and #{length(more)} more lines"]
  end

  defp message(other, options), do: [Text.short(other, options)]

  defp line(line, width) when is_integer(width) do
    if String.length(line) > 2 * width, do: String.slice(line, 0, 2 * width - 3) <> "...", else: line
  end

  defp line(line, _any), do: line

  defp pairs(log) do
    called = for %{mfa: mfa} <- [log.call], do: {:in, Text.mfa(mfa)}
    called ++ (log.metadata |> Map.drop([:domain, :application]) |> Enum.sort())
  end
end
