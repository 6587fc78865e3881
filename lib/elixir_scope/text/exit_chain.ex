defmodule ElixirScope.Text.ExitChain do
  @moduledoc false
  # The steps of a chain as rows of a story: when, what, where.

  alias ElixirScope.{Recording, Text}
  alias ElixirScope.Text.{Life, Names, Sentence}

  @doc "The recording that steps come from: any event that they know leads to it."
  @spec recording([ElixirScope.ExitChain.Step.t()]) :: Recording.t() | nil
  def recording(steps) do
    Enum.find_value(steps, fn
      %{kind: :exit, id: id, pid: pid, time: time} when is_integer(id) -> Names.origin(id, pid, time)
      %{call: %{id: id, pid: pid, started: time}} -> Names.origin(id, pid, time)
      _step -> nil
    end)
  end

  @doc "The rows of a step; `above` is the process of the step before it, which needs not be named again."
  @spec rows(ElixirScope.ExitChain.Step.t(), pid | nil, Recording.t() | nil, keyword) :: [[String.t()]]
  def rows(step, above, recording, options) do
    it =
      if step.pid == above and step.kind != :exit,
        do: "it",
        else: Text.process(recording, step.pid, step.time)

    [first | rest] = what(step, it, recording, narrow(options))
    seems = if step.inferred?, do: ", as it seems", else: ""
    [[clock(step), first <> seems, place(step)] | for(text <- rest, do: ["", text])]
  end

  # What only leads from one exit to the next has their times.
  defp clock(%{kind: kind}) when kind in [:link, :down, :shutdown, :failed_call], do: ""
  defp clock(step), do: Text.clock(step.time)

  defp what(%{kind: :exit} = step, it, _recording, options),
    do: ["#{it} exited: #{Text.paint(Life.reason(step.reason, wide(options)), :red, options)}"]

  defp what(%{kind: :raised, call: nil} = step, it, _recording, options),
    do: ["#{it} raised #{raised(step, options)}" | List.wrap(step.text)]

  defp what(%{kind: :raised} = step, it, _recording, options),
    do: ["#{it} raised #{raised(step, options)}", "in #{call(step, options)}"]

  defp what(%{kind: :stopped} = step, it, _recording, options) do
    stopped = "#{it} said {:stop, #{Text.short(step.reason, options)}, ...}"
    if step.call, do: [stopped, "in #{call(step, options)}"], else: [stopped]
  end

  defp what(%{kind: :message} = step, it, recording, options) do
    from = if step.other, do: " from #{other(step, recording)}", else: ""
    ["#{it} was given #{Text.short(step.message, options)}#{from}"]
  end

  defp what(%{kind: :sender} = step, it, _recording, options),
    do: ["#{it} #{step.text} in #{call(step, options)}"]

  defp what(%{kind: :link} = step, _it, recording, _options),
    do: ["by its link to #{other(step, recording)}" | List.wrap(step.text)]

  defp what(%{kind: :signal} = step, _it, recording, options) do
    sent = "#{other(step, recording)} sent it the exit signal #{Text.short(step.reason, options)}"
    if step.call, do: [sent, "in #{call(step, options)}"], else: [sent]
  end

  defp what(%{kind: :shutdown} = step, _it, recording, _options),
    do: ["its supervisor #{other(step, recording)} ended it, #{step.text}"]

  defp what(%{kind: :limit} = step, it, recording, _options),
    do: ["#{it} gave up when #{other(step, recording)} ended", "#{step.text}"]

  # How a server ended is said by the next step.
  defp what(%{kind: :failed_call} = step, it, recording, options) do
    request = if step.message == nil, do: "", else: " #{Text.short(step.message, options)}"
    why = if is_atom(step.reason), do: "in vain: #{inspect(step.reason)}", else: "which ended"
    ["#{it} asked #{other(step, recording)}#{request}, #{why}"]
  end

  defp what(%{kind: :busy} = step, it, _recording, options), do: ["#{it} was in #{call(step, options)}"]

  defp what(%{kind: :down, text: text} = step, _it, recording, _options) when is_binary(text),
    do: ["#{text}: #{other(step, recording)} had ended"]

  defp what(%{kind: :down} = step, _it, recording, _options),
    do: ["which told it that #{other(step, recording)} had ended"]

  # What made it exit may be a call that failed.
  defp raised(%{exception: :exit} = step, options),
    do: Text.paint("** (exit) #{Life.reason(step.reason, wide(options))}", :red, options)

  defp raised(step, options),
    do: Text.paint(Text.exception(step.exception, step.reason, options), :red, options)

  defp call(%{call: call}, options), do: Text.call(call.mfa, call.args, options)

  defp other(%{other: pid} = step, recording) when is_pid(pid), do: Text.process(recording, pid, step.time)
  defp other(step, _recording), do: Text.short(step.other)

  # A reason says most of a line.
  defp wide(options), do: Keyword.update(options, :width, 80, &if(is_integer(&1), do: max(&1, 80), else: &1))

  defp narrow(options),
    do: Keyword.update(options, :width, 60, &if(is_integer(&1), do: min(max(&1 - 30, 60), 90), else: &1))

  defp place(%{call: %{} = call}), do: Sentence.place(call)
  defp place(_step), do: ""
end

defimpl Inspect, for: ElixirScope.ExitChain do
  # A story, from the exit back. Then why it goes no further.
  alias ElixirScope.{Native, Text}

  @shown 40

  def inspect(%{steps: [_ | _] = steps, time: time, pid: pid} = chain, opts) when is_pid(pid) do
    recording = Text.ExitChain.recording(steps)
    options = Text.options(opts)
    shown = if opts.limit == :infinity, do: steps, else: Enum.take(steps, @shown)

    Text.view("ExitChain", [
      "#{Text.process(recording, pid, time)}, ended #{Text.moment(time, Native.now())}",
      Text.table(rows(shown, recording, options)),
      more(length(steps) - length(shown)),
      Text.wrap("#{Kernel.inspect(chain.ends)}: #{chain.why}", width(options))
    ])
  end

  # Made by hand.
  def inspect(chain, opts), do: Inspect.Any.inspect(chain, opts)

  defp rows(steps, recording, options) do
    {rows, _above} =
      Enum.flat_map_reduce(steps, nil, fn step, above ->
        {Text.ExitChain.rows(step, above, recording, options), step.pid}
      end)

    rows
  end

  defp more(count) when count > 0, do: ["and #{count} more steps, see its steps"]
  defp more(_none), do: []

  defp width(options), do: if(is_integer(options[:width]), do: max(options[:width], 100), else: 110)
end

defimpl Inspect, for: ElixirScope.ExitChain.Step do
  alias ElixirScope.Text

  def inspect(%{kind: kind, time: time, pid: pid} = step, opts)
      when is_atom(kind) and is_integer(time) and is_pid(pid) do
    rows = Text.ExitChain.rows(step, nil, Text.ExitChain.recording([step]), Text.options(opts))
    Text.view("ExitChain.Step", ["#{kind}", Text.table(rows)])
  end

  # Made by hand.
  def inspect(step, opts), do: Inspect.Any.inspect(step, opts)
end
