defmodule ElixirScope.Case.Holder do
  @moduledoc false
  # Who had a registered name when a process of a test sent to it. What was told of the name in the test's time decides: that a process took it, gave it
  # back, or said that it had it.
  #
  # Where nothing was told, whoever has it now is taken for that, if it is known to have lived by then: one that was made later cannot have had it.

  alias ElixirScope.Case.{Newborn, Scope}
  alias ElixirScope.{Event, Native}
  alias ElixirScope.Query.{Processes, Server}

  @forever 0xFFFFFFFFFFFFFFFF

  @typedoc "Of names what was told of them in the test's time, by time. Of those whose holder is older than the test nothing is asked."
  @type told :: %{atom => [{non_neg_integer, :took | :said | :gave, pid}]}

  @doc "What was told of some names."
  @spec told(Scope.t(), [atom]) :: told
  def told(family, names) do
    case Enum.reject(names, &old(family, &1)) do
      [] ->
        %{}

      young ->
        family.recording
        |> Processes.stream(["name", "process"], nil, family.since, @forever)
        |> Enum.flat_map(&said/1)
        |> Enum.filter(&(elem(&1, 0) in young))
        |> Enum.group_by(&elem(&1, 0), &elem(&1, 1))
    end
  end

  defp said(%Event{kind: :name, data: %{action: :register, name: name}} = event),
    do: [{name, {event.time, :took, event.pid}}]

  defp said(%Event{kind: :name, data: %{name: name}} = event),
    do: [{name, {event.time, :gave, event.pid}}]

  defp said(%Event{kind: :process, data: %{name: name}} = event) when name != nil,
    do: [{name, {event.time, :said, event.pid}}]

  defp said(_nameless), do: []

  @doc "The process that had a name at a time; `nil` where nobody knows."
  @spec at(Scope.t(), told, atom, non_neg_integer) :: pid | nil
  def at(family, told, name, time),
    do: old(family, name) || young(family, Map.get(told, name, []), name, time)

  defp young(family, told, name, time) do
    {before, later} = Enum.split_while(told, fn {at, _how, _pid} -> at <= time end)
    now = now(name)

    case {List.last(before), List.first(later)} do
      {{_at, :took, pid}, _later} -> pid
      # Of its end nothing was told, so another one may have it since.
      {{_at, :said, pid}, nil} -> if now in [nil, pid], do: pid
      {{_at, :said, pid}, _later} -> pid
      {_nobody_known, {_at, :took, _pid}} -> nil
      {_nobody_known, {_at, _said_or_gave, pid}} -> if lived?(family, pid, time), do: pid
      {_nobody_known, nil} -> if now && lived?(family, now, time), do: now
    end
  end

  @doc "The process of this node that has a name now."
  @spec now(atom) :: pid | nil
  def now(name) do
    case Process.whereis(name) do
      pid when is_pid(pid) -> pid
      _port_or_nobody -> nil
    end
  end

  defp old(family, name) do
    pid = now(name)
    if pid && Newborn.older?(pid, family.test), do: pid
  end

  # Whether it was made by then, as far as anybody told.
  defp lived?(family, pid, time) do
    {:ok, process} = Server.numbers(pid)
    filter = %{kinds: [], processes: [process], sites: nil, since: 0, until: time}

    Newborn.older?(pid, family.test) or
      match?({[_event], _next}, Native.events(family.recording.handle, filter, 0, 1)) or
      family.recording
      |> Processes.stream(["spawn"], nil, family.since, time)
      |> Enum.any?(&match?(%Event{data: %{child: ^pid}}, &1))
  end
end
