defmodule ElixirScope.Query.Exits.Supervisor do
  @moduledoc false
  # What a supervisor had to do with the end of its child, or with its own.

  alias ElixirScope.{Event, Life, Recording}
  alias ElixirScope.Query.{Processes, Server, Supervision}

  @forever 0xFFFFFFFFFFFFFFFF
  # A supervisor that is told to end a child does so at once, or when its other work is done.
  @asked 60_000_000_000
  @messages 1_000
  @at_once 1_000_000_000

  @doc "The supervisor of a process at a time: its parent, when that is one."
  @spec of(Recording.t(), Life.t(), non_neg_integer) :: Life.t() | nil
  def of(recording, %Life{parent: parent}, time) do
    with {:ok, process} <- found(recording, parent, time),
         {:ok, %Life{kind: :supervisor} = supervisor} <- Processes.life(recording, process, time) do
      supervisor
    else
      _none -> nil
    end
  end

  defp found(_recording, nil, _time), do: :none
  defp found(recording, parent, time), do: Server.find(recording, parent, time)

  @doc """
  Why a supervisor ended a child, by what it did next: it started its children again after the end of a sibling, it ended too, or
  a message had told it to. `nil` when nothing says that it did.
  """
  @spec why(Recording.t(), Life.t(), Event.t()) ::
          {:sibling, Event.t()}
          | {:ending, Event.t()}
          | {:asked, term, pid, non_neg_integer, non_neg_integer}
          | nil
  def why(recording, supervisor, exit) do
    sibling(recording, supervisor, exit) || asked(recording, supervisor, exit) ||
      ending(recording, supervisor, exit)
  end

  defp sibling(recording, supervisor, exit) do
    recording
    |> Supervision.family(supervisor, exit.time)
    |> Enum.find(&(&1.exit.id == exit.id and &1.cause.id != exit.id))
    |> case do
      nil -> nil
      restart -> {:sibling, Processes.exit_of(recording, restart.cause.pid, restart.cause.time)}
    end
  end

  defp ending(recording, %Life{pid: pid}, exit) do
    {:ok, process} = Server.numbers(pid)
    ended = first(recording, ["exit"], process, exit.time)
    started = first(recording, ["spawn"], process, exit.time)

    if ended != nil and ended.data != nil and ended.time - exit.time <= @asked and
         (started == nil or started.id > ended.id),
       do: {:ending, ended}
  end

  defp first(recording, kinds, process, since) do
    recording |> Processes.stream(kinds, [process], since, @forever) |> Enum.take(1) |> List.first()
  end

  # The last request that it was given before is the one that it was busy with.
  defp asked(recording, %Life{pid: pid}, exit) do
    {:ok, process} = Server.numbers(pid)

    recording
    |> Processes.newest(["receive"], [process], max(exit.time - @asked, 0), exit.time)
    |> Stream.take(@messages)
    |> Enum.find(&match?(%Event{data: %{message: {:"$gen_call", {_from, _tag}, _request}}}, &1))
    |> case do
      %Event{data: %{message: {_call, {from, _tag}, {:terminate_child, child}}}} = event when is_pid(from) ->
        # Of a static supervisor the child is named by its id.
        if not is_pid(child) or child == exit.pid,
          do: {:asked, {:terminate_child, child}, from, event.time, event.id}

      _other ->
        nil
    end
  end

  @doc """
  Whether a supervisor that ended with `:shutdown` had reached its limit: `{exit, count, flags, certain?}` with the exit of the child
  that was one too many, and how many restarts came before it.
  """
  @spec limit(Recording.t(), Life.t(), Event.t()) :: {Event.t(), non_neg_integer, map | nil, boolean} | nil
  def limit(recording, supervisor, exit) do
    with %Event{} = trigger <- trigger(recording, supervisor, exit) do
      flags = Supervision.flags(recording, supervisor)
      restarts = Supervision.family(recording, supervisor, exit.time)
      count = count(restarts, trigger, flags, attempts(recording, supervisor, exit))

      if reached?(count, trigger, flags) and exit.time - trigger.time <= at_once(flags),
        do: {trigger, count, flags, flags != nil}
    end
  end

  # A supervisor that gives up ends its children at once. Where nothing else tells it from one that was ended later, so long
  # may that take; where the limit was reached, as long as children may take to end.
  defp at_once(%{intensity: intensity}) when intensity > 0, do: @asked
  defp at_once(_unknown_or_none), do: @at_once

  # The first child that ended after the last one that was started: what a supervisor ends by itself ends after it.
  defp trigger(recording, supervisor, exit) do
    {:ok, process} = Server.numbers(supervisor.pid)

    spawns =
      recording
      |> Processes.newest(["spawn"], [process], Life.since(supervisor) || 0, exit.time)
      |> Enum.take(@messages)

    since = if spawns == [], do: Life.since(supervisor) || 0, else: made_at(recording, hd(spawns), exit.time)
    made = for %Event{data: %{child: child}} <- spawns, do: child
    # A link that ended with the child stands in the history.
    linked = for %{other: pid} <- supervisor.link_history, is_pid(pid), do: pid
    known = supervisor.links |> Enum.filter(&is_pid/1) |> Enum.concat(made) |> Enum.concat(linked)

    children =
      for pid <- Enum.uniq(known),
          pid != supervisor.parent,
          {:ok, numbers} <- [Server.numbers(pid)],
          do: numbers

    recording
    |> Processes.stream(["exit"], children, since, exit.time)
    |> Enum.take(1)
    |> case do
      [%Event{data: %{reason: reason}} = trigger] when reason != :shutdown -> trigger
      _none -> nil
    end
  end

  # A child may have ended before the VM told that its supervisor has made it; it tells itself that it was made, first of all.
  defp made_at(recording, %Event{time: told} = spawn, until) do
    with %{child: child} <- spawn.data,
         {:ok, process} <- Server.numbers(child),
         [born] <- recording |> Processes.newest(["spawned"], [process], 0, until) |> Enum.take(1) do
      min(born.time, told)
    else
      _unknown -> told
    end
  end

  # A child that cannot be started again tells the supervisor so and ends; that one tells itself to try again, which counts as another
  # restart: which processes have failed so, and when it was to try again.
  defp attempts(recording, %Life{pid: pid} = supervisor, exit) do
    {:ok, process} = Server.numbers(pid)

    recording
    |> Processes.newest(["receive"], [process], Life.since(supervisor) || 0, exit.time)
    |> Stream.take(@messages)
    |> Enum.reduce({MapSet.new(), []}, fn
      %Event{data: %{message: {:"$gen_cast", {:try_again_restart, _child}}}, time: time}, {failed, tries} ->
        {failed, [time | tries]}

      %Event{data: %{message: {:ack, child, {:error, _reason}}}}, {failed, tries} ->
        {MapSet.put(failed, child), tries}

      %Event{data: %{message: {:nack, child, _reason}}}, {failed, tries} ->
        {MapSet.put(failed, child), tries}

      # Since OTP 26 a child is monitored while it begins.
      %Event{data: %{message: {:DOWN, _monitor, :process, child, _reason}}}, {failed, tries} ->
        {MapSet.put(failed, child), tries}

      _other, found ->
        found
    end)
  end

  # Each time that a child ends counts once, however many are started again for it.
  defp count(restarts, trigger, flags, {_failed, []}) do
    restarts
    |> Enum.map(& &1.cause)
    |> Enum.uniq_by(& &1.id)
    |> Enum.count(&(&1.time >= trigger.time - period(flags) and &1.time < trigger.time))
  end

  # The last that it tried is the one too many.
  defp count(restarts, _trigger, flags, {failed, tries}) do
    last = List.last(tries)
    causes = for %{cause: cause} <- restarts, cause.pid not in failed, uniq: true, do: cause.time
    Enum.count(causes ++ tries, &(&1 >= last - period(flags) and &1 < last))
  end

  defp period(nil), do: @forever
  defp period(%{period: seconds}), do: seconds * 1_000_000_000

  # Where the limit is not known: it had restarted some, and the last that ended by a fault was not started again.
  defp reached?(count, %Event{data: %{reason: reason}}, nil),
    do: count > 0 and reason != :normal and not match?({:shutdown, _}, reason)

  defp reached?(count, _trigger, %{intensity: intensity}), do: count >= intensity
end
