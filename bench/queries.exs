# How long answers take of recordings of 1 M and 10 M events (SCOPE_BENCH_EVENTS names other sizes: "1,10" in millions), how
# fast events come into the store, how many bytes they take there, and how long the reopening of a recording takes whose VM
# was killed with about 8 GB in its segments, some 150 MB after packing (SCOPE_BENCH_REOPEN: another number of megabytes).
#
# Random moments and filters come from a fixed seed. Each answer is timed from Elixir's side, with the terms that it is
# made of: p50 and p99 over as many questions as the table says, of a recording that is opened, not live.

Code.require_file("table.exs", __DIR__)

defmodule Bench.Queries do
  @moduledoc false

  alias Bench.Table

  @seed 7
  @servers 200
  @promise_ms 1

  # The program: servers that count, asked by clients in turn; each call of one makes four events and a state.
  defmodule Server do
    @moduledoc false
    use GenServer
    use ElixirScope

    @impl true
    def init(number), do: {:ok, %{number: number, count: 0, last: nil}}

    @impl true
    def handle_call({:add, amount}, _from, state),
      do: {:reply, :ok, %{state | count: sum(state.count, amount), last: amount}}

    def sum(count, amount), do: count + amount
  end

  defmodule Bare do
    @moduledoc false
    use ElixirScope, args: false, returns: false
    def step(_number), do: :ok
  end

  defmodule Full do
    @moduledoc false
    use ElixirScope
    def step(number), do: number
    def line(text, _number), do: text
  end

  def run do
    dir = Path.join(System.tmp_dir!(), "elixir_scope_bench_queries_#{System.pid()}")
    :rand.seed(:exsss, @seed)

    try do
      ([bytes(dir) | for(millions <- sizes(), do: questions(dir, millions))] ++ [reopening(dir)])
      |> Enum.join("\n")
    after
      File.rm_rf!(dir)
    end
  end

  defp sizes do
    System.get_env("SCOPE_BENCH_EVENTS", "1,10") |> String.split(",") |> Enum.map(&String.to_integer/1)
  end

  # Bytes an event, and events a second from the call to the store, by what the events hold.
  defp bytes(dir) do
    rows =
      for {label, step} <- [
            {"nothing (`args: false, returns: false`)", &Bare.step/1},
            {"one small integer", &Full.step/1},
            {"a binary of 100 bytes and an integer", &Full.line(unquote(:binary.copy("0123456789", 10)), &1)}
          ] do
        dir = Path.join(dir, "bytes")
        {:ok, _} = ElixirScope.start(dir: dir, limits: [ring_bytes: 64 * 1024 * 1024])
        {microseconds, _} = :timer.tc(fn -> steps(step, 1_000_000) end)
        {:ok, status} = stop()
        File.rm_rf!(dir)
        rate = status.events / microseconds

        if step == (&Bare.step/1),
          do:
            Table.promise(
              "an event without payload, on disk",
              status.bytes / status.events,
              {:most, 8},
              "bytes"
            )

        "| #{label} | #{Table.number(status.bytes / status.events)} | #{Table.number(rate)} M |"
      end

    """
    ### In the store

    | events that hold | bytes an event | events a second, recorded and drained |
    |---|---|---|
    #{Enum.join(rows, "\n")}

    Calls and returns of one process, 2 M events each, with the loop around them: the other core drains. What the drain thread
    alone does is in the bench `drain` of `cargo bench`.
    """
  end

  # Flushed often enough that no ring overflows.
  defp steps(_step, 0), do: ElixirScope.flush()

  defp steps(step, left) do
    for number <- 1..50_000, do: step.(number)
    ElixirScope.flush()
    steps(step, left - 50_000)
  end

  defp stop do
    :ok = ElixirScope.stop()
    {:ok, status} = ElixirScope.status()
    if status.lost > 0, do: raise("#{status.lost} events were lost: the figures would be those of refusals")
    {:ok, status}
  end

  defp record(dir, millions) do
    {:ok, recording} = ElixirScope.start(dir: dir, limits: [ring_bytes: 64 * 1024 * 1024])
    servers = for number <- 1..@servers, do: elem(GenServer.start_link(Server, number), 1)
    rounds = div(millions * 1_000_000, 5 * @servers)

    for round <- 1..rounds do
      for server <- servers, do: GenServer.call(server, {:add, round})
      if rem(round, 50) == 0, do: ElixirScope.flush()
    end

    Enum.each(servers, &GenServer.stop/1)
    {:ok, status} = stop()
    {recording.path, status, servers}
  end

  defp questions(dir, millions) do
    {path, status, servers} = record(dir, millions)
    {:ok, recording} = ElixirScope.open(path)
    {first, last} = status.span
    moment = fn -> first + :rand.uniform(last - first) end
    server = fn -> Enum.random(servers) end

    ask = fn filters ->
      [limit: 1_000, in: recording] |> Keyword.merge(filters) |> ElixirScope.events() |> Enum.count()
    end

    rows =
      for {label, count, question} <- [
            {"state of a random server at a random moment", 2_000,
             fn -> state(server.(), moment.(), recording) end},
            {"who set a value of a random server, as of a random moment", 500,
             fn -> who_set(server.(), moment.(), recording) end},
            {"1,000 events from a random moment on", 300, fn -> ask.(since: moment.()) end},
            {"one event at a random moment, with its place in the code", 1_000,
             fn -> ask.(since: moment.(), limit: 1) end},
            {"1,000 events of a process, from a random moment on", 200,
             fn -> ask.(pid: server.(), since: moment.()) end},
            {"1,000 events of a function, likewise", 200,
             fn -> ask.(mfa: {Server, :sum, 2}, since: moment.()) end},
            {"1,000 events of a kind, likewise", 200, fn -> ask.(kind: :state, since: moment.()) end},
            {"one event of a kind that did not occur any more, likewise", 20,
             fn -> ask.(kind: :process, since: moment.(), limit: 1) end},
            {"random filters: each of process, function, kind, end or not", 100,
             fn -> ask.(random_filters(servers, moment)) end},
            {"100 calls of a function in a window of 10 ms", 100, fn -> calls(moment.(), recording) end}
          ] do
        times = for _ <- 1..count, do: question |> :timer.tc() |> elem(0)
        sorted = Enum.sort(times)
        [p50, p99] = for share <- [0.5, 0.99], do: Enum.at(sorted, floor(count * share)) / 1_000

        if promised?(label),
          do: Table.promise("#{label}, of #{millions} M, p99", p99, {:most, @promise_ms}, "ms")

        "| #{label} | #{count} | #{Table.number(p50)} | #{Table.number(p99)} | #{Table.number(p99 / @promise_ms)} x |"
      end

    figures = figures(recording)
    File.rm_rf!(path)

    """
    ### Answers of #{Float.round(status.events / 1_000_000, 1)} M events (#{div(status.bytes, 1_000_000)} MB)

    | question | asked | p50, ms | p99, ms | p99 against the promise of #{@promise_ms} ms |
    |---|---|---|---|---|
    #{Enum.join(rows, "\n")}

    #{figures}
    """
  end

  # These look at every event.
  defp figures(recording) do
    calls = ElixirScope.stats(in: recording).functions |> Enum.map(& &1.calls) |> Enum.sum()

    [stats, graph, pictured] =
      for question <- [
            fn -> ElixirScope.stats(in: recording) end,
            fn -> ElixirScope.flame_graph(in: recording) end,
            fn ->
              [in: recording, by: :process] |> ElixirScope.flame_graph() |> ElixirScope.FlameGraph.svg()
            end
          ] do
        times = for _ <- 1..5, do: question |> :timer.tc() |> elem(0)
        Table.number((times |> Enum.sort() |> Enum.at(2)) / 1_000)
      end

    "Figures of all #{Table.number(calls / 1_000_000)} M calls: `stats/1` takes #{stats} ms, `flame_graph/1` #{graph} ms, by process " <>
      "with its picture #{pictured} ms (medians of 5)."
  end

  defp promised?(label), do: String.starts_with?(label, ["state of", "1,000 events from"])

  defp state(server, moment, recording) do
    case ElixirScope.get_state_at(server, moment, in: recording) do
      {:ok, %{count: _}} -> :ok
      # Before this server was started.
      {:error, %{reason: :no_state}} -> :ok
    end
  end

  defp who_set(server, moment, recording) do
    case ElixirScope.who_set(server, [:last], moment, in: recording) do
      {:ok, %{ends: _}} -> :ok
      # Before this server was started.
      {:error, %{reason: :no_state}} -> :ok
    end
  end

  defp random_filters(servers, moment) do
    since = moment.()

    [
      pid: Enum.random(servers),
      mfa: Enum.random([{Server, :sum, 2}, {Server, :handle_call}]),
      kind: Enum.random([:call, [:return, :state], :state]),
      until: since + 1_000_000_000
    ]
    |> Enum.filter(fn _ -> :rand.uniform() < 0.5 end)
    |> Keyword.put(:since, since)
  end

  defp calls(since, recording) do
    ElixirScope.calls({Server, :sum, 2}, since: since, until: since + 10_000_000, limit: 100, in: recording)
  end

  # Another VM records until its segments hold so much, and is killed.
  defp reopening(dir) do
    megabytes = System.get_env("SCOPE_BENCH_REOPEN", "8000") |> String.to_integer()
    dir = Path.join(dir, "killed")
    kill_at(dir, megabytes)
    {:ok, recording} = ElixirScope.open(dir)
    files = Path.wildcard(Path.join(recording.path, "{segments,rings}/*"))
    {:ok, before} = ElixirScope.status(in: recording)

    {opened, read, cat} =
      for _ <- 1..5 do
        {opened, _} =
          :timer.tc(fn ->
            {:ok, again} = ElixirScope.open(dir)
            {:ok, _} = ElixirScope.status(in: again)
          end)

        {read, _} =
          :timer.tc(fn -> for file <- files, do: file |> File.stream!([], 1_048_576) |> Stream.run() end)

        {cat, {"", 0}} = :timer.tc(fn -> System.cmd("sh", ["-c", "cat \"$@\" >/dev/null", "sh" | files]) end)
        {opened, read, cat}
      end
      |> Enum.reduce({[], [], []}, fn {a, b, c}, {as, bs, cs} -> {[a | as], [b | bs], [c | cs]} end)

    [opened, read, cat] =
      for times <- [opened, read, cat], do: times |> Enum.sort() |> Enum.at(2) |> Kernel./(1_000)

    Table.promise(
      "reopening after `kill -9`, for each GB",
      opened / before.bytes * 1.0e9,
      {:most, 1_000},
      "ms"
    )

    """
    ### Reopening after `kill -9`

    | what | ms | ratio |
    |---|---|---|
    | `open/1` and `status/1`: #{div(before.bytes, 1_000_000)} MB in segments, #{Float.round(before.events / 1_000_000, 1)} M events, #{before.from_rings} of them from rings | #{Table.number(opened)} | #{Table.number(opened / before.bytes * 1.0e9)} ms a GB |
    | `cat` of the same files | #{Table.number(cat)} | opening takes #{Table.number(opened / cat)} x |
    | reading them from Elixir, 1 MiB a time | #{Table.number(read)} | opening takes #{Table.number(opened / read)} x |

    Medians of 5, the files in the system's memory in each case.
    """
  end

  defp kill_at(dir, megabytes) do
    paths = Enum.flat_map(:code.get_path(), &["-pa", List.to_string(&1)])
    args = paths ++ [Path.join(__DIR__, "queries/killed.exs"), dir, "#{megabytes}"]

    port =
      Port.open({:spawn_executable, System.find_executable("elixir")}, [:binary, line: 1_000, args: args])

    # It says its number when enough is recorded, and goes on.
    os_pid =
      receive do
        {^port, {:data, {:eol, os_pid}}} -> os_pid
      after
        300_000 -> raise "the other VM records nothing"
      end

    {_, 0} = System.cmd("kill", ["-9", os_pid])
    ref = Port.monitor(port)
    receive(do: ({:DOWN, ^ref, :port, _, _} -> :ok))
  end
end
