# Run by test/elixir_scope/watch_busy_test.exs in a VM of its own: all processes are watched, for all that the VM can tell, while the
# program does what has ended VMs before. What came of it is printed as one map.
{:ok, _} = Application.ensure_all_started(:elixir_scope)
# The VM complains of each process that two want to trace.
:logger.set_primary_config(:level, :none)

defmodule Busy do
  alias ElixirScope.Watch.Kinds

  def run(dir, seconds) do
    {:ok, recording} = ElixirScope.start(dir: dir, watch: false, retain: [bytes: 512 * 1024 * 1024])
    stop = :atomics.new(1, [])
    kinds = Enum.filter(Kinds.all(), &match?({:ok, _}, Kinds.check([&1])))

    loads = [
      &short_processes/0,
      &loads_modules/0,
      &dirty/0,
      &collects/0,
      &ports/0,
      &names_and_links/0,
      &changes_code/0,
      &other_tracer/0,
      &watches_again/0,
      &talks/0
    ]

    loops = for load <- loads, do: Task.async(fn -> loop(load, stop, 0) end)
    # The same load without and with: the half of the time each.
    {_slowest, before} = answers(div(seconds, 2))
    {:ok, _} = ElixirScope.watch(:all, [kinds: kinds] ++ calls())
    {slowest, most} = answers(seconds - div(seconds, 2))
    :atomics.put(stop, 1, 1)
    rounds = Task.await_many(loops, 60_000)
    :ok = ElixirScope.unwatch(:all)
    :ok = ElixirScope.flush()
    {:ok, status} = ElixirScope.status()

    facts = %{
      kinds: kinds,
      rounds: rounds,
      events: status.events,
      lost: status.lost,
      state: status.state,
      damage: status.damage,
      slowest_ms: slowest,
      memory: most - before,
      ours: ours(recording)
    }

    IO.inspect(facts, limit: :infinity, width: :infinity)
  end

  defp calls, do: if(Kinds.sessions?(), do: [calls: [{:lists, :reverse, 1}, {:maps, :get, 2}]], else: [])

  # Twice at least, however slow the machine is.
  defp loop(load, stop, rounds) do
    load.()
    if rounds > 0 and :atomics.get(stop, 1) == 1, do: rounds + 1, else: loop(load, stop, rounds + 1)
  end

  # How long the shell's kind of question takes, and how much memory is ours, every 100 ms.
  defp answers(seconds) do
    {:ok, agent} = Agent.start_link(fn -> 1 end)
    ending = System.monotonic_time(:millisecond) + seconds * 1_000
    answers(agent, ending, {0, 0})
  end

  defp answers(agent, ending, {slowest, most}) do
    started = System.monotonic_time(:millisecond)
    1 = Agent.get(agent, & &1, 60_000)
    found = {max(slowest, System.monotonic_time(:millisecond) - started), max(most, own_memory())}
    receive after: (100 -> :ok)
    if started < ending, do: answers(agent, ending, found), else: found
  end

  # Bytes that belong to no file.
  defp own_memory do
    [_, kilobytes] = Regex.run(~r/RssAnon:\s+(\d+)/, File.read!("/proc/self/status"))
    String.to_integer(kilobytes) * 1024
  end

  # Ten a millisecond.
  defp short_processes do
    for n <- 1..10, do: spawn(fn -> exit({:short, n}) end)
    receive after: (1 -> :ok)
  end

  defp loads_modules do
    name = :"busy_module_#{:erlang.unique_integer([:positive]) |> rem(20)}"

    {:module, _, _, _} =
      Module.create(name, quote(do: def(f(x), do: :lists.reverse([x]))), file: "nofile", line: 1)

    [1] = apply(name, :f, [1])
    pid = spawn(fn -> receive do: (:go -> apply(name, :f, [1])) end)
    :code.delete(name)
    :code.purge(name)
    send(pid, :go)
  end

  # Processes that run on dirty schedulers while signals come.
  defp dirty do
    pids = for _ <- 1..4, do: spawn(fn -> dirty_work(50) end)
    for pid <- pids, reason <- [:a_reason, :kill], do: Process.exit(pid, reason)
    for pid <- pids, do: send(pid, :message)
    pid = spawn(fn -> Process.flag(:trap_exit, true) && dirty_work(5) end)
    for n <- 1..20, do: Process.exit(pid, {:reason, n})
  end

  defp dirty_work(0), do: :ok

  defp dirty_work(n) do
    ElixirScope.Native.flush(:persistent_term.get({ElixirScope.Recorder, :recording}).handle)
    File.stat("/")
    dirty_work(n - 1)
  end

  # Large enough for a dirty scheduler.
  defp collects do
    list = Enum.to_list(1..300_000)
    :erlang.garbage_collect()
    length(list)
  end

  defp ports do
    port = Port.open({:spawn, "true"}, [:binary, :exit_status])
    receive do: ({^port, {:exit_status, 0}} -> :ok)
  end

  defp names_and_links do
    Process.register(self(), :busy_name)
    pid = spawn_link(fn -> receive do: (:stop -> :ok) end)
    ref = Process.monitor(pid)
    send(:busy_name, :to_myself)
    receive do: (:to_myself -> :ok)
    Process.unlink(pid)
    send(pid, :stop)
    receive do: ({:DOWN, ^ref, _, _, _} -> :ok)
    Process.unregister(:busy_name)
    table = :ets.new(:busy, [])
    :ets.delete(table)
    timer = Process.send_after(self(), :never, 60_000)
    Process.cancel_timer(timer)
  end

  defp changes_code do
    {:ok, agent} = Agent.start_link(fn -> 1 end)
    :sys.suspend(agent)
    :ok = :sys.change_code(agent, Agent.Server, nil, & &1)
    :sys.resume(agent)
    :sys.replace_state(agent, fn _ -> 2 end)
    2 = Agent.get(agent, & &1)
    Agent.stop(agent)
  end

  # Another tool, by the tracing that all share.
  defp other_tracer do
    pid = spawn(fn -> receive do: (:stop -> :ok) end)
    tracer = spawn(fn -> receive do: (:stop -> :ok) end)

    try do
      :erlang.trace(pid, true, [:send, :receive, :procs, {:tracer, tracer}])
    rescue
      # Ours has it.
      ArgumentError -> :ok
    end

    send(pid, :stop)
    send(tracer, :stop)
  end

  defp watches_again do
    pid = spawn(fn -> receive do: (:stop -> :ok) end)
    ElixirScope.watch(pid)
    ElixirScope.unwatch(pid)
    ElixirScope.pause()
    send(pid, :stop)
    ElixirScope.resume()
  end

  defp talks do
    me = self()
    pid = spawn_link(fn -> for(n <- 1..100, do: send(me, {:n, n, %{n => "text"}})) end)
    for n <- 1..100, do: receive(do: ({:n, ^n, _} -> pid))
  end

  # Events of processes that are ours, and of our modules.
  defp ours(recording) do
    own =
      [Process.whereis(ElixirScope.Recorder), Process.whereis(ElixirScope.Supervisor)] |> Enum.filter(& &1)

    ElixirScope.events(in: recording, kind: [:send, :receive, :spawned, :exit, :link, :name, :traced, :label])
    |> Enum.filter(&ours?(&1, own))
    |> Enum.map(&{&1.kind, &1.mfa, &1.data})
  end

  defp ours?(%{pid: pid, mfa: mfa, data: data}, own) do
    pid in own or match?({ElixirScope.Recorder, _, _}, mfa) or
      (is_map(data) and Enum.any?([:to, :from, :parent], &(data[&1] in own)))
  end
end

[dir, seconds] = System.argv()
Busy.run(dir, String.to_integer(seconds))
