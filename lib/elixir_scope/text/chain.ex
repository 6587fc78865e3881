defimpl Inspect, for: ElixirScope.Chain do
  # A story, from the change back: when, who, what. Then why it goes no further.
  alias ElixirScope.{Native, Path, Text}
  alias ElixirScope.Text.{Names, Sentence}

  def inspect(%{path: path, steps: steps, ends: ends} = chain, opts) when is_list(path) and is_atom(ends) do
    recording = recording(steps)
    options = Text.options(opts)

    Text.view("Chain", [
      head(chain, recording, options),
      Text.table(for step <- steps, do: row(step, path, recording, options)),
      Text.wrap("#{Kernel.inspect(ends)}: #{chain.why}", width(options))
    ])
  end

  # Made by hand.
  def inspect(chain, opts), do: Inspect.Any.inspect(chain, opts)

  # Any event that the steps know leads to the recording.
  defp recording(steps) do
    Enum.find_value(steps, fn
      %{change: %{id: id, pid: pid, time: time}} -> Names.origin(id, pid, time)
      %{call: %{id: id, pid: pid, started: time}} -> Names.origin(id, pid, time)
      _step -> nil
    end)
  end

  defp head(chain, recording, options) do
    "#{Path.format(chain.path)} of #{Text.process(recording, chain.pid, chain.time)}, " <>
      "#{value(chain.value, options)} at #{Text.moment(chain.time, Native.now())}"
  end

  defp value({:ok, value}, options), do: Text.short(value, options)
  defp value(:none, _options), do: "where nothing stood"
  defp value(:unknown, _options), do: "unknown"

  defp row(step, path, recording, options) do
    [
      Text.clock(step.time),
      Text.process(recording, step.pid, step.time),
      what(step, path, recording, options),
      place(step)
    ]
  end

  defp what(%{kind: :change, change: change}, path, recording, options) do
    "#{set(change, path, options)} by #{Text.Change.cause(change, recording, options)}"
  end

  defp what(%{kind: :call, call: call}, _path, _recording, options),
    do: "in #{Text.call(call.mfa, call.args, options)}"

  defp what(%{kind: :callback} = step, _path, recording, options) do
    from = if step.from, do: " from #{Text.process(recording, step.from, step.time)}", else: ""
    "in #{function(step.call)} with #{Text.short(step.message, options)}#{from}"
  end

  defp what(%{kind: :start}, _path, _recording, _options), do: "started the process above"
  defp what(step, _path, _recording, _options), do: Atom.to_string(step.kind)

  defp function(%{mfa: mfa}), do: Text.mfa(mfa)
  defp function(nil), do: "a callback"

  # What the change did at the path; elsewhere it may have done more.
  defp set(%{before: :none}, _path, _options), do: "begun"

  defp set(change, path, options) do
    entries = Enum.filter(change.difference.entries, fn {at, _, _, _} -> related?(path, at) end)
    Text.Difference.line(%{entries: entries}, options)
  end

  # Users may write positions as plain numbers.
  defp related?(path, at) do
    path |> Enum.zip(at) |> Enum.all?(fn {asked, step} -> asked == step or match?({_, ^asked}, step) end)
  end

  defp place(%{change: %{} = change}), do: Text.Change.place(change)
  defp place(%{call: %{} = call}), do: Sentence.place(call)
  defp place(_step), do: ""

  defp width(options), do: if(is_integer(options[:width]), do: max(options[:width], 100), else: 110)
end
