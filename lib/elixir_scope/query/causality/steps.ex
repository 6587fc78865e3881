defmodule ElixirScope.Query.Causality.Steps do
  @moduledoc false
  # What is next to an event, before and after it.

  alias ElixirScope.Causes.Step
  alias ElixirScope.{Event, Message, Query}
  alias ElixirScope.Query.{Causality, Past, Stack}

  @forever 0x7FFFFFFFFFFFFFFF
  # What came is looked for so far back, in nanoseconds, when nothing nearer is known.
  @skew 1_000_000

  @doc "The causes of an event, nearest first, or its effects, by time."
  @spec of(Past.t(), Event.t(), :causes | :effects) :: {:ok, [Step.t()]} | {:error, ElixirScope.Error.t()}
  def of(past, event, :causes) do
    with {:ok, steps} <- causes(past, event) do
      {:ok, steps |> unique(event) |> Enum.sort_by(&{&1.event.time, &1.event.id}, :desc)}
    end
  end

  def of(past, event, :effects) do
    with {:ok, steps} <- effects(past, event) do
      {:ok, steps |> unique(event) |> Enum.sort_by(&{&1.event.time, &1.event.id})}
    end
  end

  defp unique(steps, event) do
    steps |> Enum.reject(&(&1.event == nil or &1.event.id == event.id)) |> Enum.uniq_by(& &1.event.id)
  end

  defp causes(past, %Event{kind: :receive} = event) do
    with {:ok, messages} <- to_process(past, event) do
      {:ok, messages |> Enum.filter(&at?(&1.delivered, event)) |> Enum.flat_map(&origin(past, &1))}
    end
  end

  defp causes(past, %Event{kind: :take} = event) do
    with {:ok, came} <- taken(past, event), do: {:ok, came ++ before(past, event)}
  end

  defp causes(past, %Event{kind: :spawned, data: %{parent: parent}} = event) when is_pid(parent) do
    {:ok, [step(:spawn, Causality.Edges.spawn_of(past, parent, event.pid, event.time))]}
  end

  defp causes(past, %Event{kind: :exit} = event) do
    with {:ok, steps} <- within(past, event) do
      {:ok, [step(:exit, Causality.Edges.exit_cause(past, event)) | steps]}
    end
  end

  defp causes(past, event), do: within(past, event)

  # The message that is worked on, the call around, and what the process did before.
  defp within(past, event) do
    call = past.open_calls.(event.pid, event.id) |> List.first()

    with {:ok, came} <- worked_on(past, event),
         {:ok, delivered} <- delivered(past, event) do
      {:ok, came ++ delivered ++ [step(:call, call)] ++ before(past, event)}
    end
  end

  # What came since the process did something else, where that is as much as is known of its taking.
  defp delivered(past, event) do
    previous = for %Event{id: id} <- own(Past.prev(past, event.pid, Query.Waiting.At.own(), event.id)), do: id
    since = Enum.max([-1 | previous])

    if past
       |> Past.next(event.pid, [:receive], since + 1)
       |> Stream.take_while(&(&1.id < event.id))
       |> Enum.empty?(),
       do: {:ok, []},
       else: delivered(past, event, since)
  end

  defp delivered(past, event, since) do
    with {:ok, messages} <- to_process(past, event) do
      seen = Causality.Edges.seen(past, event.pid)

      steps =
        for message <- messages,
            %{id: id} <- [Causality.Edges.entry(message, seen)],
            id > since and id < event.id,
            step <- [delivery(past, message) | origin(past, message)],
            do: step

      {:ok, steps}
    end
  end

  defp before(past, event) do
    case own(Past.prev(past, event.pid, Query.Waiting.At.own(), event.id)) do
      [%Event{kind: :spawned, data: %{parent: parent}} = spawned] when is_pid(parent) ->
        [
          step(:same_process, spawned),
          step(:spawn, Causality.Edges.spawn_of(past, parent, event.pid, spawned.time))
        ]

      [previous] ->
        [step(:same_process, previous)]

      [] ->
        []
    end
  end

  defp own(events), do: events |> Stream.filter(&Query.Waiting.At.own?/1) |> Enum.take(1)

  # What it took last, or began a callback with: the event itself, or one before.
  defp worked_on(past, event) do
    calls = Enum.map(past.open_calls.(event.pid, event.id + 1), & &1.id)
    takes = past |> Past.prev(event.pid, [:take], event.id + 1) |> Enum.take(1) |> Enum.map(& &1.id)

    case Enum.sort(calls ++ takes, :desc) do
      [] -> {:ok, []}
      ids -> worked_on(past, event, ids)
    end
  end

  defp worked_on(past, event, ids) do
    with {:ok, messages} <- to_process(past, event) do
      case Enum.find_value(ids, fn id -> Enum.find(messages, &match?(%{id: ^id}, &1.taken)) end) do
        nil -> {:ok, []}
        message -> {:ok, [taking(past, message) | origin(past, message)]}
      end
    end
  end

  defp taken(past, event) do
    with {:ok, messages} <- to_process(past, event) do
      {:ok,
       messages
       |> Enum.filter(&at?(&1.taken, event))
       |> Enum.flat_map(&(origin(past, &1) ++ [delivery(past, &1)]))}
    end
  end

  # What took a message follows from all that its process was sent.
  defp to_process(past, event), do: past.messages.(to: [event.pid])

  defp at?(%{id: id}, %Event{id: id}), do: true
  defp at?(_at, _event), do: false

  defp origin(past, %Message{kind: kind, content: content, delivered: %{time: time}} = message)
       when kind in [:down, :exit] do
    pid = Causality.Edges.ended(content)
    exit = if pid, do: past |> Past.prev(pid, [:exit], Past.forever(), until: time + @skew) |> Enum.at(0)
    [step(:exit, exit, message)]
  end

  defp origin(past, %Message{sent: %{id: id}} = message), do: [step(:message, event(past, id), message)]
  defp origin(_past, _message), do: []

  defp delivery(past, %Message{delivered: %{id: id}} = message), do: step(:message, event(past, id), message)
  defp delivery(_past, _message), do: step(:message, nil)

  defp taking(past, %Message{taken: %{id: id}} = message), do: step(:message, event(past, id), message)

  defp event(%Past{recording: recording}, id), do: Stack.event(recording, id)

  defp step(why, event, message \\ nil), do: %Step{why: why, event: event, message: message}

  defp effects(past, %Event{kind: :send} = event) do
    with {:ok, messages} <- past.messages.(from: [event.pid], since: event.time, until: event.time) do
      steps = messages |> Enum.filter(&at?(&1.sent, event)) |> Enum.flat_map(&arrival(past, &1))
      {:ok, steps ++ afterwards(past, event)}
    end
  end

  defp effects(past, %Event{kind: :receive} = event) do
    with {:ok, messages} <- to_process(past, event) do
      messages = Enum.filter(messages, &at?(&1.delivered, event))
      taken = for %{taken: %{id: id}} = message <- messages, do: step(:message, event(past, id), message)
      seen = Causality.Edges.seen(past, event.pid)
      # Where nothing tells that it was taken, what the process does next may come of it.
      entered? = Enum.any?(messages, &at?(Causality.Edges.entry(&1, seen), event))
      {:ok, if(entered?, do: taken ++ afterwards(past, event), else: taken)}
    end
  end

  defp effects(past, %Event{kind: :spawn, data: %{child: child}} = event) do
    spawned = past |> Past.next(child, [:spawned], 0, since: max(event.time - @skew, 0)) |> Enum.at(0)
    {:ok, [step(:spawn, spawned) | afterwards(past, event)]}
  end

  # Whoever is linked may end too, or be told; whoever monitors it is told.
  defp effects(past, %Event{kind: :exit} = event) do
    told =
      past
      |> Past.next(nil, [:receive], 0, since: max(event.time - @skew, 0), until: event.time + 1_000 * @skew)
      |> Stream.filter(&(is_map(&1.data) and Causality.Edges.ended(&1.data.message) == event.pid))
      |> Enum.map(&step(:exit, &1))

    {:ok, told ++ ended_with(past, event)}
  end

  defp effects(past, %Event{kind: kind} = event) when kind in [:call, :take] do
    with {:ok, work} <- work(past, event), do: {:ok, work ++ afterwards(past, event)}
  end

  defp effects(past, event), do: {:ok, afterwards(past, event)}

  defp arrival(past, %Message{} = message) do
    taken = if message.taken, do: [taking(past, message)], else: []
    if message.delivered, do: [delivery(past, message) | taken], else: taken
  end

  defp afterwards(past, event) do
    case own(Past.next(past, event.pid, Query.Waiting.At.own(), event.id + 1)) do
      [next] -> [step(:same_process, next)]
      [] -> []
    end
  end

  defp ended_with(past, event) do
    past
    |> Causality.Edges.links(event.pid)
    |> Enum.flat_map(fn pid ->
      past |> Past.next(pid, [:exit], 0, since: max(event.time - @skew, 0)) |> Enum.take(1)
    end)
    |> Enum.filter(&match?(%Event{id: id} when id == event.id, Causality.Edges.exit_cause(past, &1)))
    |> Enum.map(&step(:exit, &1))
  end

  # What was done until the call ended, or the process took the next message.
  defp work(past, event) do
    last = last(past, event)

    steps =
      past
      |> Past.next(event.pid, [:send, :spawn, :state, :exit], event.id + 1)
      |> Stream.take_while(&(&1.id <= last))
      |> Enum.map(&step(work(&1.kind), &1))

    {:ok, steps}
  end

  defp work(:send), do: :sent
  defp work(kind), do: kind

  defp last(past, %Event{kind: :take} = event) do
    case past |> Past.next(event.pid, [:take, :wait], event.id + 1) |> Enum.take(1) do
      [%Event{id: id}] -> id
      [] -> @forever
    end
  end

  defp last(past, %Event{kind: :call} = event) do
    {:ok, process} = ElixirScope.Query.Server.numbers(event.pid)

    case Stack.ending(past.recording, process, event) do
      %Event{id: id} -> answered(past, event, id)
      nil -> @forever
    end
  end

  # The answer of a callback is sent, and its state told, right behind its end.
  defp answered(past, event, id) do
    past
    |> Past.next(event.pid, Query.Waiting.At.own(), id + 1)
    |> Stream.take_while(&answer?/1)
    |> Enum.reduce(id, fn event, _id -> event.id end)
  end

  defp answer?(%Event{kind: :state}), do: true

  defp answer?(%Event{kind: :send, data: %{message: message}}),
    do: match?({:reply, _ref}, Message.about(message))

  defp answer?(_event), do: false

  @doc "Edges as the steps of a way from one event to another, with what the processes between did in between."
  @spec path(Past.t(), Event.t(), Event.t(), [Causality.Edges.edge()]) :: [Step.t()]
  def path(past, from, to, edges) do
    {steps, last} =
      Enum.flat_map_reduce(edges, from, fn edge, at ->
        begin = event(past, edge.from.id)
        ending = event(past, edge.to.id)
        {same(at, begin) ++ [%Step{why: edge.why, from: begin, event: ending, message: edge.message}], ending}
      end)

    steps ++ same(last, to)
  end

  defp same(%Event{id: id}, %Event{id: id}), do: []
  defp same(from, to), do: [%Step{why: :same_process, from: from, event: to}]
end
