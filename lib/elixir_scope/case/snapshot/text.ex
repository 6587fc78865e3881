defmodule ElixirScope.Case.Snapshot.Text do
  @moduledoc false
  # A trace as text that is the same in each run: a section for each process, in the order of who made whom, with its calls and states
  # in its own order. What two processes do at once stands in two sections, so who was first does not show.

  alias ElixirScope.Case.Snapshot
  alias ElixirScope.{Call, Event, Message, Native, Query, Trace}
  alias ElixirScope.Trace.Lineage

  @forever 0xFFFFFFFFFFFFFFFF
  @head "ElixirScope trace 1"
  @most 20_000

  @doc """
  The lines of a trace; `:none` where nothing of the kind was recorded, `:many` where a text of it would be no more one that anybody reads. `shown` is
  which of `:calls`, `:states`, `:messages`, `:exits`.
  """
  @spec lines(Trace.t(), [atom]) :: {:ok, [String.t()]} | :none | :many
  def lines(%Trace{} = trace, shown) do
    # All that was captured before.
    {:ok, _recording} = Query.recording(in: trace.recording)
    things = things(trace, shown)

    case Enum.count(things) do
      0 -> :none
      many when many > @most -> :many
      _some -> {:ok, [@head | sections(trace, Enum.group_by(things, & &1.pid))]}
    end
  end

  # Numbers first, so that they are those of the sections.
  defp sections(trace, by_pid) do
    pids = trace.recording |> Lineage.parents(Map.keys(by_pid)) |> Lineage.in_order(trace.test)
    names = %Snapshot.Terms{since: trace.since, until: trace.until}
    names = Enum.reduce(pids, names, fn pid, names -> names |> Snapshot.Terms.number(pid) |> elem(1) end)

    {sections, _names} =
      Enum.map_reduce(pids, names, fn pid, names ->
        {head, names} = head(trace, pid, names)
        {lines, names} = by_pid |> Map.fetch!(pid) |> section(names)
        {["", head | lines], names}
      end)

    List.flatten(sections)
  end

  defp head(%{test: pid}, pid, names) do
    {number, names} = Snapshot.Terms.number(names, pid)
    {"== #{number} the test", names}
  end

  # What the process said of itself: the VM tells more, but only where it is asked.
  defp head(trace, pid, names) do
    {number, names} = Snapshot.Terms.number(names, pid)
    who = trace.recording |> Lineage.told(pid) |> Enum.find_value("", &called/1)
    {text, names} = Snapshot.Terms.plain(who, names)
    {String.trim_trailing("== #{number} #{text}"), names}
  end

  defp called(%Event{kind: :process, data: %{name: name}})
       when is_atom(name) and name not in [nil, :undefined],
       do: inspect(name)

  # Of a supervisor it is the module that says what it supervises.
  defp called(%Event{kind: :process, data: %{initial_call: {:supervisor, module, _arity}}}),
    do: if(module == Supervisor.Default, do: "Supervisor", else: inspect(module))

  defp called(%Event{kind: :process, data: %{initial_call: {module, function, arity}}})
       when is_atom(module) and module not in [:erlang, :proc_lib] do
    if function == :init, do: inspect(module), else: Exception.format_mfa(module, function, arity)
  end

  defp called(_event), do: nil

  # Each with its process and its place in the order of that: `at` is the number of its event, then what ends before what begins.
  defp things(trace, shown) do
    Enum.flat_map([:calls, :states, :messages, :exits], fn kind ->
      if kind in shown, do: things_of(kind, trace), else: []
    end)
  end

  defp things_of(:calls, trace) do
    for native <- native_calls(trace),
        thing <- of_call(Call.from_native(native), ended(native), trace),
        do: thing
  end

  defp things_of(:states, trace) do
    for %Event{data: data} = event <- Trace.events(trace, kind: :state),
        data == nil or data.origin != :restated,
        do: %{pid: event.pid, at: {event.id, 0, 0}, kind: :state, about: data}
  end

  defp things_of(:messages, trace) do
    members = MapSet.new(trace.pids)

    for %Message{sent: %{id: id}, from: from} = message <- Trace.messages(trace),
        from in members,
        not loads?(message),
        do: %{pid: from, at: {id, 0, 0}, kind: :message, about: message}
  end

  defp things_of(:exits, trace) do
    for event <- Trace.exits(trace),
        do: %{pid: event.pid, at: {event.id, 0, 0}, kind: :exit, about: event.data}
  end

  # The VM loads code when it is first needed, mostly in the first run.
  defp loads?(%Message{target: :code_server}), do: true
  defp loads?(%Message{to: to}), do: is_pid(to) and to == Process.whereis(:code_server)

  defp native_calls(trace) do
    case Query.filter(trace.recording, pid: trace.pids, kind: [], since: trace.since, until: trace.until) do
      {:ok, :nothing} -> []
      {:ok, filter} -> Native.calls(trace.recording.handle, filter, @forever)
    end
  end

  defp ended({_begin, _parent, _chain, _tail, {_how, ending}}), do: elem(ending, 0)
  defp ended({_begin, _parent, _chain, _tail, _open_or_unknown}), do: nil

  # A call that ended with a tail call ends as that one does. One that was open at the end of the trace has no end in it.
  defp of_call(call, ended, trace) do
    open? = call.outcome == :open or (ended != nil and call.finished > trace.until)
    call = if open?, do: %{call | outcome: :open}, else: call
    begin = %{pid: call.pid, at: {call.id, 1, 0}, kind: :call, about: call}

    if call.tail or open? or ended == nil,
      do: [begin],
      else: [begin, %{pid: call.pid, at: {ended, 0, -call.id}, kind: :end, about: call}]
  end

  defp section(things, names) do
    {lines, {names, _open}} =
      things |> Enum.sort_by(& &1.at) |> joined() |> Enum.map_reduce({names, []}, &line/2)

    {List.flatten(lines), names}
  end

  # A call with nothing in it is one line.
  defp joined([%{kind: :call, about: %{id: id} = call} = begin, %{kind: :end, about: %{id: id}} | more]),
    do: [%{begin | kind: :whole, about: call} | joined(more)]

  defp joined([thing | more]), do: [thing | joined(more)]
  defp joined([]), do: []

  # `open`: the calls that stand around, the innermost first.
  defp line(%{kind: kind, about: call}, {names, open}) when kind in [:call, :whole] do
    open = Enum.drop_while(open, &(&1 != call.parent and call.parent != nil))
    open = if call.parent == nil, do: [], else: open
    {text, names} = called(call, names)
    {ending, names} = if kind == :whole, do: ending(call, names), else: {rest(call), names}
    {indented(text <> ending, length(open)), {names, if(kind == :call, do: [call.id | open], else: open)}}
  end

  defp line(%{kind: :end, about: call}, {names, open}) do
    open = open |> Enum.drop_while(&(&1 != call.id)) |> Enum.drop(1)
    {text, names} = ending(call, names)
    {indented(String.trim_leading(text), length(open)), {names, open}}
  end

  defp line(%{kind: :state, about: nil}, {names, open}),
    do: {indented("state that cannot be told", length(open)), {names, open}}

  defp line(%{kind: :state, about: data}, {names, open}) do
    {text, names} = Snapshot.Terms.text(data.state, names)
    {indented("state #{hanging(text, 6)}", length(open)), {names, open}}
  end

  defp line(%{kind: :message, about: message}, {names, open}) do
    {to, names} = Snapshot.Terms.text(message.to || message.target, names)
    {text, names} = Snapshot.Terms.text(message.content, names)
    {indented("sends #{to} #{hanging(text, 6)}", length(open)), {names, open}}
  end

  defp line(%{kind: :exit, about: data}, {names, open}) do
    {text, names} = Snapshot.Terms.text(data && data.reason, names)
    {indented("exits #{hanging(text, 6)}", length(open)), {names, open}}
  end

  defp rest(%{outcome: :open}), do: " has not returned"
  defp rest(_call), do: ""

  defp called(%{args: nil} = call, names), do: {ElixirScope.Text.mfa(call.mfa), names}

  defp called(%{mfa: {module, function, arity}} = call, names) do
    {args, names} = Enum.map_reduce(call.args, names, &Snapshot.Terms.text/2)
    args = Enum.map_join(args, ", ", &hanging(&1, 2))

    if Atom.to_string(function) =~ ~r/\/\d+-fn-\d+/,
      do: {"#{ElixirScope.Text.mfa(call.mfa)} (#{args})", names},
      else:
        {"#{String.replace_suffix(Exception.format_mfa(module, function, arity), "/#{arity}", "")}(#{args})",
         names}
  end

  defp ending(%{outcome: :returned, return: value}, names) do
    {text, names} = Snapshot.Terms.text(value, names)
    {" -> " <> hanging(text, 3), names}
  end

  defp ending(%{outcome: :raised, exception: %{kind: kind, reason: reason}}, names) do
    {text, names} = Snapshot.Terms.text(reason, names)
    {" #{raises(kind)} #{hanging(text, 2)}", names}
  end

  defp ending(_call, names), do: {" -> unknown", names}

  defp raises(:error), do: "raises"
  defp raises(:throw), do: "throws"
  defp raises(:exit), do: "exits"

  defp hanging(text, by), do: String.replace(text, "\n", "\n" <> String.duplicate(" ", by))

  defp indented(text, depth) do
    indent = String.duplicate("  ", depth + 1)
    text |> String.split("\n") |> Enum.map(&String.trim_trailing(indent <> &1))
  end
end
