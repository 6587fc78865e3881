defmodule ElixirScope.CaseScopeTest do
  # Whose processes are a test's: by who made them, for whom, links, and what the test allows. Tests of one module do not run at once, so
  # another test is a process that begins one.
  use ElixirScope.Case, async: true

  alias ElixirScope.Case.Scope
  alias ElixirScope.Shop.Stock
  alias ElixirScope.Traced.Echo

  defmodule Served do
    # What no other test calls.
    use ElixirScope

    def serve do
      receive do
        {:work, from} -> send(from, work(:once))
      end

      serve()
    end

    def work(how), do: {:worked, how}
  end

  setup_all do
    # What many tests share.
    %{
      tasks: start_supervised!(Task.Supervisor),
      shared: start_supervised!({Stock, 100}),
      supervisor: start_supervised!(DynamicSupervisor),
      maker: start_supervised!({Task, &make/0}),
      served: start_supervised!({Task, &Served.serve/0}, id: Served)
    }
  end

  defp family do
    {:ok, family} = Scope.family()
    family
  end

  test "a task of a supervisor that all share belongs to the test that began it", %{tasks: tasks} do
    Task.Supervisor.async(tasks, fn -> Echo.echo(:mine) end) |> Task.await()
    {:ok, _} = Task.Supervisor.start_child(tasks, fn -> Echo.echo(:also_mine) end)
    assert_called Echo.echo(:mine)
    assert_called Echo.echo(:also_mine)
  end

  test "so does what such a task makes, also where nothing is recorded of the task itself", %{tasks: tasks} do
    made = fn make -> tasks |> Task.Supervisor.async_nolink(make) |> Task.await() end

    made.(fn ->
      {_pid, ref} = spawn_monitor(fn -> Echo.echo(:plain) end)
      receive do: ({:DOWN, ^ref, _, _, _} -> :ok)
    end)

    {:ok, agent} = made.(fn -> Agent.start(fn -> Echo.echo(:linked) end) end)
    assert_called Echo.echo(:plain)
    assert_called Echo.echo(:linked)
    assert agent in family().pids
  end

  test "a server that all share is nobody's, but its state can be asked for", %{shared: shared} do
    Stock.take(shared, 1)
    assert_state shared, %{count: _}
    refute_called Stock.handle_cast(_, _)
  end

  test "what a test allows is its own from then on, with what it makes", %{supervisor: supervisor} do
    {:ok, child} = DynamicSupervisor.start_child(supervisor, {Stock, 3})
    Stock.take(child, 1)
    refute_called Stock.handle_cast(_, _)
    ElixirScope.Case.allow(child)
    assert_called Stock.handle_cast({:take, 1}, _)
    assert child in family().pids

    for bad <- [:nobody_has_this_name, nil, "text"] do
      assert_raise ArgumentError, ~r/expected a pid, or a name that a process has now, got: /, fn ->
        ElixirScope.Case.allow(bad)
      end
    end
  end

  test "what one process of the test allows all of them see", %{shared: shared} do
    Task.await(Task.async(fn -> ElixirScope.Case.allow(shared) end))
    Stock.take(shared, 7)
    assert_called Stock.handle_cast({:take, 7}, _)
    Task.await(Task.async(fn -> assert_called Stock.handle_cast({:take, 7}, _) end))
    test = self()

    spawn_link(fn ->
      message = failure(fn -> refute_called Stock.handle_cast({:take, 7}, _) end)
      send(test, {:refuted, message})
    end)

    assert_receive {:refuted, message}
    assert message =~ "but this one was recorded"
  end

  test "what a test allowed is forgotten when another allows something and it has ended", %{shared: shared} do
    {other, ref} =
      spawn_monitor(fn ->
        ElixirScope.Case.begin()
        ElixirScope.Case.allow(shared)
        assert [{_test, ^shared}] = :ets.lookup(:elixir_scope_allowed, self())
      end)

    assert_receive {:DOWN, ^ref, :process, ^other, :normal}
    refute_called Stock.handle_cast(_, _)
    ElixirScope.Case.allow(self())
    assert :ets.lookup(:elixir_scope_allowed, other) == []
  end

  test "a call in other processes is no call of the test, and the failure names them", %{served: served} do
    send(served, {:work, self()})
    assert_receive {:worked, :once}
    message = failure(fn -> assert_called Served.work(:once) end)

    assert message =~
             ~r/Served.work\/1 was not called in this test's processes\.\n *Since the test began 1 call of it was recorded in /

    assert message =~ "not known to be its own: #{inspect(served)} ("
  end

  test "what on_exit runs is behind the test, and asks about nobody", %{shared: shared} do
    Echo.echo(:done)

    on_exit(fn ->
      for asked <- [
            fn -> refute_called Echo.echo(:done) end,
            fn -> assert_never Echo.echo(:done) end,
            fn -> assert_called Echo.echo(:done), times: 0..1 end,
            fn -> assert_state shared, :another end
          ] do
        assert failure(asked) =~ "runs what was given to on_exit"
      end

      in_task = Task.async(fn -> failure(fn -> refute_called Echo.echo(:done) end) end)
      assert Task.await(in_task) =~ "runs what was given to on_exit"

      assert_raise ArgumentError, ~r/runs what was given to on_exit/, fn -> ElixirScope.Case.allow(shared) end
    end)
  end

  test "a process that a supervisor of the application makes, and that links itself to the test, is the test's" do
    :timer.apply_after(0, __MODULE__, :supervise, [self()])
    assert_receive {:supervisor, supervisor}
    {:ok, _} = ElixirScope.watch(supervisor, spawned: true)
    {:ok, child} = DynamicSupervisor.start_child(supervisor, {Stock, 3})
    Stock.take(child, 1)
    refute_called Stock.handle_cast(_, _)
    GenServer.call(child, {:link, self()})
    assert_called Stock.handle_cast({:take, 1}, _)
    refute supervisor in family().pids
    Process.unlink(child)
    DynamicSupervisor.stop(supervisor)
  end

  # Called by a process that no test made.
  def supervise(test) do
    {:ok, supervisor} = DynamicSupervisor.start_link([])
    Process.unlink(supervisor)
    send(test, {:supervisor, supervisor})
  end

  test "a link to a server that lives longer makes nobody a part of the test", %{shared: shared} do
    {:ok, _} = ElixirScope.watch([shared, self()])
    Process.link(shared)
    GenServer.call(shared, {:link, self()})
    Stock.take(shared, 1)
    refute shared in family().pids
    refute_called Stock.handle_cast({:take, 1}, _)
    Process.unlink(shared)
  end

  test "another test is not a part of this one, even if it is linked to it and to what this one made",
       %{maker: maker} do
    stock = start_supervised!({Stock, 5})
    {:ok, _} = ElixirScope.watch(self(), spawned: true)
    test = self()

    other =
      beside(maker, fn ->
        ElixirScope.Case.begin()
        Process.link(test)
        Echo.echo(:other)
        send(test, {:ready, self()})
        receive(do: (:end -> Process.unlink(test)))
      end)

    assert_receive {:ready, ^other}
    Stock.take(stock, 1)
    assert_called Stock.handle_cast({:take, 1}, _)
    refute other in family().pids
    refute_called Echo.echo(:other)
    send(other, :end)
  end

  test "a task of the test may assert as well" do
    Echo.echo(:test)

    Task.async(fn ->
      Echo.echo(:task)
      assert_called Echo.echo(:test)
      assert_called Echo.echo(:task)
    end)
    |> Task.await()
  end

  test "so may one of plain spawn, as long as those live that made it" do
    Echo.echo(:test)
    test = self()

    spawn(fn ->
      spawn(fn ->
        assert_called Echo.echo(:test)
        send(test, {:refuted, failure(fn -> refute_called Echo.echo(:test) end)})
      end)

      receive(do: (:never -> :ok))
    end)

    assert_receive {:refuted, message}
    assert message =~ "but this one was recorded"

    {maker, ref} =
      spawn_monitor(fn ->
        spawn(fn ->
          receive do: (:go -> send(test, {:refuted, failure(fn -> refute_called Echo.echo(:test) end)}))
        end)
        |> then(&send(test, {:made, &1}))
      end)

    assert_receive {:made, pid}
    assert_receive {:DOWN, ^ref, :process, ^maker, :normal}
    send(pid, :go)
    assert_receive {:refuted, message}

    assert message =~
             "The question cannot be answered: it is asked in #{inspect(pid)}, which is no process of a test"

    assert message =~ "#{inspect(maker)}, which made it or its maker, has ended"
  end

  test "where nobody noted the beginning, the processes are the same", %{maker: maker} do
    pid =
      beside(maker, fn ->
        Echo.echo(:bare)
        Task.async(fn -> Echo.echo(:bare_task) end) |> Task.await()
        assert_called Echo.echo(:bare)
        assert_called Echo.echo(:bare_task)
        refute_called Echo.echo(:other)
      end)

    ref = Process.monitor(pid)
    assert_receive {:DOWN, ^ref, :process, ^pid, reason}
    assert reason in [:normal, :noproc]
  end

  defp failure(fun), do: assert_raise(ExUnit.AssertionError, fun).message

  # Runs a function in a process that is to this test what another test is: the same made both.
  defp beside(maker, fun) do
    send(maker, {:make, self(), fun})
    assert_receive {:made, pid}
    pid
  end

  defp make do
    receive do
      {:make, from, fun} ->
        send(from, {:made, spawn(fun)})
        make()
    end
  end
end
