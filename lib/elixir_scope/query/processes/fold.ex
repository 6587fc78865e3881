defmodule ElixirScope.Query.Processes.Fold do
  @moduledoc false
  # Lives of processes, made of their events in order. A `spawned` begins a new life of a pid, an `exit` ends it: what the VM tells
  # of it behind its end (names that it gives back) belongs to no later one.

  alias ElixirScope.{Event, Life}
  alias ElixirScope.Text.FirstCall

  @doc "The kinds of events that lives are made of, links and children apart."
  def kinds, do: [:spawned, :exit, :process, :name, :label]

  @typedoc "Those that live, by their pids."
  @type living :: %{pid => Life.t()}

  @doc "What lives after an event, and the life that it ended."
  @spec add(living, Event.t()) :: {living, Life.t() | nil}
  def add(living, %Event{pid: pid, kind: :spawned} = event), do: {Map.put(living, pid, born(event)), nil}

  def add(living, %Event{pid: pid, kind: :exit} = event) do
    {life, living} = Map.pop(living, pid, %Life{pid: pid, seen: {event.time, event.time}})
    {living, step(life, event)}
  end

  # The end of a name of a process that is gone.
  def add(living, %Event{pid: pid, kind: :name, data: %{action: :unregister}})
      when not is_map_key(living, pid),
      do: {living, nil}

  def add(living, %Event{pid: pid} = event) do
    life = Map.get_lazy(living, pid, fn -> %Life{pid: pid, seen: {event.time, event.time}} end)
    {Map.put(living, pid, step(life, event)), nil}
  end

  @doc "The lives of one pid, of its events in order: the oldest first."
  @spec lives([Event.t()]) :: [Life.t()]
  def lives(events) do
    {lives, living} =
      Enum.reduce(events, {[], %{}}, fn event, {ended, living} ->
        # One whose end was not seen.
        replaced = if event.kind == :spawned, do: living |> Map.get(event.pid) |> List.wrap(), else: []
        {living, exited} = add(living, event)
        {List.wrap(exited) ++ replaced ++ ended, living}
      end)

    Enum.reverse(lives) ++ Map.values(living)
  end

  @doc "A new life."
  @spec born(Event.t()) :: Life.t()
  def born(%Event{data: %{parent: parent, mfa: first}} = event) do
    {initial, kind} = FirstCall.of(first)

    %Life{
      pid: event.pid,
      parent: parent,
      initial_call: initial,
      kind: kind,
      ancestors: FirstCall.ancestors(first) || [],
      callers: FirstCall.callers(first),
      spawned: %{id: event.id, time: event.time, mfa: first, call: nil},
      seen: {event.time, event.time}
    }
  end

  def born(%Event{} = event), do: %Life{pid: event.pid, seen: {event.time, event.time}}

  @doc "A life after an event."
  @spec step(Life.t(), Event.t()) :: Life.t()
  def step(life, %Event{data: nil}), do: life

  def step(life, %Event{kind: :process, data: about} = event) do
    {initial, kind} = FirstCall.said(about)
    ancestors = nonempty(life.ancestors, Map.get(about, :ancestors))

    %{
      life
      | initial_call: initial || life.initial_call,
        kind: kind(life.kind, kind),
        ancestors: ancestors,
        callers: nonempty(life.callers, Map.get(about, :callers)),
        parent: life.parent || first(ancestors) || first(Map.get(about, :parents)),
        label: life.label || Map.get(about, :label),
        links: nonempty(life.links, Map.get(about, :links))
    }
    |> named(Map.get(about, :name), event.time)
  end

  def step(life, %Event{kind: :name, data: %{action: :register, name: name}, time: time}),
    do: named(life, name, time)

  def step(life, %Event{kind: :name, data: %{action: :unregister, name: name}, time: time}),
    do: unnamed(life, name, time)

  def step(life, %Event{kind: :label, data: %{label: label}}), do: %{life | label: label}

  def step(life, %Event{kind: :exit, data: %{reason: reason}} = event) do
    names = for {name, from, to} <- life.names, do: {name, from, to || event.time}
    %{life | exited: %{id: event.id, time: event.time, reason: reason}, status: :exited, names: names}
  end

  def step(life, _event), do: life

  # What the first call says is more than what the process says, which has one word for a server and a supervisor.
  defp kind(known, nil), do: known
  defp kind(nil, said), do: said
  defp kind(known, :supervisor) when known in [:gen_server, :process], do: :supervisor
  defp kind(known, _said), do: known

  defp nonempty(known, said) when is_list(said) and said != [] and known == [], do: said
  defp nonempty(known, _said), do: known

  defp first([parent | _]), do: parent
  defp first(_none), do: nil

  defp named(life, name, _time) when name in [nil, :undefined, ""] or not is_atom(name), do: life
  defp named(%{name: name} = life, name, _time), do: life

  # A process has one name at a time.
  defp named(life, name, time),
    do: %{life | name: name, names: ended(life.names, time) ++ [{name, time, nil}]}

  defp unnamed(%{name: name} = life, name, time), do: %{life | name: nil, names: ended(life.names, time)}
  defp unnamed(life, _other, _time), do: life

  defp ended(names, time) do
    for {name, from, to} <- names, do: {name, from, to || time}
  end
end
