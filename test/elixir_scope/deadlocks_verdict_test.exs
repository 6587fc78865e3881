defmodule ElixirScope.DeadlocksVerdictTest do
  # Verdicts on events that are made up: what a recording shows when something is missing or nothing is instrumented.
  use ExUnit.Case, async: true

  alias ElixirScope.{Deadlock, Event, ListedPast}
  alias ElixirScope.Query.Deadlocks

  defp one, do: :erlang.list_to_pid(~c"<0.30001.0>")
  defp two, do: :erlang.list_to_pid(~c"<0.30002.0>")

  setup do
    %{first: make_ref(), second: make_ref()}
  end

  # Events in their order, a microsecond apart.
  defp past(events, options) do
    events =
      for {{pid, kind, data}, id} <- Enum.with_index(events, 1) do
        {mfa, data} = Map.pop(data, :mfa)
        %Event{id: id, time: id * 1_000, pid: pid, kind: kind, mfa: mfa, data: data}
      end

    ListedPast.of(events, [], options)
  end

  defp find(events, options \\ []), do: events |> past(options) |> Deadlocks.find(0, 0x7FFFFFFFFFFFFFFF)

  defp call(from, tag, request), do: {:"$gen_call", {from, tag}, request}

  defp asks(from, to, ref, how \\ :alias) do
    message = call(from, if(how == :alias, do: [:alias | ref], else: ref), :ask)
    [{from, :send, %{message: message, to: to}}, {to, :receive, %{message: message, from: from}}]
  end

  defp traced(pid, to),
    do: [{pid, :traced, %{mfa: {:gen, :call, 4}, action: :call, args: [to, :"$gen_call", :ask, 5_000]}}]

  defp callback(pid, from, ref) do
    [{pid, :call, %{mfa: {Server, :handle_call, 3}, args: [:ask, {from, [:alias | ref]}, nil]}}]
  end

  defp returns(pid), do: [{pid, :return, %{mfa: {Server, :handle_call, 3}, value: {:noreply, nil}}}]

  defp replies(pid, to, ref) do
    message = {[:alias | ref], :answer}
    [{pid, :send, %{message: message, to: ref}}, {to, :receive, %{message: message, from: pid}}]
  end

  defp circle(context) do
    asks(one(), two(), context.first) ++ asks(two(), one(), context.second)
  end

  test "calls that were traced wait", context do
    {one, two} = {one(), two()}

    events =
      traced(one(), two()) ++
        asks(one(), two(), context.first) ++ traced(two(), one()) ++ asks(two(), one(), context.second)

    assert [%Deadlock{verdict: :deadlock, since: 5_000, ended: nil} = deadlock] = find(events)

    assert [%{pid: ^one, for: ^two, since: 2_000, evidence: :traced}, %{pid: ^two, for: ^one, since: 5_000}] =
             deadlock.members
  end

  test "so do calls without a timeout, which have a tag of their own", context do
    events = asks(one(), two(), context.first, :plain) ++ asks(two(), one(), context.second, :plain)
    assert [%Deadlock{verdict: :deadlock}] = find(events)
  end

  test "where nothing says that they did not go on it is unknown", context do
    assert [%Deadlock{verdict: :unknown, members: [_, _], gaps: [], why: why}] = find(circle(context))
    assert why =~ "nothing recorded says that"
  end

  test "where events are missing it is unknown, also when nothing is found", context do
    gap = %{cause: :full, count: 3, from: 2_500, to: 2_600}

    events =
      traced(one(), two()) ++
        asks(one(), two(), context.first) ++ traced(two(), one()) ++ asks(two(), one(), context.second)

    assert [%Deadlock{verdict: :unknown, members: [_, _], gaps: [^gap]}, %Deadlock{members: [], gaps: [^gap]}] =
             find(events, gaps: [gap])

    assert [%Deadlock{verdict: :unknown, members: [], gaps: [^gap], why: why}] =
             find(asks(one(), two(), context.first), gaps: [gap])

    assert why =~ "a deadlock may have been among them"
    # What retention removed was recorded, and is known to be over.
    assert find(asks(one(), two(), context.first), gaps: [%{gap | cause: :removed}]) == []
  end

  test "an answer that crosses the request is one", context do
    events =
      callback(one(), self(), make_ref()) ++
        asks(one(), two(), context.first) ++
        callback(two(), one(), context.first) ++
        replies(two(), one(), context.first) ++ asks(two(), one(), context.second)

    assert find(events) == []
  end

  test "a request that was put aside is answered by whoever wants to", context do
    {one, two} = {one(), two()}

    asked =
      callback(one(), self(), make_ref()) ++
        asks(one(), two(), context.first) ++ callback(two(), one(), context.first)

    back = callback(two(), self(), make_ref()) ++ asks(two(), one(), context.second)
    assert find(asked ++ returns(two()) ++ back) == []
    # In the same callback it is not.
    assert [%Deadlock{verdict: :deadlock, members: [%{pid: ^one}, %{pid: ^two}]}] =
             find(asked ++ asks(two(), one(), context.second))
  end

  test "who went on had not waited", context do
    one = one()

    events =
      callback(one(), self(), make_ref()) ++
        asks(one(), two(), context.first) ++ callback(two(), self(), make_ref())

    events = events ++ asks(two(), one(), context.second)
    assert [%Deadlock{verdict: :deadlock}] = find(events)
    assert find(events ++ returns(one())) == []
    # Unless the VM tells of its timeout.
    timeout = [{one(), :receive, %{message: :timeout, from: nil}}]

    assert [%Deadlock{verdict: :deadlock, ended: %{how: :timeout, pid: ^one}}] =
             find(events ++ timeout ++ returns(one()))

    killed = [{one(), :exit, %{reason: :killed}}]
    assert [%Deadlock{verdict: :deadlock, ended: %{how: :exit, reason: :killed}}] = find(events ++ killed)
  end

  test "a call of a process whose messages are not recorded may have been answered", context do
    {one, two} = {one(), two()}

    # The second had asked the first once, which nobody saw being answered; the first asks the second, which is busy.
    events =
      traced(two, one) ++
        callback(one, self(), make_ref()) ++ traced(one, two) ++ asks(one, two, context.first)

    assert [%Deadlock{verdict: :unknown}] = find(events)
    # The answer was seen where it was sent.
    asked =
      {two, :receive, %{message: call(two, [:alias | context.second], :ask), from: nil}} |> put_elem(0, one)

    answered = {one, :send, %{message: {[:alias | context.second], :yes}, to: context.second}}

    events =
      traced(two, one) ++
        [asked, answered] ++
        callback(one, self(), make_ref()) ++ traced(one, two) ++ asks(one, two, context.first)

    assert find(events) == []
    # And that it was not.
    events =
      traced(two, one) ++
        [asked] ++ callback(one, self(), make_ref()) ++ traced(one, two) ++ asks(one, two, context.first)

    assert [%Deadlock{verdict: :deadlock, members: [%{pid: ^two}, %{pid: ^one}]}] = find(events)
  end
end
