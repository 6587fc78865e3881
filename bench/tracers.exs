# One event by other means, in the same run: `:erlang.trace` to a process that throws it away, to one that keeps it in
# ETS, `:ets.insert` by hand before and after the call, OTP's file trace port, and ElixirScope. Each sees the call and the
# return of a function of two arguments, with a time.
#
# Two times: that of the traced process alone, and that until all is where it is kept (thrown away, in the table, in the
# file, in the store). The first is what a program's users wait for, the second what its machine pays.

Code.require_file("table.exs", __DIR__)
Code.require_file("tracer.exs", __DIR__)

defmodule Bench.Tracers do
  @moduledoc false

  alias Bench.{Table, Tracer}

  @calls 5_000
  @rounds 21
  @order %{id: 42, count: 3, price: 995, title: "a book"}
  @loads [words: "two immediates", map: "a 4-key map and an atom"]
  @table __MODULE__.Events

  body = quote(do: def(pair(left, _right), do: left))

  defmodule Plain do
    @moduledoc false
    Module.eval_quoted(__MODULE__, body)
  end

  defmodule Recorded do
    @moduledoc false
    use ElixirScope
    Module.eval_quoted(__MODULE__, body)
  end

  defmodule Traced do
    @moduledoc false
    Module.eval_quoted(__MODULE__, body)
  end

  defmodule Wrapped do
    @moduledoc false
    @table Bench.Tracers.Events

    def pair(left, right) do
      put(:call, [left, right])
      put(:return, left)
      left
    end

    defp put(kind, value) do
      :ets.insert(@table, {
        :erlang.unique_integer([:monotonic]),
        :erlang.monotonic_time(),
        self(),
        kind,
        {__MODULE__, :pair, 2},
        value
      })
    end
  end

  # A tracer that keeps what it is sent.
  defmodule Keeper do
    @moduledoc false

    def start, do: spawn_link(fn -> keep(0) end)

    defp keep(number) do
      receive do
        {:caught_up, from} ->
          send(from, :caught_up)
          keep(number)

        :stop ->
          :ok

        event ->
          :ets.insert(Bench.Tracers.Events, {number, event})
          keep(number + 1)
      end
    end
  end

  def run do
    dir = Path.join(System.tmp_dir!(), "elixir_scope_bench_tracers_#{System.pid()}")
    File.mkdir_p!(dir)

    try do
      tables =
        for {load, label} <- @loads, do: report(label, for(way <- ways(), do: {way, measure(way, load, dir)}))

      Enum.join(tables, "\n")
    after
      File.rm_rf!(dir)
    end
  end

  defp ways, do: [:plain, :recorded, :trace, :trace_ets, :ets, :file]

  # Begins, gives how to wait, how to forget, and how many bytes an event took; ends.
  defp with_way(:plain, _load, _dir, fun), do: fun.(Plain, fn -> :ok end, fn -> :ok end, fn _ -> nil end)

  defp with_way(:recorded, _load, dir, fun) do
    {:ok, _} = ElixirScope.start(dir: dir, limits: [ring_bytes: 16 * 1024 * 1024])

    bytes = fn _events ->
      {:ok, status} = ElixirScope.status()
      if status.lost > 0, do: raise("#{status.lost} events were lost: the figures would be those of refusals")
      status.bytes / status.events
    end

    fun.(Recorded, &ElixirScope.flush/0, fn -> :ok end, bytes)
  after
    ElixirScope.stop()
  end

  defp with_way(:trace, load, _dir, fun) do
    tracer = Tracer.start()
    # In a mailbox that is not emptied: the message, and what the VM puts around it.
    sizes =
      for message <- messages(if load == :map, do: @order, else: 1), do: :erts_debug.flat_size(message) * 8

    traced(tracer, fn ->
      fun.(Traced, fn -> Tracer.catch_up(tracer) end, fn -> :ok end, fn _ -> average(sizes) end)
    end)

    Tracer.stop(tracer)
  end

  defp with_way(:trace_ets, _load, _dir, fun) do
    table(fn ->
      keeper = Keeper.start()
      forget = fn -> :ets.delete_all_objects(@table) end
      traced(keeper, fn -> fun.(Traced, fn -> Tracer.catch_up(keeper) end, forget, &in_table/1) end)
      Tracer.stop(keeper)
    end)
  end

  defp with_way(:ets, _load, _dir, fun) do
    table(fn -> fun.(Wrapped, fn -> :ok end, fn -> :ets.delete_all_objects(@table) end, &in_table/1) end)
  end

  defp with_way(:file, _load, dir, fun) do
    # From 1.15 on Mix hides applications that a project does not name.
    if function_exported?(Mix, :ensure_application!, 1),
      do: apply(Mix, :ensure_application!, [:runtime_tools])

    path = Path.join(dir, "port")
    port = :dbg.trace_port(:file, String.to_charlist(path)).()
    flush = fn -> :erlang.port_control(port, ?f, "") end

    traced(port, fn -> fun.(Traced, flush, fn -> :ok end, fn events -> File.stat!(path).size / events end) end)

    Port.close(port)
  end

  defp table(fun) do
    :ets.new(@table, [:named_table, :public, :set, write_concurrency: true])
    fun.()
    :ets.delete(@table)
  end

  defp in_table(_events) do
    # Of the last round: the one before it was forgotten.
    :ets.info(@table, :memory) * 8 / max(:ets.info(@table, :size), 1)
  end

  defp traced(tracer, fun) do
    :erlang.trace(self(), true, [:call, :monotonic_timestamp, tracer: tracer])
    :erlang.trace_pattern({Traced, :pair, 2}, [{:_, [], [{:return_trace}]}], [:local])
    fun.()
  after
    :erlang.trace(self(), false, [:all])
    :erlang.trace_pattern({Traced, :pair, 2}, false, [:local])
  end

  defp messages(left) do
    [
      {:trace_ts, self(), :call, {Traced, :pair, [left, :ok]}, :erlang.monotonic_time()},
      {:trace_ts, self(), :return_from, {Traced, :pair, 2}, left, :erlang.monotonic_time()}
    ]
  end

  defp average(sizes), do: Enum.sum(sizes) / length(sizes)

  defp measure(way, load, dir) do
    parent = self()

    with_way(way, load, dir, fn module, wait, forget, bytes ->
      times =
        for _ <- 1..@rounds do
          forget.()
          :erlang.garbage_collect()
          started = System.monotonic_time(:nanosecond)
          loop(module, load, @calls)
          ran = System.monotonic_time(:nanosecond)
          wait.()
          {ran - started, System.monotonic_time(:nanosecond) - started}
        end

      [own, all] =
        for at <- [0, 1], do: times |> Enum.map(&elem(&1, at)) |> Enum.sort() |> Enum.at(div(@rounds, 2))

      send(parent, {:measured, own / @calls, all / @calls, bytes.(2 * @calls * @rounds)})
    end)

    receive do
      {:measured, own, all, bytes} -> {own, all, bytes}
    end
  end

  for module <- [Plain, Recorded, Traced, Wrapped] do
    defp loop(unquote(module), _load, 0), do: :ok

    defp loop(unquote(module), :words, n) do
      unquote(module).pair(n, :ok)
      loop(unquote(module), :words, n - 1)
    end

    defp loop(unquote(module), :map, n) do
      unquote(module).pair(@order, :ok)
      loop(unquote(module), :map, n - 1)
    end
  end

  defp report(load, [{:plain, {plain, _, _}} | ways]) do
    [{:recorded, {ours, ours_all, ours_bytes}} | _] =
      ways = for {way, {own, all, bytes}} <- ways, do: {way, {(own - plain) / 2, (all - plain) / 2, bytes}}

    labels = %{
      recorded: "ElixirScope, in its store",
      trace: "`:erlang.trace` to a process, thrown away",
      trace_ets: "`:erlang.trace` to a process, in ETS",
      ets: "`:ets.insert` by hand",
      file: "`:erlang.trace` to the file trace port"
    }

    rows =
      for {way, {own, all, bytes}} <- ways do
        cells =
          for {figure, base} <- [{own, ours}, {all, ours_all}, {bytes, ours_bytes}],
              do: cell(figure, base, way)

        "| #{labels[way]} | #{Enum.join(cells, " | ")} |"
      end

    """
    ### One event by other means: #{load}

    | way | ns, of the traced process | ns, until it is kept | bytes an event |
    |---|---|---|---|
    #{Enum.join(rows, "\n")}

    Of a call and its return, a half each, less the plain call; medians of #{@rounds} rounds of #{@calls} calls. What is thrown away
    counts with its size in memory.
    """
  end

  defp cell(figure, _base, :recorded), do: Table.number(figure)
  defp cell(figure, base, _way), do: "#{Table.number(figure)} (#{Table.number(figure / base)} x)"
end
