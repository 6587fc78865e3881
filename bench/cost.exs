# What recording costs four small programs, each under every option and under `:erlang.trace`, in one run.

Code.require_file("table.exs", __DIR__)
Code.require_file("tracer.exs", __DIR__)
Code.require_file("programs.exs", __DIR__)

defmodule Bench.Cost do
  @moduledoc false

  alias Bench.{Programs, Table, Tracer}

  # Events a round stay far below what the rings hold, however many a program makes: a full ring would measure refusals.
  @programs [
    add: {"add/2, a small function", 10_000},
    count: {"a GenServer call", 1_000},
    encode: {"JSON encoding, a list of 12 maps", 5},
    parse: {"a parser, 114 characters of arithmetic", 10}
  ]

  @term for n <- 1..12,
            do: %{
              "id" => n,
              "name" => "article \"#{n}\"",
              "price" => n * 9.5,
              "tags" => ["new", "in stock", nil],
              "seller" => %{"name" => "a bookshop", "open" => true}
            }
  @expression List.duplicate(~c"12+(3*45-6)*(7+8*9)-10", 5) |> Enum.intersperse(~c"*") |> Enum.concat()

  @ways [off: Programs.Full, on: Programs.Full, bare: Programs.Bare, locals: Programs.Locals]

  def run do
    dir = Path.join(System.tmp_dir!(), "elixir_scope_bench_cost_#{System.pid()}")

    try do
      {:ok, _} = ElixirScope.start(dir: dir, limits: [ring_bytes: 32 * 1024 * 1024])
      :ok = ElixirScope.pause()
      servers = Map.new(modules(), fn module -> {module, elem(module.start(), 1)} end)
      off = measure(servers, [:plain, :off], fn -> :ok end)
      :ok = ElixirScope.resume()
      on = measure(servers, [:on, :bare, :locals], &ElixirScope.flush/0)
      {:ok, status} = ElixirScope.status()
      if status.lost > 0, do: raise("#{status.lost} events were lost: the figures would be those of refusals")
      :ok = ElixirScope.stop()
      traced = traced(servers)
      for {_module, server} <- servers, do: GenServer.stop(server)
      report(Map.new(off ++ on ++ traced))
    after
      File.rm_rf!(dir)
    end
  end

  defp modules, do: [Programs.Plain, Programs.Traced | Keyword.values(@ways)] |> Enum.uniq()

  defp measure(servers, ways, before) do
    for {program, {_label, count}} <- @programs,
        result <- measure(program, count, servers, ways, before),
        do: result
  end

  defp measure(program, count, servers, ways, before) do
    cases =
      for way <- ways do
        module = Keyword.get(@ways, way, Programs.Plain)
        {{program, way}, before, &loop(program, &1, module, servers[module])}
      end

    Table.measure(cases, count)
  end

  defp traced(servers) do
    tracer = Tracer.start()
    server = servers[Programs.Traced]
    for pid <- [self(), server], do: :erlang.trace(pid, true, [:call, tracer: tracer])
    :erlang.trace_pattern({Programs.Traced, :_, :_}, [{:_, [], [{:exception_trace}]}], [:local])

    times =
      for {program, {_label, count}} <- @programs do
        [{_, time}] =
          Table.measure(
            [{:traced, fn -> Tracer.catch_up(tracer) end, &loop(program, &1, Programs.Traced, server)}],
            count
          )

        {{program, :traced}, time}
      end

    for pid <- [self(), server], do: :erlang.trace(pid, false, [:all])
    Tracer.stop(tracer)
    times
  end

  # A loop a module: a call through a variable module would cost more than the call that is measured.
  for module <- [Programs.Plain, Programs.Traced, Programs.Full, Programs.Bare, Programs.Locals] do
    defp loop(_program, 0, unquote(module), _server), do: :ok

    defp loop(:add, n, unquote(module), server) do
      unquote(module).add(n, 1)
      loop(:add, n - 1, unquote(module), server)
    end

    defp loop(:count, n, unquote(module), server) do
      unquote(module).count(server)
      loop(:count, n - 1, unquote(module), server)
    end

    defp loop(:encode, n, unquote(module), server) do
      unquote(module).encode(@term)
      loop(:encode, n - 1, unquote(module), server)
    end

    defp loop(:parse, n, unquote(module), server) do
      unquote(module).parse(@expression)
      loop(:parse, n - 1, unquote(module), server)
    end
  end

  defp report(times) do
    columns = [
      off: "off",
      on: "on",
      bare: "on, `args: false`",
      locals: "on, `locals: true`",
      traced: "`:erlang.trace`"
    ]

    rows =
      for {program, {label, _count}} <- @programs do
        plain = times[{program, :plain}]
        ratios = for {way, _title} <- columns, do: Table.number(times[{program, way}] / plain) <> " x"
        "| #{label} | #{Table.number(plain)} ns | #{Enum.join(ratios, " | ")} |"
      end

    """
    ### Programs, as multiples of the plain one

    #{"| program | plain | #{Enum.map_join(columns, " | ", &elem(&1, 1))} |"}
    |---|---|---|---|---|---|---|
    #{Enum.join(rows, "\n")}

    Every function of the program is instrumented, or traced with calls, returns and exceptions to a process that
    throws the messages away. Of the GenServer call both sides are.
    """
  end
end
