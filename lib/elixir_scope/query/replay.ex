defmodule ElixirScope.Query.Replay do
  @moduledoc false
  # A recorded callback, run again with the code as it is now.

  alias ElixirScope.Capture.Servers
  alias ElixirScope.{Call, Cursor, Cut, Difference, Error, Event, Native, Query, Recording, Replay}
  alias ElixirScope.Query.{Moment, Server, Stack}

  @forever 0xFFFFFFFFFFFFFFFF
  @timeout 5_000

  @typedoc "A callback that was recorded: its call, where its arguments hold the state, and what it returns."
  @type moment :: %{
          recording: Recording.t(),
          call: Call.t(),
          state: {:ok, term} | :none,
          message: [term],
          callback: Servers.callback()
        }

  @doc "See `ElixirScope.replay/3`."
  @spec replay(Server.t(), Moment.t(), keyword) :: {:ok, Replay.t()} | {:error, Error.t()}
  def replay(server, time, options) do
    with :ok <- Query.check(options, [:in, :timeout]),
         {:ok, timeout} <- timeout(Keyword.get(options, :timeout, @timeout)),
         {:ok, moment} <- moment(server, time, Keyword.take(options, [:in])),
         {:ok, result} <- run(moment.call.mfa, moment.call.args, timeout) do
      {:ok, compared(moment, recorded(moment), with_state(result, moment))}
    end
  end

  defp timeout(time) when is_integer(time) and time > 0, do: {:ok, time}

  defp timeout(other) do
    Error.new(
      :bad_option,
      "expected timeout: milliseconds that the callback may take, got: #{inspect(other)}"
    )
  end

  @doc "The last callback of a server that had begun by a time."
  @spec moment(Server.t(), Moment.t(), keyword) :: {:ok, moment} | {:error, Error.t()}
  def moment(server, time, options) do
    given = time

    with {:ok, recording} <- Query.recording(options),
         {:ok, time, before} <- point(recording, time),
         :ok <- Query.within(recording, time),
         {:ok, process} <- Server.find(recording, server, time),
         callbacks = recording |> callbacks() |> without_last(given),
         {:ok, event} <- begun(recording, process, callbacks, time, before, server),
         :ok <- known(recording, event, time, server),
         {:ok, call} <- call(recording, process, event),
         :ok <- whole(call, server) do
      {:ok, moment_of(recording, call, Map.fetch!(callbacks, call.mfa))}
    end
  end

  # Of two callbacks that begin at one time, the one that is given.
  defp point(_recording, %Event{time: time, id: id}), do: {:ok, time, id + 1}
  defp point(_recording, %Call{started: time, id: id}), do: {:ok, time, id + 1}
  defp point(_recording, %Cursor{event: %Event{id: id}, time: time}), do: {:ok, time, id + 1}

  defp point(recording, time),
    do: with({:ok, time} <- Moment.find(recording, time), do: {:ok, time, @forever})

  # The callbacks of all modules in the recording that this VM has too.
  defp callbacks(recording) do
    functions =
      for {_key, {mfa, _, {_, :function, _, _}}} <- Native.sites(recording.handle), uniq: true, do: mfa

    functions
    |> Enum.group_by(&elem(&1, 0), fn {_, function, arity} -> {function, arity} end)
    |> Enum.flat_map(fn {module, functions} ->
      for {{function, arity}, callback} <- Servers.callbacks(behaviours(module), functions),
          do: {{module, function, arity}, callback}
    end)
    |> Map.new()
  end

  # After a crash, it is the callback that crashed which is asked about, unless its call is given.
  defp without_last(callbacks, %{mfa: mfa}) when is_map_key(callbacks, mfa), do: callbacks

  defp without_last(callbacks, _given) do
    for {_mfa, {_where, {_loops, _origin, shape}}} = callback <- callbacks,
        shape != :nothing,
        into: %{},
        do: callback
  end

  defp behaviours(module) do
    if Code.ensure_loaded?(module) do
      for {:behaviour, behaviours} <- module.module_info(:attributes), behaviour <- behaviours, do: behaviour
    else
      # As most servers are; it is told below that the code is not there.
      [GenServer]
    end
  end

  defp begun(recording, process, callbacks, time, before, server) do
    keys = for {key, {mfa, _, _}} <- Native.sites(recording.handle), is_map_key(callbacks, mfa), do: key
    filter = %{kinds: ["call"], processes: [process], sites: keys, since: 0, until: time}

    with [event] <- recording |> Stack.stream(filter, :prev, before) |> Enum.take(1) do
      # A callback may call another one, or itself; the loop of the server calls the outermost.
      {around, _whole?} = Stack.open_calls(recording, process, event.id)
      {:ok, around |> Enum.reverse() |> Enum.find(event, &is_map_key(callbacks, &1.mfa))}
    else
      [] ->
        Error.new(
          :no_callback,
          "expected a moment by which a callback of #{inspect(server)} had begun, got #{Moment.format(time)}; callbacks are those of " <>
            "GenServer, gen_statem and the like whose module is instrumented, and whose code this VM has (those of Agents are functions " <>
            "of others)"
        )
    end
  end

  defp known(recording, event, time, server) do
    case Query.Cursor.gaps(recording, event.time, time) do
      [] ->
        :ok

      [gap | _] ->
        Error.new(
          :lost,
          "which callback of #{inspect(server)} ran last by #{Moment.format(time)} is unknown: events are missing since " <>
            "#{Moment.format(gap.from)} (#{gap.cause}); the last that is known began at #{event.time}"
        )
    end
  end

  defp call(recording, process, event) do
    case Stack.call(recording, process, event) do
      %Call{} = call ->
        {:ok, call}

      nil ->
        Error.new(:lost, "the call of #{format(event.mfa)} at #{Moment.format(event.time)} cannot be read")
    end
  end

  defp whole(%Call{mfa: {module, function, arity} = mfa} = call, server) do
    cond do
      call.args == nil ->
        Error.new(
          :no_state,
          "what #{format(mfa)} was given at #{Moment.format(call.started)} was not recorded; its module says `args: false`"
        )

      found = cut(call.args) ->
        {position, cut} = found

        Error.new(
          :cut,
          "what #{format(mfa)} was given at #{Moment.format(call.started)} is not whole, #{Cut.by(cut)} kept out a part of " <>
            "argument #{position} of #{arity}: #{inspect(cut)}; #{Cut.remedy(cut)}"
        )

      not (Code.ensure_loaded?(module) and function_exported?(module, function, arity)) ->
        Error.new(
          :no_callback,
          "expected that this VM has the code of #{inspect(server)}, but there is no #{format(mfa)}; run `iex -S mix` in its project"
        )

      true ->
        :ok
    end
  end

  defp format({module, function, arity}), do: Exception.format_mfa(module, function, arity)

  # The argument that something was cut out of, and the cut.
  defp cut(args) do
    args
    |> Enum.with_index(1)
    |> Enum.find_value(fn {arg, position} -> if found = cut_in(arg), do: {position, found} end)
  end

  @doc "Something in a term that was kept out, or `nil`."
  @spec cut_in(term) :: Cut.t() | nil
  def cut_in(%Cut{} = cut), do: cut
  def cut_in(%_{} = struct), do: struct |> Map.from_struct() |> cut_in()
  def cut_in(map) when is_map(map), do: map |> Map.to_list() |> cut_in()
  def cut_in([head | tail]), do: cut_in(head) || cut_in(tail)
  def cut_in(tuple) when is_tuple(tuple), do: tuple |> Tuple.to_list() |> cut_in()
  def cut_in(_leaf), do: nil

  defp moment_of(recording, call, {where, callback}) do
    {_, function, _} = call.mfa
    {state, message} = parts(where, call.args, function)
    %{recording: recording, call: call, state: state, message: message, callback: callback}
  end

  defp parts(:nowhere, args, _function), do: {:none, args}

  defp parts(position, args, _function) when is_integer(position),
    do: {{:ok, Enum.at(args, position - 1)}, List.delete_at(args, position - 1)}

  defp parts(places, args, function) do
    state = for place <- places, do: if(place == :function, do: function, else: Enum.at(args, place - 1))
    left = for {arg, position} <- Enum.with_index(args, 1), position not in places, do: arg
    {{:ok, List.to_tuple(state)}, left}
  end

  defp recorded(%{call: %Call{outcome: :returned} = call} = moment),
    do: with_state(%{outcome: :returned, return: call.return}, moment)

  defp recorded(%{call: %Call{outcome: :raised} = call}), do: %{outcome: :raised, exception: call.exception}
  defp recorded(%{call: call}), do: %{outcome: call.outcome}

  defp with_state(%{outcome: :returned, return: return} = result, moment),
    do: Map.put(result, :state, new_state(moment, return))

  defp with_state(result, _moment), do: result

  defp new_state(%{callback: {_loops, _origin, :transition}, state: state}, kept)
       when kept in [:keep_state_and_data, :repeat_state_and_data],
       do: state

  defp new_state(%{callback: {_loops, _origin, :transition}, state: state}, {kept, _actions})
       when kept in [:keep_state_and_data, :repeat_state_and_data],
       do: state

  defp new_state(%{callback: {_loops, _origin, shape}, state: state}, return) do
    before = with {:ok, state} <- state, do: state
    Servers.state(shape, return, before)
  end

  # In a process of its own, of which nothing is recorded. It ends with the caller.
  defp run({module, function, _arity}, args, timeout) do
    caller = self()
    tag = make_ref()

    {pid, monitor} =
      spawn_monitor(fn ->
        watch(caller)
        muted = Native.mute()
        Process.put(:"$callers", [caller])
        send(caller, {tag, if(muted, do: outcome(module, function, args), else: :no_room)})
      end)

    try do
      receive do
        {^tag, :no_room} -> Error.new(:in_use, "too many callbacks are replayed at once; try it again")
        {^tag, result} -> {:ok, result}
        {:DOWN, ^monitor, :process, ^pid, reason} -> {:ok, %{outcome: :exited, reason: reason}}
      after
        timeout -> {:ok, %{outcome: :timeout, after: timeout}}
      end
    after
      stop(pid, monitor, tag)
    end
  end

  defp stop(pid, monitor, tag) do
    Process.exit(pid, :kill)
    # Its end may have been told already.
    Process.demonitor(monitor, [:flush])
    monitor = Process.monitor(pid)

    receive do
      {:DOWN, ^monitor, :process, ^pid, _reason} -> :ok
    end

    Native.unmute(pid)

    # It may have ended just when the time was up.
    receive do
      {^tag, _late} -> :ok
    after
      0 -> :ok
    end
  end

  defp watch(caller) do
    replayed = self()

    spawn(fn ->
      monitors = {Process.monitor(caller), Process.monitor(replayed)}

      receive do
        {:DOWN, monitor, _, _, _} when monitor in [elem(monitors, 0), elem(monitors, 1)] ->
          Process.exit(replayed, :kill)
      end
    end)
  end

  defp outcome(module, function, args) do
    %{outcome: :returned, return: apply(module, function, args)}
  catch
    kind, reason ->
      # As it is recorded.
      reason = if kind == :error, do: Exception.normalize(:error, reason, __STACKTRACE__), else: reason
      %{outcome: :raised, exception: %{kind: kind, reason: reason, stack: __STACKTRACE__}}
  end

  defp compared(moment, recorded, replayed) do
    %Replay{
      recording: moment.recording,
      call: moment.call,
      message: moment.message,
      state: moment.state,
      recorded: recorded,
      replayed: replayed,
      same?: same?(recorded, replayed),
      result_difference: difference(Map.fetch(recorded, :return), Map.fetch(replayed, :return)),
      state_difference: difference(Map.get(recorded, :state, :none), Map.get(replayed, :state, :none))
    }
  end

  defp same?(%{outcome: unknown}, _replayed) when unknown in [:open, :unknown], do: nil

  defp same?(%{outcome: :returned, return: old}, %{outcome: :returned, return: new}),
    do: old === new or if(cut_in(old), do: nil, else: false)

  defp same?(%{outcome: :raised, exception: old}, %{outcome: :raised, exception: new}),
    do: {old.kind, normal(old)} === {new.kind, normal(new)}

  defp same?(_recorded, _replayed), do: false

  defp normal(%{kind: :error, reason: reason, stack: stack}), do: Exception.normalize(:error, reason, stack)
  defp normal(%{reason: reason}), do: reason

  defp difference({:ok, old}, {:ok, new}), do: Difference.of(old, new)
  defp difference(_old, _new), do: nil
end
