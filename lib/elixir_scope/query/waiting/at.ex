defmodule ElixirScope.Query.Waiting.At do
  @moduledoc false
  # Whether a process waited at a moment, for whom, and how that ended.
  #
  # A process that waits does nothing: its last own event is the request, or the beginning of a `receive`. What is done to it
  # (deliveries, links of others) is none of its own.

  alias ElixirScope.{Event, Query, Waiting}
  alias ElixirScope.Query.{Past, Term}

  @own [:call, :return, :raise, :tail, :binding, :state, :mark, :send, :wait, :take, :spawn] ++
         [:spawned, :exit, :link, :name, :label, :traced]

  # Between a request that is sent by hand and the `receive` for its answer, a program may call and compute.
  @between [:call, :return, :tail, :binding, :state, :traced, :link]

  # So many of its own events are looked back at, at most.
  @back 64

  # Times of two processes are not exact to each other.
  @skew 100_000

  @typedoc "A moment of a process: before the event of a number, or at the end of a time."
  @type moment :: {:before, non_neg_integer} | {:at, non_neg_integer}

  # Among so many parts of a message its sender is looked for, whom the answer is to go to.
  @named_within 200

  @doc false
  def named_within, do: @named_within

  @doc "The kinds of events that a process makes itself."
  @spec own() :: [Event.kind()]
  def own, do: @own

  @doc "How a process waited at a moment, or `nil` when it is not known to have."
  @spec at(Past.t(), pid, moment) :: Waiting.t() | nil
  def at(past, pid, moment) do
    {before, until} = edge(moment)

    with [_ | _] = last <- last(past, pid, before, until),
         %Waiting{} = waiting <- waiting(last),
         waiting = past |> found(waiting) |> delivered_as(past),
         false <- answered?(past, waiting, before, end_of(moment, last)) do
      evident(past, waiting, last)
    else
      _does_not_wait -> nil
    end
  end

  defp edge({:before, id}), do: {id, Past.forever()}
  defp edge({:at, time}), do: {Past.forever(), time}

  defp end_of({:before, _id}, [last | _]), do: last.time
  defp end_of({:at, time}, _last), do: time

  defp last(past, pid, before, until) do
    past
    |> Past.prev(pid, @own, before, until: until)
    |> Stream.filter(&own?/1)
    |> Enum.take(@back)
  end

  @doc "Whether an event is one that the process made itself."
  @spec own?(Event.t()) :: boolean
  def own?(%Event{kind: :link, data: %{action: action}}), do: action in [:link, :unlink]
  def own?(%Event{kind: :traced, data: %{action: action}}), do: action == :call
  def own?(%Event{kind: kind}), do: kind in @own

  # From the last own events, newest first.
  defp waiting([%Event{kind: :send, data: %{message: message}} = send | _]), do: request(send, message)
  defp waiting([%Event{kind: :traced, mfa: {:gen, :call, _}} = call | _]), do: traced_call(call)

  defp waiting([%Event{kind: :traced, mfa: {Task, function, _}} = call | _])
       when function in [:await, :yield],
       do: traced_await(call)

  defp waiting([%Event{kind: :wait} = wait | before]), do: receiving(wait, before)
  defp waiting([%Event{kind: :spawn} = spawn | _]), do: starting(spawn)
  defp waiting([%Event{kind: :link, data: %{action: :link}} | before]), do: linked(before)
  defp waiting(_other), do: nil

  defp linked([%Event{kind: :spawn} = spawn | _]), do: starting(spawn)
  defp linked(_other), do: nil

  defp starting(spawn) do
    with child when child != nil <- started(spawn) do
      %Waiting{
        pid: spawn.pid,
        kind: :start,
        since: spawn.time,
        id: spawn.id,
        target: child,
        evidence: :request
      }
    end
  end

  @doc "The server that a process begins to start, if an event says so: it waits until the `init` of that is done."
  @spec started(Event.t()) :: pid | nil
  def started(%Event{kind: :spawn, pid: pid, data: %{child: child, mfa: {:proc_lib, :init_p, args}}}) do
    with [_parent, _ancestors, :gen, :init_it, [_gen, ^pid | _]] <- args,
         do: child,
         else: (_not_waited_for -> nil)
  end

  def started(_event), do: nil

  defp request(%Event{pid: pid} = send, {:"$gen_call", {pid, tag}, request}) do
    %Waiting{asked(send, :call) | request: request, ref: Term.reference(tag)}
  end

  # The first message to a Task says whose it is.
  defp request(%Event{pid: pid} = send, {pid, ref, _reply_to, callers, {m, f, a}})
       when is_reference(ref) and is_list(callers) and is_atom(m) and is_atom(f) and is_list(a) do
    %Waiting{asked(send, :task) | request: {m, f, a}, ref: ref}
  end

  defp request(_send, _message), do: nil

  defp asked(send, kind) do
    %Waiting{pid: send.pid, kind: kind, since: send.time, id: send.id, target: send.data.to}
  end

  # The server was not there, or the messages of the process are not recorded.
  defp traced_call(%Event{data: %{args: [server, :"$gen_call", request, _timeout]}} = call) do
    %Waiting{
      pid: call.pid,
      kind: :call,
      since: call.time,
      id: call.id,
      target: server,
      request: request
    }
  end

  defp traced_call(_call), do: nil

  defp traced_await(%Event{data: %{args: [task | _timeout]}} = call) when is_map(task) do
    %Waiting{
      pid: call.pid,
      kind: :task,
      since: call.time,
      id: call.id,
      target: Map.get(task, :pid),
      request: Map.get(task, :mfa),
      ref: Map.get(task, :ref),
      evidence: :traced
    }
  end

  defp traced_await(_call), do: nil

  defp receiving(wait, before) do
    place = %Waiting{
      pid: wait.pid,
      kind: :receive,
      since: wait.time,
      id: wait.id,
      file: wait.file,
      line: wait.line,
      evidence: :receive
    }

    case Enum.drop_while(before, &(&1.kind in @between)) do
      [%Event{kind: :send} = send | _] -> asked_by_hand(send, place)
      _no_request -> place
    end
  end

  # A request says whom to answer.
  defp asked_by_hand(%Event{data: %{message: message, to: to}} = send, place) do
    cond do
      asked = request(send, message) ->
        %{asked | file: place.file, line: place.line, evidence: :receive}

      Term.mentions?(message, send.pid, @named_within) ->
        ref = own(message)
        %{place | kind: :request, since: send.time, id: send.id, target: to, request: message, ref: ref}

      true ->
        place
    end
  end

  defp asked_by_hand(_send, place), do: place

  # One alone: of several nobody knows which the answer has.
  defp own(message) do
    with [ref] <- Term.references(message, @named_within), do: ref, else: (_none_or_more -> nil)
  end

  # Whom for: the sender may have written a name.
  defp found(past, %Waiting{target: target} = waiting) do
    %{waiting | for: receiver(past, target, waiting.since)}
  end

  @doc "The process that a target stands for."
  @spec receiver(Past.t(), term, non_neg_integer) :: pid | nil
  def receiver(_past, pid, _time) when is_pid(pid), do: pid

  def receiver(past, name, time) when is_atom(name) and name not in [nil, true, false],
    do: past.named.(name, time)

  def receiver(past, {name, node}, time) when is_atom(name) and node == node(),
    do: receiver(past, name, time)

  def receiver(_past, _other, _time), do: nil

  # A call whose message was not seen being sent may have been seen where it was delivered. Where not, nobody knows whether it has
  # been answered.
  defp delivered_as(%Waiting{kind: :call, ref: nil, for: pid} = waiting, past) when is_pid(pid) do
    past
    |> Past.next(pid, [:receive], 0, since: max(waiting.since - @skew, 0))
    |> Enum.find_value(waiting, &call_of(&1.data, waiting))
  end

  defp delivered_as(waiting, _past), do: waiting

  defp call_of(%{message: {:"$gen_call", {pid, tag}, request}}, %{pid: pid, request: request} = waiting),
    do: %{waiting | ref: Term.reference(tag), evidence: :traced}

  defp call_of(_data, _waiting), do: nil

  # What came or was sent may be taken at any moment.
  defp answered?(_past, %Waiting{kind: :receive}, _before, _until), do: false
  defp answered?(_past, %Waiting{kind: :request, for: nil}, _before, _until), do: false

  defp answered?(past, %Waiting{kind: :start} = waiting, _before, until),
    do: not told_from_begin?(past, waiting) or started?(past, waiting, until) or ended?(past, waiting, until)

  defp answered?(past, %Waiting{kind: :request} = waiting, before, until) do
    own = waiting_request(past, waiting.for, until)
    came = came(past, waiting, until)

    delivered?(past, waiting, before, until) or
      sent?(past, waiting, until, &(&1.id > came and &1.id != own and to?(past, &1, waiting.pid)))
  end

  defp answered?(past, %Waiting{ref: ref} = waiting, before, until) when is_reference(ref) do
    delivered?(past, waiting, before, until) or
      sent?(past, waiting, until, &(answer(&1.data, waiting) == :reply)) or ended?(past, waiting, until)
  end

  defp answered?(past, waiting, _before, until), do: ended?(past, waiting, until)

  defp started?(past, %Waiting{for: child} = waiting, until) do
    sent?(past, waiting, until, fn %{data: %{message: message}} ->
      is_tuple(message) and tuple_size(message) > 1 and elem(message, 0) in [:ack, :nack] and
        elem(message, 1) == child
    end)
  end

  # Of both all messages: else nobody knows whether it has started.
  defp told_from_begin?(past, %Waiting{pid: pid, for: child, id: id}) do
    not Enum.empty?(Past.prev(past, pid, [:send, :receive], id)) and
      not Enum.empty?(Past.next(past, child, [:spawned], 0)) and
      not introduced?(past, pid, id) and not introduced?(past, child, 0)
  end

  defp introduced?(past, pid, from),
    do: past |> Past.next(pid, [:process], from) |> Enum.any?(&match?(%{messages: _}, &1.data))

  defp delivered?(_past, %Waiting{ref: nil}, _before, _until), do: false

  defp delivered?(past, waiting, before, until) do
    past
    |> Past.next(waiting.pid, [:receive], waiting.id, until: until)
    |> Stream.take_while(&(&1.id < before))
    |> Enum.any?(&(answer(&1.data, waiting) != nil))
  end

  # Whoever waits for it is told.
  defp ended?(_past, %Waiting{for: nil}, _until), do: false

  defp ended?(past, %Waiting{for: pid, since: since}, until),
    do: not Enum.empty?(Past.next(past, pid, [:exit], 0, since: since, until: until))

  # What was sent before the request came is no answer to it. Not yet there: nothing is.
  defp came(past, %Waiting{for: pid, request: request} = waiting, until) do
    past
    |> Past.next(pid, [:receive], 0, since: max(waiting.since - @skew, 0), until: until)
    |> Enum.find_value(Past.forever(), &if(match?(%{message: ^request}, &1.data), do: &1.id))
  end

  # What the other one asks itself, and waits for, is no answer.
  defp waiting_request(past, pid, until) do
    with [_ | _] = last <- last(past, pid, Past.forever(), until),
         %Waiting{kind: kind, id: id} when kind != :receive <- waiting(last) do
      id
    else
      _does_not_wait -> nil
    end
  end

  defp to?(past, %Event{data: %{to: to}} = send, pid), do: receiver(past, to, send.time) == pid
  defp to?(_past, _send, _pid), do: false

  defp sent?(_past, %Waiting{for: nil}, _until, _fun), do: false

  defp sent?(past, %Waiting{for: pid} = waiting, until, fun) do
    since = max(waiting.since - @skew, 0)

    past
    |> Past.next(pid, [:send], 0, since: since, until: until)
    |> Enum.any?(&(&1.data != nil and fun.(&1)))
  end

  # Whether a message answers a request with a reference. By hand it may have that anywhere.
  defp answer(%{message: {[:alias | ref], _reply}}, %{ref: ref}), do: :reply
  defp answer(%{message: {ref, _reply}}, %{ref: ref}) when is_reference(ref), do: :reply
  defp answer(%{message: {:DOWN, ref, _type, _who, _reason}}, %{ref: ref}), do: :down

  # Its own request is none.
  defp answer(%{message: message}, %{kind: :request, ref: ref, request: request})
       when is_reference(ref) and message !== request,
       do: if(Term.mentions?(message, ref), do: :reply)

  defp answer(_other, _waiting), do: nil

  # What says that it waits, and the call that it is in.
  defp evident(past, waiting, last) do
    call = past.open_calls.(waiting.pid, waiting.id) |> List.first()
    waiting = if call, do: in_call(waiting, call), else: waiting

    cond do
      waiting.evidence != nil -> waiting
      # Whose messages are not recorded may have gone on.
      match?([%Event{kind: :traced} | _], last) -> waiting
      traced?(last) -> %{waiting | evidence: :traced}
      only_waiting?(last) -> %{waiting | evidence: :request}
      call != nil -> %{waiting | evidence: :open_call}
      true -> waiting
    end
  end

  defp in_call(waiting, call) do
    %{
      waiting
      | call: Query.History.Cause.call(call, nil),
        file: waiting.file || call.file,
        line: waiting.line || call.line
    }
  end

  # Between the call of `gen` and its message there may be that of the monitor.
  defp traced?([_send | before]) do
    before
    |> Enum.take(2)
    |> Enum.any?(&(&1.kind == :traced and match?({:gen, :call, _}, &1.mfa)))
  end

  # A call without a timeout has a plain reference as its tag, a request that is collected later has an alias.
  defp only_waiting?([%Event{kind: :send, data: %{message: {:"$gen_call", {_pid, tag}, _}}} | _]),
    do: is_reference(tag)

  defp only_waiting?(_last), do: false

  @doc "How waiting ended: as `ElixirScope.Waiting` says it; `nil` when it has not."
  @spec ended(Past.t(), Waiting.t()) :: Waiting.ended() | nil
  def ended(past, waiting), do: past |> ending(waiting) |> elem(0)

  @doc "As `ended/2`, with the event of the process at which it went on, or `nil`."
  @spec ending(Past.t(), Waiting.t()) :: {Waiting.ended() | nil, Event.t() | nil}
  def ending(past, %Waiting{} = waiting) do
    next =
      past
      |> Past.next(waiting.pid, @own, waiting.id + 1)
      |> Stream.filter(&own?/1)
      |> Stream.reject(&still?(&1, waiting))
      |> Enum.at(0)

    {how(past, waiting, delivered(past, waiting, next), next), next}
  end

  # Of a call that was traced the message is sent after it; of one by hand the `receive` begins after it.
  defp still?(%Event{kind: :send, data: %{message: message}} = event, %{evidence: :traced}) do
    match?(%Waiting{}, request(event, message))
  end

  # It is linked with what it starts.
  defp still?(%Event{kind: :link, data: %{other: child}}, %{kind: :start, for: child}), do: true

  defp still?(%Event{kind: kind}, %{evidence: :receive, kind: asked}) when asked != :receive,
    do: kind == :wait or kind in @between

  defp still?(_event, _waiting), do: false

  defp delivered(_past, %{ref: nil}, _next), do: nil

  defp delivered(past, waiting, next) do
    before = if next, do: next.id, else: Past.forever()

    past
    |> Past.next(waiting.pid, [:receive], waiting.id)
    |> Stream.take_while(&(&1.id < before))
    |> Enum.find_value(fn event ->
      with how when how != nil <- answer(event.data, waiting), do: {how, event}
    end)
  end

  defp how(_past, _waiting, {how, event}, _next),
    do: %{how: how, time: event.time, reason: reason(event.data.message)}

  defp how(_past, _waiting, nil, nil), do: nil

  defp how(_past, _waiting, nil, %Event{kind: :exit} = exit) do
    reason = exit.data && exit.data.reason
    %{how: if(timeout?(reason), do: :timeout, else: :exit), time: exit.time, reason: reason}
  end

  defp how(_past, _waiting, nil, %Event{kind: :raise, data: %{kind: :exit, reason: reason}} = raise),
    do: %{how: if(timeout?(reason), do: :timeout, else: :down), time: raise.time, reason: reason}

  defp how(_past, %{evidence: :receive}, nil, %Event{kind: :take, data: data} = take) do
    if is_map(data) and not is_map_key(data, :message),
      do: %{how: :timeout, time: take.time, reason: nil},
      else: %{how: :reply, time: take.time, reason: nil}
  end

  defp how(past, %{kind: :start} = waiting, nil, next),
    do: %{how: if(started?(past, waiting, next.time), do: :reply, else: :down), time: next.time, reason: nil}

  defp how(past, waiting, nil, next) do
    how =
      cond do
        sent_before?(past, waiting, next) -> :reply
        waiting.evidence in [:traced, :request] -> :timeout
        timed_out?(past, waiting, next) or replied_late?(past, waiting, next) -> :timeout
        true -> :went_on
      end

    %{how: how, time: next.time, reason: nil}
  end

  # To a process whose deliveries are not recorded.
  defp sent_before?(past, %{ref: ref} = waiting, next) when is_reference(ref),
    do: sent?(past, waiting, next.time, &(answer(&1.data, waiting) == :reply))

  defp sent_before?(_past, _waiting, _next), do: false

  # The VM tells the `after` of a `receive` as a message that nobody sent.
  defp timed_out?(past, waiting, next) do
    case past |> Past.prev(waiting.pid, [:receive], next.id) |> Enum.take(1) do
      [%Event{id: id, data: %{message: :timeout, from: nil}}] -> id > waiting.id
      _a_message -> false
    end
  end

  # The alias of a call that gave up takes no answer; that of a request which is collected later does.
  defp replied_late?(past, %{kind: :call, ref: ref} = waiting, next) when is_reference(ref) do
    sent?(past, %{waiting | since: next.time}, Past.forever(), &(answer(&1.data, waiting) == :reply)) and
      delivered(past, waiting, nil) == nil
  end

  defp replied_late?(_past, _waiting, _next), do: false

  defp reason({:DOWN, _ref, _type, _who, reason}), do: reason
  defp reason(_reply), do: nil

  defp timeout?({:timeout, {module, function, args}})
       when is_atom(module) and is_atom(function) and is_list(args),
       do: true

  defp timeout?({reason, stack}) when is_list(stack), do: timeout?(reason)
  defp timeout?(_reason), do: false
end
