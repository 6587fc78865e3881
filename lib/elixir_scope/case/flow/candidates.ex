defmodule ElixirScope.Case.Flow.Candidates do
  @moduledoc false
  # What was recorded of the kind that a step of a flow is about, in the test's processes and time, as `ElixirScope.Case.Flow.Search` takes
  # it. Of a process that is named also what is none of the test's: who names it means it.

  alias ElixirScope.Case.{Descent, Exited, Flow, Known, Pairs, Quiet, Said, Scope, Seen, Silent, Stated}
  alias ElixirScope.{Call, Cut, Error, Event, Native, Query}
  alias ElixirScope.Query.{Messages, Processes, Server}

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

  defp candidates(%{kind: kind, mfa: {module, _function, _arity} = mfa}, _family)
       when kind in [:call, :returned, :raised] and not is_atom(module),
       do: Error.new(:bad_function, Seen.reason(mfa))

  defp candidates(%{kind: kind, mfa: mfa}, family) when kind in [:call, :returned, :raised] do
    sites = sites(mfa, family)

    case calls(family, for({key, _counted?} <- sites, do: key)) do
      [] -> if reason = Seen.reason(mfa, sites), do: Error.new(:not_instrumented, reason), else: {:ok, []}
      calls -> {:ok, Enum.flat_map(calls, &of_call(kind, &1))}
    end
  end

  defp candidates(%{kind: :state, processes: [server]}, family) do
    with {:ok, pids} <- named(server, family),
         events = events("state", pids, family),
         :ok <- stated(events, pids, family) do
      {:ok,
       for %Event{data: data} = event <- events, data == nil or data.origin != :restated do
         of_event(:state, event, data && {:ok, data.state})
       end}
    end
  end

  defp candidates(%{kind: :exited, processes: [process]}, family) do
    with {:ok, pids} <- named(process, family),
         events = events("exit", pids, family),
         :ok <- exited(events, process, pids, family) do
      {:ok, for(event <- events, do: of_event(:exit, event, event.data && {:ok, event.data.reason}))}
    end
  end

  defp candidates(%{kind: :message, processes: [from, to]}, family) do
    with {:ok, from} <- end_(from, family),
         {:ok, to} <- end_(to, family),
         {:ok, messages, _perhaps} <- Flow.Messages.between(family, from, to) do
      {:ok, Enum.map(messages, &of_message/1)}
    end
  end

  @doc "`{key, whether its calls are only counted}` of each site of a function in the recording."
  @spec sites(mfa, Scope.t()) :: [{non_neg_integer, boolean}]
  def sites({module, function, arity}, family),
    do: Native.sites_of(family.recording.handle, Atom.to_string(module), Atom.to_string(function), arity)

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
        subject: {{call.pid}, [args(call)]},
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
      subject: {{call.pid}, for(ending <- endings, do: {args(call), ending})},
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

  defp events(kind, pids, family) do
    case if(pids == :any, do: family.processes, else: Flow.Messages.numbers(pids)) do
      [] -> []
      processes -> Enum.to_list(Processes.stream(family.recording, [kind], processes, family.since, @forever))
    end
  end

  # A name stands for all that had it.
  defp named(:any, _family), do: {:ok, :any}

  # To the questions about messages these are all processes, or several: a step is about one.
  defp named({:process, process}, family) when process == nil or is_list(process),
    do: Server.find(family.recording, process, @forever)

  defp named({:process, process}, family), do: Messages.pids(family.recording, process, @forever)

  # What was sent to a name was sent to it, whoever had it.
  defp end_({:process, name} = process, family) when is_atom(name),
    do: with({:ok, pids} <- named(process, family), do: {:ok, [name | pids]})

  defp end_(process, family), do: named(process, family)

  # That there is no state says something only of those that tell theirs.
  defp stated([], :any, family) do
    if Enum.any?(family.processes, &Stated.told?(family.recording, &1)),
      do: :ok,
      else: Error.new(:no_state, "no state of a process of this test was recorded: " <> Stated.whose())
  end

  defp stated([], pids, family) do
    case for(pid <- pids, error = Stated.unseen(family.recording, pid), do: error) do
      [error | _] = unseen when length(unseen) == length(pids) -> {:error, error}
      _some_told -> :ok
    end
  end

  defp stated(_events, _pids, _family), do: :ok

  # It may live, or nobody told of its end.
  defp exited([], {:process, process}, pids, family) do
    case Query.Exits.why(process, in: family.recording) do
      {:error, %Error{reason: reason} = error} when reason in [:not_watched, :bad_server] ->
        {:error, error}

      _lives_or_ended_before ->
        if reason = Exited.unseen(process, pids), do: Error.new(:not_watched, reason), else: :ok
    end
  end

  defp exited([], :any, _pids, family) do
    if Processes.watched?(family.recording),
      do: :ok,
      else:
        Error.new(
          :not_watched,
          "no end of a process was recorded: processes tell it when they are watched; say ElixirScope.watch(self(), spawned: true) in " <>
            "the test before they are made"
        )
  end

  defp exited(_events, _process, _pids, _family), do: :ok

  @doc "What may have happened and was not seen, so that nothing can be said of its absence; `nil`: nothing."
  @spec unseen(map, [t], Scope.t(), tuple) :: String.t() | nil
  def unseen(step, candidates, family, bound) do
    hidden = hidden(step, candidates, bound, step.open)

    cond do
      hidden != nil ->
        hidden

      step.kind == :message ->
        [from, to] = for {:ok, ends} <- Enum.map(step.processes, &end_(&1, family)), do: ends

        Flow.Messages.unheard(family, from, to) || sentence(Silent.between(family, from, to)) ||
          astray(step, from, to, family, bound)

      step.kind == :exited ->
        unwatched(step.processes, family)

      step.kind == :state ->
        untold(step.processes, family)

      true ->
        nil
    end
  end

  # Messages that may be what is asked for, if an end that nobody knows is one of these.
  defp astray(step, from, to, family, bound) do
    with {:ok, sure, perhaps} <- Flow.Messages.between(family, from, to) do
      pinned = for {true, end_} <- Enum.zip(step.pinned, [:from, :to]), do: end_
      perhaps = perhaps ++ Enum.filter(sure, &(&1.open in pinned))

      case perhaps |> Enum.filter(&matches?(&1, step, bound)) |> Pairs.astray(from, to, family) do
        [] -> nil
        some -> Pairs.why(some)
      end
    else
      {:error, _said_before} -> nil
    end
  end

  # What the pattern says, its guard too where that looks at nothing that was bound before.
  defp matches?(%{event: event}, %{uses: []} = step, bound) do
    pids = {nil, nil}
    values = Said.all(event.data.message)
    expected = step.expected.(bound)

    Enum.any?(values, fn value ->
      {pids, [value]} |> step.match.(bound) |> Known.verdict(of_value(expected, value)) != :error
    end)
  end

  defp matches?(%{event: event}, step, bound) do
    parts = event.data.message |> Said.all() |> Enum.map(&[&1])
    expected = step.expected.(bound)

    Enum.any?(
      parts,
      &(expected |> held(&1) |> Enum.map(fn one -> opened(one, step.open) end) |> Known.compare() != :no)
    )
  end

  @doc "Of how many of a step nobody knows whether they match; `nil`: of none. Of variables in `open` the value is not known."
  @spec hidden(map, [t], tuple, [tuple]) :: String.t() | nil
  def hidden(step, candidates, bound, open \\ []) do
    case Enum.count(candidates, &doubtful?(&1, step, bound, open)) do
      0 ->
        nil

      count ->
        "of #{count} that may match #{step.text} a part is not in the recording (limits:, redact:, args:, returns: or lost events)."
    end
  end

  # What is not known of it may be what is asked for, and all that is known is.
  defp doubtful?(%{subject: {_pids, values}, parts: parts}, step, bound, open) do
    expected = step.expected.(bound)

    Enum.any?(parts, fn parts ->
      case expected |> held(parts) |> Enum.map(&opened(&1, open)) |> Known.compare() do
        :unknown -> true
        :no -> false
        :perhaps -> values == []
      end
    end)
  end

  # What another step binds may be anything.
  defp opened({expected, values}, open), do: {%{expected | pins: Map.drop(expected.pins, open)}, values}

  @doc "A step that takes nothing for what it asks for of which nobody knows that: what it looks at may not be in the recording."
  @spec judging(map) :: map
  def judging(%{match: match, expected: expected} = step) do
    %{
      step
      | match: fn {pids, values}, bound ->
          values
          |> Stream.map(&judged(match.({pids, [&1]}, bound), expected, &1, bound))
          |> Known.any()
          |> surely()
        end
    }
  end

  @doc "A step that takes for what it asks for all of which nobody knows that it is not. What that binds is not known."
  @spec lenient(map) :: map
  def lenient(%{match: match, expected: expected, binds: binds} = step) do
    unknown = fn bound -> Enum.reduce(binds, bound, &put_elem(&2, &1, %Cut{})) end

    %{
      step
      | match: fn {_pids, values} = subject, bound ->
          with :error <- match.(subject, bound) do
            hidden? = Enum.any?(values, &(Known.compare(of_value(expected.(bound), &1)) == :unknown))
            if hidden?, do: {:ok, unknown.(bound)}, else: :error
          end
        end
    }
  end

  @doc "Whether what one step binds and another one looks at may not be known."
  @spec hidden_binds?([map]) :: boolean
  def hidden_binds?(steps) do
    Enum.any?(steps, &(&1.open != [])) and
      Enum.any?(steps, fn %{candidates: candidates} -> Enum.any?(candidates, &Known.hidden?(&1.parts)) end)
  end

  # Most are none.
  defp judged(:error, _expected, _value, _bound), do: :error

  defp judged(found, expected, value, bound),
    do: Known.verdict(found, bound |> expected.() |> of_value(value))

  defp surely({:ok, bound}), do: {:ok, bound}
  defp surely(_other_or_unknown), do: :error

  defp of_value(%{value: expected}, value), do: [{expected, [value]}]
  defp of_value(%{return: ending, args: args}, {values, value}), do: [{args, values}, {ending, [value]}]
  defp of_value(%{raised: ending, args: args}, {values, value}), do: [{args, values}, {ending, [value]}]
  defp of_value(%{args: args}, values), do: [{args, values}]

  # The same, by its parts.
  defp held(%{value: expected}, [value]), do: [{expected, [value]}]
  defp held(%{return: ending, args: args}, parts), do: call(args, ending, parts)
  defp held(%{raised: ending, args: args}, parts), do: call(args, ending, parts)
  defp held(%{args: args}, parts), do: [{args, parts}]

  defp call(args, ending, parts) do
    {values, [value]} = Enum.split(parts, -1)
    [{args, values}, {ending, [value]}]
  end

  # Who lives has not ended.
  defp unwatched([:any], family),
    do: sentence(Descent.doubt(family) || Silent.text(family)) || unwatched(family)

  defp unwatched([{:process, process} = named], family) do
    {:ok, pids} = named(named, family)
    if reason = Exited.unseen(process, pids), do: reason <> "."
  end

  defp unwatched(family) do
    living = Quiet.living(family.pids)

    silent =
      Enum.reject(family.pids, fn pid ->
        node(pid) != node() or pid in living or told?(family.recording, pid)
      end)

    if silent != [],
      do:
        "the ends of #{Enum.map_join(Enum.take(silent, 5), ", ", &inspect/1)} are not recorded; " <>
          "watch them before: ElixirScope.watch(self(), spawned: true)"
  end

  # Of those that had a name in turn each may have had such a state.
  defp untold([:any], family), do: sentence(Silent.text(family))

  defp untold([named], family) do
    {:ok, pids} = named(named, family)
    error = Enum.find_value(pids, &Stated.unseen(family.recording, &1))
    sentence(if(error, do: error.message, else: Silent.since(pids, family.since)))
  end

  defp sentence(nil), do: nil
  defp sentence(text), do: text <> "."

  defp told?(recording, pid) do
    recording
    |> Processes.stream(["spawned", "exit"], Flow.Messages.numbers([pid]), 0, @forever)
    |> Enum.any?()
  end
end
