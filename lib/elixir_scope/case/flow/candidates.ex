defmodule ElixirScope.Case.Flow.Candidates do
  @moduledoc false
  # What was recorded of the kind that a step of a flow is about, in the test's processes and time, as `ElixirScope.Case.Flow.Search` takes
  # it. Of a process that is named also what is none of the test's: who names it means it.

  alias ElixirScope.Case.{Flow, Said, Scope, Seen}
  alias ElixirScope.{Call, Cut, Error, Event, Native, Query}
  alias ElixirScope.Query.{FirstCut, Messages, Processes}

  @forever 0xFFFFFFFFFFFFFFFF

  @typedoc """
  `thing` is what the test is given, `place` what causes are asked about. The subject is the processes that it is of, and the values of which one is
  to match the pattern. `parts` are the same as lists of parts, with an `ElixirScope.Cut` for each that is not known.
  """
  @type t :: %{
          key: {atom, term},
          at: {non_neg_integer, non_neg_integer},
          subject: {tuple, [term]},
          parts: [[term]],
          thing: Call.t() | Event.t(),
          place: Event.t()
        }

  @doc "The candidates of a step by time, or why none could have been seen."
  @spec of(map, Scope.t()) :: {:ok, [t]} | {:error, String.t()}
  def of(step, family) do
    case candidates(step, family) do
      {:ok, candidates} -> {:ok, Enum.sort_by(candidates, & &1.at)}
      {:error, %Error{message: message}} -> {:error, message}
    end
  end

  defp candidates(%{kind: kind, mfa: {module, function, arity} = mfa}, family)
       when kind in [:call, :returned, :raised] do
    handle = family.recording.handle
    sites = Native.sites_of(handle, Atom.to_string(module), Atom.to_string(function), arity)

    case calls(family, for({key, _counted?} <- sites, do: key)) do
      [] -> if reason = Seen.reason(mfa, sites), do: Error.new(:not_instrumented, reason), else: {:ok, []}
      calls -> {:ok, Enum.flat_map(calls, &of_call(kind, &1))}
    end
  end

  defp candidates(%{kind: :state, processes: [server]}, family) do
    with {:ok, events} <- events("state", server, family) do
      {:ok,
       for %Event{data: data} = event <- events, data == nil or data.origin != :restated do
         of_event(:state, event, data && {:ok, data.state})
       end}
    end
  end

  defp candidates(%{kind: :exited, processes: [process]}, family) do
    with {:ok, events} <- events("exit", process, family) do
      if events == [],
        do: none_exited(process, family),
        else: {:ok, for(event <- events, do: of_event(:exit, event, event.data && {:ok, event.data.reason}))}
    end
  end

  defp candidates(%{kind: :message, processes: [from, to]}, family) do
    with {:ok, from} <- named(from, family),
         {:ok, to} <- named(to, family),
         {:ok, messages} <- Flow.Messages.between(family, from, to) do
      {:ok, Enum.map(messages, &of_message/1)}
    end
  end

  defp calls(%{processes: processes}, sites) when processes == [] or sites == [], do: []

  # Each with the number of the event of its end.
  defp calls(family, sites) do
    filter = %{kinds: [], processes: family.processes, sites: sites, since: family.since, until: @forever}

    for native <- Native.calls(family.recording.handle, filter, @forever),
        do: {Call.from_native(native), ended(native)}
  end

  defp ended({_begin, _parent, _chain, _tail, {_how, ending}}), do: elem(ending, 0)
  defp ended({_begin, _parent, _chain, _tail, _open_or_unknown}), do: nil

  defp of_call(:call, {call, _ended}) do
    [
      %{
        key: {:call, call.id},
        at: {call.started, call.id},
        subject: {{call.pid}, List.wrap(call.args && [call.args])},
        parts: [args(call)],
        thing: call,
        place: begin(call)
      }
    ]
  end

  defp of_call(:returned, {%{outcome: :returned} = call, ended}),
    do: [of_end(:return, call, ended, [call.return])]

  defp of_call(:raised, {%{outcome: :raised, exception: %{} = exception} = call, ended}),
    do: [of_end(:raise, call, ended, reasons(exception))]

  # It may have ended in this way.
  defp of_call(kind, {%{outcome: :unknown} = call, _ended}) do
    [
      %{
        key: {kind, call.id},
        at: {call.started, call.id},
        subject: {{call.pid}, []},
        parts: [args(call) ++ [%Cut{}]],
        thing: call,
        place: begin(call)
      }
    ]
  end

  defp of_call(_kind, _another_end), do: []

  defp begin(call), do: %Event{id: call.id, time: call.started, pid: call.pid}

  defp args(%{args: nil, mfa: {_module, _function, arity}}), do: List.duplicate(%Cut{}, arity)
  defp args(%{args: args}), do: args

  # What the VM raises by itself is an atom, or a tuple, until it is made an exception.
  defp reasons(%{kind: :error, reason: reason, stack: stack}) when not is_exception(reason),
    do: [reason, Exception.normalize(:error, reason, stack)]

  defp reasons(%{reason: reason}), do: [reason]

  defp of_end(kind, call, ended, endings) do
    %{
      key: {kind, call.id},
      at: {call.finished, ended},
      subject: {{call.pid}, if(call.args, do: for(ending <- endings, do: {call.args, ending}), else: [])},
      parts: for(ending <- endings, do: args(call) ++ [ending]),
      thing: call,
      place: %Event{id: ended, time: call.finished, pid: call.pid}
    }
  end

  defp of_event(kind, event, value) do
    %{
      key: {kind, event.id},
      at: {event.time, event.id},
      subject: {{event.pid}, with({:ok, value} <- value, do: [value], else: (_unknown -> []))},
      parts: [with({:ok, value} <- value, do: [value], else: (_unknown -> [%Cut{}]))],
      thing: event,
      place: event
    }
  end

  defp of_message(%{event: event, from: from, to: to}) do
    said = Said.all(event.data.message)

    %{
      key: {:message, event.id},
      at: {event.time, event.id},
      subject: {{from, to}, said},
      parts: Enum.map(said, &[&1]),
      thing: event,
      place: event
    }
  end

  defp events(kind, process, family) do
    with {:ok, pids} <- named(process, family) do
      processes = if pids == :any, do: family.processes, else: Flow.Messages.numbers(pids)

      {:ok,
       if(processes == [],
         do: [],
         else: Enum.to_list(Processes.stream(family.recording, [kind], processes, family.since, @forever))
       )}
    end
  end

  # A name stands for all that had it.
  defp named(:any, _family), do: {:ok, :any}
  defp named({:process, process}, family), do: Messages.pids(family.recording, process, @forever)

  # It may live, or nobody told of its end.
  defp none_exited({:process, process}, family) do
    case Query.Exits.why(process, in: family.recording) do
      {:error, %Error{reason: reason} = error} when reason in [:not_watched, :bad_server] -> {:error, error}
      _lives_or_ended_before -> {:ok, []}
    end
  end

  defp none_exited(:any, family) do
    if Processes.watched?(family.recording),
      do: {:ok, []},
      else:
        Error.new(
          :not_watched,
          "no end of a process was recorded: processes tell it when they are watched; say ElixirScope.watch(self(), spawned: true) in " <>
            "the test before they are made"
        )
  end

  @doc "What may have happened and was not seen, so that nothing can be said of its absence; `nil`: nothing."
  @spec unseen(map, [t], Scope.t(), tuple) :: String.t() | nil
  def unseen(step, candidates, family, bound) do
    doubtful = Enum.count(candidates, &doubtful?(&1, step, bound))

    cond do
      doubtful > 0 ->
        "of #{doubtful} that may match #{step.text} a part is not in the recording (limits:, redact:, args:, returns: or lost events)."

      step.kind == :message ->
        [from, to] = for {:ok, pids} <- Enum.map(step.processes, &named(&1, family)), do: pids
        Flow.Messages.unheard(family, from, to)

      step.kind == :exited ->
        unwatched(step.processes, family)

      true ->
        nil
    end
  end

  # What is not known of it may be what is asked for, and all that is known is.
  defp doubtful?(candidate, step, bound) do
    (step.uses != [] or step.match.(candidate.subject, bound) == :error) and
      Enum.any?(candidate.parts, &doubtful_parts?(&1, step.possible))
  end

  defp doubtful_parts?(parts, possible) do
    cut? = Enum.map(parts, &(FirstCut.find(&1) != nil))

    Enum.any?(cut?) and
      Enum.all?(Enum.zip([parts, cut?, possible]), fn {part, cut?, possible?} -> cut? or possible?.(part) end)
  end

  # Who lives has not ended.
  defp unwatched([:any], family) do
    silent =
      Enum.reject(family.pids, fn pid ->
        node(pid) != node() or Process.alive?(pid) or told?(family.recording, pid)
      end)

    if silent != [],
      do:
        "the ends of #{Enum.map_join(Enum.take(silent, 5), ", ", &inspect/1)} are not recorded; " <>
          "watch them before: ElixirScope.watch(self(), spawned: true)"
  end

  defp unwatched([_named], _family), do: nil

  defp told?(recording, pid) do
    recording
    |> Processes.stream(["spawned", "exit"], Flow.Messages.numbers([pid]), 0, @forever)
    |> Enum.any?()
  end
end
