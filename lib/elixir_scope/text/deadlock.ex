defimpl Inspect, for: ElixirScope.Deadlock do
  # A line for each process: when it asked whom what, and from where. Then how it ended.
  alias ElixirScope.{Native, Text}
  alias ElixirScope.Text.Waiting

  @shown 20

  def inspect(%{verdict: verdict, members: members} = deadlock, opts)
      when verdict in [:deadlock, :unknown] and is_list(members) do
    options = Text.options(opts)
    recording = Waiting.recording(members)
    {shown, rest} = if options[:width] == :infinity, do: {members, []}, else: Enum.split(members, @shown)

    Text.view("Deadlock", [
      head(deadlock),
      Text.table(for(member <- shown, do: Waiting.row(member, recording, options))),
      if(rest == [], do: [], else: "and #{length(rest)} more"),
      ended(deadlock, recording, options),
      if(deadlock.why, do: Text.wrap("unknown: #{deadlock.why}", width(options)), else: [])
    ])
  end

  # Made by hand.
  def inspect(deadlock, opts), do: Inspect.Any.inspect(deadlock, opts)

  defp head(%{members: []}), do: "nobody knows whether there was one"
  defp head(%{members: [_]} = deadlock), do: "a process waits for itself, #{since(deadlock)}"

  defp head(%{members: members} = deadlock),
    do: "#{length(members)} processes #{wait(deadlock)} for each other, #{since(deadlock)}"

  defp wait(%{verdict: :unknown}), do: "may wait"
  defp wait(_deadlock), do: "wait"

  defp since(%{since: since, ended: nil}), do: "since #{Text.moment(since, Native.now())}"

  defp since(%{since: since, ended: ended}),
    do: "#{Text.moment(since, Native.now())}, for #{Text.duration(max(ended.time - since, 0))}"

  defp ended(%{members: []}, _recording, _options), do: []
  defp ended(%{ended: nil, confirmed: true}, _recording, _options), do: "still on, as the VM confirms"
  defp ended(%{ended: nil, verdict: :unknown}, _recording, _options), do: "none of them has gone on"
  defp ended(%{ended: nil}, _recording, _options), do: "still on at the end of the recording"

  defp ended(%{ended: %{pid: pid} = ended}, recording, options),
    do: "#{Text.process(recording, pid, ended.time)} #{Waiting.ended(ended, options)}"

  defp width(options), do: if(is_integer(options[:width]), do: max(options[:width], 100), else: 110)
end
