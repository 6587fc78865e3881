defmodule ElixirScope.Case.Pairs do
  @moduledoc false
  # Sendings and deliveries of a test's time as messages, one each: the event of its sending, or where that was not seen of its delivery.
  #
  # A delivery is that of a sending with the same digest to its process, and of its sender where the VM says whom it is from (since OTP 27). Which of
  # several equal ones it is makes no difference here. Equal messages to other processes are others: so an end that nothing tells stays
  # open, and is nobody in particular.

  alias ElixirScope.Case.{Heard, Holder, Scope}
  alias ElixirScope.{Event, Message}

  @typedoc """
  `from` is `nil` where no process is known to have sent it, `to` what the sender named where nobody knows which process that was. `open` is
  the end of which that is so and that may be any. `takers` may be whom it came to.
  """
  @type t :: %{event: Event.t(), from: pid | nil, to: term, open: :from | :to | nil, takers: [pid]}

  @typedoc "Pids, and names that messages were sent to."
  @type ends :: [pid | atom] | :any

  @senders? List.to_integer(:erlang.system_info(:otp_release)) >= 27

  @doc "The messages that these events tell of, by time."
  @spec of(Scope.t(), [Event.t()]) :: [t]
  def of(family, events) do
    {sends, deliveries} = events |> Enum.filter(& &1.data) |> Enum.split_with(&(&1.kind == :send))

    {known, unknown} =
      sends |> sent(family, aliases(sends ++ deliveries)) |> Enum.split_with(&(&1.open == nil))

    left = unpaired(deliveries, Enum.frequencies_by(known, &key(&1.event.data.digest, &1.to, &1.from)))
    {unknown, left} = Enum.map_reduce(unknown, Enum.group_by(left, & &1.data.digest), &taken/2)
    left = for {_digest, equal} <- left, event <- equal, do: delivered(event)
    Enum.sort_by(known ++ unknown ++ left, & &1.event.id)
  end

  defp sent(sends, family, aliases) do
    told = Holder.told(family, for(event <- sends, name = name(event.data.to), uniq: true, do: name))

    for event <- sends do
      to = target(event, family, told, aliases)
      open = if to == nil, do: :to

      %{
        event: event,
        from: event.pid,
        to: to || event.data.to,
        open: open,
        takers: [],
        told?: told?(event, told)
      }
    end
  end

  defp told?(event, told), do: is_map_key(told, name(event.data.to))

  # A port, or a name of another node, is no process here.
  defp target(%Event{data: %{to: to}} = event, family, told, aliases) do
    cond do
      name = name(to) -> Holder.at(family, told, name, event.time)
      is_reference(to) -> aliases[to]
      true -> to
    end
  end

  defp name({name, node}) when node == node(), do: name(name)
  defp name(name) when is_atom(name), do: name
  defp name(_other), do: nil

  # An answer goes to an alias, which stands in the request.
  defp aliases(events), do: events |> Enum.flat_map(&alias_in(&1.data.message)) |> Map.new()

  defp alias_in({:"$gen_call", {pid, tag}, _request}), do: alias_of(tag, pid)

  # So a task is told what to do.
  defp alias_in({pid, ref, reply_to, callers, _mfa}) when is_reference(ref) and is_list(callers),
    do: alias_of([:alias | reply_to], pid)

  defp alias_in(_message), do: []

  defp alias_of([:alias | ref], pid) when is_reference(ref), do: [{ref, pid}]
  defp alias_of([[:alias | ref] | _], pid) when is_reference(ref), do: [{ref, pid}]
  defp alias_of(_tag, _pid), do: []

  if @senders? do
    # The end that is open where a delivery says nobody.
    @untold nil
    defp key(digest, to, from), do: {digest, to, from}
  else
    @untold :from
    defp key(digest, to, _from), do: {digest, to}
  end

  defp unpaired(deliveries, on_the_way) do
    {left, _on_the_way} =
      Enum.flat_map_reduce(deliveries, on_the_way, fn event, on_the_way ->
        key = key(event.data.digest, event.pid, event.data.from)

        case on_the_way do
          %{^key => count} when count > 0 -> {[], %{on_the_way | key => count - 1}}
          _none -> {[event], on_the_way}
        end
      end)

    left
  end

  # Whom a sending to a name or an alias of which nobody told came to, where that can be no other.
  defp taken(%{event: %{id: id, data: %{digest: digest}}, from: from} = message, left) do
    equal = for event <- Map.get(left, digest, []), event.id > id, event.data.from in [nil, from], do: event
    takers = equal |> Enum.map(& &1.pid) |> Enum.uniq()

    case taker(message, Enum.find(equal, &(&1.data.from == from)), takers) do
      nil ->
        {%{message | takers: takers}, left}

      pid ->
        delivery = Enum.find(equal, &(&1.pid == pid))
        {%{message | to: pid, open: nil}, Map.update!(left, digest, &List.delete(&1, delivery))}
    end
  end

  defp taker(_message, %Event{pid: pid}, _takers), do: pid

  # An answer names the alias, so it is equal to no other message.
  defp taker(%{event: %{data: %{to: to, message: said}}}, nil, takers) when is_reference(to) do
    case {takers, said} do
      {[pid], {^to, _answer}} -> pid
      {[pid], {[:alias | ^to], _answer}} -> pid
      {[pid], {[[:alias | ^to] | _], _answer}} -> pid
      _another_may_be_equal -> nil
    end
  end

  # Of one that is watched with its names more would have been told.
  defp taker(%{event: %{data: %{to: to}}, told?: told?}, nil, takers) do
    now = Holder.now(name(to))
    if not told? and now in takers, do: now
  end

  # Before OTP 27 the VM does not say who sent it. A call does, and that a `receive` gave up is told as a delivery that nobody sent.
  defp delivered(%Event{data: %{from: nil, message: message}} = event) do
    case message do
      {:"$gen_call", {pid, _tag}, _request} when is_pid(pid) -> of_delivery(event, pid, nil)
      :timeout -> of_delivery(event, nil, nil)
      _other -> of_delivery(event, nil, @untold)
    end
  end

  defp delivered(%Event{data: %{from: from}} = event),
    do: of_delivery(event, if(is_pid(from), do: from), nil)

  defp of_delivery(event, from, open),
    do: %{event: event, from: from, to: event.pid, open: open, takers: [], told?: false}

  @doc "Whether a message is from some processes to others; `:perhaps` where one of its ends is open."
  @spec between(t, ends, ends) :: boolean | :perhaps
  def between(message, from, to),
    do: both(end?(message, :from, message.from, from), end?(message, :to, message.to, to))

  defp end?(_message, _end, _process, :any), do: true

  defp end?(%{event: event} = message, end_, process, asked) do
    cond do
      process in asked -> true
      end_ == :to and event.kind == :send and name(event.data.to) in asked -> true
      message.open == end_ -> :perhaps
      true -> false
    end
  end

  defp both(false, _other), do: false
  defp both(_one, false), do: false
  defp both(true, true), do: true
  defp both(_one, _other), do: :perhaps

  @doc "Whether one end of a message is a process of the test."
  @spec of_test(t, Scope.t()) :: boolean | :perhaps
  def of_test(message, %{pids: pids}) do
    cond do
      message.from in pids or message.to in pids -> true
      message.open -> :perhaps
      true -> false
    end
  end

  @doc "Both together."
  @spec between(t, ends, ends, Scope.t()) :: boolean | :perhaps
  def between(message, from, to, family), do: both(between(message, from, to), of_test(message, family))

  @doc "Those of some messages whose open end may be one of these processes: one that would not have told of its sending, or its delivery."
  @spec astray([t], ends, ends, Scope.t()) :: [t]
  def astray([], _from, _to, _family), do: []

  def astray(messages, from, to, family) do
    all = if :any in [from, to], do: Heard.all(family)

    ends =
      Map.new([from: from, to: to], fn {end_, asked} -> {end_, if(asked == :any, do: all, else: asked)} end)

    silent = Map.new(ends, fn {end_, pids} -> {end_, Heard.silent(family, Enum.filter(pids, &is_pid/1))} end)

    Enum.filter(messages, fn %{open: open, event: event, takers: takers} ->
      Enum.any?(ends[open], &(&1 in takers)) or Enum.any?(silent[open], &Heard.silent?(&1, event.time))
    end)
  end

  @doc "Why nobody knows the open ends of some messages, and what to do."
  @spec why([t]) :: String.t()
  def why(messages) do
    count = if match?([_], messages), do: "one that matches", else: "#{length(messages)} that match"
    "of #{count} nobody knows #{messages |> Enum.map(&open/1) |> Enum.uniq() |> Enum.join("; or ")}."
  end

  defp open(%{open: :from}),
    do:
      "who sent it: before OTP 27 only a sender that is watched tells that. Watch both ends before: ElixirScope.watch([self(), server])"

  defp open(%{open: :to, event: %{data: %{to: to}}}) do
    if name = name(to),
      do:
        "whom it came to: who had the name #{inspect(name)} then is not recorded. Ask with the name in place of the pid, or watch the process before it takes the name",
      else: "whom it came to: whose alias it was sent to is not recorded. Watch the receiver before"
  end

  @doc "As a failure shows it."
  @spec shown(t) :: Message.t()
  def shown(%{event: event} = message) do
    at = {event.id, event.time}
    {sent, delivered} = if event.kind == :send, do: {at, nil}, else: {nil, at}
    to = if is_pid(message.to), do: message.to
    Message.from_native({sent, delivered, message.from, to, :unknown, event.data.message, message.to})
  end
end
