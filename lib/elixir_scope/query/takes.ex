defmodule ElixirScope.Query.Takes do
  @moduledoc false
  # What took a message out of the mailbox. A `receive` of instrumented code says so; a callback is called with it; the reply to a
  # call goes to a process that waits for it. Each takes the first message that is equal, was delivered before, and is not taken yet.

  alias ElixirScope.{Event, Message, Native, Recording}
  alias ElixirScope.Query.Server

  @forever 0xFFFFFFFFFFFFFFFF

  # The callbacks that are given a message; state functions of a state machine have any name.
  @receivers [handle_call: 3, handle_cast: 2, handle_info: 2, handle_event: 4]
  @awaits [:await, :await_many, :yield, :yield_many]

  @typedoc """
  A taking: the number and time of its event, the message, and whether it was a callback, whose server takes messages in their order.
  """
  @type take :: {non_neg_integer, non_neg_integer, term, :receive | :callback}

  @doc "The messages, with what took each of those that were delivered. `whole?`: these are all of their receivers."
  @spec mark(Recording.t(), [Message.t()], boolean) :: [Message.t()]
  def mark(recording, messages, whole?) do
    given = messages |> Enum.filter(& &1.delivered) |> Enum.group_by(& &1.to)
    takes = taking(recording, Map.keys(given))

    # Which of equal messages one is follows from those before it, where anything takes them.
    all = if whole?, do: given, else: Map.merge(given, delivered(recording, Map.keys(takes)))
    called = recording |> sent(for({to, own} <- given, replies?(own), do: to)) |> Enum.group_by(& &1.from)

    taken =
      for {to, own} <- all,
          awaits = awaits(recording, to, own, Map.get(called, to, [])),
          pair <- taken(own, Map.get(takes, to, []), awaits),
          into: %{},
          do: pair

    Enum.map(messages, &marked(&1, taken))
  end

  defp marked(%Message{delivered: %{id: id}} = message, taken) do
    case taken do
      %{^id => at} -> %{message | taken: at, outcome: outcome(message.outcome)}
      _none -> message
    end
  end

  defp marked(message, _taken), do: message

  # Of equal messages it is not known which one it was.
  defp outcome(:unknown), do: :unknown
  defp outcome(:delivered), do: :taken

  # The takings of those that have any. Mostly that is few of many.
  defp taking(recording, pids) do
    keys = keys(recording)

    if none?(recording, ["take"], nil) and (keys == [] or none?(recording, ["call"], keys)),
      do: %{},
      else: for(pid <- pids, takes = takes(recording, pid, keys), takes != [], into: %{}, do: {pid, takes})
  end

  defp none?(recording, kinds, sites) do
    filter = %{kinds: kinds, processes: nil, sites: sites, since: 0, until: @forever}
    match?({[], _next}, Native.events(recording.handle, filter, 0, 1))
  end

  @doc "All messages to a process, without what took them."
  @spec to(Recording.t(), pid) :: [Message.t()]
  def to(recording, pid), do: all(recording, to: [pid])

  defp delivered(recording, pids),
    do:
      recording
      |> all([to: pids], since(recording, pids))
      |> Enum.filter(& &1.delivered)
      |> Enum.group_by(& &1.to)

  defp sent(recording, pids),
    do: recording |> all([from: pids], since(recording, pids)) |> Enum.filter(& &1.sent)

  # Sending and being delivered are events of a process, so of it there are none before its first. What was sent to it before and
  # delivered since is found as well.
  defp since(recording, pids) do
    seen =
      Native.seen(recording.handle, for(pid <- pids, {:ok, process} <- [Server.numbers(pid)], do: process))

    for({first, _last, _count} <- seen, do: first) |> Enum.min(fn -> 0 end)
  end

  # Each question reads the recording once, however many processes it is about.
  defp all(recording, side, since \\ 0)
  defp all(_recording, [{_side, []}], _since), do: []

  defp all(recording, [{side, pids}], since) do
    processes = for pid <- pids, {:ok, process} <- [Server.numbers(pid)], do: process
    wanted = %{since: since, until: @forever, delivered: true, from: nil, to: nil, with: nil, limit: @forever}
    recording.handle |> Native.messages(%{wanted | side => processes}) |> Enum.map(&Message.from_native/1)
  end

  @doc "All takings of a process, in their order."
  @spec takes(Recording.t(), pid, [non_neg_integer]) :: [take]
  def takes(recording, pid, keys \\ nil)
  def takes(recording, pid, nil), do: takes(recording, pid, keys(recording))

  def takes(recording, pid, keys) do
    {:ok, process} = Server.numbers(pid)
    taken = recording |> events(["take"], process, nil) |> Enum.flat_map(&take/1)

    called =
      if keys == [], do: [], else: recording |> events(["call"], process, keys) |> Enum.flat_map(&take/1)

    Enum.sort_by(taken ++ called, &elem(&1, 0))
  end

  defp events(recording, kinds, process, sites) do
    filter = %{kinds: kinds, processes: [process], sites: sites, since: 0, until: @forever}
    {events, _next} = Native.events(recording.handle, filter, 0, @forever)
    Enum.map(events, &Event.from_native/1)
  end

  defp keys(recording) do
    sites =
      for {key, {mfa, _place, {_node, :function, _clause, _names}}} <- Native.sites(recording.handle),
          do: {key, mfa}

    machines = for {_key, {module, :callback_mode, 0}} <- sites, uniq: true, do: module

    for {key, {module, function, arity}} <- sites,
        {function, arity} in @receivers or (arity == 3 and module in machines),
        do: key
  end

  defp take(%Event{kind: :take, id: id, time: time, data: %{message: message}}),
    do: [{id, time, message, :receive}]

  defp take(%Event{kind: :call, id: id, time: time, mfa: {_, function, _}, data: %{args: args}})
       when is_list(args) do
    for message <- given(function, args), do: {id, time, message, :callback}
  end

  defp take(_event), do: []

  defp given(:handle_call, [request, from, _state]), do: [{:"$gen_call", from, request}]
  defp given(:handle_cast, [request, _state]), do: [{:"$gen_cast", request}]
  defp given(:handle_info, [message, _state]), do: [message]
  defp given(_name, [{:call, from}, request | _]), do: [{:"$gen_call", from, request}]
  defp given(_name, [:cast, request | _]), do: [{:"$gen_cast", request}]
  defp given(_name, [:info, message | _]), do: [message]
  defp given(_name, _args), do: []

  @doc """
  What took each of the messages that were delivered to a process: `{number of the delivery, where it was taken}`. `awaits` says since when
  it waits for replies, by their references.
  """
  @spec taken([Message.t()], [take], %{reference => Message.at()}) :: [{non_neg_integer, Message.at()}]
  def taken(messages, takes, awaits) do
    arrivals = for message <- messages, message.delivered, do: {message.delivered.id, message}
    steps = Enum.sort_by(arrivals ++ takes, &elem(&1, 0))
    {waiting, taken} = Enum.reduce(steps, {%{}, []}, &step/2)
    left = waiting |> Map.values() |> Enum.flat_map(&:queue.to_list/1)
    taken ++ for(message <- left, at = waited(message, awaits), do: {message.delivered.id, at})
  end

  defp step({_id, %Message{content: content} = message}, {waiting, taken}) do
    queue = Map.get(waiting, content, :queue.new())
    {Map.put(waiting, content, :queue.in(message, queue)), taken}
  end

  defp step({id, time, content, _how}, {waiting, taken}) do
    with %{^content => queue} <- waiting,
         {{:value, message}, rest} <- :queue.out(queue) do
      waiting = if :queue.is_empty(rest), do: Map.delete(waiting, content), else: %{waiting | content => rest}
      {waiting, [{message.delivered.id, %{id: id, time: time}} | taken]}
    else
      # Delivered before the process was watched, or where events are missing.
      _unknown -> {waiting, taken}
    end
  end

  # Who made a call waits for its reply until it gives the alias up, and then nothing is delivered.
  defp waited(%Message{kind: :reply, content: {[:alias | _], _}, delivered: at}, _awaits), do: at

  defp waited(%Message{kind: :reply, ref: ref, delivered: at}, awaits) do
    case awaits do
      %{^ref => await} -> if await.id > at.id, do: await, else: at
      _none -> nil
    end
  end

  defp waited(_message, _awaits), do: nil

  # Who has called without a limit of time has a plain reference; so has a Task, whose awaiting is seen since OTP 27 (see
  # `ElixirScope.Watch.Kinds`).
  defp awaits(recording, pid, messages, sent) do
    if replies?(messages), do: Map.merge(calls(sent), tasks(recording, pid)), else: %{}
  end

  defp replies?(messages),
    do: Enum.any?(messages, &match?(%Message{kind: :reply, content: {ref, _}} when is_reference(ref), &1))

  defp calls(sent) do
    for %Message{kind: :call, ref: ref, sent: at} when ref != nil <- sent,
        into: %{},
        do: {ref, at}
  end

  defp tasks(recording, pid) do
    {:ok, process} = Server.numbers(pid)

    for %Event{mfa: {Task, name, _}, data: %{action: :call, args: [tasks | _]}} = event <-
          events(recording, ["traced"], process, nil),
        name in @awaits,
        %{ref: ref} <- List.wrap(tasks),
        into: %{},
        do: {ref, %{id: event.id, time: event.time}}
  end
end
