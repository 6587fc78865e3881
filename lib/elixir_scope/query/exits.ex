defmodule ElixirScope.Query.Exits do
  @moduledoc false
  # Why a process ended. From its exit backwards: each step is found by what was recorded around the one before it, and where
  # several could explain an exit the one with the strongest evidence comes first: its own code, a signal that was seen, a link, a call
  # that failed, its supervisor.

  alias ElixirScope.{Error, Event, ExitChain, Life, Native, Query, Text}
  alias ElixirScope.ExitChain.Step

  alias ElixirScope.Query.{
    ExitsMessage,
    ExitsOwn,
    ExitsReason,
    ExitsSupervisor,
    HistoryGaps,
    Moment,
    Processes,
    Server
  }

  alias ElixirScope.Text.NamesHolders

  @forever 0xFFFFFFFFFFFFFFFF
  @latest 0x7FFFFFFFFFFFFFFF
  @steps 100
  # An exit signal is older than the exit by the time that the process took to see it.
  @signal 60_000_000_000
  # Calls of `exit/2` that are looked at.
  @signals 50_000
  # Messages that are looked at for one that told a process to stop.
  @messages 1_000
  # Holders of a name that are looked at for one that has ended.
  @holders 1_000

  # What is looked up once for a chain.
  defstruct [:recording, :gaps, :limit]

  @doc "See `ElixirScope.why_exited/2`."
  @spec why(Server.t(), keyword) :: {:ok, ExitChain.t()} | {:error, Error.t()}
  def why(server, options) do
    with :ok <- Query.check(options, [:before, :limit, :in]),
         {:ok, limit} <- limit(options),
         {:ok, recording} <- Query.recording(options),
         {:ok, before} <- before(recording, options),
         {:ok, gaps} <- HistoryGaps.all(recording),
         {:ok, exit} <- ended(recording, server, before, gaps) do
      about = %__MODULE__{recording: recording, gaps: gaps, limit: limit}
      chain = %ExitChain{pid: exit.pid, time: exit.time, reason: exit.data.reason}
      {:ok, chain |> explain(about, exit) |> in_order(limit)}
    end
  end

  # Built from its end.
  defp in_order(%ExitChain{steps: steps} = chain, limit) do
    chain = if length(steps) > limit, do: limited(chain, limit), else: chain
    %{chain | steps: steps |> Enum.reverse() |> Enum.take(limit)}
  end

  defp limited(chain, limit) do
    ends(
      chain,
      :limit,
      "the chain has #{limit} steps, as many as limit: allows; with a higher one it goes on"
    )
  end

  defp limit(options) do
    case Keyword.get(options, :limit, @steps) do
      limit when is_integer(limit) and limit > 0 -> {:ok, limit}
      other -> Error.new(:bad_option, "expected :limit to be a positive integer, got: #{inspect(other)}")
    end
  end

  defp before(recording, options) do
    case Keyword.fetch(options, :before) do
      :error -> {:ok, @latest}
      {:ok, time} -> Moment.find(recording, time)
    end
  end

  # A name may have gone on to another process, which lives.
  defp ended(recording, name, before, gaps) when is_atom(name) and name not in [nil, true, false] do
    case recording |> holders(name, before) |> Enum.find_value(&Processes.exit_of(recording, &1, before)) do
      nil ->
        with {:ok, process} <- Server.find(recording, name, before),
             do: ended_process(recording, name, process, before, gaps)

      exit ->
        {:ok, exit}
    end
  end

  defp ended(recording, server, before, gaps) do
    with {:ok, process} <- Server.find(recording, server, before),
         do: ended_process(recording, server, process, before, gaps)
  end

  defp ended_process(recording, server, process, before, gaps) do
    case Enum.take(Processes.newest(recording, ["exit"], [process], 0, before), 1) do
      [%Event{data: %{}} = exit] -> {:ok, exit}
      _none -> no_exit(recording, server, process, before, gaps)
    end
  end

  defp holders(recording, name, before) do
    told =
      for %Event{data: %{name: ^name}, pid: pid} <- Processes.newest(recording, ["name"], nil, 0, before),
          do: pid

    said = for {pid, %{name: ^name}} <- Query.processes(recording), do: pid
    (told ++ Enum.reverse(said)) |> Enum.uniq() |> Enum.take(@holders)
  end

  defp no_exit(recording, server, process, before, gaps) do
    {:ok, life} = Processes.life(recording, process, nil)
    {first, _last} = life.seen

    cond do
      life.status == :alive and before >= @latest ->
        Error.new(:not_exited, "expected a process that has ended, got: #{inspect(server)}, which lives")

      life.status == :alive ->
        Error.new(
          :not_exited,
          "expected a process that had ended by #{Moment.format(before)}, got: #{inspect(server)}, which lived then as far as is known"
        )

      HistoryGaps.touching(gaps, first, @latest) != [] ->
        Error.new(
          :lost,
          "the end of #{inspect(server)} was not recorded: events are missing #{HistoryGaps.text(HistoryGaps.touching(gaps, first, @latest))}"
        )

      true ->
        Error.new(
          :not_watched,
          "the end of #{inspect(server)} was not recorded: processes tell it when they are watched. Watch it while it lives with " <>
            "ElixirScope.watch(pid), or all with ElixirScope.watch(:all, kinds: [:life, :links, :names])"
        )
    end
  end

  # Explaining.

  defp explain(%ExitChain{steps: steps} = chain, %__MODULE__{limit: limit}, _exit)
       when length(steps) >= limit do
    ends(
      chain,
      :limit,
      "the chain has #{limit} steps, as many as limit: allows; with a higher one it goes on"
    )
  end

  defp explain(chain, about, %Event{kind: :exit} = exit) do
    if Enum.any?(chain.steps, &(&1.kind == :exit and &1.id == exit.id)),
      do:
        ends(
          chain,
          :signal_unseen,
          "each of these processes ended because another one did: which was the first is not recorded"
        ),
      else: chain |> add(exit_step(exit)) |> reasons(about, exit)
  end

  defp exit_step(exit) do
    %Step{kind: :exit, time: exit.time, id: exit.id, pid: exit.pid, reason: exit.data.reason}
  end

  defp add(chain, step), do: %{chain | steps: [step | chain.steps]}

  defp ends(chain, reason, why), do: %{chain | ends: reason, why: why}

  defp reasons(chain, about, exit) do
    {:ok, process} = Server.numbers(exit.pid)
    {:ok, life} = Processes.life(about.recording, process, exit.time)
    about = {about, life, process}

    Enum.find_value(
      [
        &own/3,
        &told_to_stop/3,
        &signal/3,
        &link/3,
        &failed/3,
        &gave_up/3,
        &shut_down/3,
        &crash/3,
        &told/3,
        &normally/3
      ],
      fn reason -> reason.(chain, about, exit) end
    ) || unseen(chain, about, exit)
  end

  # What its own instrumented code did.
  defp own(chain, {about, life, process}, exit) do
    case ExitsOwn.find(about.recording, process, since(life), exit) do
      nil ->
        nil

      {:raised, event, call, outer} ->
        chain
        |> add(%Step{
          kind: :raised,
          time: event.time,
          id: event.id,
          pid: exit.pid,
          reason: event.data.reason,
          exception: event.data.kind,
          call: call
        })
        |> led_by(about, exit, outer, life, :raised)

      {:stopped, event, call} ->
        chain
        |> add(%Step{
          kind: :stopped,
          time: event.time,
          id: event.id,
          pid: exit.pid,
          reason: exit.data.reason,
          call: call
        })
        |> led_by(about, exit, call, life, :stopped)
    end
  end

  # Who began what it did: the message that its callback was given, or a call of its own that failed.
  defp led_by(chain, about, exit, outer, life, ends) do
    case ExitsOwn.callback(outer, life.kind) do
      nil ->
        failed_or(chain, about, exit, &begun_by(&1, about, life, ends))

      {kind, message, from} ->
        {sender, sent} = ExitsMessage.sender(about.recording, exit.pid, outer, {kind, message, from})

        step = %Step{
          kind: :message,
          time: outer.started,
          id: outer.id,
          pid: exit.pid,
          other: sender,
          message: message,
          call: outer
        }

        chain
        |> add(step)
        |> failed_or(about, exit, &sent_by(&1, about, step, sent, ends))
    end
  end

  defp failed_or(chain, about, exit, otherwise) do
    case ExitsReason.failed_call(exit.data.reason) do
      nil -> otherwise.(chain)
      failed -> failed_call(chain, about, exit, failed)
    end
  end

  # A process without messages of its own: whoever made it.
  defp begun_by(chain, _about, %Life{spawned: %{call: %{} = call}, parent: parent}, ends)
       when is_pid(parent) do
    chain
    |> add(%Step{kind: :sender, time: call.started, pid: parent, call: call, text: "began it"})
    |> ends(ends, own_end(ends))
  end

  defp begun_by(chain, _about, _life, ends), do: ends(chain, ends, own_end(ends))

  defp own_end(:raised), do: "it raised, and no message that is recorded led to it"
  defp own_end(:stopped), do: "its callback said :stop, and no message that is recorded led to it"

  defp sent_by(chain, about, %Step{message: message} = step, sent, ends) do
    case {message, step.other} do
      {{:DOWN, _ref, :process, pid, _reason}, _runtime} when is_pid(pid) ->
        told_of(chain, about, step, pid, ends)

      {{:EXIT, pid, _reason}, _runtime} when is_pid(pid) ->
        told_of(chain, about, step, pid, ends)

      {_message, pid} when is_pid(pid) ->
        chain
        |> sender(about, pid, sent)
        |> ends(ends, "#{name(about, pid, step.time)} sent the message that led to it")

      _unknown ->
        ends(chain, ends, "who sent the message that led to it is not recorded")
    end
  end

  # The end of another process, of which it was told.
  defp told_of(chain, about, step, pid, ends) do
    chain = add(chain, %Step{kind: :down, time: step.time, pid: step.pid, other: pid, message: step.message})

    case Processes.exit_of(about.recording, pid, step.time) do
      nil ->
        ends(
          chain,
          ends,
          "the end of #{inspect(pid)}, of which it was told, was not recorded: that process is not watched"
        )

      exit ->
        explain(chain, about, exit)
    end
  end

  defp sender(chain, about, pid, {time, id}) when node(pid) == node() do
    {:ok, process} = Server.numbers(pid)

    case Native.has_process(about.recording.handle, process) &&
           Processes.open_call(about.recording, process, id) do
      %{} = call -> add(chain, %Step{kind: :sender, time: time, pid: pid, call: call, text: "sent it"})
      _none -> chain
    end
  end

  defp sender(chain, _about, _pid, _sent), do: chain

  # `GenServer.stop/3` and the like are messages to what OTP runs.
  defp told_to_stop(chain, {about, life, process}, exit) do
    about.recording
    |> Processes.newest(["receive"], [process], max(since(life), exit.time - @signal), exit.time)
    |> Stream.take(@messages)
    |> Enum.find(&stops?(&1, exit.data.reason))
    |> case do
      nil ->
        nil

      %Event{data: %{message: {:system, {from, _tag}, request}}} = event ->
        from = asks_for(about, from, event)

        chain
        |> add(%Step{
          kind: :message,
          time: event.time,
          id: event.id,
          pid: exit.pid,
          other: from,
          message: request
        })
        |> sender(about, from, {event.time, event.id})
        |> ends(:stopped, "#{name(about, from, event.time)} told it to stop, as GenServer.stop/3 does")
    end
  end

  defp stops?(%Event{data: %{message: {:system, {from, _tag}, {:terminate, reason}}}}, reason),
    do: is_pid(from)

  defp stops?(_event, _reason), do: false

  # OTP asks in a process that it makes for that.
  defp asks_for(about, from, event) when node(from) == node() do
    {:ok, process} = Server.numbers(from)

    with true <- Native.has_process(about.recording.handle, process),
         {:ok, %Life{initial_call: {:proc_lib, _, _}, parent: parent}} when is_pid(parent) <-
           Processes.life(about.recording, process, event.time) do
      parent
    else
      _asks_itself -> from
    end
  end

  defp asks_for(_about, from, _event), do: from

  # An exit signal whose sending was seen.
  defp signal(chain, {about, life, _process}, exit) do
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
    do: pid == exit.pid and ExitsReason.signal?(reason, exit.data.reason)

  defp sent_to?(_event, _exit), do: false

  defp signalled(chain, about, life, exit, %Event{pid: killer} = sent) do
    supervised =
      if killer == life.parent and killer != exit.pid, do: shut_down(chain, about, life, exit, false)

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

  # A linked process that had ended with this reason. The signal ends one that does not trap exits at once; of one that does the VM
  # tells that the link is gone, and OTP ends it when it was its parent.
  defp link(chain, {about, life, _process}, exit) do
    linked = for pid <- life.links, is_pid(pid), do: pid
    gone = for %{action: :unlinked, other: pid} <- life.link_history, is_pid(pid), pid == life.parent, do: pid

    candidates =
      for pid <- Enum.uniq(linked ++ gone),
          pid != exit.pid,
          exit.data.reason != :normal or pid in gone,
          other = Processes.exit_of(about.recording, pid, exit.time),
          other.data.reason == exit.data.reason,
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
    |> explain(about, other)
  end

  # A call to another process that failed.
  defp failed(chain, {about, _life, _process}, exit) do
    with failed when failed != nil <- ExitsReason.failed_call(exit.data.reason),
         do: failed_call(chain, about, exit, failed)
  end

  defp failed_call(chain, about, exit, {why, target, request}) do
    server = server(about, target, exit.time)

    chain =
      add(chain, %Step{
        kind: :failed_call,
        time: exit.time,
        pid: exit.pid,
        other: server || target,
        reason: why,
        message: request
      })

    case {why, server} do
      {:timeout, pid} when is_pid(pid) ->
        timeout(chain, about, pid, exit)

      {_why, pid} when is_pid(pid) ->
        answerless(chain, about, pid, exit, why)

      {:noproc, _unknown} ->
        ends(
          chain,
          :no_process,
          "no process had the name #{inspect(target)}, and none is known to have had it before"
        )

      _unknown ->
        ends(chain, :not_watched, "which process #{Text.short(target)} was is not recorded")
    end
  end

  defp server(_about, pid, _time) when is_pid(pid), do: pid
  defp server(about, {name, node}, time) when node == node() and is_atom(name), do: server(about, name, time)

  defp server(about, name, time) when is_atom(name) do
    case NamesHolders.at(about.recording, name, time) do
      {:held, pid, _since} -> pid
      {:ended, pid, _time, _how} -> pid
      _unknown -> said(about, name, time)
    end
  end

  defp server(_about, _other, _time), do: nil

  defp said(about, name, time) do
    with {_, _} = process <- Native.named(about.recording.handle, Atom.to_string(name), time),
         [event] <- about.recording |> Processes.stream([], [process], 0, @forever) |> Enum.take(1),
         do: event.pid,
         else: (_none -> nil)
  end

  defp answerless(chain, about, pid, exit, why) do
    case Processes.exit_of(about.recording, pid, exit.time) do
      nil when why == :noproc ->
        ends(
          chain,
          :no_process,
          "#{inspect(pid)} was not there any more, and its end was not recorded: it is not watched, or ended before the recording began"
        )

      nil ->
        ends(chain, :not_watched, "the end of #{inspect(pid)} was not recorded: that process is not watched")

      other ->
        explain(chain, about, other)
    end
  end

  # What kept a server from answering: what it was doing when the caller gave up.
  defp timeout(chain, about, pid, exit) when node(pid) == node() do
    {:ok, process} = Server.numbers(pid)

    with true <- Native.has_process(about.recording.handle, process),
         %{} = call <- Processes.open_call(about.recording, process, id_at(about, exit)) do
      chain
      |> add(%Step{kind: :busy, time: call.started, id: call.id, pid: pid, call: call})
      |> ends(
        :timeout,
        "#{name(about, pid, exit.time)} did not answer in time: it was in #{Text.call(call.mfa, call.args)}"
      )
    else
      _nothing ->
        ends(
          chain,
          :timeout,
          "#{name(about, pid, exit.time)} did not answer in time; no instrumented function was running in it, so what it did is not recorded"
        )
    end
  end

  defp timeout(chain, _about, pid, _exit),
    do: ends(chain, :timeout, "#{inspect(pid)}, a process of another node, did not answer in time")

  defp id_at(_about, exit), do: exit.id

  # A supervisor whose children ended more often than it starts them again.
  defp gave_up(
         chain,
         {about, %Life{kind: :supervisor} = life, _process},
         %Event{data: %{reason: :shutdown}} = exit
       ) do
    case ExitsSupervisor.limit(about.recording, life, exit) do
      nil ->
        nil

      {trigger, count, flags, certain?} ->
        chain
        |> add(%Step{
          kind: :limit,
          time: trigger.time,
          pid: exit.pid,
          other: trigger.pid,
          inferred?: not certain?,
          text: restarted(count, flags)
        })
        |> explain(about, trigger)
    end
  end

  defp gave_up(_chain, _about, _exit), do: nil

  defp restarted(count, nil), do: "it had restarted children #{count} times; its limit is not recorded"

  defp restarted(count, %{intensity: intensity, period: period}),
    do: "it had restarted children #{count} times within #{period} s, and max_restarts is #{intensity}"

  # Its supervisor ended it: because a sibling had ended, because it ended itself, or because it was told to.
  defp shut_down(chain, {about, life, _process}, exit), do: shut_down(chain, about, life, exit, true)

  defp shut_down(chain, about, life, %Event{data: %{reason: reason}} = exit, inferred?) do
    with true <- ExitsReason.shutdown?(reason),
         %Life{kind: :supervisor} = supervisor <- ExitsSupervisor.of(about.recording, life, exit.time),
         why when why != nil <- ExitsSupervisor.why(about.recording, supervisor, exit) do
      step = %Step{
        kind: :shutdown,
        time: exit.time,
        pid: exit.pid,
        other: supervisor.pid,
        reason: reason,
        inferred?: inferred?
      }

      shut_down_for(chain, about, step, why)
    else
      _not_by_it -> nil
    end
  end

  defp shut_down_for(chain, about, step, {:sibling, trigger}) do
    chain |> add(%{step | text: "because a sibling had ended"}) |> explain(about, trigger)
  end

  defp shut_down_for(chain, about, step, {:ending, exit}) do
    chain |> add(%{step | text: "which was ending itself"}) |> explain(about, exit)
  end

  defp shut_down_for(chain, about, step, {:asked, message, from, time, id}) do
    chain
    |> add(%{step | text: "which was told to"})
    |> add(%Step{kind: :message, time: time, id: id, pid: step.other, other: from, message: message})
    |> sender(about, from, {time, id})
    |> ends(:killed_by, "#{name(about, from, time)} told the supervisor to end it")
  end

  # What is left is the exception itself.
  defp crash(chain, {about, life, _process}, exit) do
    with {raised, stack} <- ExitsReason.crash(exit.data.reason) do
      unwatched? = Enum.any?(life.links, &unwatched?(about.recording, &1))

      chain
      |> add(%Step{
        kind: :raised,
        time: exit.time,
        pid: exit.pid,
        reason: raised,
        exception: :error,
        inferred?: unwatched?,
        text: "in #{ExitsReason.place(stack)}"
      })
      |> ends(
        :raised,
        "the code that raised is not instrumented; its stack says where" <>
          if(unwatched?,
            do: ". A process that it was linked to is not watched, and may have been the one that raised",
            else: ""
          )
      )
    end
  end

  defp unwatched?(recording, pid) when is_pid(pid) and node(pid) == node() do
    {:ok, process} = Server.numbers(pid)

    Enum.take(Processes.stream(recording, ["spawned", "exit", "link", "spawn"], [process], 0, @forever), 1) ==
      []
  end

  defp unwatched?(_recording, _port_or_elsewhere), do: false

  # Not instrumented, but the last that it was given was that another one had ended with this reason.
  defp told(chain, {about, life, process}, exit) do
    last =
      about.recording
      |> Processes.newest(["take", "receive"], [process], since(life), exit.time)
      |> Stream.filter(&(&1.id < exit.id))
      |> Enum.take(1)

    with [%Event{data: %{message: message}} = event] <- last,
         {pid, reason} when is_pid(pid) <- ended_in(message),
         true <- reason == exit.data.reason and reason != :normal do
      step = %Step{kind: :message, time: event.time, id: event.id, pid: exit.pid, message: message}
      told_of(chain, about, step, pid, :signal_unseen) |> inferred(step)
    else
      _other -> nil
    end
  end

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

  defp normally(chain, {_about, life, _process}, %Event{data: %{reason: :normal}}) do
    ends(
      chain,
      :returned_normally,
      "its function#{function(life)} came to its end, or it ended itself with :normal"
    )
  end

  defp normally(_chain, _about, _exit), do: nil

  defp function(%Life{initial_call: {_, _, _} = mfa}), do: ", #{Text.mfa(mfa)},"
  defp function(_life), do: ""

  defp unseen(chain, {about, life, _process}, exit) do
    gaps = HistoryGaps.touching(about.gaps, before_last(about, exit, life), exit.time)
    unwatched = Enum.find(life.links, &gone_unwatched?(about.recording, &1))

    cond do
      gaps != [] ->
        ends(chain, :lost, "events are missing #{HistoryGaps.text(gaps)}: what ended it may be among them")

      unwatched != nil ->
        ends(
          chain,
          :not_watched,
          "it was linked to #{name(about, unwatched, exit.time)}, which is not watched: when and why that one ended is not recorded"
        )

      true ->
        ends(chain, :signal_unseen, by_whom(exit.data.reason) <> seen_or_not(about, exit) <> supervisor(about, life, exit))
    end
  end

  defp gone_unwatched?(recording, pid),
    do: unwatched?(recording, pid) and not (recording.live? and Process.alive?(pid))

  defp supervisor(about, life, exit) do
    with true <- ExitsReason.shutdown?(exit.data.reason),
         %Life{pid: pid} <- ExitsSupervisor.of(about.recording, life, exit.time) do
      ". Its supervisor #{name(about, pid, exit.time)} may have been told to end it, which its messages would say"
    else
      _no_supervisor -> ""
    end
  end

  defp by_whom(:killed), do: "an exit signal that cannot be trapped (:kill) ended it: "

  defp by_whom(_reason) do
    "either it ended itself in code that is not instrumented, or another process sent it an exit signal: "
  end

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
    if signals_seen?(about, exit),
      do: "such calls are recorded of processes that are watched, and none of them made one",
      else: "who sends such signals is recorded since OTP 27, of processes that are watched"
  end

  defp signals_seen?(about, exit) do
    about.recording
    |> Processes.newest(["traced"], nil, 0, exit.time)
    |> Stream.take(@signals)
    |> Enum.any?(&(&1.mfa == {:erlang, :exit, 2}))
  end

  defp since(life), do: Life.since(life) || 0

  defp name(about, pid, time), do: Text.process(about.recording, pid, time)
end
