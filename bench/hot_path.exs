# What a call costs: uninstrumented, compiled in but off, and recorded, against an empty NIF call, `term_to_binary`
# and `:erlang.trace` to a process, in one run. `mix scope.bench` runs this and writes bench/RESULTS.md.

Code.require_file("table.exs", __DIR__)
Code.require_file("tracer.exs", __DIR__)
Code.require_file("subjects.exs", __DIR__)

defmodule Bench.HotPath do
  @moduledoc false

  alias Bench.Subjects.{Deaf, Instrumented, Plain, Traced}
  alias Bench.{Table, Tracer}
  alias ElixirScope.Native

  # Few enough that the ring holds them: a ring that overflows would measure the refusal.
  @burst 10_000
  @site {1_234_567, 1, __MODULE__, :run, 2, "bench/hot_path.exs", 1, 0, :function, 0, 0, []}
  @order %{id: 42, count: 3, price: 995, title: "a book"}

  def run do
    dir = Path.join(System.tmp_dir!(), "elixir_scope_bench_#{System.pid()}")

    try do
      {:ok, _} = ElixirScope.start(dir: dir, limits: [ring_bytes: 16 * 1024 * 1024])
      on = measure_on()
      {:ok, status} = ElixirScope.status()
      if status.lost > 0, do: raise("#{status.lost} events were lost: the figures would be those of refusals")
      :ok = ElixirScope.pause()
      off = measure_off()
      :ok = ElixirScope.stop()
      report(Map.new(on ++ off ++ measure_traced()))
    after
      File.rm_rf!(dir)
    end
  end

  defp measure_on do
    Table.measure(
      [
        {:nif, &flush/0, &nif/1},
        {:event, &flush/0, &event/1},
        {:event_map, &flush/0, &event_map/1},
        {:binary, &flush/0, &binary/1},
        {:add_on, &flush/0, &add(&1, Instrumented)},
        {:classify_on, &flush/0, &classify(&1, Instrumented)},
        {:total_on, &flush/0, &total(&1, Instrumented)},
        {:sum_on, &flush/0, &sum(&1, Instrumented)},
        {:listen_on, &flush/0, &Instrumented.listen/1},
        {:listen_deaf, &flush/0, &Deaf.listen/1}
      ],
      @burst
    )
  end

  defp measure_off do
    Table.measure(
      [
        {:add, &nothing/0, &add(&1, Plain)},
        {:add_off, &nothing/0, &add(&1, Instrumented)},
        {:classify, &nothing/0, &classify(&1, Plain)},
        {:classify_off, &nothing/0, &classify(&1, Instrumented)},
        {:total, &nothing/0, &total(&1, Plain)},
        {:total_off, &nothing/0, &total(&1, Instrumented)},
        {:sum, &nothing/0, &sum(&1, Plain)},
        {:sum_off, &nothing/0, &sum(&1, Instrumented)},
        {:listen, &nothing/0, &Plain.listen/1},
        {:listen_off, &nothing/0, &Instrumented.listen/1}
      ],
      @burst
    )
  end

  defp measure_traced do
    tracer = Tracer.start()
    :erlang.trace(self(), true, [:call, tracer: tracer])
    catch_up = fn -> Tracer.catch_up(tracer) end

    :erlang.trace_pattern({Traced, :add, 2}, true, [:local])
    [call] = Table.measure([{:trace_call, catch_up, &add(&1, Traced)}], @burst)
    :erlang.trace_pattern({Traced, :add, 2}, [{:_, [], [{:return_trace}]}], [:local])
    [both] = Table.measure([{:trace_return, catch_up, &add(&1, Traced)}], @burst)
    :erlang.trace(self(), false, [:all])
    Tracer.stop(tracer)
    [call, both]
  end

  defp report(t) do
    capture =
      Table.markdown("One captured event", [
        {"empty NIF call", t.nif, []},
        {"call event, two immediate arguments", t.event, [{t.event / t.nif, "empty NIF call"}]},
        {"`term_to_binary` of a 4-key map", t.binary, []},
        {"call event, that map as argument", t.event_map, [{t.event_map / t.binary, "`term_to_binary`"}]},
        {"`:erlang.trace` to a process, call", t.trace_call, [{t.trace_call / t.event, "call event"}]}
      ])

    functions =
      for {name, label} <- [
            add: "add/2",
            classify: "classify/1, three clauses",
            total: "total/1, 4-key map",
            sum: "sum/2, a step of a tail-recursive loop"
          ] do
        plain = t[name]
        off = t[:"#{name}_off"]
        on = t[:"#{name}_on"]

        [
          {label <> ", plain", plain, []},
          {label <> ", instrumented, off: added", off - plain, []},
          {label <> ", instrumented, recording: added", on - plain,
           [{(on - plain) / t.nif, "empty NIF call"}]}
        ]
      end

    traced = [
      {"add/2, `:erlang.trace` call and return: added", t.trace_return - t.add,
       [{(t.trace_return - t.add) / (t.add_on - t.add), "recording"}]}
    ]

    receives = [
      {"plain", t.listen, []},
      {"instrumented, off", t.listen_off, [{t.listen_off / t.listen, "plain"}]},
      {"recording calls alone (`receives: false`)", t.listen_deaf, [{t.listen_deaf / t.listen, "plain"}]},
      {"recording", t.listen_on, [{t.listen_on / t.listen, "plain"}]}
    ]

    offs = for name <- [:add, :classify, :total, :sum], do: t[:"#{name}_off"] - t[name]
    median = offs |> Enum.sort() |> then(fn [_, a, b, _] -> (a + b) / 2 end)

    Table.promise("instrumented, off: added to a call, median of the functions", median, {:most, 5}, "ns")
    Table.promise("an event with two immediates, against an empty NIF call", t.event / t.nif, {:most, 2}, "x")

    Table.promise(
      "`:erlang.trace` to a process, against that event",
      t.trace_call / t.event,
      {:least, 40},
      "x"
    )

    Table.promise(
      "a call with a 4-key map, against `term_to_binary` of it",
      t.event_map / t.binary,
      {:most, 0.5},
      "x"
    )

    capture <>
      "\n" <>
      Table.markdown("An instrumented function against the plain one", List.flatten(functions) ++ traced) <>
      "\n" <>
      Table.markdown("A step of a loop that sends itself a message and receives it", receives) <>
      "\nMedian of the functions, compiled in but off: #{Float.round(median, 1)} ns a call.\n"
  end

  defp flush, do: ElixirScope.flush()
  defp nothing, do: :ok

  defp nif(0), do: :ok

  defp nif(n) do
    Native.baseline()
    nif(n - 1)
  end

  defp event(0), do: :ok

  defp event(n) do
    Native.enter(@site, n, :ok)
    event(n - 1)
  end

  defp event_map(0), do: :ok

  defp event_map(n) do
    Native.enter(@site, @order)
    event_map(n - 1)
  end

  defp binary(n, last \\ nil)
  defp binary(0, last), do: last
  # The result is handed on: the compiler drops a call without effect whose result nobody sees.
  defp binary(n, _last), do: binary(n - 1, :erlang.term_to_binary(@order))

  # A loop a module: a call through a variable module would cost more than the call that is measured.
  for module <- [Plain, Instrumented, Traced] do
    defp add(0, unquote(module)), do: :ok

    defp add(n, unquote(module)) do
      unquote(module).add(n, 1)
      add(n - 1, unquote(module))
    end

    defp classify(0, unquote(module)), do: :ok

    defp classify(n, unquote(module)) do
      unquote(module).classify(n)
      classify(n - 1, unquote(module))
    end

    defp total(0, unquote(module)), do: :ok

    defp total(n, unquote(module)) do
      unquote(module).total(@order)
      total(n - 1, unquote(module))
    end

    defp sum(n, unquote(module)), do: unquote(module).sum(n, 0)
  end
end
