defmodule ElixirScope.Case.Failure.Parts do
  @moduledoc false
  # What a report shows of a test besides what was asserted: its processes, their messages and calls, states, what is missing, and how to
  # look further. Each part is lines, bounded in number and width, and costs what is shown, not what is recorded.

  alias ElixirScope.{Call, Event, Message, Native, Query, Text}
  alias ElixirScope.Case.{Failure, Looker, Lost, Scope}
  alias ElixirScope.Query.{History, Processes, Sequence, Server}

  @forever 0xFFFFFFFFFFFFFFFF
  @indent "    "
  @width 110
  # Rows of each part.
  @processes 16
  @steps 20
  @columns 5
  @states 6
  @calls 40
  # Of so many processes of a test it is looked up who they are.
  @looked_up 200
  # Messages are put together from the beginning of a recording on: a million of their events take half a second.
  @paired 200_000
  # Of so many of a test's last sends and deliveries.
  @last_messages 400
  # Of so many of the last events calls are made.
  @recent 2_000

  @doc "Lines, or why there are none: a report that fails must not hide the failure that it is about."
  @spec guarded(String.t(), (() -> [String.t()])) :: [String.t()]
  def guarded(what, lines) do
    lines.()
  rescue
    error -> ["#{what} cannot be shown: #{error |> Exception.message() |> Text.short(width: @width)}"]
  catch
    kind, reason -> ["#{what} cannot be shown: #{Text.exception(kind, reason, width: @width)}"]
  end

  @doc "A process in words; the test itself is called so."
  @spec name(map | nil, pid | nil, integer | nil) :: String.t()
  def name(family, pid, time \\ nil)
  def name(%{test: pid}, pid, _time) when is_pid(pid), do: "the test #{inspect(pid)}"
  def name(%{recording: recording}, pid, time), do: Text.process(recording, pid, time)
  def name(nil, pid, time), do: Text.process(nil, pid, time)

  @doc "The gaps in the time of a test: until now, or until its end where the family has one (`until`)."
  @spec missing(map) :: [String.t()]
  def missing(%{recording: recording, since: since} = family) do
    until = Map.get(family, :until, @forever)

    guarded("what is missing", fn ->
      case Lost.between(recording, since, until) do
        [] -> []
        gaps -> ["Events are missing:" | Lost.lines(gaps)]
      end
    end)
  end

  @doc "The last changes of a server's state."
  @spec states(map, Server.t()) :: [String.t()]
  def states(%{recording: recording}, server) do
    guarded("the states of #{inspect(server)}", fn ->
      with {:ok, history} <- History.history(server, in: recording, order: :newest, limit: @states + 1) do
        changes = Enum.to_list(history)
        {shown, more} = Enum.split(changes, @states)

        head =
          "States of #{Text.process(recording, history.pid)}#{if more != [], do: ", the last #{@states}"}:"

        [head | Text.table(for(change <- Enum.reverse(shown), do: change(change, recording)), indent: 4)]
      else
        {:error, error} -> ["States: #{error.message}"]
      end
    end)
  end

  defp change(%{before: :none} = change, recording),
    do: [
      Text.clock(change.time),
      Text.Change.cause(change, recording, width: 30),
      "-> " <> Text.short(change.state, width: 50)
    ]

  defp change(change, recording) do
    [
      Text.clock(change.time),
      Text.Change.cause(change, recording, width: 30),
      Text.Life.cut(Text.Difference.line(change.difference, width: 24), 60)
    ]
  end

  @doc "The processes of a test as a tree, with those ends that came before a time."
  @spec processes(map, non_neg_integer) :: [String.t()]
  def processes(family, until \\ @forever) do
    guarded("the processes of the test", fn ->
      lives = lives(family)
      # One that was not recorded is the test's root all the same.
      lives = Map.put_new_lazy(lives, family.test, fn -> %ElixirScope.Life{pid: family.test} end)
      children = Enum.group_by(Map.values(lives), &above(&1, lives, family.test))

      rows =
        for root <- Enum.sort_by(Map.get(children, nil, []), &order(&1, family.test)),
            row <- tree(root, children, "", ""),
            do: row

      {shown, more} = Enum.split(rows, @processes)
      hidden = length(more) + max(length(family.pids) - @looked_up, 0)

      ["Processes of the test:"] ++
        Text.table(for({branch, life} <- shown, do: process(branch, life, family, until)), indent: 4) ++
        if(hidden > 0, do: [@indent <> "and #{Text.number(hidden)} more"], else: [])
    end)
  end

  defp lives(%{recording: recording, pids: pids}) do
    numbers = for pid <- Enum.take(pids, @looked_up), {:ok, numbers} <- [Server.numbers(pid)], do: numbers
    kinds = Enum.map(Processes.Fold.kinds(), &Atom.to_string/1)

    # Of a pid that was given anew it is the last life.
    for life <- recording |> Processes.stream(kinds, numbers, 0, @forever) |> Processes.Fold.lives(),
        into: %{},
        do: {life.pid, life}
  end

  # What a process hangs below: who made it, or who asked for it, as long as that is a process of the test.
  defp above(%{pid: test}, _lives, test), do: nil

  defp above(life, lives, _test) do
    Enum.find([life.parent | life.ancestors ++ life.callers], &(is_map_key(lives, &1) and &1 != life.pid))
  end

  defp order(%{pid: test}, test), do: {0, 0}
  defp order(life, _test), do: {1, ElixirScope.Life.since(life)}

  defp tree(life, children, own, rest) do
    below = children |> Map.get(life.pid, []) |> Enum.sort_by(&ElixirScope.Life.since/1)
    last = length(below) - 1
    children = Map.delete(children, life.pid)

    [{own, life}] ++
      (below
       |> Enum.with_index()
       |> Enum.flat_map(fn
         {child, ^last} -> tree(child, children, rest <> "└─ ", rest <> "   ")
         {child, _not_last} -> tree(child, children, rest <> "├─ ", rest <> "│  ")
       end))
  end

  defp process(branch, life, family, until) do
    name = name(family, life.pid)
    name = if String.contains?(name, inspect(life.pid)), do: name, else: "#{name} #{inspect(life.pid)}"
    [branch <> Text.Life.cut(name, 70), Text.Life.cut(runs(life, family), 40), ended(life, until)]
  end

  # Without a name or a label a process is called by what it runs.
  defp runs(%{pid: test}, %{test: test}), do: ""
  defp runs(%{name: nil, label: nil} = life, _family), do: String.trim(Text.Life.of_kind(life.kind))
  defp runs(%{initial_call: nil, kind: nil}, _family), do: ""
  defp runs(life, _family), do: Text.Life.runs(life)

  defp ended(%{exited: %{time: time, reason: reason}}, until) when time <= until,
    do: "ended #{Text.clock(time)}: #{Text.Life.reason(reason, width: 50)}"

  defp ended(_life, _until), do: ""

  @doc "Who said what to whom among the processes of a test, up to a time."
  @spec messages(map, non_neg_integer) :: [String.t()]
  def messages(family, until) do
    guarded("the messages of the test", fn ->
      case last(family, until) do
        [] -> []
        events -> diagram(family, active(events), from(family, events), until)
      end
    end)
  end

  # Of many messages only the last are shown.
  defp last(%{recording: recording, pids: pids, since: since}, until) do
    processes = for pid <- Enum.take(pids, @looked_up), {:ok, numbers} <- [Server.numbers(pid)], do: numbers
    filter = %{filter(["send", "receive"], processes, since) | until: until}

    if processes == [],
      do: [],
      else: recording.handle |> Native.events_before(filter, @forever, @last_messages) |> elem(0)
  end

  # Those that took part the most.
  defp active(events) do
    events
    |> Enum.frequencies_by(&elem(&1, 3))
    |> Enum.sort_by(fn {pid, count} -> {-count, pid} end)
    |> Enum.take(@columns)
    |> Enum.map(&elem(&1, 0))
  end

  defp from(family, events) when length(events) < @last_messages, do: family.since
  defp from(_family, events), do: events |> Enum.map(&elem(&1, 1)) |> Enum.min()

  defp diagram(%{recording: recording, since: since} = family, pids, from, until) do
    processes = for pid <- pids, {:ok, numbers} <- [Server.numbers(pid)], do: numbers
    messages = together(recording, processes, from, until)
    sequence = Sequence.of(recording, pids, messages, since: from, until: until)

    names =
      Map.new(sequence.names, fn {pid, name} -> {pid, if(pid == family.test, do: "the test", else: name)} end)

    case Enum.reject(sequence.steps, &incidental?/1) do
      [] ->
        []

      steps ->
        # The end is what matters: the failure stands there.
        {before, shown} = Enum.split(steps, -@steps)
        sequence = %{sequence | steps: shown, names: names, left_out: []}
        head = if before == [] and from == since, do: "Messages:", else: "Messages, the last of them:"
        [head | Enum.map(Text.Sequence.lines(sequence, @width - 4, @steps), &(@indent <> &1))]
    end
  end

  # Putting together begins with the recording. Of a large one the sendings are shown, whether or not they were delivered.
  defp together(recording, processes, from, until) do
    if Native.count_events(recording.handle, filter(["send", "receive"], nil, 0)) <= @paired do
      wanted = %{
        since: from,
        until: until,
        delivered: true,
        from: nil,
        to: nil,
        with: processes,
        limit: @forever
      }

      recording.handle |> Native.messages(wanted) |> Enum.map(&Message.from_native/1)
    else
      filter = %{filter(["send"], processes, from) | until: until}
      {events, _next} = Native.events_before(recording.handle, filter, @forever, @last_messages)
      for event <- events, %Event{data: %{}} = event <- [Event.from_native(event)], do: sending(event)
    end
  end

  defp sending(%Event{id: id, time: time, pid: pid, data: %{to: to, message: content}}) do
    {kind, ref} = Message.about(content)

    %Message{
      from: pid,
      to: if(is_pid(to), do: to),
      target: to,
      content: content,
      kind: kind,
      ref: ref,
      sent: %{id: id, time: time},
      outcome: :delivered
    }
  end

  # The VM loads code as it is needed, and sockets tell `:gen_tcp` what became of what it asked them: of a query to a database that is four messages.
  defp incidental?({_time, {:message, %{from: nil, content: {:code_server, _answer}}}}), do: true

  defp incidental?({_time, {:message, %{from: nil, content: content}}})
       when elem(content, 0) in [:inet_reply, :inet_async] and is_port(elem(content, 1)),
       do: true

  defp incidental?(_step), do: false

  @doc "The calls of the test's processes as a tree, process by process: the beginning, and the end."
  @spec calls(map) :: [String.t()]
  def calls(%{recording: recording, pids: pids, since: since} = family) do
    guarded("the calls of the test", fn ->
      numbers = for pid <- pids, {:ok, numbers} <- [Server.numbers(pid)], do: numbers
      filter = filter(["call"], numbers, since)

      {events, _next} =
        if numbers == [], do: {[], 0}, else: Native.events_before(recording.handle, filter, @forever, @recent)

      case events do
        [] ->
          []

        _some ->
          recording
          |> made(%{filter | since: events |> Enum.map(&elem(&1, 1)) |> Enum.min()})
          |> forest(family)
      end
    end)
  end

  defp made(recording, filter),
    do: recording.handle |> Native.calls(filter, 2 * @recent) |> Enum.map(&Call.from_native/1)

  defp forest(calls, family) do
    ids = MapSet.new(calls, & &1.id)
    within = Enum.group_by(calls, &if(&1.parent in ids, do: &1.parent))

    lines =
      for {pid, roots} <-
            Enum.group_by(Map.get(within, nil, []), & &1.pid)
            |> Enum.sort_by(fn {_pid, [first | _]} -> first.started end),
          line <- [{0, name(family, pid) <> ":"} | Enum.flat_map(roots, &branch(&1, within, 1))],
          do: line

    [
      "Calls#{if length(calls) >= @recent, do: ", the last of them"}:"
      | lines |> cut() |> Enum.map(&indented/1)
    ]
  end

  defp branch(call, within, depth),
    do: [{depth, call} | within |> Map.get(call.id, []) |> Enum.flat_map(&branch(&1, within, depth + 1))]

  defp cut(lines) when length(lines) <= @calls, do: lines

  defp cut(lines) do
    last = div(@calls * 2, 3)
    {first, rest} = Enum.split(lines, @calls - last - 1)
    {hidden, shown} = Enum.split(rest, -last)
    first ++ [{0, "... #{Text.number(length(hidden))} lines ..."}] ++ shown
  end

  defp indented({depth, text}) when is_binary(text), do: @indent <> String.duplicate("  ", depth) <> text

  defp indented({depth, call}) do
    room = max(@width - 2 * min(depth, 20) - 4, 50)
    called = Text.call(call.mfa, call.args, width: div(room * 2, 3))

    @indent <>
      String.duplicate("  ", min(depth, 20)) <>
      Text.Life.cut("#{called} #{Text.Sentence.ending(call, width: div(room, 3))}", room)
  end

  @doc "Exceptions that left a call of the test's processes, the last of them."
  @spec exceptions(map) :: [String.t()]
  def exceptions(%{recording: recording, pids: pids, since: since} = family) do
    guarded("the exceptions of the test", fn ->
      numbers = for pid <- pids, {:ok, numbers} <- [Server.numbers(pid)], do: numbers

      {events, _next} =
        if numbers == [],
          do: {[], 0},
          else: Native.events_before(recording.handle, filter(["raise"], numbers, since), @forever, 100)

      events |> Enum.map(&Event.from_native/1) |> Enum.sort_by(& &1.id) |> raised(family)
    end)
  end

  defp raised([], _family), do: []

  # An exception leaves one call after the other: where it left the first one it was raised.
  defp raised(events, family) do
    first = Enum.uniq_by(events, &{&1.pid, &1.data.kind, &1.data.reason})
    {_before, shown} = Enum.split(first, -5)

    ["Exceptions:"] ++
      Text.table(
        for event <- shown do
          [
            Text.clock(event.time),
            name(family, event.pid, event.time),
            "#{Text.exception(event.data.kind, event.data.reason, width: 60)} in #{Text.mfa(event.mfa)}"
          ]
        end,
        indent: 4
      )
  end

  @doc """
  Where the recording is, and the command that opens it at the moment of the failure: that moment is marked, and the recording kept.
  """
  @spec place(map, non_neg_integer | nil) :: [String.t()]
  def place(family, time \\ nil)

  def place(%{recording: %{live?: true} = recording} = family, time) do
    aside("where the recording is", fn ->
      :ok = Failure.Keep.failed(recording)
      label = label(recording, family.test)
      path = Path.relative_to_cwd(recording.path)
      at = if Query.Mark.set(label, marked(recording, time)) == :ok, do: " --at \"#{label}\"", else: ""

      [
        "The recording is #{path}",
        "Open it at this moment:",
        "",
        "#{@indent}iex -S mix scope.open #{path}#{at}"
      ]
    end)
  end

  def place(%{recording: recording}, _time) do
    aside("where the recording is", fn -> ["The recording is #{Path.relative_to_cwd(recording.path)}"] end)
  end

  # Longer than this takes no disk.
  @patience 60_000

  # Files are asked for with messages. They are none of the test's, and a later failure of the same test would show them: so who reads
  # and writes files is a process of ours.
  defp aside(what, lines) do
    guarded(what, fn ->
      case Looker.run(fn -> guarded(what, lines) end, @patience) do
        {:ok, lines} -> lines
        :late -> ["#{what} cannot be shown: it takes too long"]
      end
    end)
  end

  defp marked(_recording, nil), do: []

  # A recording that is opened is known up to its last event. Where none comes after the failure, that is the moment: nothing lies between.
  defp marked(recording, time) do
    Native.flush(recording.handle)
    {_state, started, last} = Native.bounds(recording.handle)
    [at: min(time, max(last, started)), in: recording]
  end

  # Of a process that ran nothing which is recorded, the recording has no label; where it lives it has its own.
  defp label(recording, test) do
    case labelled(Text.Names.about(recording, test, nil)) || Scope.label(test) do
      {module, name} when is_atom(module) and is_atom(name) -> shell(inspect(module), Atom.to_string(name))
      _unknown -> shell("failed", inspect(test))
    end
  end

  defp labelled(%{label: {_module, _name} = label}), do: label
  defp labelled(_unknown), do: nil

  # It stands between quotes in a shell.
  defp shell(module, name) do
    name = String.replace_prefix(name, "test ", "")

    "#{module}: #{name}"
    |> String.replace(~r/[^\p{L}\p{N} .,:;_()<>#\/-]/u, " ")
    |> String.slice(0, 100)
    |> String.trim()
  end

  defp filter(kinds, processes, since),
    do: %{kinds: kinds, processes: processes, sites: nil, since: since, until: @forever}
end
