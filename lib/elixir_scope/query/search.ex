defmodule ElixirScope.Query.Search do
  @moduledoc false
  # When something became true of a state. A value that is not there is no match; of one that was kept out nobody can say. Within
  # what the function is given redaction may have kept out a part: that is the same in all states, so it finds the rest.

  alias ElixirScope.{Cut, Difference, Error, Event, Native, Path, Query}
  alias ElixirScope.Query.{FirstCut, Gaps, History, Moment, Server, States}

  @latest 0x7FFFFFFFFFFFFFFF
  # Kept out of every state alike.
  @by_name [:redacted, :left_out]

  @doc "See `ElixirScope.last_change/4`."
  def last_change(server, path, predicate, options) do
    with :ok <- Query.check(options, [:before, :in]),
         {:ok, path} <- History.check_path(path),
         :ok <- predicate(predicate),
         {:ok, recording} <- Query.recording(options),
         {:ok, before} <- History.bound(options, :before, @latest),
         {:ok, process} <- Server.find(recording, server, before),
         {:ok, pid} <- History.pid(recording, process, server),
         {:ok, about} <- History.about(recording, process),
         {:ok, found} <- answered(fn -> newest(about, path, predicate, before) end) do
      found(found, about, path: path, pid: pid, until: before)
    end
  end

  # Newest first. What stands between two states that touch the path is known from the older one.
  defp newest(about, path, predicate, until) do
    about.recording
    |> History.touching(about.process, path, until)
    |> History.with_older()
    |> Enum.reduce_while({nil, nil, nil}, fn {state, older}, {nil, passed, clear} ->
      {held, clear} = holds(state, path, predicate, clear)

      if held == true and not holds?(older, path, predicate),
        do: {:halt, {state, passed, clear}},
        else: {:cont, {nil, worse(passed, held), clear}}
    end)
    |> Tuple.delete_at(2)
  end

  defp found({nil, passed}, about, bounds) do
    Error.new(
      :no_change,
      "the function did not become true of #{inspect(bounds[:pid])}#{at(bounds[:path])} by #{until(bounds[:until])}, in no state that is known" <>
        missing(about.gaps, 0, bounds[:until]) <> passed(passed)
    )
  end

  defp found({state, passed}, about, bounds) do
    change = History.change(about, state, History.before(about, state))

    hidden = Gaps.behind(about.gaps, state.time, min(bounds[:until], known_until(about.recording)))

    whole(%{change | gaps: Enum.uniq(change.gaps ++ hidden), passed: by_limit(passed)}, bounds[:path])
  end

  # What was passed over and cannot be judged. A limit cuts what it cuts in one state and not in another, so that is the worse.
  defp worse(nil, {:perhaps, state}), do: state
  defp worse(%{cut: %Cut{kind: kind}}, {:perhaps, state}) when kind in @by_name, do: state
  defp worse(passed, _held), do: passed

  defp by_limit(%{cut: %Cut{kind: kind}}) when kind in @by_name, do: nil
  defp by_limit(passed), do: passed

  # An answer that was computed with a stand-in for what a limit kept out is none.
  defp whole(change, path) do
    case Enum.find_value([{:ok, change.state}, change.before], &cut_at(&1, path, :limit)) do
      nil ->
        {:ok, change}

      {at, cut} ->
        Error.new(
          :cut,
          "the function became true of #{inspect(change.pid)}#{at(path)} at #{Moment.format(change.time)} (#{change.time}), but " <>
            "#{Cut.by(cut)} kept out what stood at #{Path.format(at)} (#{inspect(cut)}) of what it was given then or just before; ask " <>
            "with a path to the part that it is about, or #{Cut.remedy(cut)}"
        )
    end
  end

  defp cut_at(:none, _path, _by), do: nil

  defp cut_at({:ok, state}, path, by) do
    with {:ok, value} <- Path.fetch(state, path),
         {within, cut} <- first_cut(value, by) do
      {path ++ within, cut}
    else
      _none -> nil
    end
  end

  defp first_cut(value, :limit), do: FirstCut.by_limit(value)

  defp first_cut(value, :any) do
    case FirstCut.find(value) do
      {_path, %Cut{kind: kind}} = found when kind in @by_name -> FirstCut.by_limit(value) || found
      found -> found
    end
  end

  # A miss says nothing of what is not there.
  defp missing(gaps, since, until) do
    case Gaps.touching(gaps, since, until) do
      [] -> ""
      some -> "; events are missing #{Gaps.text(some)}: it may have become true among them"
    end
  end

  defp passed(nil), do: ""

  defp passed(%{path: at, cut: cut} = passed) do
    "; #{Cut.by(cut)} kept out what stood at #{Path.format(at)} (#{inspect(cut)}) in the state of #{inspect(passed.pid)} of " <>
      "#{Moment.format(passed.time)} (#{passed.time}), so it may have been true there: ask with a path to another part, or #{Cut.remedy(cut)}"
  end

  defp known_until(recording) do
    {_state, started, last} = Native.bounds(recording.handle)
    max(started, last)
  end

  defp until(@latest), do: "the end of the recording"
  defp until(time), do: Moment.format(time)

  defp at([]), do: ""
  defp at(path), do: " at #{Path.format(path)}"

  @doc "See `ElixirScope.first_change/4`."
  def first_change(servers, path, predicate, options) do
    with :ok <- Query.check(options, [:since, :until, :in]),
         {:ok, path} <- History.check_path(path),
         :ok <- predicate(predicate),
         {:ok, recording} <- Query.recording(options),
         {:ok, since} <- History.bound(options, :since, 0),
         {:ok, until} <- History.bound(options, :until, @latest),
         {:ok, processes} <- processes(recording, Query.several(servers), until),
         {:ok, {best, passed}} <-
           answered(fn -> first_of(recording, processes, path, predicate, since, until) end) do
      if best,
        do: earliest(recording, best, passed, path, since),
        else: none_of(recording, servers, passed, path, since, until)
    end
  end

  # Once it became true of one server, of the others only what came before that is of interest.
  defp first_of(recording, processes, path, predicate, since, until) do
    Enum.reduce(processes, {nil, nil}, fn process, {best, passed} ->
      limit = if best, do: elem(best, 1).time, else: until
      {state, unsure} = first_of_one(recording, process, path, predicate, since, limit)

      best =
        if state && (best == nil or {state.time, state.id} < {elem(best, 1).time, elem(best, 1).id}),
          do: {process, state},
          else: best

      # What came behind the answer does not matter.
      before = Enum.filter([passed, unsure], &(&1 != nil and (best == nil or &1.time < elem(best, 1).time)))
      {best, Enum.reduce(before, nil, &worse(&2, {:perhaps, &1}))}
    end)
  end

  # Without a path every state is looked at, the oldest first, up to the one that is looked for.
  defp first_of_one(recording, process, [], predicate, since, until) do
    before = if since > 0, do: recording |> States.stream(process, 0, since - 1, :newest) |> Enum.at(0)

    {_held, state, passed, _clear} =
      recording
      |> States.stream(process, since, until, :oldest)
      |> Enum.reduce_while({holds?(before, [], predicate), nil, nil, nil}, fn state,
                                                                              {held?, nil, passed, clear} ->
        {held, clear} = holds(state, [], predicate, clear)

        if held == true and not held?,
          do: {:halt, {true, state, passed, clear}},
          else: {:cont, {held == true, nil, worse(passed, held), clear}}
      end)

    {state, passed}
  end

  # With one those that did not touch it are left out, which goes backwards alone.
  defp first_of_one(recording, process, path, predicate, since, until) do
    recording
    |> History.touching(process, path, until)
    |> History.with_older()
    |> Stream.take_while(fn {state, _older} -> state.time >= since end)
    |> Enum.reduce({nil, nil, nil}, fn {state, older}, {first, passed, clear} ->
      {held, clear} = holds(state, path, predicate, clear)

      if held == true and not holds?(older, path, predicate),
        do: {state, nil, clear},
        else: {first, worse(passed, held), clear}
    end)
    |> Tuple.delete_at(2)
  end

  defp none_of(recording, servers, passed, path, since, until) do
    with {:ok, gaps} <- Gaps.all(recording) do
      Error.new(
        :no_change,
        "the function did not become true of any state#{at(path)} of #{Enum.map_join(Query.several(servers), ", ", &inspect/1)} by #{until(until)}" <>
          missing(gaps, since, until) <> passed(passed)
      )
    end
  end

  defp earliest(recording, {process, state}, passed, path, since) do
    with {:ok, about} <- History.about(recording, process) do
      change = History.change(about, state, History.before(about, state))
      # In any of them an earlier one may be hidden, of this server or another.
      hidden = Gaps.touching(about.gaps, since, state.time)
      whole(%{change | gaps: Enum.uniq(change.gaps ++ hidden), passed: by_limit(passed)}, path)
    end
  end

  # All servers of a module, or those that are named.
  defp processes(recording, servers, until) do
    known = Enum.filter(Native.processes(recording.handle), fn {_, _, _, _, states, _} -> states > 0 end)

    Enum.reduce_while(servers, {:ok, []}, fn server, {:ok, found} ->
      case of_module(recording, known, server) do
        [] ->
          case Server.find(recording, server, until) do
            {:ok, process} -> {:cont, {:ok, found ++ [process]}}
            {:error, error} -> {:halt, {:error, none(error, server)}}
          end

        some ->
          {:cont, {:ok, found ++ some}}
      end
    end)
  end

  @doc "Which of some processes are servers of a module, and have states."
  @spec servers_of(ElixirScope.Recording.t(), module, [pid]) :: [pid]
  def servers_of(recording, module, pids) do
    with_states =
      for pid <- pids,
          {:ok, process} <- [Server.numbers(pid)],
          History.event(recording, process, ["state"]) != nil,
          do: {pid, process}

    introductions = introductions(recording, for({_pid, process} <- with_states, do: process))

    for {pid, process} <- with_states,
        of_module?(recording, process, Map.get(introductions, pid, []), module),
        do: pid
  end

  # Of these alone: of what other processes said of themselves there is more with each test.
  defp introductions(_recording, []), do: %{}

  defp introductions(recording, processes) do
    filter = %{kinds: ["process"], processes: processes, sites: nil, since: 0, until: @latest}
    {introductions, _next} = Native.events(recording.handle, filter, 0, @latest)
    Enum.group_by(introductions, &elem(&1, 3))
  end

  defp none(%Error{reason: :unknown_process} = error, server) when is_atom(server) do
    %{
      error
      | message:
          "no state of a server of the module #{inspect(server)} was recorded, nor is it the name of a process: #{error.message}"
    }
  end

  defp none(error, _server), do: error

  defp of_module(recording, known, module) when is_atom(module) do
    for {pid, _, _, _, _, introductions} <- known,
        {:ok, process} = Server.numbers(pid),
        of_module?(recording, process, introductions, module),
        do: process
  end

  defp of_module(_recording, _known, _server), do: []

  defp of_module?(recording, process, introductions, module) do
    Enum.any?(introductions, &begun_by?(&1, module)) or state_of?(recording, process, module) or
      agent_of?(recording, process, module)
  end

  defp begun_by?(introduction, module) do
    match?(%Event{data: %{initial_call: {^module, _, _}}}, Event.from_native(introduction))
  end

  # Of an Agent, or a process that was not begun by `proc_lib`, the callbacks say whose server it is.
  defp state_of?(recording, process, module) do
    native = History.event(recording, process, ["state"])
    match?(%Event{mfa: {^module, _, _}}, native && Event.from_native(native))
  end

  # An Agent is of the module whose function it began with.
  defp agent_of?(recording, process, module) do
    native = History.event(recording, process, ["call"])

    case native && Event.from_native(native) do
      %Event{mfa: {Agent.Server, :init, 1}, data: %{args: [{^module, _, _}]}} ->
        true

      %Event{mfa: {Agent.Server, :init, 1}, data: %{args: [fun]}} ->
        is_function(fun) and Function.info(fun, :module) == {:module, module}

      _other ->
        false
    end
  end

  defp predicate(fun) when is_function(fun, 1), do: :ok

  defp predicate(other) do
    Error.new(
      :bad_option,
      "expected a function of one argument, which is given the state, or what stands at the path, got: #{inspect(other)}"
    )
  end

  # The search is in the middle of a stream when the function fails or a limit is met.
  defp answered(search) do
    {:ok, search.()}
  catch
    {__MODULE__, error} -> error
  end

  defp holds?(state, path, predicate), do: match?({true, _}, holds(state, path, predicate, :not_asked))

  # Whether it is true of a state; `{:perhaps, ...}` where it was said not to be of one with a stand-in within. `clear` is a neighbour's value
  # without any: of what it shares in memory with that, which is most of it, nothing is looked at.
  defp holds(nil, _path, _predicate, clear), do: {false, clear}

  defp holds(%Event{} = state, path, predicate, clear) do
    case History.value(state, path) do
      {:ok, value} ->
        if ask(state, value, path, predicate), do: {true, clear}, else: not_of(state, path, value, clear)

      :error ->
        {false, clear}

      {_cut_or_within, cut} ->
        throw({__MODULE__, cut(state, path, cut)})
    end
  end

  defp not_of(_state, _path, _value, :not_asked), do: {false, :not_asked}

  defp not_of(state, path, value, clear) do
    with true <- clear == nil or differs_by_cut?(clear, value),
         {within, cut} <- first_cut(value, :any) do
      {{:perhaps, %{pid: state.pid, time: state.time, path: path ++ within, cut: cut}}, nil}
    else
      _none -> {false, {:ok, value}}
    end
  end

  defp differs_by_cut?(clear, value) do
    Enum.any?(Difference.between(clear, {:ok, value}, []).entries, fn {at, _kind, _old, new} ->
      Path.cut_in(at) != nil or FirstCut.find(new) != nil
    end)
  end

  defp cut(state, path, cut) do
    Error.new(
      :cut,
      "what stood#{at(path)} in the state of #{Moment.format(state.time)} (#{state.time}) was kept out by #{Cut.by(cut)} (#{inspect(cut)}), so " <>
        "the function cannot be asked; #{Cut.remedy(cut)}, or ask about another part or time"
    )
  end

  defp ask(state, value, path, predicate) do
    predicate.(value)
  catch
    kind, reason ->
      throw(
        {__MODULE__,
         Error.new(
           :bad_predicate,
           "the function failed on what stood#{at(path)} in the state of #{inspect(state.pid)} at #{Moment.format(state.time)} " <>
             "(#{state.time}): #{Exception.format_banner(kind, reason, __STACKTRACE__)}; it was given: " <>
             inspect(value, limit: 10, printable_limit: 200) <> perhaps(state, path)
         )}
      )
  end

  # What failed on a stand-in need not be wrong.
  defp perhaps(state, path) do
    case cut_at({:ok, state.data.state}, path, :any) do
      nil ->
        ""

      {at, cut} ->
        "; #{Cut.by(cut)} kept out what stood at #{Path.format(at)} (#{inspect(cut)}), which may be why: leave it out of the " <>
          "function, or #{Cut.remedy(cut)}"
    end
  end
end
