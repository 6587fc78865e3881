defmodule ElixirScope.DeadlocksTest do
  # Programs with known verdicts. The recording is one for the VM, and each test begins a new one.
  use ElixirScope.Recorded, watch: :all

  import ElixirScope.Circles, only: [client: 1]
  import ElixirScope.Until

  alias ElixirScope.{Deadlock, Error, Waiting}
  alias ElixirScope.Circles.{Barrier, Child, Link, Machine, Plain}

  defp links(count), do: for(_ <- 1..count, do: elem(Link.start(), 1))

  # Whoever is killed is gone afterwards.
  defp finish(pids) do
    refs = for pid <- pids, do: Process.monitor(pid)
    Enum.each(pids, &Process.exit(&1, :kill))
    for ref <- refs, do: assert_receive({:DOWN, ^ref, _, _, _})
  end

  defp waiting_for(deadlock), do: for(member <- deadlock.members, into: %{}, do: {member.pid, member.for})

  for count <- [2, 3, 20] do
    test "#{count} servers that call each other in a circle" do
      servers = [first | others] = links(unquote(count))
      client = client(fn -> GenServer.call(first, {:ask, others ++ [first], :infinity}, :infinity) end)
      all_wait(servers)

      assert [%Deadlock{verdict: :deadlock, confirmed: true, ended: nil, gaps: []} = deadlock] =
               ElixirScope.deadlocks()

      assert waiting_for(deadlock) == Map.new(Enum.zip(servers, others ++ [first]))
      assert hd(deadlock.members).pid == first
      assert deadlock.since == List.last(deadlock.members).since

      for %Waiting{} = member <- deadlock.members do
        assert %{kind: :call, request: {:ask, _, :infinity}, confirmed: true, ended: nil} = member
        assert member.call.mfa == {Link, :handle_call, 3}
        assert member.file =~ "circles.ex"
      end

      finish([client | servers])
    end
  end

  @tag :capture_log
  test "one that was ended from outside, as the recording has it" do
    servers = [first, second] = links(2)
    client = client(fn -> GenServer.call(first, {:ask, [second, first], :infinity}, :infinity) end)
    all_wait(servers)
    finish([client | servers])

    assert [%Deadlock{verdict: :deadlock, confirmed: nil} = deadlock] = ElixirScope.deadlocks()
    assert %{how: :exit, reason: :killed} = deadlock.ended
    assert waiting_for(deadlock) == %{first => second, second => first}
    assert Enum.all?(deadlock.members, &(&1.ended.how in [:exit, :down]))
  end

  test "one that a timeout broke, and that is over" do
    [first, second] = links(2)
    # The first gives up; so it can answer the second.
    assert GenServer.call(first, {:give_up, second, 500}) == :gave_up
    # The second has answered too late by then, which says that the first had waited.
    assert :sys.get_state(second) == %{}
    assert [%Deadlock{verdict: :deadlock, ended: ended} = deadlock] = ElixirScope.deadlocks()
    assert %{how: :timeout, pid: ^first} = ended
    assert waiting_for(deadlock) == %{first => second, second => first}
    assert ended.time - deadlock.since > 10_000_000
    assert Enum.map(deadlock.members, & &1.ended.how) |> Enum.sort() == [:reply, :timeout]
  end

  @tag :capture_log
  test "one that gave up and asked again, until the other one gave up" do
    [first, second] = links(2)
    nothing = {:ask, [], 0}
    back = {:try, first, [{nothing, 150}]}
    assert [:gave_up, :done] = GenServer.call(first, {:try, second, [{back, 50}, {nothing, 5_000}]})
    assert [one, other] = ElixirScope.deadlocks()

    for {deadlock, who} <- [{one, first}, {other, second}] do
      assert %Deadlock{verdict: :deadlock, ended: %{how: :timeout, pid: ^who}} = deadlock
      assert waiting_for(deadlock) == %{first => second, second => first}
    end

    # The second one asked once.
    assert [asked, asked] =
             for(%{members: members} <- [one, other], do: Enum.find(members, &(&1.pid == second)).id)
  end

  test "a server that calls itself" do
    server = hd(links(1))
    ref = Process.monitor(server)
    client(fn -> catch_exit(GenServer.call(server, :itself)) end)
    assert_receive {:DOWN, ^ref, _, _, _}
    assert [%Deadlock{verdict: :deadlock, members: [member], ended: %{how: :exit}}] = ElixirScope.deadlocks()
    assert %Waiting{pid: ^server, for: ^server, request: :itself} = member
    assert member.call.mfa == {Link, :handle_call, 3}
  end

  for how <- [:raise, :stop] do
    @tag :capture_log
    test "a server that ends without an answer (#{how}), and asks who waits for it in its terminate" do
      first = hd(links(1))
      {:ok, second} = Link.start(%{last: first})
      GenServer.cast(first, {:ask, second, unquote(how)})
      # Before, it may wait for code to be loaded.
      until(fn ->
        ElixirScope.messages(from: second, kind: :call, matching: &match?({_, _, {:ask, _, _}}, &1)) != []
      end)

      all_wait([first, second])
      assert [%Deadlock{verdict: :deadlock, confirmed: true} = deadlock] = ElixirScope.deadlocks()
      assert waiting_for(deadlock) == %{first => second, second => first}
      finish([first, second])
    end
  end

  test "a server and the Task that it awaits" do
    server = hd(links(1))
    client = client(fn -> GenServer.call(server, {:task, server}, :infinity) end)
    all_wait([server])
    assert [%Deadlock{verdict: :deadlock, confirmed: true} = deadlock] = until_found()

    assert [%{kind: :task, pid: ^server, for: task}, %{kind: :call, pid: task, for: ^server}] =
             deadlock.members

    finish([client, server])
  end

  test "a state machine and a server" do
    server = hd(links(1))
    {:ok, machine} = Machine.start()
    client = client(fn -> GenServer.call(server, {:machine, machine}, :infinity) end)
    all_wait([server, machine])
    assert [%Deadlock{verdict: :deadlock, confirmed: true} = deadlock] = ElixirScope.deadlocks()
    assert waiting_for(deadlock) == %{server => machine, machine => server}
    finish([client, server, machine])
  end

  test "processes that ask each other by hand" do
    [first, second, third] = for _ <- 1..3, do: Plain.start()
    assert Plain.ask(first, [second, third]) == :done
    client = client(fn -> Plain.ask(first, [second, third, first]) end)
    deadlock = hd(until_found())
    assert %Deadlock{verdict: :deadlock, confirmed: true} = deadlock
    assert waiting_for(deadlock) == %{first => second, second => third, third => first}
    assert [%{kind: :request, request: {:ask, ^first, _, [^third, ^first]}} = member, _, _] = deadlock.members
    assert member.file =~ "circles.ex"
    finish([client, first, second, third])
  end

  test "a process that asks itself by hand" do
    process = Plain.start()
    assert Plain.ask(process, []) == :done
    client = client(fn -> Plain.ask(process, [process]) end)
    assert [%Deadlock{members: [%{pid: ^process, for: ^process}]}] = until_found()
    finish([client, process])
  end

  test "a child that asks the supervisor that starts it" do
    {:ok, supervisor} = DynamicSupervisor.start_link(strategy: :one_for_one)
    Process.unlink(supervisor)
    {:ok, _} = DynamicSupervisor.start_child(supervisor, {Agent, fn -> 1 end})
    # Who was started and asks later does not.
    assert [%{}] = for({_, pid, _, _} <- DynamicSupervisor.which_children(supervisor), do: %{pid: pid})
    assert ElixirScope.deadlocks() == []
    client = client(fn -> DynamicSupervisor.start_child(supervisor, {Child, supervisor}) end)
    assert [%Deadlock{verdict: :deadlock, confirmed: true} = found] = until_found()

    assert [%{kind: :start, pid: ^supervisor, for: child}, %{kind: :call, pid: child, for: ^supervisor}] =
             found.members

    assert inspect(found) =~ "starts"
    # The child, which asks, learns of the end of whom it asks; who starts it learns nothing any more.
    finish([client, supervisor])
    ref = Process.monitor(child)
    assert_receive {:DOWN, ^ref, _, _, _}
    assert [%Deadlock{members: [_, _], ended: ended}] = ElixirScope.deadlocks()
    assert %{how: :exit, reason: :killed, pid: ^supervisor} = ended
  end

  @tag :capture_log
  test "a child that asks the supervisor that starts it, when the child ends first" do
    {:ok, supervisor} = DynamicSupervisor.start_link(strategy: :one_for_one)
    client = client(fn -> DynamicSupervisor.start_child(supervisor, {Child, supervisor}) end)
    assert [%Deadlock{members: [%{for: child}, _]}] = until_found()
    finish([child])
    assert_receive {:client, ^client, {:error, :killed}}
    DynamicSupervisor.stop(supervisor)
    assert [%Deadlock{members: [_, _], ended: ended}] = ElixirScope.deadlocks()
    assert %{how: :exit, reason: :killed, pid: ^child} = ended
  end

  test "a circle that a Task.yield ends by giving up" do
    server = hd(links(1))
    client = client(fn -> GenServer.call(server, {:yield, server, 2_000}, :infinity) end)
    assert [%Deadlock{verdict: :deadlock, ended: nil, confirmed: true}] = until_found()
    assert_receive {:client, ^client, nil}, 5_000
    :sys.get_state(server)

    assert [%Deadlock{verdict: :deadlock, members: [%{kind: :task, pid: ^server}, _], ended: ended}] =
             ElixirScope.deadlocks()

    assert %{how: :timeout, pid: ^server} = ended
  end

  describe "is not certain:" do
    # What it waits for may come from anybody.
    test "a receive behind a message that names its sender, without a reference" do
      [one, other] = for _ <- 1..2, do: spawn(&Barrier.ask/0)
      for {pid, peer} <- [{one, other}, {other, one}], do: send(pid, {:peer, peer})
      assert [%Deadlock{verdict: :unknown, confirmed: nil, members: [_, _]} = found] = until_found()
      assert found.why =~ "may wait for something else"
      assert inspect(found) =~ "2 processes may wait for each other"
      finish([one, other])
      assert [%Deadlock{verdict: :unknown, why: why}] = ElixirScope.deadlocks()
      assert why =~ "may wait for something else"
    end

    test "processes that tell each other that they are there, and wait for a start" do
      [one, other] = for _ <- 1..2, do: Barrier.start()
      refs = for pid <- [one, other], do: Process.monitor(pid)
      for {pid, peer} <- [{one, other}, {other, one}], do: send(pid, {:peer, peer, nil})
      assert [%Deadlock{verdict: :unknown, confirmed: nil}] = until_found()
      for pid <- [one, other], do: send(pid, {:start, self()})
      for ref <- refs, do: assert_receive({:DOWN, ^ref, _, _, :normal})
      assert ElixirScope.deadlocks() == []
    end

    test "one that has asked another one as well" do
      me = self()
      [one, other] = for _ <- 1..2, do: spawn(&Barrier.ask_two/0)
      for {pid, peer} <- [{one, other}, {other, one}], do: send(pid, {:peers, me, peer})
      assert [%Deadlock{verdict: :unknown, confirmed: nil}] = until_found()

      for pid <- [one, other] do
        down = Process.monitor(pid)
        assert_receive {:ask, ^pid, ref}
        send(pid, {ref, :answer})
        assert_receive {:DOWN, ^down, _, _, :normal}
      end

      assert ElixirScope.deadlocks() == []
    end

    test "a server that has told another one whom to answer" do
      me = self()
      [first, second] = links(2)
      client = client(fn -> GenServer.call(first, {:hand, second, me}, :infinity) end)
      assert_receive {:answer, from}
      all_wait([first, second])
      assert [%Deadlock{verdict: :unknown, confirmed: nil, ended: nil} = found] = ElixirScope.deadlocks()
      assert found.why =~ "told #{inspect(me)} whom to answer"
      GenServer.reply(from, :answered)
      assert_receive {:client, ^client, :answered}
      :sys.get_state(second)
      assert ElixirScope.deadlocks() == []
    end
  end

  # It was asked to wait at the moment when it has begun to.
  defp until_found do
    until(fn -> ElixirScope.deadlocks() != [] end)
    ElixirScope.deadlocks()
  end

  describe "is none:" do
    test "a long chain that ends in a server that is slow" do
      servers = [first | others] = links(20)
      last = List.last(servers)
      client = client(fn -> GenServer.call(first, {:ask, others, :infinity}, :infinity) end)
      assert_receive {:client, ^client, :done}, 5_000
      slow = client(fn -> GenServer.call(last, :slow, :infinity) end)
      all_wait([last])
      again = client(fn -> GenServer.call(first, {:ask, others, :infinity}, :infinity) end)
      all_wait(servers)
      assert ElixirScope.deadlocks() == []
      send(last, :enough)
      assert_receive {:client, ^slow, :done}
      assert_receive {:client, ^again, :done}
      assert ElixirScope.deadlocks() == []
    end

    test "a request that is sent without waiting for its answer" do
      [first, second] = links(2)
      :ok = GenServer.call(first, {:request, second})
      :ok = GenServer.call(second, {:request, first})
      :sys.get_state(first)
      :sys.get_state(second)
      assert ElixirScope.deadlocks() == []
    end

    test "an answer that comes later, from another process" do
      me = self()
      [first, second] = links(2)
      # The second has put the first's request aside, and asks the first.
      GenServer.cast(first, {:ask, second, {:later, me}})
      assert_receive {:answer, from}
      GenServer.cast(second, {:ask, first, {:ask, [], :infinity}})
      all_wait([first, second])
      assert ElixirScope.deadlocks() == []
      GenServer.reply(from, :at_last)
      assert :sys.get_state(second) == %{}
      assert ElixirScope.deadlocks() == []
    end

    test "a call that ended with its timeout before the circle would have closed" do
      [first, second] = links(2)
      slow = client(fn -> GenServer.call(second, :slow, :infinity) end)
      all_wait([second])
      gave_up = client(fn -> GenServer.call(first, {:give_up, second, 20}, :infinity) end)
      assert_receive {:client, ^gave_up, :gave_up}
      send(second, :enough)
      assert_receive {:client, ^slow, :done}
      # What the second is asked too late it asks the first, which answers.
      :sys.get_state(second)
      assert ElixirScope.deadlocks() == []
    end

    test "a Task that answers" do
      [server, other] = links(2)
      assert GenServer.call(server, {:task, other}) == :done
      assert ElixirScope.deadlocks() == []
    end

    test "processes that answer each other by hand, and then wait for what comes" do
      [first, second] = for _ <- 1..2, do: Plain.start()
      for _ <- 1..20, do: assert(Plain.ask(first, [second]) == :done)
      for _ <- 1..20, do: assert(Plain.ask(second, [first]) == :done)
      # Each tells the other one something and names itself, and none waits for an answer.
      send(first, {:tell, second, :hello})
      send(second, {:tell, first, :hello})
      assert Plain.ask(first, [second]) == :done
      assert ElixirScope.deadlocks() == []
      finish([first, second])
    end

    test "many conversations that cross" do
      servers = links(4)

      calls =
        for n <- 1..200,
            do:
              client(fn ->
                GenServer.call(Enum.at(servers, rem(n, 4)), {:ask, path(servers, n), :infinity})
              end)

      for call <- calls, do: assert_receive({:client, ^call, :done}, 5_000)
      assert ElixirScope.deadlocks() == []
    end

    # Always upwards, so never in a circle.
    defp path(servers, n), do: servers |> Enum.drop(rem(n, 4) + 1) |> Enum.drop_every(2)
  end

  if ElixirScope.Watch.Kinds.sessions?() do
    test "with what is watched when nothing is said", %{tmp_dir: dir} do
      {:ok, _} = ElixirScope.start(dir: dir, watch: :instrumented)
      servers = [first, second] = links(2)
      {:ok, agent} = Agent.start(fn -> 1 end)
      assert Agent.get(agent, & &1) == 1
      client = client(fn -> GenServer.call(first, {:ask, [second, first], :infinity}, :infinity) end)
      all_wait(servers)
      assert [%Deadlock{verdict: :deadlock, confirmed: true} = deadlock] = ElixirScope.deadlocks()
      assert Enum.all?(deadlock.members, &(&1.evidence == :traced))
      finish([client | servers])
    end
  end

  test "what is missing is unknown" do
    servers = [first, second] = links(2)
    :ok = ElixirScope.pause()
    :ok = ElixirScope.resume()
    client = client(fn -> GenServer.call(first, {:ask, [second, first], :infinity}, :infinity) end)
    all_wait(servers)

    assert [%Deadlock{verdict: :deadlock}, %Deadlock{verdict: :unknown, members: [], gaps: [gap]}] =
             ElixirScope.deadlocks()

    assert gap.cause == :paused
    :ok = ElixirScope.pause()
    :ok = ElixirScope.resume()
    assert [%Deadlock{verdict: :unknown, members: [_, _], gaps: [_]}, _] = ElixirScope.deadlocks()
    finish([client | servers])
  end

  test "nothing that was watched is an error", %{tmp_dir: dir} do
    # What was watched until then must not tell the new one anything.
    :ok = ElixirScope.stop()
    {:ok, _} = ElixirScope.start(dir: dir, watch: false)
    links(1)
    assert %Error{reason: :not_watched, message: message} = catch_error(ElixirScope.deadlocks())
    assert message =~ "ElixirScope.watch(:all)"
    assert %Error{reason: :bad_option} = catch_error(ElixirScope.deadlocks(pid: self()))
    assert %Error{reason: :bad_time} = catch_error(ElixirScope.deadlocks(since: 1.5))
  end
end
