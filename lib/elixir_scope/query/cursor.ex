defmodule ElixirScope.Query.Cursor do
  @moduledoc false
  # Moving through a recording. The order is that of the recording, by the numbers of events: it is the true order for each
  # process, also where two events have the same time.

  alias ElixirScope.{Call, Cursor, Error, Event, Log, Mark, Native, Query, Recording, Span}
  alias ElixirScope.Query.{Moment, Server, Stack}

  @forever 0xFFFFFFFFFFFFFFFF

  # What a move goes by, and the kinds of events that these are.
  @moves [
    event: [],
    call: [:call],
    return: [:return],
    line: [:call, :binding, :wait, :take],
    message: [:call, :take],
    state: [:state],
    raise: [:raise],
    mark: [:mark]
  ]

  # The callbacks that are given a message.
  @receivers [handle_call: 3, handle_cast: 2, handle_info: 2, handle_event: 4]

  # What happens within the calls of a process.
  @steps [:call, :return, :raise, :tail, :binding, :wait, :take, :state, :mark]

  @doc "See `ElixirScope.at/2`."
  @spec at(Moment.t(), keyword) :: {:ok, Cursor.t()} | {:error, Error.t()}
  def at(%Cursor{} = cursor, options) do
    with :ok <- Query.check(options, [:in, :pid]) do
      at(cursor.event || cursor.time, Keyword.merge([in: cursor.recording, pid: cursor.pid], options))
    end
  end

  # What is told by one event when it is over began at a time of its process that may be no event.
  def at(%Span{time: time, started: started, pid: pid}, options) when time != started,
    do: at(started, Keyword.put_new(options, :pid, pid))

  def at(moment, options) do
    with :ok <- Query.check(options, [:in, :pid]),
         {:ok, recording} <- Query.recording(options),
         {:ok, moment} <- named(recording, moment),
         {:ok, time} <- Moment.find(recording, moment),
         :ok <- Query.within(recording, time),
         {:ok, pid} <- pid(recording, Keyword.get(options, :pid), time) do
      stand(%Cursor{recording: recording, time: time, pid: pid, position: 0}, moment)
    end
  end

  defp named(recording, label) when is_binary(label) or (is_atom(label) and label not in [nil, true, false]),
    do: Query.Mark.find(recording, label)

  defp named(_recording, moment), do: {:ok, moment}

  defp pid(_recording, nil, _time), do: {:ok, nil}

  defp pid(recording, pid, time) when is_pid(pid) do
    with {:ok, _process} <- Server.find(recording, pid, time), do: {:ok, pid}
  end

  defp pid(recording, server, time) do
    with {:ok, {id, serial}} <- Server.find(recording, server, time),
         do: {:ok, :erlang.list_to_pid(~c"<0.#{id}.#{serial}>")}
  end

  # That one began before its event, which tells its end.
  defp stand(cursor, %Span{time: time}) when time != cursor.time, do: stand(cursor, cursor.time)

  # On the very event, where one was given.
  defp stand(cursor, %module{id: id}) when module in [Event, Call, Mark, Log, Span] and is_integer(id) do
    case Stack.event(cursor.recording, id) do
      %Event{time: time} = event when time == cursor.time ->
        {:ok, on(cursor, event)}

      _other ->
        Error.new(
          :bad_time,
          "expected an event of #{inspect(cursor.recording)}, got one that is not in it; give `in:` the recording that it is of"
        )
    end
  end

  defp stand(cursor, _time) do
    with {:ok, filter} <- filter(cursor, [], cursor.pid) do
      case before(cursor, Map.put(filter, :until, cursor.time), @forever) do
        nil -> {:ok, %{cursor | position: first_after(cursor)}}
        event -> {:ok, %{on(cursor, event) | time: cursor.time}}
      end
    end
  end

  # Of all events the first one that is later: those of the process come behind it too.
  defp first_after(cursor) do
    everything = %{kinds: [], processes: nil, sites: nil, since: 0, until: cursor.time}

    case before(cursor, everything, @forever) do
      nil -> 0
      event -> event.id + 1
    end
  end

  defp on(cursor, event), do: %{cursor | event: event, time: event.time, position: event.id}

  @doc "See `ElixirScope.next/3` and `ElixirScope.prev/3`."
  @spec move(Cursor.t(), :next | :prev, term, keyword) :: {:ok, Cursor.t()} | {:error, Error.t()}
  def move(%Cursor{} = cursor, direction, by, options) do
    with :ok <- Query.check(options, [:pid]),
         {:ok, kinds} <- kinds(by),
         {:ok, cursor} <- refreshed(cursor),
         {:ok, pid} <- pid(cursor.recording, Keyword.get(options, :pid), cursor.time) do
      if by == :mark and pid == nil,
        do: {:ok, to_mark(cursor, direction)},
        else: by(cursor, direction, by, kinds, pid || cursor.pid)
    end
  end

  def move(other, _direction, _by, _options), do: no_cursor(other)

  defp by(cursor, direction, by, kinds, pid) do
    with {:ok, filter} <- filter(cursor, kinds, pid) do
      filter = if by == :message, do: %{filter | sites: messages(cursor.recording)}, else: filter
      found = found(cursor, filter, direction, by)
      {:ok, moved(cursor, direction, found)}
    end
  end

  defp kinds(by) do
    case List.keyfind(@moves, by, 0) do
      {_by, kinds} ->
        {:ok, kinds}

      nil ->
        Error.new(
          :bad_option,
          "expected what to move by as one of #{@moves |> Keyword.keys() |> Enum.map_join(", ", &inspect/1)}, got: #{inspect(by)}"
        )
    end
  end

  # What was captured since the cursor was made is written down.
  defp refreshed(cursor) do
    with {:ok, _recording} <- Query.recording(in: cursor.recording), do: {:ok, cursor}
  end

  defp filter(cursor, kinds, pid) do
    options = if pid, do: [pid: pid, kind: kinds], else: [kind: kinds]

    with {:ok, filter} <- Query.filter(cursor.recording, options) do
      # No event of the process yet.
      nobody = %{kinds: [], processes: [], sites: nil, since: 0, until: @forever}
      {:ok, if(filter == :nothing, do: nobody, else: filter)}
    end
  end

  # The places where messages are taken.
  defp messages(recording) do
    for {key, {{_, function, arity}, _, {_, kind, _, _}}} <- Native.sites(recording.handle),
        kind == :receive or (kind == :function and {function, arity} in @receivers),
        do: key
  end

  # One line may make several events: the first of them is the visit of the line. A call always is one.
  defp found(cursor, filter, :next, :line) do
    here = cursor.event && line(cursor.event)
    stream = Stack.stream(cursor.recording, filter, :next, edge(cursor, :next))
    Enum.find(stream, &(&1.kind == :call or line(&1) != here))
  end

  defp found(cursor, filter, :prev, :line) do
    cursor.recording
    |> Stack.stream(filter, :prev, edge(cursor, :prev))
    |> Stream.chunk_every(2, 1)
    |> Enum.find_value(fn
      [event, before] -> if event.kind == :call or line(event) != line(before), do: event
      [first] -> first
    end)
  end

  # Not where a `receive` has stopped waiting.
  defp found(cursor, filter, direction, :message) do
    cursor.recording
    |> Stack.stream(filter, direction, edge(cursor, direction))
    |> Enum.find(&(&1.kind == :call or &1.data != %{}))
  end

  defp found(cursor, filter, :next, _by), do: behind(cursor, filter, edge(cursor, :next))
  defp found(cursor, filter, :prev, _by), do: before(cursor, filter, edge(cursor, :prev))

  defp line(event), do: {event.file, event.line}

  # Without an event the position lies before the one of its number.
  defp edge(%{event: nil, position: position}, _direction), do: position
  defp edge(%{position: position}, :next), do: position + 1
  defp edge(%{position: position}, :prev), do: position

  defp behind(cursor, filter, from), do: one(Native.events(cursor.recording.handle, filter, from, 1))
  defp before(cursor, filter, id), do: one(Native.events_before(cursor.recording.handle, filter, id, 1))

  defp one({[event], _next}), do: Event.from_native(event)
  defp one({[], _next}), do: nil

  # Marks of the past are no events, so all are looked at by their times.
  defp to_mark(cursor, direction) do
    marks = Query.Mark.all(cursor.recording)
    here = {cursor.time, cursor.event && cursor.event.kind == :mark && cursor.event.id}

    found =
      if direction == :next,
        do: Enum.find(marks, &later?(&1, here)),
        else: marks |> Enum.reverse() |> Enum.find(&earlier?(&1, here))

    with %Mark{} <- found,
         {:ok, to} <- stand(%{cursor | time: found.time, event: nil}, found) do
      moved(cursor, to)
    else
      _nothing -> moved(cursor, direction, nil)
    end
  end

  defp later?(%{time: time, id: id}, {now, mark}), do: time > now or (time == now and behind?(id, mark))
  defp earlier?(%{time: time, id: id}, {now, mark}), do: time < now or (time == now and behind?(mark, id))

  defp behind?(id, mark), do: is_integer(id) and is_integer(mark) and id > mark

  defp moved(cursor, direction, nil), do: %{cursor | ended: ended(cursor, direction), over: []}
  defp moved(cursor, _direction, event), do: moved(cursor, on(cursor, event))

  defp moved(from, to) do
    %{to | ended: nil, over: gaps(from.recording, min(from.time, to.time), max(from.time, to.time))}
  end

  defp ended(cursor, :next) do
    case gaps(cursor.recording, cursor.time, @forever) do
      [] -> :end
      [first | _] -> {:gap, first}
    end
  end

  defp ended(cursor, :prev) do
    case gaps(cursor.recording, 0, cursor.time) do
      [] -> :beginning
      gaps -> {:gap, List.last(gaps)}
    end
  end

  @doc "What is missing between two times, both included."
  @spec gaps(Recording.t(), non_neg_integer, non_neg_integer) :: [Cursor.gap()]
  def gaps(recording, from, to) do
    for {cause, count, from, to} <- Native.gaps(recording.handle, from, to) do
      %{cause: String.to_atom(cause), count: count, from: from, to: to}
    end
  end

  @doc "See `ElixirScope.step_into/1` and those beside it."
  @spec step(Cursor.t(), :next | :prev, :into | :over | :out) :: {:ok, Cursor.t()} | {:error, Error.t()}
  def step(%Cursor{} = cursor, direction, how) do
    with {:ok, cursor} <- refreshed(cursor),
         {:ok, pid, process} <- process(cursor),
         {:ok, filter} <- filter(cursor, @steps, pid) do
      {:ok, step(cursor, direction, how, filter, process)}
    end
  end

  def step(other, _direction, _how), do: no_cursor(other)

  defp step(cursor, direction, :into, filter, _process) do
    moved(cursor, direction, found(cursor, filter, direction, :event))
  end

  defp step(cursor, :next, :over, filter, process) do
    case found(cursor, filter, :next, :event) do
      %Event{kind: :call} = call -> to_end(cursor, call, process)
      event -> moved(cursor, :next, event)
    end
  end

  defp step(cursor, :prev, :over, filter, process) do
    case found(cursor, filter, :prev, :event) do
      %Event{kind: kind} = event when kind in [:return, :raise, :tail] ->
        moved(cursor, :prev, Stack.began(cursor.recording, process, event.id) || event)

      event ->
        moved(cursor, :prev, event)
    end
  end

  # On a call one is in it; on its end one is behind it when going on, and in it when going back.
  defp step(cursor, direction, :out, _filter, process) do
    {calls, whole?} = Stack.open_calls(cursor.recording, process, edge(cursor, direction))

    case {calls, direction} do
      {[call | _], :next} -> to_end(cursor, call, process)
      {[call | _], :prev} -> moved(cursor, :prev, call)
      {[], _direction} when whole? -> %{cursor | ended: :outermost, over: []}
      {[], _direction} -> %{cursor | ended: ended(cursor, :prev), over: []}
    end
  end

  defp to_end(cursor, call, process) do
    case Stack.ending(cursor.recording, process, call) do
      %Event{} = event -> moved(cursor, :next, event)
      nil -> %{cursor | ended: ended(%{cursor | time: call.time}, :next), over: []}
    end
  end

  defp process(cursor) do
    case cursor.pid || (cursor.event && cursor.event.pid) do
      nil ->
        Error.new(
          :bad_option,
          "expected a cursor on an event of a process, got: #{inspect(cursor)}; say whose calls are meant: " <>
            "ElixirScope.at(cursor, pid: server)"
        )

      pid ->
        with {:ok, process} <- Server.find(cursor.recording, pid, cursor.time), do: {:ok, pid, process}
    end
  end

  defp no_cursor(other) do
    Error.new(
      :bad_option,
      "expected a cursor, as ElixirScope.at/2 gives it, got: #{inspect(other)}"
    )
  end
end
