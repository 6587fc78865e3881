defmodule ElixirScope.Query.Deadlocks do
  @moduledoc false
  # Circles of processes that wait for each other's answers. Of a circle that was no ordinary conversation the first thing that
  # breaks it is no answer; so a request that nobody answered is in it, and just before its end, or now, all others wait.

  alias ElixirScope.{Call, Deadlock, Error, Event, Query, Waiting}
  alias ElixirScope.Query.{Deadlocks, Gaps, Past, Term}

  @latest 0x7FFFFFFFFFFFFFFF

  @doc "See `ElixirScope.deadlocks/1`."
  @spec list(keyword) :: {:ok, [Deadlock.t()]} | {:error, Error.t()}
  def list(options) do
    with :ok <- Query.check(options, [:since, :until, :in]),
         {:ok, recording} <- Query.recording(options),
         {:ok, since} <- Query.History.bound(options, :since, 0),
         {:ok, until} <- Query.History.bound(options, :until, @latest),
         past = Past.of(recording),
         :ok <- watched(past, since, until) do
      {:ok, past |> find(since, until) |> checked(past, since, until)}
    end
  end

  # One that was on when it was looked for, and is no more when the VM is asked, has ended by then: how is recorded.
  defp checked(found, past, since, until) do
    checked = Enum.map(found, &Deadlocks.Live.checked(past, &1))

    if :over in checked,
      do:
        past
        |> find(since, until)
        |> Enum.map(&Deadlocks.Live.checked(past, &1))
        |> Enum.reject(&(&1 == :over)),
      else: checked
  end

  @doc "Whether anything of what is asked about was recorded: without messages nobody knows who waits for whom."
  @spec watched(Past.t(), non_neg_integer, non_neg_integer) :: :ok | {:error, Error.t()}
  def watched(past, since, until) do
    if past |> Past.next(nil, [:send, :receive, :wait], 0, since: since, until: until) |> Enum.empty?() do
      Error.new(
        :not_watched,
        "no message was recorded in that time, so nobody knows who waits for whom; have the VM tell of them: " <>
          "ElixirScope.watch(:all), or the option watch: of ElixirScope.start/1"
      )
    else
      :ok
    end
  end

  @doc "All that were asked for in a span of time, and what nobody knows of it."
  @spec find(Past.t(), non_neg_integer, non_neg_integer) :: [Deadlock.t()]
  def find(past, since, until) do
    {found, _seen} =
      past
      |> Deadlocks.Seeds.of(since, until)
      |> Enum.flat_map_reduce(MapSet.new(), &at(past, &1, &2))

    Enum.sort_by(self_calls(past, since, until) ++ found, & &1.since) ++ unknown(past, since, until)
  end

  # What is missing may hide one.
  defp unknown(past, since, until) do
    case Enum.reject(past.gaps.(since, until), &(&1.cause == :removed)) do
      [] ->
        []

      gaps ->
        [
          %Deadlock{
            verdict: :unknown,
            gaps: gaps,
            why: "events are missing #{Gaps.text(gaps)}: a deadlock may have been among them"
          }
        ]
    end
  end

  # The circle that a request which nobody answered is in, if it is in one.
  defp at(past, {pid, id}, seen) do
    with %Waiting{} = first <- Query.Waiting.At.at(past, pid, {:before, id + 1}),
         {ended, next} <- Query.Waiting.At.ending(past, first),
         true <- broken?(ended),
         [_ | _] = members <- circle(past, first, moment(ended, next)),
         # Who gave up may have asked again, which makes another circle of what the others still wait for.
         requests = MapSet.new(members, &{&1.pid, &1.id}),
         false <- MapSet.member?(seen, requests),
         %Deadlock{} = deadlock <- verdict(past, members, ended) do
      {[deadlock], MapSet.put(seen, requests)}
    else
      _none_or_known -> {[], seen}
    end
  end

  # What an answer or the end of another one broke was none, and who went on had not waited.
  defp broken?(nil), do: true
  defp broken?(%{how: how}), do: how in [:timeout, :exit]

  # Just before the first of them went on.
  defp moment(nil, _next), do: {:at, Past.forever()}
  defp moment(_ended, %Event{time: time}), do: {:at, time - 1}

  defp circle(past, first, moment), do: follow(past, first, moment, [first])

  defp follow(_past, %Waiting{for: nil}, _moment, _members), do: nil

  defp follow(past, last, moment, [_ | _] = members) do
    first = List.last(members)

    cond do
      last.for == first.pid -> closed(past, members, last, first)
      Enum.any?(members, &(&1.pid == last.for)) -> nil
      true -> further(past, last, moment, members)
    end
  end

  defp further(past, last, moment, members) do
    with %Waiting{} = next <- Query.Waiting.At.at(past, last.for, moment),
         true <- held?(past, last, next) do
      follow(past, next, moment, [next | members])
    else
      _answers -> nil
    end
  end

  defp closed(past, members, last, first) do
    if held?(past, last, first), do: Enum.reverse(members)
  end

  @doc """
  Whether a request is held up by what its receiver waits for: it has not taken it, or waits while it works on it. One that was
  taken and put aside may be answered by anybody.
  """
  @spec held?(Past.t(), Waiting.t(), Waiting.t()) :: boolean
  def held?(_past, %Waiting{kind: kind}, _other) when kind in [:task, :start], do: true

  def held?(past, %Waiting{kind: :call} = asked, other) do
    with %Event{} = delivered <- delivered(past, asked, other) do
      works_on?(past, asked, other) or not taken?(past, asked, other, delivered) or
        ends_for?(past, asked, other)
    else
      # It came later than the receiver began to wait, or its deliveries are not recorded.
      nil -> true
    end
  end

  def held?(past, %Waiting{kind: :request} = asked, other) do
    case taken(past, asked, other) do
      nil -> true
      # Without a reference of its own what was taken may have needed no answer.
      take -> last_taken(past, other) == take.id and Deadlocks.Doubt.own_reference?(past, asked)
    end
  end

  def held?(_past, _asked, _other), do: false

  # The delivery of a call, when it came before its receiver asked another one.
  defp delivered(past, asked, other) do
    past
    |> Past.prev(other.pid, [:receive], other.id, since: max(asked.since - 1_000_000, 0))
    |> Enum.find(&call?(&1.data, asked.ref))
  end

  defp call?(%{message: {:"$gen_call", {_pid, tag}, _request}}, ref), do: Term.reference(tag) == ref
  defp call?(_data, _ref), do: false

  defp works_on?(past, asked, other) do
    other.pid |> past.open_calls.(other.id) |> Enum.any?(&from?(&1.data, asked))
  end

  # A callback that was given this call: gen_server's second argument, gen_statem's type of event.
  defp from?(%{args: args}, asked) when is_list(args) do
    Enum.any?(args, fn
      {:call, from} -> from?(from, asked)
      from -> from?(from, asked)
    end)
  end

  defp from?({pid, tag}, %Waiting{pid: pid, ref: ref}), do: Term.reference(tag) == ref
  defp from?(_other, _asked), do: false

  # A server whose callback raised, or said `:stop`, has put nothing aside: it is in its `terminate`, and ends without an answer.
  defp ends_for?(past, asked, other) do
    with %Event{} = terminate <- Enum.find(past.open_calls.(other.pid, other.id), &terminates?/1),
         [%Event{} = left] <- past |> Past.prev(other.pid, [:return, :raise], terminate.id) |> Enum.take(1),
         true <- ends?(left.data),
         [call] <- past |> Past.prev(other.pid, [:call], left.id) |> given(left.mfa) do
      from?(call.data, asked)
    else
      _goes_on -> false
    end
  end

  defp terminates?(%Event{mfa: {_module, :terminate, arity}}), do: arity in [2, 3]
  defp terminates?(_call), do: false

  # What is thrown is a callback's answer.
  defp ends?(%{kind: kind}), do: kind in [:error, :exit]
  defp ends?(%{value: {:stop, _reason, _state}}), do: true
  defp ends?(_goes_on), do: false

  defp given(calls, mfa), do: calls |> Stream.filter(&(&1.mfa == mfa)) |> Enum.take(1)

  defp taken?(past, asked, other, delivered) do
    past
    |> Past.next(other.pid, [:call, :take], delivered.id)
    |> Stream.take_while(&(&1.id < other.id))
    |> Enum.any?(&(from?(&1.data, asked) or call?(&1.data, asked.ref)))
  end

  # The same message has the same digest where it is taken.
  defp taken(past, asked, other) do
    past
    |> Past.next(other.pid, [:take], 0, since: max(asked.since - 1_000_000, 0))
    |> Stream.take_while(&(&1.id < other.id))
    |> Enum.find(&match?(%{message: message} when message === asked.request, &1.data))
  end

  defp last_taken(past, other) do
    case past |> Past.prev(other.pid, [:take], other.id) |> Enum.take(1) do
      [%Event{id: id}] -> id
      [] -> nil
    end
  end

  # Only what is recorded counts: each of them waits for an answer.
  defp verdict(past, members, ended) do
    since = members |> Enum.map(& &1.since) |> Enum.max()
    from = members |> Enum.map(& &1.since) |> Enum.min()
    until = if ended, do: ended.time, else: @latest
    first = hd(members)
    members = for member <- members, do: %{member | ended: Query.Waiting.At.ended(past, member)}
    deadlock = %Deadlock{verdict: :deadlock, members: in_order(members), since: since}
    deadlock = %{deadlock | ended: if(ended, do: Map.put(ended, :pid, first.pid))}

    case Enum.reject(past.gaps.(from, until), &(&1.cause == :removed)) do
      [] ->
        sure(past, deadlock)

      gaps ->
        %{
          deadlock
          | verdict: :unknown,
            gaps: gaps,
            why: "events are missing #{Gaps.text(gaps)}"
        }
    end
  end

  defp sure(past, %Deadlock{members: members} = deadlock) do
    case Deadlocks.Doubt.of(past, members) do
      nil -> evident(past, deadlock)
      why -> %{deadlock | verdict: :unknown, why: why}
    end
  end

  defp evident(past, %Deadlock{members: members, since: since} = deadlock) do
    case Enum.filter(members, &(&1.evidence == nil or may_have_given_up?(past, &1, since))) do
      [] ->
        deadlock

      some ->
        who = Enum.map_join(some, ", ", &inspect(&1.pid))

        why =
          "nothing recorded says that #{who} did not go on behind its request, in code that is not instrumented"

        %{deadlock | verdict: :unknown, why: why}
    end
  end

  # The VM told of an `after` that was over before the circle closed; what came behind it is not instrumented. A call without a timeout
  # has none, and an instrumented `receive` says itself that it gave up.
  defp may_have_given_up?(_past, %Waiting{evidence: evidence}, _since) when evidence in [:request, :receive],
    do: false

  defp may_have_given_up?(past, %Waiting{pid: pid, id: id}, since) do
    past
    |> Past.next(pid, [:receive], id, until: since)
    |> Enum.any?(&match?(%Event{data: %{message: :timeout, from: nil}}, &1))
  end

  # From the one that asked first.
  defp in_order(members) do
    first = Enum.min_by(members, & &1.since)
    {before, rest} = Enum.split_while(members, &(&1 != first))
    rest ++ before
  end

  # `gen` refuses a process that calls itself, so no message is sent.
  defp self_calls(past, since, until) do
    past
    |> Past.next(nil, [:raise, :exit], 0, since: since, until: until)
    |> Stream.flat_map(&self_call(past, &1))
    |> Enum.uniq_by(fn deadlock ->
      {hd(deadlock.members).pid, hd(deadlock.members).request, deadlock.since}
    end)
  end

  defp self_call(past, %Event{data: %{reason: reason}} = event) do
    with {:calling_self, {module, :call, [server, request | _]}} when is_atom(module) <- unstacked(reason),
         false <- passed_on?(past, event) do
      call = past.open_calls.(event.pid, event.id) |> List.first()
      [itself(event, server, request, call)]
    else
      _another_reason -> []
    end
  end

  defp self_call(_past, _event), do: []

  defp unstacked({reason, stack}) when is_list(stack), do: reason
  defp unstacked(reason), do: reason

  # The same exit leaves function after function, and ends the process at last, when that has told others why.
  defp passed_on?(past, %Event{kind: kind} = event) do
    kinds = if kind == :exit, do: [:raise], else: Query.Waiting.At.own()

    case past
         |> Past.prev(event.pid, kinds, event.id)
         |> Stream.filter(&Query.Waiting.At.own?/1)
         |> Enum.take(1) do
      [%Event{kind: :raise, data: %{reason: reason}}] -> unstacked(reason) == unstacked(event.data.reason)
      _another -> false
    end
  end

  defp itself(event, server, request, call) do
    ended = %{how: :exit, time: event.time, reason: event.data.reason}
    call = call && Query.History.Cause.call(call, nil)

    member = %Waiting{
      pid: event.pid,
      kind: :call,
      since: event.time,
      for: event.pid,
      target: server,
      request: request,
      id: event.id,
      call: call,
      file: place(call, :file),
      line: place(call, :line),
      ended: ended,
      evidence: :request
    }

    %Deadlock{
      verdict: :deadlock,
      members: [member],
      since: event.time,
      ended: Map.put(ended, :pid, event.pid)
    }
  end

  defp place(nil, _key), do: nil
  defp place(%Call{} = call, key), do: Map.fetch!(call, key)
end
