defmodule ElixirScope.Query.Who do
  @moduledoc false
  # Who put a value where it stood: the change, and from there backwards from message to sender. Each step is older than the one
  # before it, so the way ends; where it ends is said by one of `ElixirScope.Chain.reasons/0`.

  alias ElixirScope.{Chain, Change, Cut, Difference, Error, Event, Native, Path, Query}
  alias ElixirScope.Chain.Step
  alias ElixirScope.Query.{Function, Gaps, History, Moment, Server}

  @steps 100

  @doc "See `ElixirScope.who_set/4`."
  def who_set(server, path, time, options) do
    with :ok <- Query.check(options, [:limit, :in]),
         {:ok, path} <- History.check_path(path),
         {:ok, limit} <- Query.steps(options, @steps),
         {:ok, recording} <- Query.recording(options),
         {:ok, time} <- Moment.find(recording, time),
         {:ok, state} <- state(server, time, recording),
         {:ok, process} <- Server.find(recording, server, time),
         {:ok, pid} <- History.pid(recording, process, server),
         {:ok, about} <- History.about(recording, process) do
      chain = %Chain{pid: pid, path: path, time: time, value: at(state, path), steps: []}
      {:ok, chain |> search(about, state) |> follow(about, limit)}
    end
  end

  # What is missing ends the chain, it does not keep the question from being answered.
  defp state(server, time, recording) do
    case Query.state_at(server, time, in: recording) do
      {:error, %Error{reason: :lost} = error} -> {:ok, error}
      {:ok, state} -> {:ok, {:state, state}}
      error -> error
    end
  end

  defp at(%Error{}, _path), do: :unknown

  defp at({:state, state}, path) do
    case Path.fetch(state, path) do
      {:ok, value} -> {:ok, value}
      :error -> :none
      {:cut, _cut} -> :unknown
    end
  end

  defp search(chain, _about, %Error{message: message}), do: ends(chain, :lost, message)

  defp search(%Chain{value: :unknown} = chain, _about, {:state, state}) do
    {:cut, cut} = Path.fetch(state, chain.path)

    ends(
      chain,
      :cut,
      "what stood at #{text(chain)} was kept out by #{Cut.by(cut)} (#{inspect(cut)}), so nobody knows when it changed; " <>
        Cut.remedy(cut)
    )
  end

  defp search(chain, about, {:state, _state}) do
    about.recording
    |> History.touching(about.process, chain.path, chain.time)
    |> History.with_older()
    |> Enum.find_value(&found(chain, about, &1)) || never(chain, "no state was recorded by then")
  end

  # From the newest state on: as long as the value is the one before too, it was put there earlier.
  defp found(chain, about, {state, older}) do
    missing = Gaps.behind(about.gaps, state.time, chain.time)

    cond do
      missing != [] -> lost(chain, missing)
      older == nil -> oldest(chain, about, state)
      true -> compare(chain, about, state, older)
    end
  end

  defp compare(chain, about, state, older) do
    difference =
      Difference.between(History.value(older, chain.path), History.value(state, chain.path), chain.path)

    cond do
      Difference.empty?(difference) -> nil
      Enum.all?(difference.entries, &(elem(&1, 1) == :unknown)) -> cut(chain, state)
      true -> changed(chain, about, state)
    end
  end

  defp changed(chain, about, state) do
    before = History.before(about, state)
    change = History.change(about, state, before)

    case change do
      %Change{gaps: []} -> step(chain, change)
      %Change{gaps: gaps} -> lost(chain, gaps)
    end
  end

  defp oldest(chain, about, state) do
    change = History.change(about, state, nil)

    case {chain.value, change} do
      {_any, %Change{gaps: [_ | _] = gaps}} -> lost(chain, gaps)
      {:none, _change} -> never(chain, "nothing stood at #{text(chain)} in any state that is known by then")
      {_some, %Change{origin: :init}} -> step(chain, change)
      {_some, _change} -> started(chain, change)
    end
  end

  defp never(chain, why), do: ends(chain, :never, why)

  defp started(chain, change) do
    ends(
      chain,
      :start_of_recording,
      "it stood at #{text(chain)} already in the first state that is known, of #{Moment.format(change.time)}: the recording " <>
        "began after it was put there"
    )
  end

  defp cut(chain, state) do
    ends(
      chain,
      :cut,
      "what stood at #{text(chain)} before #{Moment.format(state.time)} was kept out in part, by a limit or by redaction, so " <>
        "nobody knows whether it changed then"
    )
  end

  defp lost(chain, gaps),
    do:
      ends(
        chain,
        :lost,
        "events are missing #{Gaps.text(gaps)}: what put it there may be among them"
      )

  defp text(chain), do: Path.format(chain.path)

  defp ends(chain, reason, why), do: %{chain | ends: reason, why: why}

  defp step(chain, %Change{cause: cause} = change) do
    add(chain, %Step{
      kind: :change,
      time: change.time,
      pid: change.pid,
      change: change,
      call: cause.call,
      message: cause.message,
      from: cause.from
    })
  end

  defp add(chain, step), do: %{chain | steps: chain.steps ++ [step]}

  # From here on the last step says where to look next.
  defp follow(%Chain{ends: ends} = chain, _about, _limit) when ends != nil, do: chain

  defp follow(%Chain{steps: steps} = chain, _about, limit) when length(steps) >= limit do
    ends(
      %{chain | steps: Enum.take(steps, limit)},
      :limit,
      "the chain has #{limit} steps, as many as limit: allows; with a higher one it goes on"
    )
  end

  defp follow(chain, about, limit) do
    chain |> next(about, List.last(chain.steps)) |> follow(about, limit)
  end

  defp next(chain, about, %Step{kind: :change, change: %Change{cause: cause} = change} = step) do
    case cause do
      %{kind: :outside} -> outside(chain, change)
      %{call: nil} -> ends(chain, :lost, "the call of the callback that made it is missing")
      %{call: %{args: nil}} -> ends(chain, :not_recorded, not_recorded(cause.call))
      %{kind: :init} -> starter(chain, about, step)
      _callback -> sender(chain, about, step, cause.kind)
    end
  end

  defp next(chain, about, %Step{kind: :callback} = step) do
    case step.call do
      %{args: nil} -> ends(chain, :not_recorded, not_recorded(step.call))
      %{mfa: {_, :init, 1}} -> starter(chain, about, step)
      call -> sender(chain, about, step, Query.History.Cause.message(call.mfa, call.args).kind)
    end
  end

  defp next(chain, _about, %Step{kind: :call, call: call, pid: pid}) do
    ends(
      chain,
      :not_instrumented,
      "what called #{Function.label(call.mfa)} in #{inspect(pid)} is not instrumented, or had been called before the recording began"
    )
  end

  defp outside(chain, %Change{before: :none} = change), do: started(chain, change)

  defp outside(chain, %Change{time: time, cause: %{since: since}}) do
    ends(
      chain,
      :outside,
      "something outside of the recorded callbacks changed it, between #{Moment.format(since)} and #{Moment.format(time)}: " <>
        ":sys.replace_state/2, a callback that is not instrumented, a change of code"
    )
  end

  defp not_recorded(call) do
    "the arguments of #{Function.label(call.mfa)} are not recorded (args: false), and who sent the message stands there"
  end

  # Who sent the message of a callback.
  defp sender(chain, about, %Step{from: from} = step, :call) when is_pid(from) do
    running(chain, about, from, step.call.started, step.call.id, &not_running/3)
  end

  defp sender(chain, _about, %Step{call: call} = step, kind) when kind != :callback do
    if Query.History.Cause.sender_cut?(call), do: sender_cut(chain, step), else: sender_unknown(chain, step)
  end

  defp sender(chain, about, step, :callback) do
    case continued(about, step) do
      {:ok, callback} -> add(chain, callback)
      :none -> sender_unknown(chain, step)
    end
  end

  defp sender_cut(chain, %Step{call: call} = step) do
    ends(
      chain,
      :limit,
      "a limit kept out who called #{inspect(step.pid)}: it stands among the arguments of #{Function.label(call.mfa)}; record with " <>
        "higher limits:"
    )
  end

  defp sender_unknown(chain, step) do
    ends(
      chain,
      :sender_unknown,
      "who sent #{inspect(step.message, limit: 5, printable_limit: 50)} to #{inspect(step.pid)} is not looked for: only calls " <>
        "say who sent them; where messages are recorded, ElixirScope.messages/1 may know"
    )
  end

  # `handle_continue/2` goes on for the callback directly before it, which named the message.
  defp continued(about, %Step{call: %{mfa: {module, :handle_continue, 2}}, message: message} = step) do
    with {:ok, process} <- Server.numbers(step.pid),
         {:ok, begin, ending} <-
           Query.History.Cause.ended_last(about.recording, process, step.call.started, step.call.id),
         %Event{kind: :return, mfa: {^module, _, _}, data: %{value: value}} when is_tuple(value) <- ending,
         {:continue, ^message} <- elem(value, tuple_size(value) - 1) do
      {:ok, callback(begin)}
    else
      _something_else -> :none
    end
  end

  defp continued(_about, _step), do: :none

  defp callback(begin) do
    call = Query.History.Cause.call(begin, nil)
    %{message: message, from: from} = said(call)
    %Step{kind: :callback, time: begin.time, pid: begin.pid, call: call, message: message, from: from}
  end

  defp said(%{mfa: {_, :init, 1}, args: args} = call), do: Query.History.Cause.message(call.mfa, args, :init)
  defp said(call), do: Query.History.Cause.message(call.mfa, call.args)

  # What ran in a process when another one began something for it.
  defp running(chain, about, pid, time, id, none) do
    recording = about.recording

    with true <- node(pid) == node() or not recording.live? or :elsewhere,
         {:ok, process} <- Server.numbers(pid),
         true <- Native.has_process(recording.handle, process) or :unseen,
         module = server_module(recording, process, time),
         {complete, [_ | _] = frames} <-
           Query.History.Cause.stack(recording, process, time, id, &server?(&1, module)) do
      # One that began before events were lost may have ended among them.
      case Enum.split_while(frames, &(Gaps.touching(about.gaps, &1.time, time) == [])) do
        {sure, []} ->
          chain
          |> frames(sure, module)
          |> end_of_frames(complete, pid, Gaps.touching(about.gaps, 0, time))

        {sure, [frame | _]} ->
          gaps = Gaps.touching(about.gaps, frame.time, time)
          chain |> frames(sure, module) |> lost_frames(pid, gaps)
      end
    else
      :elsewhere ->
        ends(chain, :not_instrumented, "#{inspect(pid)} is a process of another node")

      :unseen ->
        none.(chain, pid, "no instrumented function has run in it")

      {:limit, []} ->
        end_of_frames(chain, :limit, pid, Gaps.touching(about.gaps, 0, time))

      {_complete, []} ->
        nothing_open(chain, about, pid, time, none)
    end
  end

  defp nothing_open(chain, about, pid, time, none) do
    case Gaps.touching(about.gaps, 0, time) do
      [] ->
        none.(chain, pid, "no instrumented function was running in it at that time")

      gaps ->
        lost_frames(chain, pid, gaps)
    end
  end

  defp lost_frames(chain, pid, gaps) do
    ends(
      chain,
      :lost,
      "events are missing #{Gaps.text(gaps)}: nobody knows what else was running in #{inspect(pid)}"
    )
  end

  defp not_running(chain, pid, why), do: ends(chain, :not_instrumented, "#{inspect(pid)} sent it, and #{why}")

  # A process that has a state is a server of the module that the state's callback is of.
  defp server_module(recording, process, time) do
    case Native.state_at(recording.handle, process, time) do
      {known, native} when known in [:known, :lost] ->
        native |> Event.from_native() |> Map.get(:mfa) |> elem(0)

      # Its first callback, which may be `init/1`.
      _none ->
        nil
    end
  end

  # Behind the callback that gen_server called there is nothing of interest. One that was called as a plain function has
  # no sender among its arguments.
  defp server?(%Event{mfa: {module, :handle_call, 3}, data: %{args: [_, {pid, _}, _]}}, module)
       when is_pid(pid),
       do: true

  defp server?(%Event{mfa: {module, name, 2}}, module),
    do: name in [:handle_cast, :handle_info, :handle_continue]

  defp server?(%Event{mfa: {_module, :init, 1}}, nil), do: true
  defp server?(%Event{mfa: {module, :handle_event, 4}}, module), do: true

  defp server?(%Event{mfa: {module, _, 3}, data: %{args: [{:call, {pid, _}}, _, _]}}, module)
       when is_pid(pid),
       do: true

  defp server?(_event, _module), do: false

  defp frames(chain, frames, module) do
    parents = frames |> Enum.drop(1) |> Enum.map(& &1.id)

    frames
    |> Enum.zip(parents ++ [nil])
    |> Enum.reduce(chain, fn {begin, parent}, chain ->
      if server?(begin, module),
        do: add(chain, callback(begin)),
        else:
          add(chain, %Step{
            kind: :call,
            time: begin.time,
            pid: begin.pid,
            call: Query.History.Cause.call(begin, parent)
          })
    end)
  end

  # What began further back than is known: events are missing there, or there are too many.
  defp end_of_frames(chain, :limit, pid, [_ | _] = gaps), do: lost_frames(chain, pid, gaps)

  defp end_of_frames(chain, :limit, _pid, []) do
    ends(chain, :limit, "what called that began too many events ago to be looked for")
  end

  defp end_of_frames(chain, _complete, _pid, _gaps), do: chain

  # Who began a process waits until its `init/1` is done.
  defp starter(chain, about, %Step{pid: pid, time: time, call: call}) do
    with {:ok, process} <- Server.numbers(pid),
         {:ok, parent} <- parent(about.recording, process, time) do
      running(chain, about, parent, call.started, call.id, &begun/3)
      |> begun_by(chain, parent, call.started)
    else
      _unknown ->
        ends(chain, :init_argument, "#{inspect(pid)} began with it; what began the process is not recorded")
    end
  end

  # Where steps were added, the first of them is that a process began another.
  defp begun_by(%Chain{steps: steps} = followed, %Chain{steps: before}, parent, time)
       when length(steps) > length(before) do
    {before, added} = Enum.split(steps, length(before))
    %{followed | steps: before ++ [%Step{kind: :start, time: time, pid: parent} | added]}
  end

  defp begun_by(followed, _chain, _parent, _time), do: followed

  defp begun(chain, pid, why),
    do:
      ends(chain, :init_argument, "the process began with it; #{inspect(pid)} began the process, and #{why}")

  defp parent(recording, process, time) do
    with native when native != nil <- History.event(recording, process, ["process"]),
         %Event{data: %{ancestors: [parent | _]}} <- Event.from_native(native) do
      pid_of(recording, parent, time)
    else
      _unknown -> :none
    end
  end

  defp pid_of(_recording, pid, _time) when is_pid(pid), do: {:ok, pid}

  # Who registered a name before it began others is known by it.
  defp pid_of(recording, name, time) when is_atom(name) do
    with {_, _} = process <- Native.named(recording.handle, Atom.to_string(name), time),
         native when native != nil <- History.event(recording, process, []) do
      {:ok, elem(native, 3)}
    else
      _unknown -> :none
    end
  end

  defp pid_of(_recording, _other, _time), do: :none
end
