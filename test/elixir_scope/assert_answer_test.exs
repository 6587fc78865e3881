defmodule ElixirScope.AssertAnswerTest do
  # Who waits for an answer is at work, wherever in OTP it waits; who waits for whatever comes is not. The time-out of assertions is set
  # for all tests, and modules are loaded.
  use ElixirScope.Case, async: false

  alias ElixirScope.Case.Quiet
  alias ElixirScope.Traced.Echo
  alias ElixirScope.Until

  @moduletag :tmp_dir

  setup do: Until.assert_timeout(30_000)

  @modules 40

  # `mix test` loads modules lazily: the first call of each asks the code server for it.
  test "a process that loads a module is waited for", %{tmp_dir: folder} do
    fresh = for n <- 1..(2 * @modules), do: on_disk(:"elixir_scope_fresh_#{n}", folder)
    true = :code.add_patha(String.to_charlist(folder))

    on_exit(fn ->
      :code.del_path(String.to_charlist(folder))

      for module <- fresh do
        :code.purge(module)
        :code.delete(module)
      end
    end)

    {denied, found} = Enum.split(fresh, @modules)

    for module <- denied do
      refute :code.is_loaded(module)
      loads(module)
      assert failure(fn -> refute_called Echo.echo(^module) end) =~ "but this one was recorded"
    end

    for module <- found do
      refute :code.is_loaded(module)
      loads(module)
      assert_called Echo.echo(^module)
    end
  end

  # It waits until no process uses the term that it replaces.
  test "so is one that the VM suspends, and not one that another suspends" do
    key = {__MODULE__, :replaced}
    on_exit(fn -> :persistent_term.erase(key) end)

    for n <- 1..100 do
      spawn(fn ->
        Echo.echo(:before)
        for _ <- 1..10, do: :persistent_term.put(key, make_ref())
        Echo.echo(n)
      end)

      assert failure(fn -> refute_called Echo.echo(^n) end) =~ "but this one was recorded"
    end

    endless = spawn_link(fn -> endless() end)
    assert Quiet.work([endless]) == :busy
    :erlang.suspend_process(endless)
    assert Quiet.work([endless]) == :rest
    refute_called Echo.echo(:never)
  end

  defp loads(module) do
    spawn(fn ->
      Echo.echo(:before)
      Echo.echo(module.name())
    end)
  end

  defp on_disk(module, folder) do
    clauses = for n <- 1..200, do: {:clause, n, [{:integer, n, n}], [], [{:atom, n, :"fresh_#{n}"}]}

    forms = [
      {:attribute, 1, :module, module},
      {:attribute, 1, :export, [name: 0, of: 1]},
      {:function, 1, :name, 0, [{:clause, 1, [], [], [{:atom, 1, module}]}]},
      {:function, 1, :of, 1, clauses}
    ]

    {:ok, ^module, beam} = :compile.forms(forms)
    File.write!(Path.join(folder, "#{module}.beam"), beam)
    module
  end

  defmodule Slow do
    # Takes its time, until it is told, in a call and when it ends.
    use GenServer

    def start_link(_nothing), do: GenServer.start_link(__MODULE__, nil)

    @impl true
    def init(nil) do
      Process.flag(:trap_exit, true)
      {:ok, nil}
    end

    @impl true
    def handle_call(:wait, _from, nil), do: {:reply, go(), nil}

    @impl true
    def handle_cast(_nothing, nil), do: {:noreply, nil}

    @impl true
    def terminate(_reason, nil), do: go()

    defp go, do: receive(do: (:go -> :ok))
  end

  test "who waits for an answer is at work" do
    children = [%{id: :slow, start: {Slow, :start_link, [nil]}, shutdown: :infinity}]
    {:ok, supervisor} = Supervisor.start_link(children, strategy: :one_for_one)
    {:ok, dynamic} = DynamicSupervisor.start_link(strategy: :one_for_one)
    {:ok, _child} = DynamicSupervisor.start_child(dynamic, {Slow, nil})
    {:ok, server} = Slow.start_link(nil)
    call = fn -> GenServer.call(server, :wait, :infinity) end
    Process.unlink(supervisor)
    Process.unlink(dynamic)

    asking = [
      {:gen, call},
      {[:gen, :gen_statem], fn -> :gen_statem.call(server, :wait, 60_000) end},
      {[:gen, :gen_server], fn -> :gen_server.multi_call([node()], :elixir_scope_slow, :wait) end},
      {:erpc, fn -> :erpc.call(node(), call, 60_000) end},
      {Task, fn -> Task.await(Task.async(call), :infinity) end},
      {Task, fn -> Task.yield(Task.async(call), :infinity) end},
      {Task.Supervised,
       fn -> Enum.to_list(Task.async_stream([1], fn _one -> call.() end, timeout: :infinity)) end},
      {:proc_lib, fn -> :proc_lib.start(Process, :sleep, [:infinity]) end},
      {:io, fn -> written(server) end},
      {System, fn -> System.cmd("sh", ["-c", "read line"]) end}
    ]

    Process.register(server, :elixir_scope_slow)
    for {at, fun} <- asking, do: at_work(spawn(fun), List.wrap(at))

    # Who ends others waits for their ends.
    stops = [
      spawn(fn -> Supervisor.terminate_child(supervisor, :slow) end),
      spawn(fn -> DynamicSupervisor.stop(dynamic) end)
    ]

    at_work(supervisor, [:supervisor])
    at_work(dynamic, [DynamicSupervisor])
    for pid <- stops, do: Process.exit(pid, :kill)
  end

  # To a group leader that does not answer.
  defp written(leader) do
    Process.group_leader(self(), leader)
    IO.write("never written")
  end

  defp at_work(pid, modules) do
    Until.until(fn ->
      [status: status, current_function: {module, _, _}] = Process.info(pid, [:status, :current_function])
      status == :waiting and module in modules
    end)

    assert Quiet.work([pid]) == :busy, "in #{inspect(modules)}"
    Process.exit(pid, :kill)
  end

  test "who waits for whatever comes, or for a time, is not" do
    {:ok, server} = Slow.start_link(nil)
    {:ok, suspended} = Slow.start_link(nil)
    :ok = :sys.suspend(suspended)
    {:ok, socket} = :gen_tcp.listen(0, [])

    resting =
      [server, suspended] ++
        for fun <- [
              fn -> receive(do: (:never -> :ok)) end,
              fn -> Process.sleep(:infinity) end,
              fn -> :erlang.hibernate(Process, :sleep, [:infinity]) end,
              fn -> :gen_tcp.accept(socket) end
            ],
            do: spawn(fun)

    for pid <- resting, do: Until.until(fn -> Process.info(pid, :status) == {:status, :waiting} end)
    Until.until(fn -> Quiet.work(resting) == :rest end)

    for pid <- tl(tl(resting)), do: Process.exit(pid, :kill)
  end

  defp endless, do: endless()

  defp failure(fun), do: assert_raise(ExUnit.AssertionError, fun).message
end
