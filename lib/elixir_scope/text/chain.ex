defmodule ElixirScope.Text.Chain do
  @moduledoc false
  # The steps of a chain as rows of a story: when, what, where.

  alias ElixirScope.{Recording, Text}
  alias ElixirScope.Text.{Names, Sentence}

  @doc "The recording that steps come from: any event that they know leads to it."
  @spec recording([ElixirScope.Chain.Step.t()]) :: Recording.t() | nil
  def recording(steps) do
    Enum.find_value(steps, fn
      %{change: %{id: id, pid: pid, time: time}} -> Names.origin(id, pid, time)
      %{call: %{id: id, pid: pid, started: time}} -> Names.origin(id, pid, time)
      _step -> nil
    end)
  end

  @doc """
  The rows of a step; `above` is the process that the step before it leads to, which needs not be named again.
  """
  @spec rows(ElixirScope.Chain.Step.t(), pid | nil, ElixirScope.Path.t(), Recording.t() | nil, keyword) :: [
          [String.t()]
        ]
  def rows(step, above, path, recording, options) do
    [first | rest] = what(step, path, recording, options)

    who =
      if step.pid == above or step.kind == :start,
        do: "",
        else: " of #{Text.process(recording, step.pid, step.time)}"

    [[Text.clock(step.time), first <> who, place(step)] | for(text <- rest, do: ["", text])]
  end

  defp what(%{kind: :change, change: change}, path, recording, options) do
    cause = Text.Change.cause(change, recording, options)
    by = if change.cause.kind == :outside, do: "", else: "by "
    [set(change, path, options), by <> cause]
  end

  defp what(%{kind: :call, call: call}, _path, _recording, options),
    do: ["in #{Text.call(call.mfa, call.args, Keyword.update(options, :width, 60, &narrow/1))}"]

  defp what(%{kind: :callback} = step, _path, recording, options) do
    from = if step.from, do: " from #{Text.process(recording, step.from, step.time)}", else: ""
    ["in #{function(step.call)}", "with #{Text.short(step.message, options)}#{from}"]
  end

  defp what(%{kind: :start, pid: pid} = step, _path, recording, _options),
    do: ["begun by #{Text.process(recording, pid, step.time)}"]

  defp what(step, _path, _recording, _options), do: [Atom.to_string(step.kind)]

  defp narrow(width) when is_integer(width), do: max(width - 30, 60)
  defp narrow(width), do: width

  defp function(%{mfa: mfa}), do: Text.mfa(mfa)
  defp function(nil), do: "a callback"

  # What the change did at the path; elsewhere it may have done more.
  defp set(%{before: :none} = change, _path, options), do: "began as #{Text.short(change.state, options)}"

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
end

defimpl Inspect, for: ElixirScope.Chain do
  # A story, from the change back. Then why it goes no further.
  alias ElixirScope.{Native, Path, Text}

  def inspect(%{path: path, steps: steps, ends: ends} = chain, opts) when is_list(path) and is_list(steps) do
    recording = Text.Chain.recording(steps)
    options = Text.options(opts)

    Text.view("Chain", [
      head(chain, recording, options),
      Text.table(rows(steps, chain.pid, path, recording, options)),
      Text.wrap("#{Kernel.inspect(ends)}: #{chain.why}", width(options))
    ])
  end

  # Made by hand.
  def inspect(chain, opts), do: Inspect.Any.inspect(chain, opts)

  defp rows(steps, pid, path, recording, options) do
    {rows, _above} =
      Enum.flat_map_reduce(steps, pid, fn step, above ->
        {Text.Chain.rows(step, above, path, recording, options), step.from || step.pid}
      end)

    rows
  end

  defp head(chain, recording, options) do
    "#{Path.format(chain.path)} of #{Text.process(recording, chain.pid, chain.time)}, " <>
      "#{value(chain.value, options)} at #{Text.moment(chain.time, Native.now())}"
  end

  defp value({:ok, value}, options), do: Text.short(value, options)
  defp value(:none, _options), do: "where nothing stood"
  defp value(:unknown, _options), do: "unknown"
  defp value(nil, _options), do: "not looked at"

  defp width(options), do: if(is_integer(options[:width]), do: max(options[:width], 100), else: 110)
end

defimpl Inspect, for: ElixirScope.Chain.Step do
  alias ElixirScope.Text

  def inspect(%{kind: kind, time: time, pid: pid} = step, opts)
      when is_atom(kind) and is_integer(time) and is_pid(pid) do
    rows = Text.Chain.rows(step, nil, [], Text.Chain.recording([step]), Text.options(opts))
    Text.view("Chain.Step", ["#{kind}", Text.table(rows)])
  end

  # Made by hand.
  def inspect(step, opts), do: Inspect.Any.inspect(step, opts)
end
