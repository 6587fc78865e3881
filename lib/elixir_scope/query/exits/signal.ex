defmodule ElixirScope.Query.Exits.Signal do
  @moduledoc false
  # What came to a process from others: exit signals, also by links, and what monitors told.

  import ElixirScope.Query.Exits.Steps, only: [add: 2, ends: 3, name: 3, since: 1]

  alias ElixirScope.{Event, ExitChain, Life, Recorder, Recording, Text}
  alias ElixirScope.ExitChain.Step

  alias ElixirScope.Query.{Exits, Gaps, Processes, Server}

  @forever 0xFFFFFFFFFFFFFFFF
  # An exit signal is older than the exit by the time that the process took to see it.
  @signal 60_000_000_000
  # What a process does so soon after it was told something is likely done for that.
  @directly 100_000_000
  # Calls of `exit/2` that are looked at.
  @signals 50_000
  # Messages to a supervisor behind the end of its child that are looked at.
  @messages 1_000

  @doc """
  An exit signal whose sending was seen.
  """
  @spec signal(ExitChain.t(), {Exits.Steps.t(), Life.t(), Server.numbers()}, Event.t()) :: ExitChain.t() | nil
  def signal(chain, {about, life, _process}, exit) do
    since = max(since(life), exit.time - @signal)

    about.recording
    |> Processes.newest(["traced"], nil, since, exit.time)
    |> Stream.take(@signals)
    |> Enum.find(&sent_to?(&1, exit))
    |> case do
      nil -> nil
      sent -> signalled(chain, about, life, exit, sent)
    end
  end

  defp sent_to?(%Event{mfa: {:erlang, :exit, 2}, data: %{action: :call, args: [pid, reason]}}, exit),
    do: pid == exit.pid and Exits.Reason.signal?(reason, exit.data.reason)

  defp sent_to?(_event, _exit), do: false

  defp signalled(chain, about, life, exit, %Event{pid: killer} = sent) do
    supervised =
      if killer == life.parent and killer != exit.pid,
        do: Exits.Supervised.shut_down(chain, about, life, exit, false)

    supervised || killed(chain, about, exit, sent)
  end

  defp killed(chain, about, exit, %Event{pid: killer} = sent) do
    {:ok, process} = Server.numbers(killer)
    [_pid, reason] = sent.data.args

    chain
    |> add(%Step{
      kind: :signal,
      time: sent.time,
      id: sent.id,
      pid: exit.pid,
      other: killer,
      reason: reason,
      call: Processes.open_call(about.recording, process, sent.id)
    })
    |> ends(:killed_by, "#{name(about, killer, sent.time)} sent it the exit signal #{Text.short(reason)}")
  end

  @doc """
  A linked process that had ended with this reason. The signal ends one that does not trap exits at once; of one that does the VM tells that the link is gone, and OTP ends it when it was its parent.
  """
  @spec link(ExitChain.t(), {Exits.Steps.t(), Life.t(), Server.numbers()}, Event.t()) :: ExitChain.t() | nil
  def link(chain, {about, life, _process}, exit) do
    linked = for pid <- life.links, is_pid(pid), do: pid
    gone = for %{action: :unlinked, other: pid} <- life.link_history, is_pid(pid), pid == life.parent, do: pid

    candidates =
      for pid <- Enum.uniq(linked ++ gone),
          pid != exit.pid,
          exit.data.reason != :normal or pid in gone,
          other = Processes.exit_of(about.recording, pid, exit.time),
          Exits.Reason.same?(other.data.reason, exit.data.reason),
          other.time >= since(life),
          do: other

    case Enum.sort_by(candidates, &{&1.time, &1.id}) do
      [] -> nil
      [other | more] -> linked(chain, about, exit, other, more)
    end
  end

  defp linked(chain, about, exit, other, more) do
    chain
    |> add(%Step{
      kind: :link,
      time: other.time,
      id: other.id,
      pid: exit.pid,
      other: other.pid,
      reason: exit.data.reason,
      inferred?: more != [],
      text:
        if(more != [],
          do: "#{length(more)} more linked to it had ended with the same reason; this one was the first"
        )
    })
    |> Exits.Chain.explain(about, other)
  end

  @doc """
  Not instrumented, but the last that it was given was that another one had ended: with this reason, with one that stands in it,
  or just before.
  """
  @spec told(ExitChain.t(), {Exits.Steps.t(), Life.t(), Server.numbers()}, Event.t()) :: ExitChain.t() | nil
  def told(chain, {about, life, process}, exit) do
    last =
      about.recording
      |> Processes.newest(["take", "receive"], [process], since(life), exit.time)
      |> Stream.filter(&(&1.id < exit.id))
      |> Enum.take(1)

    with [%Event{data: %{message: message}} = event] <- last,
         {pid, reason} when is_pid(pid) <- ended_in(message),
         since = if(life.kind != :supervisor, do: exit.time - event.time),
         true <- because?(reason, exit.data.reason, since) do
      step = %Step{kind: :message, time: event.time, id: event.id, pid: exit.pid, message: message}
      Exits.Begun.told_of(chain, about, step, pid, :signal_unseen) |> inferred(step)
    else
      _other -> nil
    end
  end

  # Reasons that signals bring, too, need more than that it was told something before; so do supervisors, which are told of every child.
  defp because?(_told, :normal, _since), do: false

  # `since`: how long before; `nil` for a supervisor.
  defp because?(told, reason, since) do
    (told != :normal and Exits.Reason.same?(told, reason)) or
      (is_integer(since) and not Exits.Reason.shutdown?(reason) and
         (since <= @directly or within?(told, reason)))
  end

  defp within?(told, reason) when is_tuple(reason) and not is_atom(told),
    do: reason |> Tuple.to_list() |> Enum.any?(&(Exits.Reason.same?(told, &1) or within?(told, &1)))

  defp within?(_told, _reason), do: false

  defp ended_in({:DOWN, _ref, :process, pid, reason}), do: {pid, reason}
  defp ended_in({:EXIT, pid, reason}), do: {pid, reason}
  defp ended_in(_message), do: nil

  defp inferred(chain, %Step{time: time, pid: pid}) do
    steps =
      for step <- chain.steps,
          do:
            if(step.kind == :down and step.pid == pid and step.time == time,
              do: %{step | inferred?: true},
              else: step
            )

    %{chain | steps: steps}
  end

  @doc "Nothing that was recorded explains it: what is missing."
  @spec unseen(ExitChain.t(), {Exits.Steps.t(), Life.t(), Server.numbers()}, Event.t()) :: ExitChain.t()
  def unseen(chain, {about, life, _process}, exit) do
    gaps = Gaps.touching(about.gaps, before_last(about, exit, life), exit.time)
    unwatched = Enum.find(life.links, &gone_unwatched?(about.recording, &1))

    cond do
      gaps != [] ->
        ends(
          chain,
          :lost,
          "events are missing #{Gaps.text(gaps)}: what ended it may be among them"
        )

      unwatched != nil ->
        ends(
          chain,
          :not_watched,
          "it was linked to #{name(about, unwatched, exit.time)}, which is not watched: when and why that one ended is not recorded"
        )

      true ->
        ends(
          chain,
          :signal_unseen,
          by_whom(about, exit.data.reason) <> seen_or_not(about, exit) <> supervisor(about, life, exit)
        )
    end
  end

  defp gone_unwatched?(recording, pid),
    do: unwatched?(recording, pid) and not (recording.live? and Process.alive?(pid))

  # Where its messages are recorded they do not say so: that is looked for before.
  defp supervisor(about, life, exit) do
    with true <- Exits.Reason.shutdown?(exit.data.reason),
         %Life{pid: pid} <- Exits.Supervisor.of(about.recording, life, exit.time),
         false <- told_anything?(about, pid, exit) do
      ". Its supervisor #{name(about, pid, exit.time)} may have been told to end it, which its messages would say"
    else
      _no_supervisor -> ""
    end
  end

  # It is told of the end of each child.
  defp told_anything?(about, pid, exit) do
    {:ok, process} = Server.numbers(pid)

    about.recording
    |> Processes.stream(["receive"], [process], exit.time, exit.time + @signal)
    |> Stream.take(@messages)
    |> Enum.any?(&match?(%Event{data: %{message: message}} when elem(message, 0) in [:EXIT, :DOWN], &1))
  end

  defp by_whom(_about, :killed),
    do: "an exit signal that cannot be trapped (:kill) ended it, if it did not say exit(:killed) itself: "

  defp by_whom(about, _reason) do
    if signals_of_all?(about.recording),
      do: "it ended itself in code that is not instrumented, as it seems: ",
      else:
        "either it ended itself in code that is not instrumented, or another process sent it an exit signal: "
  end

  # Each process that could have sent one in this VM is watched.
  defp signals_of_all?(%Recording{live?: true} = recording) do
    with {:ok, ^recording} <- Recorder.current(),
         {:ok, %{who: who, kinds: kinds}} <- Recorder.watched() do
      :all in who and :signals in kinds
    else
      _nothing -> false
    end
  end

  defp signals_of_all?(_recording), do: false

  # Nothing that could have ended it is older than what it did last.
  defp before_last(about, exit, life) do
    {:ok, process} = Server.numbers(exit.pid)

    about.recording
    |> Processes.newest([], [process], since(life), exit.time)
    |> Stream.filter(&(&1.id < exit.id))
    |> Enum.take(1)
    |> case do
      [event] -> event.time
      [] -> since(life)
    end
  end

  defp seen_or_not(about, exit) do
    if signals_seen?(about, exit) or signals_of_all?(about.recording),
      do: "such calls are recorded of processes that are watched, and none of them made one",
      else: "who sends such signals is recorded since OTP 27, of processes that are watched"
  end

  defp signals_seen?(about, exit) do
    about.recording
    |> Processes.newest(["traced"], nil, 0, exit.time)
    |> Stream.take(@signals)
    |> Enum.any?(&(&1.mfa == {:erlang, :exit, 2}))
  end

  @doc "Whether nothing but its own code was recorded of a process."
  @spec unwatched?(Recording.t(), pid | port) :: boolean
  def unwatched?(recording, pid) when is_pid(pid) and node(pid) == node() do
    {:ok, process} = Server.numbers(pid)

    Enum.take(Processes.stream(recording, ["spawned", "exit", "link", "spawn"], [process], 0, @forever), 1) ==
      []
  end

  def unwatched?(_recording, _port_or_elsewhere), do: false
end
