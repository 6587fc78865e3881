defmodule ElixirScope.Query.Processes do
  @moduledoc false
  # Who lived, and the life of one process.

  alias ElixirScope.{Error, Event, Events, Life, Lives, Native, Query, Recorder, Recording}
  alias ElixirScope.Query.{Gaps, Moment, Processes, Server, Stack}
  alias ElixirScope.Text.FirstCall

  @forever 0xFFFFFFFFFFFFFFFF
  @latest 0x7FFFFFFFFFFFFFFF
  # Of links and children so many are kept of one process.
  @kept 1_000
  # Holders of a name that are looked at for one that has ended.
  @holders 1_000
  # How far two processes' events of the same moment may lie apart.
  @apart 1_000_000_000

  @life ["spawned", "exit", "process", "name", "label"]
  # What only a process that is watched makes.
  @watched ["spawn", "spawned", "exit", "link", "name", "label"]

  @doc "See `ElixirScope.processes/2`."
  @spec processes(Moment.t(), keyword) :: {:ok, Lives.t()} | {:error, Error.t()}
  def processes(time, options) do
    with :ok <- Query.check(options, [:in]),
         {:ok, recording} <- Query.recording(options),
         {:ok, time} <- Moment.find(recording, time),
         :ok <- Query.within(recording, time),
         {:ok, gaps} <- Gaps.all(recording) do
      gaps = Gaps.touching(gaps, 0, time)
      living = living(recording, time)
      known = counts(recording, Map.keys(living))

      list =
        for {pid, life} <- living,
            known? = Map.get(known, pid),
            life = about(life, known?, time),
            lived?(life, time) do
          %{life | status: status(recording, life, time, gaps)}
        end

      {:ok,
       %Lives{
         recording: recording,
         time: time,
         list: Enum.sort_by(list, &{Life.since(&1), &1.pid}),
         watched?: watched?(recording),
         gaps: gaps
       }}
    end
  end

  @doc "Those that lived at a time, by their pids."
  @spec living(Recording.t(), non_neg_integer) :: Processes.Fold.living()
  def living(recording, time) do
    recording
    |> stream(@life, nil, 0, time)
    |> Enum.reduce(%{}, fn event, living -> living |> Processes.Fold.add(event) |> elem(0) end)
    |> without_ghosts(recording, time)
  end

  @doc """
  Those that live. Who a process is may be told by another one, when it is watched, and then come behind its end.
  """
  @spec without_ghosts(Processes.Fold.living(), Recording.t(), non_neg_integer) :: Processes.Fold.living()
  def without_ghosts(living, recording, time) do
    for {pid, life} <- living,
        life.spawned != nil or not ended?(recording, life, time),
        into: %{},
        do: {pid, life}
  end

  defp ended?(recording, life, time) do
    case Server.numbers(life.pid) do
      {:ok, process} -> Enum.take(newest(recording, ["exit"], [process], 0, time), 1) != []
      :error -> false
    end
  end

  @doc "Whether anything was recorded of the life of processes."
  @spec watched?(Recording.t()) :: boolean
  def watched?(recording) do
    Enum.take(stream(recording, @watched, nil, 0, @forever), 1) != [] or watching?(recording) or
      recording |> stream(["process"], nil, 0, @forever) |> Enum.any?(&introduced?/1)
  end

  # Nothing may have happened since it began.
  defp watching?(%Recording{live?: true} = recording) do
    with {:ok, ^recording} <- Recorder.current(), {:ok, %{who: [_ | _]}} <- Recorder.watched() do
      true
    else
      _nothing -> false
    end
  end

  defp watching?(_recording), do: false

  # Of one that is watched from now on it is said how many messages wait for it.
  defp introduced?(%Event{data: %{messages: _count}}), do: true
  defp introduced?(_event), do: false

  @doc "Events of some kinds, of some processes or all, between two times, the oldest first."
  @spec stream(Recording.t(), [String.t()], [Server.numbers()] | nil, non_neg_integer, non_neg_integer) ::
          Enumerable.t(Event.t())
  def stream(recording, kinds, processes, since, until),
    do: Stack.stream(recording, filter(kinds, processes, since, until), :next, 0)

  @doc "The same, the newest first."
  @spec newest(Recording.t(), [String.t()], [Server.numbers()] | nil, non_neg_integer, non_neg_integer) ::
          Enumerable.t(Event.t())
  def newest(recording, kinds, processes, since, until) do
    Events.from(
      %Events{
        recording: recording,
        filter: filter(kinds, processes, since, until),
        limit: :infinity,
        order: :newest
      },
      @forever
    )
  end

  defp filter(kinds, processes, since, until),
    do: %{kinds: kinds, processes: processes, sites: nil, since: since, until: until}

  # Of those that live: they are few of all that were.
  defp counts(recording, pids) do
    local = for pid <- pids, {:ok, process} <- [Server.numbers(pid)], do: {pid, process}
    seen = Native.seen(recording.handle, Enum.map(local, &elem(&1, 1)))

    for {{pid, _process}, {_first, _last, _events} = seen} <- Enum.zip(local, seen),
        into: %{},
        do: {pid, seen}
  end

  # A pid that was given anew has events of others before.
  defp about(life, nil, time), do: %{life | time: time}

  defp about(life, {first, last, events}, time) do
    first = if life.spawned, do: max(first, life.spawned.time), else: first
    %{life | time: time, seen: {first, last}, events: events}
  end

  defp lived?(%Life{} = life, time), do: Life.since(life) <= time

  # What was seen later lived then. Of one whose birth was seen the end would have been seen too, unless it is watched no more, which
  # the VM of the recording can be asked.
  defp status(_recording, %Life{exited: %{}}, _time, _gaps), do: :exited
  defp status(_recording, %Life{seen: {_first, last}}, time, _gaps) when last >= time, do: :alive

  defp status(%Recording{live?: true}, %Life{pid: pid}, _time, _gaps) when node(pid) == node(),
    do: if(Process.alive?(pid), do: :alive, else: :unknown)

  defp status(_recording, %Life{spawned: %{}}, _time, []), do: :alive
  defp status(_recording, _life, _time, _gaps), do: :unknown

  @doc "See `ElixirScope.process/2`."
  @spec process(Server.t(), keyword) :: {:ok, Life.t()} | {:error, Error.t()}
  def process(server, options) do
    with :ok <- Query.check(options, [:at, :in]),
         {:ok, recording} <- Query.recording(options),
         {:ok, at} <- moment(recording, options),
         {:ok, process} <- Server.find(recording, server, at || @latest) do
      life(recording, process, at)
    end
  end

  defp moment(recording, options) do
    case Keyword.fetch(options, :at) do
      {:ok, time} ->
        with {:ok, time} <- Moment.find(recording, time),
             :ok <- Query.within(recording, time),
             do: {:ok, time}

      :error ->
        {:ok, nil}
    end
  end

  @doc "The life of the process that had a pid at a time; `nil`: the last one."
  @spec life(Recording.t(), Server.numbers(), non_neg_integer | nil) :: {:ok, Life.t()} | {:error, Error.t()}
  def life(recording, process, at) do
    {:ok, gaps} = Gaps.all(recording)
    events = recording |> stream(@life, [process], 0, at || @forever) |> Enum.to_list()
    edges = edges(recording, process)

    case lives(events, edges, at) do
      nil ->
        {first, _last} = edges

        Error.new(
          :unknown_process,
          "expected a time at which the process lived, got: #{Moment.format(at)}; it was seen first at " <>
            "#{Moment.format(first.time)}, #{first.time}"
        )

      life ->
        {from, to} = span(life, edges)
        life = %{life | time: at, seen: {from, to}, events: count(recording, process, from, to)}
        life = life |> related(recording, process, at) |> born_by(recording) |> asked(recording, process)

        {:ok,
         %{
           life
           | status:
               status(
                 recording,
                 life,
                 at || last(recording, to),
                 Gaps.touching(gaps, from, at || @latest)
               )
         }}
    end
  end

  # Up to when a recording that goes on is known.
  defp last(%Recording{live?: true}, _to), do: Native.now()
  defp last(recording, to), do: max(to, recording.handle |> Native.bounds() |> elem(2))

  defp edges(recording, process) do
    {first(stream(recording, [], [process], 0, @forever)),
     first(newest(recording, [], [process], 0, @forever))}
  end

  defp first(events), do: events |> Enum.take(1) |> List.first()

  defp lives([], {nil, nil}, _at), do: nil
  defp lives([], {first, _last}, at), do: if(at == nil or first.time <= at, do: %Life{pid: first.pid})
  defp lives(events, _edges, _at), do: events |> Processes.Fold.lives() |> List.last()

  defp span(%Life{spawned: nil, exited: nil}, {first, last}), do: {first.time, last.time}
  defp span(%Life{spawned: nil, exited: exited}, {first, _last}), do: {first.time, exited.time}
  defp span(%Life{spawned: born, exited: nil}, {_first, last}), do: {born.time, last.time}
  defp span(%Life{spawned: born, exited: exited}, _edges), do: {born.time, exited.time}

  defp count(recording, process, from, to),
    do: Native.count_events(recording.handle, filter([], [process], from, to))

  @doc "The exit of a process that a pid stood for at a time, the last by then."
  @spec exit_of(Recording.t(), pid, non_neg_integer) :: Event.t() | nil
  def exit_of(recording, pid, before) when node(pid) == node() do
    {:ok, process} = Server.numbers(pid)
    recording |> newest(["exit"], [process], 0, before) |> Enum.find(&is_map(&1.data))
  end

  def exit_of(_recording, _pid_of_another_node, _before), do: nil

  @doc "The exit of the process that a pid stood for at a time, the first from then on."
  @spec exit_after(Recording.t(), pid, non_neg_integer) :: Event.t() | nil
  def exit_after(recording, pid, since) when node(pid) == node() do
    {:ok, process} = Server.numbers(pid)
    recording |> stream(["exit"], [process], since, @forever) |> Enum.find(&is_map(&1.data))
  end

  def exit_after(_recording, _pid_of_another_node, _since), do: nil

  @doc "Who had a name by a time, the last first."
  @spec holders(Recording.t(), atom, non_neg_integer) :: [pid]
  def holders(recording, name, before) do
    told =
      for %Event{data: %{name: ^name}, pid: pid} <- newest(recording, ["name"], nil, 0, before),
          do: pid

    # Mostly nobody was introduced by it: whoever was is looked up, and then all are read.
    said =
      if Native.named(recording.handle, Atom.to_string(name), @forever),
        do: for({pid, %{name: ^name}} <- Query.processes(recording), do: pid),
        else: []

    (told ++ Enum.reverse(said)) |> Enum.uniq() |> Enum.take(@holders)
  end

  # Links and children.
  defp related(life, recording, process, at) do
    {from, _to} = life.seen
    events = stream(recording, ["link", "spawn"], [process], from, at || @forever)

    {links, history, children} =
      Enum.reduce(events, {MapSet.new(life.links), [], []}, fn
        %Event{kind: :link, data: %{action: action, other: other}} = event, {links, history, children} ->
          told = %{id: event.id, time: event.time, action: action, other: other}
          {linked(links, action, other), [told | history], children}

        %Event{kind: :spawn, data: %{child: child}} = event, {links, history, children} ->
          {links, history, [%{pid: child, time: event.time} | children]}

        _unreadable, acc ->
          acc
      end)

    %{life | links: Enum.sort(links), link_history: latest(history), children: latest(children)}
  end

  defp linked(links, action, other) when action in [:link, :linked], do: MapSet.put(links, other)
  defp linked(links, _action, other), do: MapSet.delete(links, other)

  defp latest(newest_first), do: newest_first |> Enum.take(@kept) |> Enum.reverse()

  # By which call it was made: the one that was open in its parent then.
  defp born_by(%Life{spawned: %{} = spawned, parent: parent} = life, recording)
       when is_pid(parent) and node(parent) == node() do
    {:ok, process} = Server.numbers(parent)
    around = {max(spawned.time - @apart, 0), spawned.time + @apart}
    events = newest(recording, ["spawn"], [process], elem(around, 0), elem(around, 1))

    case Enum.find(events, &match?(%Event{data: %{child: child}} when child == life.pid, &1)) do
      nil -> life
      spawn -> %{life | spawned: %{spawned | call: open_call(recording, process, spawn.id)}}
    end
  end

  defp born_by(life, _recording), do: life

  @doc "The innermost call that was open in a process before the event of a number."
  @spec open_call(Recording.t(), Server.numbers(), non_neg_integer) :: ElixirScope.Call.t() | nil
  def open_call(recording, process, id) do
    case Stack.open_calls(recording, process, id) do
      {[begin | _], _whole?} -> Stack.call(recording, process, begin)
      {[], _whole?} -> nil
    end
  end

  # A task is told by its first message what to do.
  defp asked(%Life{kind: :task, initial_call: nil} = life, recording, process) do
    {from, to} = life.seen

    told =
      recording
      |> stream(["receive"], [process], from, to)
      |> Enum.take(4)
      |> Enum.find_value(fn
        %Event{data: %{message: {_owner, ref, _reply_to, callers, mfa}}}
        when is_reference(ref) and is_list(callers) ->
          {FirstCall.asked(mfa), callers}

        %Event{data: %{message: {_owner, ref, callers, mfa}}} when is_reference(ref) and is_list(callers) ->
          {FirstCall.asked(mfa), callers}

        _other ->
          nil
      end)

    case told do
      {call, callers} -> %{life | initial_call: call, callers: callers}
      nil -> life
    end
  end

  defp asked(life, _recording, _process), do: life
end
