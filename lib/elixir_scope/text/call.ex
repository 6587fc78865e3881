defimpl Inspect, for: ElixirScope.Call do
  # Two lines: when, who, how long and where; then what was called, and what came of it. What does not fit goes on in a third.
  alias ElixirScope.{Native, Text}
  alias ElixirScope.Text.{Names, Sentence}

  def inspect(%{id: id, mfa: {_, _, _}, started: started} = call, opts) when is_integer(started) do
    options = Text.options(opts)

    head = [
      "#{id}",
      Text.moment(started, Native.now()),
      Names.of(call, started),
      took(call),
      Sentence.place(call)
    ]

    Text.view("Call", [Text.columns(head) | what(call, options)])
  end

  # Made by hand.
  def inspect(call, opts), do: Inspect.Any.inspect(call, opts)

  defp what(call, options) do
    called = Text.call(call.mfa, call.args, options)
    ending = Sentence.ending(call, options)

    if Text.width(called) + 1 + Text.width(ending) <= options[:width],
      do: ["#{called} #{ending}"],
      else: [called, ending]
  end

  defp took(%{finished: nil}), do: ""
  defp took(call), do: Text.duration(max(call.finished - call.started, 0))
end
