defmodule ElixirScope.Case.FlowCandidates do
  @moduledoc false
  # What was recorded of the kind that a step of a flow is about, in the test's processes and time, as `ElixirScope.Case.FlowSearch` takes
  # it. Of a process that is named also what is none of the test's: who names it means it.

  alias ElixirScope.Case.Scope
  alias ElixirScope.{Call, Error, Event, Events, Message, Native, Query}
  alias ElixirScope.Query.{Messages, Processes, Unseen}

  @forever 0xFFFFFFFFFFFFFFFF

  @typedoc """
  `thing` is what the test is given, `place` what causes are asked about. The subject is the processes that it is of, and the values of which one is
  to match the pattern: none, where it was not recorded.
  """
  @type t :: %{
          key: {atom, term},
          at: {non_neg_integer, non_neg_integer},
          subject: {tuple, [term]},
          thing: Call.t() | Message.t() | Event.t(),
          place: term
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
    bounds = [pid: family.pids, since: family.since]

    with {:ok, filter} <- Query.filter(family.recording, [mfa: mfa] ++ bounds),
         [] <- calls(filter, family.recording),
         {:ok, []} <- Query.calls(mfa, [in: family.recording] ++ bounds),
         nil <- Unseen.reason(module, function, arity) do
      {:ok, []}
    else
      [_ | _] = calls -> {:ok, Enum.flat_map(calls, &of_call(kind, &1))}
      # Recorded between the two questions.
      {:ok, _calls} -> {:ok, []}
      {:error, error} -> {:error, error}
      reason -> Error.new(:not_instrumented, reason)
    end
  end

  defp candidates(%{kind: :state, processes: [server]}, family) do
    with {:ok, pids} <- pids(server, family),
         {:ok, events} <- events(:state, pids, family) do
      {:ok,
       for %Event{data: data} = event <- events, data == nil or data.origin != :restated do
         candidate(:state, event, {event.pid}, if(data, do: [data.state], else: []))
       end}
    end
  end

  defp candidates(%{kind: :exited, processes: [process]}, family) do
    with {:ok, pids} <- pids(process, family),
         {:ok, events} <- events(:exit, pids, family) do
      exits =
        for event <- events,
            do: candidate(:exit, event, {event.pid}, if(event.data, do: [event.data.reason], else: []))

      if exits == [], do: none_exited(process, family), else: {:ok, exits}
    end
  end

  defp candidates(%{kind: :message, processes: [from, to]}, family) do
    ends = for {key, {:process, process}} <- [from: from, to: to], do: {key, process}
    # Messages of others are nobody's business, unless both ends are named.
    family_only = if length(ends) < 2, do: [pid: family.pids], else: []

    with {:ok, messages} <-
           Messages.messages([in: family.recording, since: family.since] ++ ends ++ family_only) do
      {:ok, Enum.map(messages, &of_message/1)}
    else
      {:error, %Error{reason: :not_watched} = error} ->
        {:error, %{error | message: error.message <> advice(family)}}

      error ->
        error
    end
  end

  defp advice(family) do
    if family.since > 0 and Enum.any?(family.pids, &told?(family.recording, &1)),
      do: "",
      else:
        ". In a test: {:ok, _} = ElixirScope.watch([self(), server]) before what is to be seen, or `config :elixir_scope, watch: :instrumented` " <>
          "for all that run instrumented code (since OTP 27 that is so without a word)"
  end

  # The end of a call as it stands in the recording, with its number.
  defp calls(:nothing, _recording), do: []

  defp calls(filter, recording) do
    for native <- Native.calls(recording.handle, filter, @forever),
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
        thing: call,
        place: call
      }
    ]
  end

  defp of_call(:returned, {%{outcome: :returned} = call, ended}),
    do: [of_end(:return, call, ended, [call.return])]

  defp of_call(:raised, {%{outcome: :raised, exception: %{} = exception} = call, ended}),
    do: [of_end(:raise, call, ended, reasons(exception))]

  defp of_call(_kind, _another_end), do: []

  # What the VM raises by itself is an atom, or a tuple, until it is made an exception.
  defp reasons(%{kind: :error, reason: reason}) when not is_exception(reason),
    do: [reason, Exception.normalize(:error, reason, [])]

  defp reasons(%{reason: reason}), do: [reason]

  defp of_end(kind, call, ended, endings) do
    %{
      key: {kind, call.id},
      at: {call.finished, ended},
      subject: {{call.pid}, if(call.args, do: for(ending <- endings, do: {call.args, ending}), else: [])},
      thing: call,
      place: %Event{id: ended, time: call.finished, pid: call.pid}
    }
  end

  defp candidate(kind, event, pids, values) do
    %{key: {kind, event.id}, at: {event.time, event.id}, subject: {pids, values}, thing: event, place: event}
  end

  defp of_message(message) do
    first = message.sent || message.delivered

    %{
      key: {:message, first.id},
      at: {first.time, first.id},
      subject: {{message.from, message.to}, said(message)},
      thing: message,
      place: message
    }
  end

  @doc "What a message says: all of it, and without what OTP puts around it."
  @spec said(Message.t()) :: [term]
  def said(%Message{kind: :call, content: {_, _, request} = content}), do: [content, request]
  def said(%Message{kind: :cast, content: {_, request} = content}), do: [content, request]
  def said(%Message{kind: :reply, content: {_, reply} = content}), do: [content, reply]
  def said(%Message{content: content}), do: [content]

  defp events(kind, pids, family) do
    with {:ok, filter} <- Query.filter(family.recording, kind: kind, pid: pids, since: family.since) do
      {:ok, Enum.to_list(%Events{recording: family.recording, filter: filter, limit: :infinity})}
    end
  end

  defp pids(:any, family), do: {:ok, family.pids}
  defp pids({:process, process}, family), do: Messages.pids(family.recording, process, @forever)

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
  @spec unseen(map, [t], Scope.t()) :: String.t() | nil
  def unseen(step, candidates, family) do
    cond do
      Enum.any?(candidates, &match?(%{subject: {_pids, []}}, &1)) ->
        "of some that were recorded the values are not: see the options :args and :returns of `use ElixirScope`"

      step.kind == :message ->
        unheard(step.processes, family)

      step.kind == :exited ->
        unwatched(step.processes, family)

      true ->
        nil
    end
  end

  # A message is seen where either end is watched.
  defp unheard([from, to], family) do
    ends = for {:process, process} <- [from, to], do: process

    named =
      with [_ | _] <- ends,
           {:ok, pids} <- Messages.pids(family.recording, ends, @forever),
           do: pids,
           else: (_ -> [])

    silent = Enum.reject(if(ends == [], do: family.pids, else: named), &told?(family.recording, &1))

    if if(ends == [], do: silent != [], else: silent == named) do
      "messages of #{Enum.map_join(Enum.take(silent, 5), ", ", &inspect/1)} are not recorded; " <>
        "watch them before: ElixirScope.watch([self(), server], spawned: true)"
    end
  end

  defp unwatched([:any], family) do
    silent = Enum.reject(family.pids, &told?(family.recording, &1))

    if silent != [],
      do:
        "the ends of #{Enum.map_join(Enum.take(silent, 5), ", ", &inspect/1)} are not recorded; " <>
          "watch them before: ElixirScope.watch(self(), spawned: true)"
  end

  defp unwatched([_named], _family), do: nil

  defp told?(recording, pid), do: Messages.may_be_seen?(recording, pid)
end
