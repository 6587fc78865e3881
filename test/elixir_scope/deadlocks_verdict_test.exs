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
        {mfa, data} = if kind == :spawn, do: {nil, data}, else: Map.pop(data, :mfa)
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

  test "one that may have given up before the circle closed is not certain to be in it", context do
    gave_up = [{one(), :receive, %{message: :timeout, from: nil}}]
    asked = traced(one(), two()) ++ asks(one(), two(), context.first)
    back = traced(two(), one()) ++ asks(two(), one(), context.second)
    assert [%Deadlock{verdict: :unknown, members: [_, _], why: why}] = find(asked ++ gave_up ++ back)
    assert why =~ "nothing recorded says that #{inspect(one())} did not go on"
    assert [%Deadlock{verdict: :deadlock}] = find(asked ++ back ++ gave_up)
    # Without a timeout what came was a message.
    asked = asks(one(), two(), context.first, :plain)
    assert [%Deadlock{verdict: :deadlock}] = find(asked ++ gave_up ++ back)
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

  defp tells(from, to, message) do
    [{from, :send, %{message: message, to: to}}, {to, :receive, %{message: message, from: from}}]
  end

  defp waits(pid), do: [{pid, :wait, %{}}]
  defp takes(pid, message), do: [{pid, :take, %{message: message}}]

  test "what was told and taken, with or without the reference of the other one, is no request", context do
    for {to_one, to_two} <- [
          {{:rep, two(), 1}, {:rep, one(), 1}},
          {{:rep, two(), context.first}, {:rep, one(), context.second}}
        ] do
      events =
        tells(two(), one(), {:req, context.first}) ++
          tells(one(), two(), {:req, context.second}) ++
          tells(one(), two(), to_two) ++
          tells(two(), one(), to_one) ++
          waits(one()) ++ waits(two()) ++ takes(one(), to_one) ++ takes(two(), to_two)

      # Both have taken it, and wait again.
      again = tells(one(), two(), to_two) ++ tells(two(), one(), to_one) ++ waits(one()) ++ waits(two())
      assert find(events) == []
      found = find(events ++ again)
      assert Enum.all?(found, &(&1.verdict == :unknown))
    end
  end

  test "a request by hand with a reference of its own is certain until another one may answer", context do
    one = one()

    asked =
      tells(one(), two(), {:ask, one(), context.first}) ++
        waits(one()) ++ tells(two(), one(), {:ask, two(), context.second}) ++ waits(two())

    assert [%Deadlock{verdict: :deadlock, members: [%{pid: ^one}, _]}] = find(asked)
    # It had been told of the reference before.
    known = [{one(), :receive, %{message: {:use, context.first}, from: nil}}]
    assert [%Deadlock{verdict: :unknown}] = find(known ++ asked)
    # It waits for something else as well.
    subscribed = [{one(), :send, %{message: {:subscribe, one()}, to: self()}}]
    assert [%Deadlock{verdict: :unknown}] = find(subscribed ++ asked)
    # The same receive has taken something else.
    other = tells(one(), two(), :hello) ++ waits(one()) ++ takes(one(), :start)
    assert [%Deadlock{verdict: :unknown, why: why}] = find(other ++ asked)
    assert why =~ "may wait for something else"
  end

  test "who was told whom to answer, in a function or cut, may answer", context do
    asked = callback(one(), self(), make_ref()) ++ asks(one(), two(), context.first, :plain)
    work = [{two(), :call, %{mfa: {Server, :handle_call, 3}, args: [:ask, {one(), context.first}, nil]}}]
    back = asks(two(), one(), context.second, :plain)
    from = {one(), context.first}
    cut = %ElixirScope.Cut{}
    told = fn message -> [{two(), :send, %{message: message, to: self()}}] end

    spawned = [
      {two(), :spawn, %{child: self(), mfa: {:erlang, :apply, [fn -> GenServer.reply(from, 1) end, []]}}}
    ]

    assert [%Deadlock{verdict: :deadlock}] = find(asked ++ work ++ back)
    assert [%Deadlock{verdict: :deadlock}] = find(asked ++ work ++ told.(:other) ++ back)

    for handed <- [told.({:reply, from}), told.(fn -> from end), told.([1, cut]), spawned] do
      assert [%Deadlock{verdict: :unknown, why: why}] = find(asked ++ work ++ handed ++ back)
      assert why =~ "told #{inspect(self())} whom to answer"
    end
  end
end
