defmodule ElixirScope.SupervisionTest do
  # Trees of supervisors at a moment, and what was restarted because of what.
  use ElixirScope.Recorded, watch: false

  alias ElixirScope.{Error, Event, SupervisionTree}
  alias ElixirScope.Mortals.{Plain, Till}
  alias ElixirScope.Query.Supervision
  alias ElixirScope.SupervisionTree.Restart

  defmodule Counted do
    # An instrumented server with an argument.
    use GenServer
    use ElixirScope

    def start_link(options), do: GenServer.start_link(__MODULE__, options, name: options.name)

    @impl true
    def init(options), do: {:ok, options}

    @impl true
    def handle_cast({:exit, reason}, _state), do: exit(reason)
  end

  @moduletag capture_log: true

  setup do
    {:ok, _watched} = ElixirScope.watch(self(), spawned: true)
    Process.flag(:trap_exit, true)
    :ok
  end

  defp supervise(strategy, options \\ []) do
    children = for id <- [:mortal_a, :mortal_b, :mortal_c], do: {Plain, name: id}
    {:ok, top} = Supervisor.start_link(children, [strategy: strategy, name: :mortal_top] ++ options)
    top
  end

  defp ended(pid) do
    ref = Process.monitor(pid)
    receive do: ({:DOWN, ^ref, :process, ^pid, _reason} -> pid)
  end

  # Ends a child, and waits until its supervisor has done what it does then.
  defp end_of(name, reason) do
    pid = Process.whereis(name)
    GenServer.cast(pid, {:exit, reason})
    ended(pid)
    _answered = Supervisor.which_children(:mortal_top)
    pid
  end

  defp tree(time, options \\ []) do
    {:ok, %SupervisionTree{roots: [root]} = tree} = ElixirScope.supervision_tree_at(time, options)
    assert inspect(tree) =~ "#ElixirScope.SupervisionTree<1 supervisor at the top"
    root
  end

  describe "the tree" do
    test "has the children of a moment, with their restarts before it" do
      top = supervise(:one_for_one)
      at_first = ElixirScope.now()
      a = end_of(:mortal_a, :boom)
      later = ElixirScope.now()
      Supervisor.stop(top)
      after_all = ElixirScope.now()

      assert %{pid: ^top, name: :mortal_top, kind: :supervisor, began?: true, children: children} =
               tree(at_first)

      assert for(child <- children, do: {child.name, child.kind, child.module}) ==
               for(id <- [:mortal_a, :mortal_b, :mortal_c], do: {id, :gen_server, Plain})

      assert Enum.all?(children, &(&1.restarts == []))
      assert hd(children).pid == a

      # The one that began last stands last.
      assert [%{name: :mortal_b}, %{name: :mortal_c}, %{name: :mortal_a, restarts: [restart]} = new] =
               tree(later).children

      assert %Restart{from: ^a, child: {Plain, :init, 1}, certain?: true} = restart
      assert restart.to == new.pid
      assert restart.time == new.since
      assert {restart.exit.pid, restart.exit.reason, restart.cause} == {a, :boom, restart.exit}
      assert restart.took == restart.time - restart.exit.time and restart.took > 0

      assert {:ok, %{roots: []} = none} = ElixirScope.supervision_tree_at(after_all)
      assert inspect(none) =~ "no supervisor is known to have lived"
    end

    test "has supervisors below supervisors, and can be asked of one" do
      {:ok, inner} = Task.Supervisor.start_link(name: :mortal_tasks)
      Process.unlink(inner)
      specs = [{Task.Supervisor, name: :mortal_inner}, {Agent, fn -> 1 end}]
      {:ok, top} = Supervisor.start_link(specs, strategy: :one_for_one, name: :mortal_top)
      task = Task.Supervisor.async_nolink(:mortal_inner, fn -> receive(do: (:stop -> :ok)) end)
      time = ElixirScope.now()
      send(task.pid, :stop)
      assert {:ok, %{roots: [_, _] = roots}} = ElixirScope.supervision_tree_at(time)
      assert Enum.map(roots, & &1.name) == [:mortal_tasks, :mortal_top]
      task_pid = task.pid

      for root <- [top, :mortal_top] do
        assert %{pid: ^top, children: [below, agent]} = tree(time, root: root)
        assert %{name: :mortal_inner, kind: :supervisor, module: Task.Supervisor} = below
        assert [%{pid: ^task_pid, kind: :task, children: []}] = below.children
        assert agent.kind == :agent
      end

      assert {:error, %Error{reason: :bad_option, message: message}} =
               ElixirScope.supervision_tree_at(time, app: :mortal)

      assert message =~ "expected app: an application with a supervisor at that time, got: :mortal"
      assert message =~ "ElixirScope.watch(:all"

      assert {:error, %Error{reason: :bad_option}} =
               ElixirScope.supervision_tree_at(time, root: agent_of(top))

      assert {:error, %Error{reason: :unknown_process}} = ElixirScope.supervision_tree_at(time, root: :nobody)
      assert {:error, %Error{reason: :bad_option}} = ElixirScope.supervision_tree_at(time, limit: 1)
      Process.exit(inner, :kill)
    end

    defp agent_of(top) do
      top |> Supervisor.which_children() |> Enum.find_value(fn {id, pid, _, _} -> if id == Agent, do: pid end)
    end

    test "of an application that ran before it was watched" do
      {:ok, _watched} = ElixirScope.watch(:all, kinds: [:life])

      await(fn ->
        match?({:ok, %{roots: [_ | _]}}, ElixirScope.supervision_tree_at(ElixirScope.now(), app: :logger))
      end)

      assert {:ok, %{roots: [root]} = tree} = ElixirScope.supervision_tree_at(ElixirScope.now(), app: :logger)
      assert root.pid == Process.whereis(Logger.Supervisor)
      refute root.began?
      assert Enum.sort(Enum.map(root.children, & &1.pid)) == Enum.sort(children(root.pid))
      assert inspect(tree) =~ "Logger.Supervisor"
      assert inspect(tree) =~ "of logger"
    end

    defp children(top),
      do: for({_id, pid, _type, _modules} <- Supervisor.which_children(top), is_pid(pid), do: pid)

    defp await(done?), do: if(done?.(), do: :ok, else: await(done?))

    test "is an error where nothing was watched" do
      :ok = ElixirScope.unwatch(self())

      {:ok, _} =
        ElixirScope.start(dir: Path.dirname(elem(ElixirScope.status(), 1).path) <> "_unwatched", watch: false)

      assert {:error, %Error{reason: :not_watched, message: message}} =
               ElixirScope.supervision_tree_at(ElixirScope.now())

      assert message =~ "ElixirScope.watch(:all"
      assert_raise Error, ~r/ElixirScope.watch\(:all/, fn -> ElixirScope.restarts() end
    end
  end

  describe "restarts" do
    test "of one_for_one are each of their own exit" do
      supervise(:one_for_one)
      a = end_of(:mortal_a, :boom)
      b = end_of(:mortal_b, :shutdown)
      c = end_of(:mortal_c, :normal)

      restarts = ElixirScope.restarts()

      assert for(restart <- restarts, do: {restart.from, restart.cause.pid, restart.exit.reason}) ==
               [{a, a, :boom}, {b, b, :shutdown}, {c, c, :normal}]

      assert Enum.all?(restarts, & &1.certain?)
      assert [%{from: ^a}] = ElixirScope.restarts(limit: 1)
      assert [%{from: ^c}] = ElixirScope.restarts(since: List.last(restarts).time)
      assert [%{from: ^a}] = ElixirScope.restarts(until: hd(restarts).time, supervisor: :mortal_top)
      assert inspect(hd(restarts)) =~ "ElixirScope.Mortals.Plain :mortal_a by :mortal_top, #{inspect(a)} -> "
    end

    # The argument of the first one is redacted, since its `init/1` had not been called when it was begun; of those behind it is not.
    test "are told of the first one of a module, too" do
      specs = [
        {Counted, %{name: :mortal_a}},
        Supervisor.child_spec({Counted, %{name: :mortal_b}}, id: :other)
      ]

      {:ok, _top} = Supervisor.start_link(specs, strategy: :one_for_all, name: :mortal_top)
      b = Process.whereis(:mortal_b)
      a = end_of(:mortal_a, :boom)
      again = end_of(:mortal_a, :boom)
      restarts = ElixirScope.restarts()

      assert [{^a, true}, {^b, true}, {^again, true}, _] =
               for(%{from: from, certain?: sure?} <- restarts, do: {from, sure?})

      assert Enum.map(restarts, & &1.cause.pid) == [a, a, again, again]
      assert %{children: [%{restarts: [_, _]}, %{restarts: [_, _]}]} = tree(ElixirScope.now())
    end

    test "of one_for_all are of the exit of the one that ended by itself" do
      supervise(:one_for_all)
      pids = for id <- [:mortal_a, :mortal_b, :mortal_c], do: Process.whereis(id)
      b = end_of(:mortal_b, :boom)
      restarts = ElixirScope.restarts()
      assert Enum.map(restarts, & &1.from) == pids

      assert for(restart <- restarts, do: {restart.cause.pid, restart.cause.reason}) ==
               List.duplicate({b, :boom}, 3)

      assert Enum.map(restarts, & &1.exit.reason) == [:shutdown, :boom, :shutdown]
      assert Enum.all?(restarts, & &1.certain?)

      assert inspect(ElixirScope.supervision_tree_at(ElixirScope.now())) =~
               "with its sibling #{inspect(b)}, which exited: :boom"
    end

    test "of rest_for_one are of the exit of the first of them" do
      supervise(:rest_for_one)
      c = Process.whereis(:mortal_c)
      b = end_of(:mortal_b, :kill)
      assert [%{from: ^b, cause: %{pid: ^b}}, %{from: ^c, cause: %{pid: ^b}}] = ElixirScope.restarts()
    end

    test "of a child again and again are a chain" do
      supervise(:one_for_one, max_restarts: 10)
      pids = for number <- 1..4, do: end_of(:mortal_a, {:fault, number})

      assert %{restarts: restarts} =
               ElixirScope.now() |> tree() |> Map.fetch!(:children) |> Enum.find(&(&1.name == :mortal_a))

      assert Enum.map(restarts, & &1.from) == pids
      assert inspect(ElixirScope.supervision_tree_at(ElixirScope.now())) =~ "restarted 4 times"
    end

    test "of children that lived before they were watched are told too, with what is not certain" do
      :ok = ElixirScope.unwatch(self())
      top = supervise(:one_for_one)
      {:ok, _} = ElixirScope.watch([top, Process.whereis(:mortal_a)], spawned: true)
      a = end_of(:mortal_a, :boom)
      new = Process.whereis(:mortal_a)
      assert [%{from: ^a, to: ^new, certain?: false, cause: %{reason: :boom}}] = ElixirScope.restarts()
    end

    test "are not asked of a range that is none, or of a time outside of the recording" do
      supervise(:one_for_one)
      now = ElixirScope.now()
      reason = fn options -> catch_error(ElixirScope.restarts(options)).reason end
      assert reason.(since: now + 1_000_000_000_000) == :after_recording
      assert reason.(until: 5) == :before_recording
      assert reason.(since: now, until: now - 1) == :bad_option
      assert ElixirScope.restarts(since: 0, until: now) == []
    end

    test "are none where somebody asked for the end and the start" do
      top = supervise(:one_for_one)
      {:ok, _} = ElixirScope.watch(self())
      b = Process.whereis(:mortal_b)
      :ok = Supervisor.terminate_child(top, :mortal_b)
      {:ok, new} = Supervisor.restart_child(top, :mortal_b)
      assert ElixirScope.restarts() == []
      assert ElixirScope.stats().restarts == []
      # The next end of it is one again.
      assert new == end_of(:mortal_b, :boom)
      assert [%{from: ^new, certain?: true}] = ElixirScope.restarts()
      refute b == new
    end

    test "of a child that is not watched are told by what its supervisor was told" do
      :ok = ElixirScope.unwatch(self())

      {:ok, top} =
        Supervisor.start_link([{Till, name: :mortal_b}, {Plain, name: :mortal_a}],
          strategy: :one_for_one,
          name: :mortal_top
        )

      # It is instrumented, so that it is known who it is.
      Till.pay(:mortal_b, :ok)
      {:ok, _} = ElixirScope.watch(top, spawned: true)
      [a, b] = pids = for name <- [:mortal_a, :mortal_b], do: Process.whereis(name)

      for pid <- pids do
        Process.exit(pid, :kill)
        ended(pid)
        _answered = Supervisor.which_children(top)
      end

      assert [%{from: ^a, to: new_a, certain?: false} = restart, %{from: ^b, to: new_b, certain?: false}] =
               ElixirScope.restarts()

      assert %{reason: :killed} = restart.exit
      assert Enum.sort(Enum.map(tree(ElixirScope.now()).children, & &1.pid)) == Enum.sort([new_a, new_b])
      assert Enum.sort([new_a, new_b]) == top |> by_id() |> Map.values() |> Enum.sort()
      Supervisor.stop(top)
    end

    test "of equal children of a DynamicSupervisor that end at once are told, and not for certain" do
      {:ok, top} = DynamicSupervisor.start_link(strategy: :one_for_one, max_restarts: 10)
      children = for _ <- 1..5, do: elem(DynamicSupervisor.start_child(top, {Plain, id: :same}), 1)
      [first, second] = killed = Enum.take(children, 2)
      :ok = :sys.suspend(top)
      for pid <- killed, do: Process.exit(pid, :kill)
      for pid <- killed, do: ended(pid)
      :ok = :sys.resume(top)
      assert %{active: 5} = DynamicSupervisor.count_children(top)
      assert [one, other] = ElixirScope.restarts()
      assert Enum.sort([one.from, other.from]) == Enum.sort([first, second])
      refute one.certain? or other.certain?
      now = for {_id, pid, _type, _modules} <- DynamicSupervisor.which_children(top), do: pid
      assert Enum.sort([one.to, other.to]) == Enum.sort(now -- children)
    end

    test "of a DynamicSupervisor are told where messages leave no doubt; who is asked for is none" do
      {:ok, top} = DynamicSupervisor.start_link(strategy: :one_for_one, max_restarts: 10)
      {:ok, child} = DynamicSupervisor.start_child(top, {Plain, id: :same})
      {:ok, _other} = DynamicSupervisor.start_child(top, {Plain, id: :same})
      GenServer.cast(child, {:exit, :boom})
      ended(child)
      assert %{active: 2} = DynamicSupervisor.count_children(top)
      assert [%{from: ^child, certain?: true}] = ElixirScope.restarts()
      once = {Plain, id: :same, restart: :temporary}
      {:ok, temporary} = DynamicSupervisor.start_child(top, once)
      GenServer.cast(temporary, {:exit, :boom})
      ended(temporary)
      {:ok, _asked_for} = DynamicSupervisor.start_child(top, once)
      assert [%{from: ^child}] = ElixirScope.restarts()
    end
  end

  # What a supervisor says of its children before and after each end of one of them is what its restarts must be.
  test "of random programs are exactly what their supervisors did" do
    for seed <- 1..25 do
      :rand.seed(:exsss, {seed, 6, 27})
      strategy = Enum.random([:one_for_one, :one_for_all, :rest_for_one])
      count = Enum.random(1..5)
      specs = for number <- 1..count, do: {Plain, id: {seed, number}}
      {:ok, top} = Supervisor.start_link(specs, strategy: strategy, max_restarts: 1_000)

      expected =
        for _ <- 1..Enum.random(1..8), reduce: [] do
          expected ->
            before = by_id(top)
            {_id, victim} = Enum.random(before)
            reason = Enum.random([:boom, :normal, :shutdown, {:shutdown, :enough}, :kill, :killed])
            if reason == :kill, do: Process.exit(victim, :kill), else: GenServer.cast(victim, {:exit, reason})
            ended(victim)
            later = by_id(top)
            expected ++ for {id, pid} <- Enum.sort(later), before[id] != pid, do: {before[id], pid, victim}
        end

      found =
        for restart <- ElixirScope.restarts(supervisor: top),
            do: {restart.from, restart.to, restart.cause.pid}

      assert found == expected, "seed #{seed}, #{strategy}"

      for {from, _to, victim} <- expected do
        {:ok, chain} = ElixirScope.why_exited(from)

        assert List.last(for(%{kind: :exit, pid: pid} <- chain.steps, do: pid)) == victim,
               "seed #{seed}, #{strategy}"
      end

      children =
        for child <- tree(ElixirScope.now(), root: top).children, do: {child.pid, length(child.restarts)}

      assert Enum.sort(Keyword.values(for {pid, _} <- children, do: {:pid, pid})) ==
               top |> by_id() |> Map.values() |> Enum.sort()

      assert children |> Enum.map(&elem(&1, 1)) |> Enum.sum() == length(expected)
      Supervisor.stop(top)
    end
  end

  defp by_id(top),
    do: for({id, pid, _type, _modules} <- Supervisor.which_children(top), into: %{}, do: {id, pid})

  describe "from events alone" do
    defp pid(number), do: :erlang.list_to_pid(~c"<0.#{30_000 + number}.0>")

    defp spawned(id, pid, parent, first) do
      %Event{id: id, time: id, kind: :spawned, pid: pid, data: %{parent: parent, mfa: first}}
    end

    defp exit(id, pid, reason), do: %Event{id: id, time: id, kind: :exit, pid: pid, data: %{reason: reason}}

    defp supervisor(module) do
      {:proc_lib, :init_p, [pid(0), [], :gen, :init_it, [:gen_server, pid(0), pid(0) | module]]}
    end

    defp static, do: supervisor([:supervisor, {:self, My.Top, []}, []])
    defp dynamic, do: supervisor([DynamicSupervisor, {My.Top, [], nil}, []])

    defp child(arg),
      do: {:proc_lib, :init_p, [pid(1), [], :gen, :init_it, [:gen_server, pid(1), pid(1), My.Child, arg, []]]}

    defp restarts(events, strategy, asked) do
      facts = %{strategy: fn _ -> strategy end, asked: fn _, _, _ -> asked end}
      {_living, restarts} = Supervision.Restarts.all(events, facts)
      for restart <- restarts, do: {restart.from, restart.to, restart.cause.pid, restart.certain?}
    end

    test "equal children are paired in their order, but not for certain" do
      events = [
        spawned(1, pid(1), pid(0), static()),
        spawned(2, pid(2), pid(1), child(:same)),
        spawned(3, pid(3), pid(1), child(:same)),
        exit(4, pid(3), :shutdown),
        exit(5, pid(2), :boom),
        spawned(6, pid(4), pid(1), child(:same)),
        spawned(7, pid(5), pid(1), child(:same))
      ]

      assert [{a, b, _, false}, {c, d, _, _}] = restarts(events, :one_for_one, :unseen)
      assert {{a, b}, {c, d}} == {{pid(2), pid(4)}, {pid(3), pid(5)}}
    end

    test "dynamic children are left alone where messages to their supervisor are not recorded, or somebody asked" do
      events = [
        spawned(1, pid(1), pid(0), dynamic()),
        spawned(2, pid(2), pid(1), child(:same)),
        exit(4, pid(2), :boom),
        spawned(6, pid(4), pid(1), child(:same))
      ]

      assert restarts(events, nil, :unseen) == []
      assert restarts(events, nil, :asked) == []
      assert restarts(events, nil, :not_asked) == [{pid(2), pid(4), pid(2), true}]
    end

    test "equal dynamic children that end at once are started again in that order, but not for certain" do
      events =
        [spawned(1, pid(1), pid(0), dynamic())] ++
          for(number <- 2..6, do: spawned(number, pid(number), pid(1), child(:same))) ++
          [exit(7, pid(5), :killed), exit(8, pid(3), :killed)] ++
          for(number <- 9..10, do: spawned(number, pid(number), pid(1), child(:same)))

      assert restarts(events, nil, :not_asked) == [
               {pid(5), pid(9), pid(5), false},
               {pid(3), pid(10), pid(3), false}
             ]
    end

    test "a child that was shut down has a sibling as its cause only where the strategy says so" do
      events = [
        spawned(1, pid(1), pid(0), static()),
        spawned(2, pid(2), pid(1), child(:a)),
        spawned(3, pid(3), pid(1), child(:b)),
        exit(4, pid(3), :boom),
        exit(5, pid(2), :shutdown),
        spawned(6, pid(4), pid(1), child(:a)),
        spawned(7, pid(5), pid(1), child(:b))
      ]

      for {strategy, cause, certain?} <- [
            {:one_for_all, pid(3), true},
            {:rest_for_one, pid(3), true},
            # Nothing says that it was not ended, and begun again, because somebody asked for it.
            {:one_for_one, pid(2), false},
            {nil, pid(3), false}
          ] do
        assert {pid(2), pid(4), cause, certain?} in restarts(events, strategy, :unseen)
        assert {pid(3), pid(5), pid(3), true} in restarts(events, strategy, :unseen)
      end
    end

    test "what ended long ago and was never started again is no cause of a later turn" do
      events = [
        spawned(1, pid(1), pid(0), static()),
        spawned(2, pid(2), pid(1), child(:once)),
        spawned(3, pid(3), pid(1), child(:a)),
        spawned(4, pid(4), pid(1), child(:b)),
        exit(5, pid(2), :normal),
        exit(6, pid(3), :boom),
        exit(7, pid(4), :shutdown),
        spawned(8, pid(5), pid(1), child(:a)),
        spawned(9, pid(6), pid(1), child(:b))
      ]

      assert {pid(4), pid(6), pid(3), true} in restarts(events, :one_for_all, :unseen)
    end

    test "a pid that comes back begins a new life" do
      events = [
        spawned(1, pid(1), pid(0), static()),
        spawned(2, pid(2), pid(1), child(:a)),
        exit(3, pid(2), :boom),
        spawned(4, pid(2), pid(1), child(:a)),
        exit(5, pid(2), :bang),
        spawned(6, pid(2), pid(1), child(:a))
      ]

      assert [{_, _, _, true}, {_, _, _, true}] = restarts(events, :one_for_one, :unseen)
    end
  end
end
