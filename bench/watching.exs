# What the VM tells of watched processes: an event of each kind by ElixirScope's tracer, by a tracer process that throws it away, and by
# OTP's file trace port, in the same run; and a ring of 1,000 processes that pass a message on, unwatched and watched.

Code.require_file("table.exs", __DIR__)
Code.require_file("tracer.exs", __DIR__)

defmodule Bench.Watching do
  @moduledoc false

  alias Bench.{Table, Tracer}

  @rounds 15
  @count 4_000
  @order %{id: 42, count: 3, price: 995, title: "a book"}

  # label, events of one turn, flags of the VM, kinds
  @works [
    send: {"send, three words", 1, [:send], [:messages]},
    send_map: {"send, a 4-key map", 1, [:send], [:messages]},
    receive: {"delivery, three words", 1, [:receive], [:messages]},
    spawn: {"spawn", 1, [:procs], [:life]},
    link: {"link, unlink", 2, [:procs], [:links]},
    name: {"register, unregister", 2, [:procs], [:names]}
  ]

  def run do
    dir = Path.join(System.tmp_dir!(), "elixir_scope_bench_watching_#{System.pid()}")
    File.mkdir_p!(dir)

    try do
      {:ok, _} = ElixirScope.start(dir: dir, watch: false, limits: [ring_bytes: 16 * 1024 * 1024])
      kinds = kinds(dir)
      ring = ring(dir)
      {:ok, %{lost: lost}} = ElixirScope.status()
      ElixirScope.stop()
      kinds <> "\n" <> ring <> if(lost > 0, do: "\n#{lost} events were lost.\n", else: "")
    after
      File.rm_rf!(dir)
    end
  end

  @ways [:plain, :ours, :process, :port]

  defp kinds(dir) do
    rows =
      for {work, {label, events, flags, kinds}} <- @works do
        times =
          for _ <- 1..@rounds, way <- @ways do
            {way, subject(work, fn pid, done -> watched(way, [pid], flags, kinds, dir, done) end)}
          end

        [plain | others] = for way <- @ways, do: median(times, way)
        [ours, process, port] = for time <- others, do: (time - plain) / events
        other = fn time -> "#{Table.number(time)} (#{Table.number(time / ours)} x)" end
        "| #{label} | #{Table.number(plain)} | #{Table.number(ours)} | #{other.(process)} | #{other.(port)} |"
      end

    """
    ### An event that the VM tells

    | event | ns a turn, unwatched | ElixirScope | tracer process, thrown away | file trace port |
    |---|---|---|---|---|
    #{Enum.join(rows, "\n")}

    Nanoseconds that an event costs the watched process, beyond the unwatched turn; medians of #{@rounds} rounds of #{@count} turns.
    """
  end

  # Runs the work in a process of its own, which is watched meanwhile, and answers nanoseconds a turn.
  defp subject(work, watch) do
    me = self()
    sink = spawn_link(fn -> sink() end)
    ready = :atomics.new(1, [])

    pid =
      spawn_link(fn ->
        receive do: (:go -> :ok)
        wait(ready)
        started = System.monotonic_time(:nanosecond)
        work(work, sink, @count)
        send(me, {:took, (System.monotonic_time(:nanosecond) - started) / @count})
      end)

    watch.(pid, fn ->
      send(pid, :go)
      # Deliveries are told when the process looks for messages: it looks at nothing until all are sent.
      if work == :receive, do: for(n <- 1..@count, do: send(pid, {:event, n, :ok}))
      :atomics.put(ready, 1, 1)
      receive do: ({:took, time} -> time)
    end)
  after
    ElixirScope.flush()
  end

  defp wait(ready), do: if(:atomics.get(ready, 1) == 0, do: wait(ready), else: :ok)

  defp sink do
    receive do: (_any -> sink())
  end

  defp work(_work, _sink, 0), do: :ok

  defp work(work, sink, n) do
    turn(work, sink, n)
    work(work, sink, n - 1)
  end

  defp turn(:send, sink, n), do: send(sink, {:event, n, :ok})
  defp turn(:send_map, sink, _n), do: send(sink, @order)
  defp turn(:receive, _sink, _n), do: receive(do: ({:event, _, :ok} -> :ok))
  defp turn(:spawn, _sink, _n), do: spawn(fn -> :ok end)

  defp turn(:link, sink, _n) do
    Process.link(sink)
    Process.unlink(sink)
  end

  defp turn(:name, _sink, _n) do
    Process.register(self(), :bench_watching_name)
    Process.unregister(:bench_watching_name)
  end

  defp watched(:plain, _pids, _flags, _kinds, _dir, work), do: work.()

  defp watched(:ours, pids, _flags, kinds, _dir, work) do
    {:ok, %{held: []}} = ElixirScope.watch(pids, kinds: kinds)
    work.()
  after
    for pid <- pids, Process.alive?(pid), do: ElixirScope.unwatch(pid)
  end

  defp watched(:process, pids, flags, _kinds, _dir, work) do
    tracer = Tracer.start()
    for pid <- pids, do: :erlang.trace(pid, true, [:monotonic_timestamp, {:tracer, tracer} | flags])
    answer = work.()
    Tracer.catch_up(tracer)
    Tracer.stop(tracer)
    answer
  end

  defp watched(:port, pids, flags, _kinds, dir, work) do
    # From 1.15 on Mix hides applications that a project does not name.
    if function_exported?(Mix, :ensure_application!, 1),
      do: apply(Mix, :ensure_application!, [:runtime_tools])

    port = :dbg.trace_port(:file, String.to_charlist(Path.join(dir, "port"))).()
    for pid <- pids, do: :erlang.trace(pid, true, [:monotonic_timestamp, {:tracer, port} | flags])
    answer = work.()
    Port.close(port)
    answer
  end

  @processes 1_000
  @laps 20

  defp ring(dir) do
    full = ElixirScope.Watch.Kinds.all() -- [:ports]
    full = Enum.filter(full, &match?({:ok, _}, ElixirScope.Watch.Kinds.check([&1])))
    flags = [:send, :receive]

    ways = [
      {"unwatched", :plain, [], []},
      {"watched: life, links, names", :ours, [], [:life, :links, :names]},
      {"watched, default kinds", :ours, [], ElixirScope.Watch.Kinds.default()},
      {"watched, all kinds (#{Enum.map_join(full, ", ", &inspect/1)})", :ours, [], full},
      {"`:erlang.trace` of messages to a process, thrown away", :process, flags, []},
      {"`:erlang.trace` of messages to the file trace port", :port, flags, []}
    ]

    times =
      for _ <- 1..9, {label, way, flags, kinds} <- ways do
        {label, lap(fn pids, done -> watched(way, pids, flags, kinds, dir, done) end)}
      end

    plain = median(times, "unwatched")

    rows =
      for {label, _, _, _} <- ways do
        time = median(times, label)
        "| #{label} | #{Table.number(time)} | #{Table.number(time / plain)} x |"
      end

    """
    ### A ring of #{@processes} processes

    | | ns a message passed on | |
    |---|---|---|
    #{Enum.join(rows, "\n")}

    Each message is a send and a delivery. Medians of 9 rounds of #{@laps} laps.
    """
  end

  defp lap(watch) do
    me = self()
    last = spawn_link(fn -> pass_on(me) end)
    pids = Enum.scan(2..@processes, last, fn _, next -> spawn_link(fn -> pass_on(next) end) end)
    first = List.last(pids)

    time =
      watch.([last | pids], fn ->
        started = System.monotonic_time(:nanosecond)
        for n <- 1..@laps, do: lap_once(first, n)
        (System.monotonic_time(:nanosecond) - started) / (@laps * @processes)
      end)

    send(first, :stop)
    receive do: (:stop -> time)
  after
    ElixirScope.flush()
  end

  defp lap_once(first, n) do
    send(first, {:token, n})
    receive do: ({:token, ^n} -> :ok)
  end

  defp pass_on(next) do
    receive do
      :stop ->
        send(next, :stop)

      token ->
        send(next, token)
        pass_on(next)
    end
  end

  defp median(times, wanted) do
    sorted = Enum.sort(for {^wanted, time} <- times, do: time)
    Enum.at(sorted, div(length(sorted), 2))
  end
end
