defmodule ElixirScope.ExitsTest do
  # Why processes ended, of programs of which that is known.
  use ElixirScope.Recorded, watch: false

  alias ElixirScope.{Error, ExitChain}
  alias ElixirScope.ExitChain.Step
  alias ElixirScope.Mortals.{Plain, Till}
  alias ElixirScope.Watch.Kinds

  defmodule Reborn do
    # A server that cannot be started again once it was told so.
    use GenServer
    use ElixirScope

    def start_link({name, fails?}), do: GenServer.start_link(__MODULE__, fails?, name: name)

    @impl true
    def init(fails?), do: if(Agent.get(fails?, & &1), do: {:stop, :no_more}, else: {:ok, fails?})

    @impl true
    def handle_cast(reason, state), do: {:stop, reason, state}
  end

  @moduletag capture_log: true

  setup do
    {:ok, _watched} = ElixirScope.watch(self(), spawned: true)
    Process.flag(:trap_exit, true)
    :ok
  end

  defp ended(pid) do
    ref = Process.monitor(pid)
    receive do: ({:DOWN, ^ref, :process, ^pid, _reason} -> pid)
  end

  defp why(server) do
    {:ok, %ExitChain{} = chain} = ElixirScope.why_exited(server)
    assert chain.ends in ExitChain.reasons()
    # Each way of showing it works.
    for shown <- [chain | chain.steps], do: assert(inspect(shown) =~ "#ElixirScope.ExitChain")
    {chain, Enum.map(chain.steps, & &1.kind)}
  end

  describe "its own code" do
    test "raised in a call of its callback: which, with which message, and who sent that" do
      me = self()
      {:ok, till} = Till.start()
      catch_exit(Till.pay(till, :raise))
      assert {chain, [:exit, :raised, :message, :sender]} = why(ended(till))
      assert [exit, raised, message, sender] = chain.steps
      assert %Step{pid: ^till, reason: {:badarith, [_ | _]}} = exit

      assert %Step{exception: :error, reason: :badarith, call: %{mfa: {Till, :count, 1}, args: [nil]}} =
               raised

      assert %Step{message: {:pay, :raise}, other: ^me, call: %{mfa: {Till, :handle_call, 3}}} = message
      assert %Step{pid: ^me, call: %{mfa: {Till, :pay, 2}}} = sender
      assert chain.ends == :raised
      refute Enum.any?(chain.steps, & &1.inferred?)
    end

    test "exited" do
      {:ok, till} = Till.start()
      catch_exit(Till.pay(till, :exit))

      assert {%{reason: :till_stolen, steps: [_, %Step{exception: :exit, reason: :till_stolen} | _]}, _} =
               why(ended(till))
    end

    test "raised for a message of which nobody waits for the answer" do
      me = self()
      {:ok, till} = Till.start()
      Till.tell(till, :raise)
      assert {chain, [:exit, :raised, :message, :sender]} = why(ended(till))
      assert %Step{message: :raise, other: ^me} = Enum.at(chain.steps, 2)
      assert %Step{call: %{mfa: {Till, :tell, 2}}} = Enum.at(chain.steps, 3)
    end

    test "said :stop" do
      {:ok, till} = Till.start()
      Till.pay(till, :stop)

      assert {%{ends: :stopped, reason: :till_closed} = chain, [:exit, :stopped, :message, :sender]} =
               why(ended(till))

      assert %Step{call: %{mfa: {Till, :handle_call, 3}}} = Enum.at(chain.steps, 1)
      assert inspect(chain) =~ "it said {:stop, :till_closed, ...}"
    end

    test "came to its end" do
      assert {%{ends: :returned_normally, steps: [_]}, _} = why(ended(spawn(fn -> :ok end)))
    end

    test "raised where it is not instrumented: the stack says where" do
      {:ok, plain} = Plain.start_link(id: :plain)
      GenServer.cast(plain, :raise)
      assert {%{ends: :raised} = chain, [:exit, :raised]} = why(ended(plain))
      assert List.last(chain.steps).text =~ "ElixirScope.Mortals.Plain.handle_cast/2"
      assert inspect(chain) =~ "exited: ** (ArgumentError) not instrumented"
    end

    test "that was killed in a call did not end by what it had raised and caught before" do
      {:ok, till} = Till.start()
      catch_exit(Till.pay(till, :nothing_such)) && ended(till)
      {:ok, till} = Till.start()
      hold = make_ref()
      spawn(fn -> Till.pay(till, {:hold, hold}) end)
      await(fn -> ElixirScope.calls({Till, :wait}, pid: till) != [] end)
      Process.exit(till, :kill)
      assert {%{reason: :killed}, [:exit | rest]} = why(ended(till))
      assert rest in [[], [:signal]]
    end
  end

  defp await(done?), do: if(done?.(), do: :ok, else: await(done?))

  describe "another process" do
    test "that it was linked to: a chain of five" do
      me = self()

      line =
        Enum.reduce(1..5, [], fn _number, line ->
          pid =
            spawn(fn ->
              for before <- Enum.take(line, 1), do: Process.link(before)
              send(me, :linked)
              receive do: ({:die, reason} -> exit(reason))
            end)

          receive do: (:linked -> [pid | line])
        end)

      send(hd(line), {:die, :boom})
      {chain, kinds} = why(ended(List.last(line)))
      assert kinds == [:exit, :link, :exit, :link, :exit, :link, :exit, :link, :exit]
      assert for(%Step{kind: :exit, pid: pid} <- chain.steps, do: pid) == Enum.reverse(line)

      assert for(%Step{kind: :link, other: pid, inferred?: false} <- chain.steps, do: pid) ==
               line |> Enum.reverse() |> tl()

      assert chain.ends == :signal_unseen
      # The last of them ended by itself, with what is not instrumented.
      assert {%{steps: [_]}, [:exit]} = why(hd(line))
    end

    test "that it was linked to, in random graphs: each leads to the one that ended first, by links that there were" do
      for seed <- 1..20 do
        :rand.seed(:exsss, {seed, 6, 27})
        me = self()

        pids =
          for _ <- 1..Enum.random(2..8) do
            spawn(fn ->
              receive do: ({:links, pids} -> Enum.each(pids, &Process.link/1))
              send(me, {:linked, self()})
              receive do: ({:die, reason} -> exit(reason))
            end)
          end

        # Each with one before it, so that all hang together, and some more.
        links =
          for {pid, number} <- Enum.with_index(pids), number > 0, into: %{} do
            {pid, Enum.uniq(for _ <- 0..Enum.random(0..1), do: Enum.random(Enum.take(pids, number)))}
          end

        for pid <- pids do
          send(pid, {:links, Map.get(links, pid, [])})
          receive do: ({:linked, ^pid} -> :ok)
        end

        first = Enum.random(pids)
        reason = {:boom, seed}
        send(first, {:die, reason})
        for pid <- pids, do: ended(pid)
        edge? = fn one, other -> other in Map.get(links, one, []) or one in Map.get(links, other, []) end

        for pid <- pids do
          {chain, _kinds} = why(pid)
          exits = for %Step{kind: :exit, pid: pid, reason: ^reason} <- chain.steps, do: pid
          assert {hd(exits), List.last(exits)} == {pid, first}, "seed #{seed}"

          for [one, other] <- Enum.chunk_every(exits, 2, 1, :discard),
              do: assert(edge?.(one, other), "seed #{seed}")

          assert length(chain.steps) == 2 * length(exits) - 1
        end
      end
    end

    test "of which its exit told it, which it traps" do
      {:ok, till} = Till.start(trap: true)
      other = spawn(fn -> Process.link(till) && receive(do: (:die -> exit(:boom))) end)
      send(other, :die)
      assert {%{reason: {:told, :boom}} = chain, kinds} = why(ended(till))
      assert kinds == [:exit, :stopped, :message, :down, :exit]
      assert %Step{pid: ^other, reason: :boom} = List.last(chain.steps)
      assert inspect(chain) =~ "which told it that"
    end

    test "of which its monitor told it" do
      {:ok, one} = Till.start()
      {:ok, other} = Till.start()
      Till.tell(one, {:monitor, other})
      :ok = Till.pay(one, :ok)
      Till.tell(other, :raise)

      assert {%{ends: :raised} = chain, kinds} = why(ended(one))
      assert kinds == [:exit, :stopped, :message, :down, :exit, :raised, :message, :sender]
      assert %Step{kind: :down, pid: ^one, other: ^other} = Enum.at(chain.steps, 3)
    end

    test "of which its monitor told it, as it seems, where it is not instrumented" do
      other = spawn(fn -> receive(do: (:die -> exit(:gone))) end)
      me = self()

      pid =
        spawn(fn ->
          ref = Process.monitor(other)
          send(me, :monitors)
          receive do: ({:DOWN, ^ref, :process, _pid, reason} -> exit(reason))
        end)

      receive do: (:monitors -> send(other, :die))
      assert {chain, [:exit, :down, :exit]} = why(ended(pid))
      assert %Step{inferred?: true, other: ^other} = Enum.at(chain.steps, 1)
    end

    test "that told it to stop" do
      me = self()
      {:ok, plain} = Plain.start_link(id: :stopped)
      GenServer.stop(plain, :enough)
      assert {%{ends: :stopped} = chain, [:exit, :message]} = why(ended(plain))
      assert %Step{other: ^me, message: {:terminate, :enough}} = List.last(chain.steps)
    end

    test "that it was linked to, which is not watched" do
      :ok = ElixirScope.unwatch(self())
      other = spawn(fn -> receive(do: (:die -> exit(:boom))) end)
      {:ok, _watched} = ElixirScope.watch(self(), spawned: true)
      pid = spawn(fn -> Process.link(other) && send(other, :die) && receive(do: (:never -> :ok)) end)
      assert {%{ends: :not_watched, why: text}, [:exit]} = why(ended(pid))
      assert text =~ "it was linked to #{inspect(other)}, which is not watched"
    end

    test "that killed it" do
      me = self()
      {:ok, till} = Till.start()
      Process.exit(till, :kill)
      {chain, kinds} = why(ended(till))

      if Kinds.sessions?() do
        assert kinds == [:exit, :signal]
        assert %Step{other: ^me, reason: :kill, inferred?: false} = List.last(chain.steps)
        assert chain.ends == :killed_by
      else
        assert {kinds, chain.ends} == {[:exit], :signal_unseen}
        assert chain.why =~ "OTP 27"
      end
    end

    test "that did not answer in time: what it was doing" do
      {:ok, busy} = Till.start()
      {:ok, asking} = Till.start()
      hold = make_ref()
      spawn(fn -> Till.pay(busy, {:hold, hold}) end)
      await(fn -> ElixirScope.calls({Till, :wait}, pid: busy) != [] end)
      catch_exit(Till.pay(asking, {:ask, busy}))
      assert {%{ends: :timeout} = chain, kinds} = why(ended(asking))
      assert kinds == [:exit, :raised, :message, :failed_call, :busy]
      assert %Step{other: ^busy, message: :ask, reason: :timeout} = Enum.at(chain.steps, 3)
      assert %Step{pid: ^busy, call: %{mfa: {Till, :wait, 1}, args: [^hold]}} = List.last(chain.steps)
      send(busy, hold)
    end

    test "that was gone when it was called by its name" do
      {:ok, gone} = Till.start(name: :elixir_scope_gone)
      Till.tell(gone, :stop)
      ended(gone)
      {:ok, till} = Till.start()
      catch_exit(Till.pay(till, {:ask, :elixir_scope_gone}))
      assert {%{ends: :stopped} = chain, kinds} = why(ended(till))
      assert kinds == [:exit, :raised, :message, :failed_call, :exit, :stopped, :message, :sender]
      assert %Step{pid: ^gone, reason: :normal} = Enum.at(chain.steps, 4)
    end

    test "whose name another one had taken by then" do
      {:ok, top} = Supervisor.start_link([{Plain, name: :mortal_a}], strategy: :one_for_one)
      server = Process.whereis(:mortal_a)

      {:ok, till} =
        Till.start(
          wait: 5_000,
          last: fn -> await(fn -> Process.whereis(:mortal_a) not in [nil, server] end) end
        )

      spawn(fn -> Till.pay(till, {:ask, :mortal_a}) end)

      await(fn ->
        Enum.any?(
          ElixirScope.events(pid: server, kind: :receive),
          &match?({:"$gen_call", _, :ask}, &1.data.message)
        )
      end)

      GenServer.cast(server, {:exit, :on_fire})
      assert {chain, [:exit, :raised, :message, :failed_call, :exit]} = why(ended(till))
      assert %Step{pid: ^server, reason: :on_fire} = List.last(chain.steps)
      Supervisor.stop(top)
    end

    test "that nobody ever was" do
      {:ok, till} = Till.start()
      catch_exit(Till.pay(till, {:ask, :elixir_scope_nobody}))
      assert {%{ends: :no_process}, kinds} = why(ended(till))
      assert List.last(kinds) == :failed_call
    end

    test "that ended while it was asked" do
      {:ok, server} = Plain.start_link(id: :asked)
      {:ok, till} = Till.start()
      spawn(fn -> Till.pay(till, {:ask, server}) end)

      await(fn ->
        ElixirScope.events(pid: server, kind: :receive)
        |> Enum.any?(&match?({:"$gen_call", _, :ask}, &1.data.message))
      end)

      GenServer.cast(server, {:exit, :on_fire})
      assert {chain, kinds} = why(ended(till))
      assert kinds == [:exit, :raised, :message, :failed_call, :exit]
      assert %Step{pid: ^server, reason: :on_fire} = List.last(chain.steps)
    end

    test "a task, whose crash takes its caller down" do
      caller =
        spawn(fn ->
          Task.await(Task.async(fn -> Till.start() |> elem(1) |> Till.pay(:raise) end))
        end)

      assert {chain, kinds} = why(ended(caller))
      assert [:exit, :link, :exit, :raised, :failed_call, :exit, :raised, :message, :sender] = kinds
      assert [%Step{pid: ^caller}, _, %Step{pid: task}, _, _, %Step{pid: till} | _] = chain.steps
      {:ok, life} = ElixirScope.process(task)
      assert {life.parent, life.kind, life.status} == {caller, :task, :exited}
      assert {:ok, %{kind: :gen_server, initial_call: {Till, :init, 1}}} = ElixirScope.process(till)
      assert inspect(chain) =~ "by its link to"
    end
  end

  describe "a supervisor" do
    defp supervise(strategy, options \\ []) do
      children = for id <- [:mortal_a, :mortal_b, :mortal_c], do: {Plain, name: id}
      {:ok, top} = Supervisor.start_link(children, [strategy: strategy, name: :mortal_top] ++ options)
      top
    end

    defp end_of(name, reason) do
      pid = Process.whereis(name)
      GenServer.cast(pid, {:exit, reason})
      ended(pid)
    end

    test "ended it because its sibling had ended" do
      top = supervise(:one_for_all)
      a = Process.whereis(:mortal_a)
      b = end_of(:mortal_b, :boom)
      assert 3 = length(Supervisor.which_children(top))
      assert {chain, [:exit, :shutdown, :exit]} = why(a)
      assert %Step{other: ^top} = shutdown = Enum.at(chain.steps, 1)
      assert shutdown.inferred? == not Kinds.sessions?()
      assert %Step{pid: ^b, reason: :boom} = List.last(chain.steps)
      # The name is that of the new one, which lives; asked for is the one that ended.
      assert {%{pid: ^a}, _kinds} = why(:mortal_a)
    end

    test "ended it when it ended itself, because its parent told it to" do
      top = supervise(:one_for_one)
      a = Process.whereis(:mortal_a)
      Supervisor.stop(top)
      assert {chain, [:exit, :shutdown, :exit, :message]} = why(a)
      assert %Step{pid: ^top, reason: :normal} = Enum.at(chain.steps, 2)
    end

    test "was asked to end it" do
      top = supervise(:one_for_one)
      me = self()
      a = Process.whereis(:mortal_a)
      :ok = Supervisor.terminate_child(top, :mortal_a)
      assert {%{ends: :killed_by} = chain, [:exit, :shutdown, :message | _]} = why(a)
      assert %Step{pid: ^top, other: ^me, message: {:terminate_child, :mortal_a}} = Enum.at(chain.steps, 2)
    end

    test "gave up when its children ended more often than it restarts them" do
      top = supervise(:one_for_one, max_restarts: 2, max_seconds: 60)
      for number <- 1..2, do: end_of(:mortal_a, {:fault, number}) && Supervisor.which_children(top)
      b = Process.whereis(:mortal_b)
      last = end_of(:mortal_a, {:fault, 3})
      ended(top)
      assert {chain, [:exit, :limit, :exit]} = why(top)
      assert %Step{other: ^last, inferred?: false, text: text} = Enum.at(chain.steps, 1)
      assert text == "it had restarted children 2 times within 60 s, and max_restarts is 2"
      assert %Step{pid: ^last, reason: {:fault, 3}} = List.last(chain.steps)
      assert {_chain, [:exit, :shutdown, :exit, :limit, :exit]} = why(b)
    end

    test "gave up when one too many was killed, which it had not ended itself" do
      top = supervise(:one_for_one, max_restarts: 0)
      [a, b] = Enum.map([:mortal_a, :mortal_b], &Process.whereis/1)
      Process.exit(b, :kill)
      ended(top)
      {chain, kinds} = why(b)
      refute :shutdown in kinds
      assert chain.ends == if(Kinds.sessions?(), do: :killed_by, else: :signal_unseen)
      assert {_chain, [:exit, :limit, :exit | _]} = why(top)
      assert {_chain, [:exit, :shutdown, :exit, :limit, :exit | _]} = why(a)
    end

    test "gave up when a child could not be started again" do
      {:ok, fails?} = Agent.start(fn -> false end)
      children = [{Plain, name: :mortal_a}, {Reborn, {:mortal_b, fails?}}]
      {:ok, top} = Supervisor.start_link(children, strategy: :one_for_one, max_restarts: 3)
      a = Process.whereis(:mortal_a)
      Agent.update(fails?, fn false -> true end)
      GenServer.cast(:mortal_b, :boom)
      ended(top)
      assert {chain, [:exit, :limit, :exit | _]} = why(top)

      assert Enum.at(chain.steps, 1).text ==
               "it had restarted children 3 times within 5 s, and max_restarts is 3"

      assert %Step{reason: :no_more} = Enum.at(chain.steps, 2)
      assert {_chain, [:exit, :shutdown, :exit, :limit, :exit | _]} = why(a)
      Agent.stop(fails?)
    end

    test "of tasks, one of which had crashed, did not give up for that" do
      {:ok, outer} = Supervisor.start_link([{Task.Supervisor, name: :mortal_tasks}], strategy: :one_for_one)
      tasks = Process.whereis(:mortal_tasks)
      {:ok, task} = Task.Supervisor.start_child(tasks, fn -> exit(:boom) end)
      ended(task)
      Supervisor.stop(outer)
      assert {_chain, [:exit, :shutdown, :exit, :message]} = why(tasks)
    end

    test "that ended as its parent said did not give up" do
      {:ok, outer} = Supervisor.start_link([], strategy: :one_for_one)

      inner = %{
        id: :inner,
        start: {Supervisor, :start_link, [[{Plain, name: :mortal_a}], [strategy: :one_for_one]]},
        type: :supervisor
      }

      {:ok, inner} = Supervisor.start_child(outer, inner)
      :ok = Supervisor.terminate_child(outer, :inner)
      assert {_chain, [:exit, :shutdown, :message | _]} = why(inner)
    end
  end

  describe "a supervisor of which a child cannot be started" do
    # That it ended may have been taken from the mailbox by who began it; and a child may end behind what it has answered.
    defp made_last do
      top = self() |> made() |> List.last()
      Enum.each(made(top), &ended/1)
      ended(top)
    end

    defp made(pid), do: for(event <- ElixirScope.events(pid: pid, kind: :spawn), do: event.data.child)

    test "ended because of the end of that child" do
      bad = %{id: :bad, start: {GenServer, :start_link, [Till, 7]}}
      children = [{Plain, name: :mortal_a}, bad]
      {:error, _reason} = Supervisor.start_link(children, strategy: :one_for_one)
      top = made_last()
      assert {%{ends: :raised} = chain, [:exit, :down, :exit, :raised | _]} = why(top)
      assert [_exit, %Step{other: child}, %Step{pid: child} | _] = chain.steps

      assert inspect(chain) =~
               "it could not start its child :bad: ElixirScope.Mortals.Till #{inspect(child)} had ended"
    end

    # Says that it fails, and ends when it is told to.
    def refuse(test, trap?) do
      Process.flag(:trap_exit, trap?)
      :proc_lib.init_ack({:error, :no})
      send(test, {:refused, self()})
      receive(do: (:end -> exit(:no)))
    end

    test "also where that child has ended later" do
      bad = %{id: :bad, start: {:proc_lib, :start_link, [__MODULE__, :refuse, [self(), true]]}}
      {:error, _reason} = Supervisor.start_link([bad], strategy: :one_for_one)
      assert_receive {:refused, child}
      top = self() |> made() |> List.last() |> ended()
      send(child, :end)
      ended(child)
      assert {chain, [:exit, :down, :exit | _]} = why(top)
      assert [_exit, %Step{other: ^child}, %Step{pid: ^child, reason: :no} | _] = chain.steps
    end

    test "also where it has taken that child with it" do
      bad = %{id: :bad, start: {:proc_lib, :start_link, [__MODULE__, :refuse, [self(), false]]}}
      {:error, _reason} = Supervisor.start_link([bad], strategy: :one_for_one)
      assert_receive {:refused, child}
      ended(child)
      assert {chain, [:exit, :down, :exit | _]} = self() |> made() |> List.last() |> ended() |> why()
      assert [_exit, %Step{other: ^child}, %Step{pid: ^child, reason: :no} | _] = chain.steps
    end

    test "and that began no process ended for that alone" do
      children = [{Plain, name: :mortal_a}, %{id: :bad, start: {Till, :start_link, [:no_list]}}]
      {:error, _reason} = Supervisor.start_link(children, strategy: :one_for_one)
      top = made_last()
      assert {%{ends: :signal_unseen, why: text}, [:exit]} = why(top)
      assert text =~ "it could not start its child :bad"
    end
  end

  describe "a process without instrumented code that was told of an end" do
    # Ends with what `end?` makes of the reason that it is told.
    defp follower(peer, trap?, reason) do
      me = self()

      pid =
        spawn(fn ->
          if trap?, do: Process.flag(:trap_exit, true)
          if trap?, do: Process.link(peer), else: Process.monitor(peer)
          send(me, :ready)
          receive(do: (message -> exit(reason.(message |> Tuple.to_list() |> List.last()))))
        end)

      receive(do: (:ready -> pid))
    end

    test "ended for that, as it seems" do
      for trap? <- [true, false], reason <- [&{:peer, &1}, &{:peer, {:deep, &1}}, fn _ -> :enough end] do
        peer = spawn(fn -> receive(do: (:die -> exit(:peer_died))) end)
        pid = follower(peer, trap?, reason)
        send(peer, :die)
        assert {chain, [:exit, :down, :exit | _]} = why(ended(pid))

        assert [_exit, %Step{other: ^peer, inferred?: true}, %Step{pid: ^peer, reason: :peer_died} | _] =
                 chain.steps

        assert inspect(chain) =~ "had ended, as it seems"
      end
    end

    test "before another message did not" do
      peer = spawn(fn -> :ok end)
      ended(peer)
      pid = spawn(fn -> receive(do: (:go -> exit(:oops))) end)
      send(pid, {:DOWN, make_ref(), :process, peer, :normal})
      send(pid, :go)
      assert {%{ends: :signal_unseen}, [:exit]} = why(ended(pid))
    end
  end

  if Kinds.sessions?() do
    test "where the signals of all are recorded and none was sent to it, a process ended itself" do
      {:ok, _watched} = ElixirScope.watch(:all, kinds: [:life, :signals])
      assert {%{ends: :signal_unseen, why: text}, [:exit]} = why(ended(spawn(fn -> exit(:oops) end)))
      assert text =~ "it ended itself in code that is not instrumented"
      refute text =~ "either"
    end
  end

  test "who is killed by an unknown signal is not said to have been ended by a supervisor that was told nothing" do
    {:ok, top} = Supervisor.start_link([{Plain, name: :mortal_a}], strategy: :one_for_one)
    a = Process.whereis(:mortal_a)
    # Nobody who is watched kills it.
    :ok = ElixirScope.unwatch(self())
    Process.exit(a, :kill)
    ended(a)
    Supervisor.which_children(top)
    assert {%{ends: :signal_unseen, why: text}, [:exit]} = why(a)
    refute text =~ "Its supervisor"
  end

  describe "what cannot be said is an error" do
    test "of a time before the recording, and of a process that lives and is not watched" do
      {:ok, till} = Till.start()
      Till.tell(till, :stop)
      ended(till)
      assert {:error, %Error{reason: :before_recording}} = ElixirScope.why_exited(till, before: 0)
      assert {:error, %Error{reason: :not_exited}} = ElixirScope.why_exited(Process.whereis(:kernel_sup))
      assert {:error, %Error{reason: :not_exited}} = ElixirScope.why_exited(:kernel_sup)
      assert {:error, %Error{message: message}} = ElixirScope.process(Process.whereis(:kernel_sup))
      assert message =~ "ElixirScope.watch(pid)"
    end

    test "of a process that lives, and of one of which nothing is known" do
      {:ok, till} = Till.start()
      assert {:error, %Error{reason: :not_exited, message: message}} = ElixirScope.why_exited(till)
      assert message =~ inspect(till)
      assert {:error, %Error{reason: :unknown_process}} = ElixirScope.why_exited(:elixir_scope_nobody)
      assert {:error, %Error{reason: :bad_option}} = ElixirScope.why_exited(till, limit: 0)
      assert {:error, %Error{reason: :bad_option}} = ElixirScope.why_exited(till, at: 0)
      Till.tell(till, :stop)
    end

    test "of one whose end nobody watched: it says what to call" do
      :ok = ElixirScope.unwatch(self())
      {:ok, till} = Till.start()
      Till.tell(till, :stop)
      ended(till)
      assert {:error, %Error{reason: :not_watched, message: message}} = ElixirScope.why_exited(till)
      assert message =~ "ElixirScope.watch(pid)"
    end

    test "of what is no process" do
      for server <- [nil, 7, "text", {:a, :b, :c}, %{}] do
        assert {:error, %Error{reason: :bad_server}} = ElixirScope.why_exited(server)
        assert {:error, %Error{reason: :bad_server}} = ElixirScope.process(server)

        assert {:error, %Error{reason: :bad_server}} =
                 ElixirScope.supervision_tree_at(ElixirScope.now(), root: server)
      end

      assert {:error, %Error{reason: :bad_time}} = ElixirScope.why_exited(self(), before: %{})
      assert {:error, %Error{reason: :unknown_mark}} = ElixirScope.supervision_tree_at(:no_such_mark)
    end

    test "of one that ended while nothing was recorded" do
      {:ok, till} = Till.start()
      :ok = ElixirScope.pause()
      Till.tell(till, :stop)
      ended(till)
      :ok = ElixirScope.resume()
      assert {:error, %Error{reason: :lost, message: message}} = ElixirScope.why_exited(till)
      assert message =~ "(paused)"
    end
  end

  test "where events are missing before an end, what ended it may be among them" do
    :ok = ElixirScope.unwatch(self())
    pid = spawn(fn -> receive(do: (:die -> exit(:boom))) end)
    {:ok, _watched} = ElixirScope.watch(pid, kinds: [:life])
    :ok = ElixirScope.pause()
    :ok = ElixirScope.resume()
    send(pid, :die)
    assert {%{ends: :lost, why: text}, [:exit]} = why(ended(pid))
    assert text =~ "(paused)"
  end

  test "a recording that was opened says the same", %{tmp_dir: dir} do
    {:ok, till} = Till.start(name: :mortal_till)
    catch_exit(Till.pay(till, :raise))
    ended(till)
    {:ok, chain} = ElixirScope.why_exited(till)
    :ok = ElixirScope.stop()
    {:ok, opened} = ElixirScope.open(dir)

    for server <- [till, :mortal_till, inspect(till)],
        do: assert({:ok, ^chain} = ElixirScope.why_exited(server, in: opened))

    assert {:ok, %{status: :exited}} = ElixirScope.process(:mortal_till, in: opened)
    assert inspect(chain) =~ ":mortal_till exited"
  end

  if Kinds.sessions?() do
    test "nothing has to be asked for", %{tmp_dir: dir} do
      me = self()
      {:ok, _recording} = ElixirScope.start(dir: dir <> "_default", watch: :instrumented)
      children = [%{id: :till, start: {Till, :start_link, []}}, {Plain, name: :mortal_a}]
      {:ok, top} = Supervisor.start_link(children, strategy: :one_for_all, name: :mortal_top)
      a = Process.whereis(:mortal_a)
      [till] = for {:till, pid, _, _} <- Supervisor.which_children(top), do: pid
      catch_exit(Till.pay(till, :raise))
      ended(a)
      Supervisor.which_children(top)
      assert {chain, [:exit, :shutdown, :exit, :raised, :message, :sender]} = why(a)
      assert [%Step{}, %Step{other: ^top, inferred?: false}, %Step{pid: ^till} | _] = chain.steps
      assert %Step{other: ^me, message: {:pay, :raise}} = Enum.at(chain.steps, 4)
      assert [%{from: ^till}, %{from: ^a, cause: %{pid: ^till}}] = ElixirScope.restarts(supervisor: top)
      {:ok, %{roots: [root]}} = ElixirScope.supervision_tree_at(ElixirScope.now(), root: :mortal_top)
      assert length(root.children) == 2

      # It calls Till.start_link/1, so messages to it are recorded.
      b = Process.whereis(:mortal_a)
      :ok = Supervisor.terminate_child(top, :mortal_a)
      assert {%{ends: :killed_by}, [:exit, :shutdown, :message]} = why(b)
      Supervisor.stop(top)
    end
  end

  test "a chain has as many steps as are allowed" do
    {:ok, one} = Till.start()
    {:ok, other} = Till.start()
    Till.tell(one, {:monitor, other})
    :ok = Till.pay(one, :ok)
    Till.tell(other, :raise)
    ended(one)
    {:ok, %{ends: :raised, steps: all}} = ElixirScope.why_exited(one)
    assert length(all) == 8

    for limit <- 1..7 do
      assert {:ok, %{ends: :limit, steps: steps}} = ElixirScope.why_exited(one, limit: limit)
      assert steps == Enum.take(all, limit)
    end

    assert {:ok, %{ends: :raised, steps: ^all}} = ElixirScope.why_exited(one, limit: 8)
  end
end
