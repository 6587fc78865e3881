defimpl Inspect, for: ElixirScope.Mailbox do
  # Whose and how long, then a line for each of the oldest.
  alias ElixirScope.{Mailbox, Text}

  @shown 20

  def inspect(%{pid: pid, time: time, messages: messages} = mailbox, opts)
      when is_pid(pid) and is_integer(time) and is_list(messages) do
    recording = Enum.find_value(messages, &Text.Message.recording/1)
    options = Keyword.update!(Text.options(opts), :width, &room/1)
    {first, more} = mailbox |> Mailbox.waiting() |> Enum.split(@shown)
    rows = for {message, waited} <- first, do: row(message, waited, recording, options)

    Text.view("Mailbox", [head(mailbox), Text.table(rows, right: [0]), more(more), why(mailbox)])
  end

  # Made by hand.
  def inspect(mailbox, opts), do: Inspect.Any.inspect(mailbox, opts)

  defp head(mailbox) do
    Text.columns([
      mailbox.name || Kernel.inspect(mailbox.pid),
      count(mailbox) <> older(mailbox) <> actual(mailbox),
      "at #{Text.clock(mailbox.time)}"
    ])
  end

  defp count(%{length: :unknown}), do: "length not known"
  defp count(%{length: 1}), do: "1 message"
  defp count(%{length: length}), do: "#{Text.number(length)} messages"

  defp older(%{older: 0}), do: ""
  defp older(%{older: older}), do: ", #{Text.number(older)} of them from before it was watched"

  defp actual(%{actual: actual, length: length}) when actual in [nil, length], do: ""
  defp actual(%{actual: actual}), do: " (the VM says #{Text.number(actual)} now)"

  defp row(message, waited, recording, options) do
    [
      "for #{Text.duration(waited)}",
      Text.Message.from(message, recording),
      "#{message.kind}",
      Text.Message.content(message, options)
    ]
  end

  defp more([]), do: []
  defp more(more), do: ["and #{Text.number(length(more))} more"]

  defp why(%{why: nil}), do: []
  defp why(%{why: why}), do: Text.wrap(why, 100)

  defp room(:infinity), do: :infinity
  defp room(width), do: max(width - 50, 30)
end
