defimpl Inspect, for: ElixirScope.Event do
  # Two lines: when, who, what and where; then what it held.
  alias ElixirScope.{Native, Text}
  alias ElixirScope.Text.{Names, Sentence}

  def inspect(%{id: id, time: time, kind: kind} = event, opts) when is_integer(time) and is_atom(kind) do
    head = [
      "#{id}",
      Text.moment(time, Native.now()),
      Names.of(event, time),
      Atom.to_string(kind),
      Sentence.place(event)
    ]

    Text.view("Event", [Text.columns(head), Sentence.of(event, Text.options(opts))])
  end

  # Made by hand.
  def inspect(event, opts), do: Inspect.Any.inspect(event, opts)
end
