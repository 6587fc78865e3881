# What one event costs the program, by its kind and by what it holds, each against the same run's empty NIF call and
# `term_to_binary` of the same term.
#
# A call is too short for the clock, so batches of 100 are timed, less the loop. p50 and p99 are those of 400 batches of
# each case: a p99 shows what a batch meets now and then (the drain thread on the same core, a garbage collection, the
# first touch of a page of the ring), spread over its 100 calls. Each round has one batch of each case, so all see the
# same weather.

Code.require_file("table.exs", __DIR__)

defmodule Bench.Events do
  @moduledoc false

  alias Bench.Table
  alias ElixirScope.Native

  @batch 100
  @rounds 400
  # Rounds between two flushes. What is recorded in between fits the ring: a full one would measure refusals.
  @pause 4
  @site {1_234_568, 1, __MODULE__, :run, 2, "bench/events.exs", 1, 0, :function, 0, 0, []}
  @match {1_234_569, 2, __MODULE__, :run, 2, "bench/events.exs", 2, 0, :match, 0, 0, [:a, :b]}

  @sizes [
    none: "nothing",
    words: "immediates",
    map: "4-key map",
    binary: "100 B binary",
    kb: "1 KB term",
    kb10: "10 KB term"
  ]
  @kinds [
    call: "call",
    return: "return",
    tail: "tail",
    raise: "raise",
    binding: "binding",
    state: "state, whole",
    count: "count"
  ]

  # What the kinds record for each size; `term` is a variable of the loop, `n` its counter.
  @cases [
    {:call, :none, quote(do: Native.enter(@site))},
    {:call, :words, quote(do: Native.enter(@site, n, :ok))},
    {:call, :term, quote(do: Native.enter(@site, term))},
    {:return, :none, quote(do: Native.left(@site))},
    {:return, :words, quote(do: Native.leave(@site, n))},
    {:return, :term, quote(do: Native.leave(@site, term))},
    {:tail, :none, quote(do: Native.tail(@site, {0}))},
    {:raise, :words, quote(do: Native.raised(@site, :error, :badarith, []))},
    {:raise, :term, quote(do: Native.raised(@site, :error, term, []))},
    {:binding, :words, quote(do: Native.bind(@match, n, :ok))},
    {:binding, :term, quote(do: Native.bind(@match, term, :ok))},
    {:state, :words, quote(do: Native.state(@site, 1, nil, n))},
    {:state, :term, quote(do: Native.state(@site, 1, nil, term))},
    {:count, :none, quote(do: Native.count(@site))},
    {:nif, :none, quote(do: Native.baseline())},
    {:binary, :term, quote(do: :erlang.term_to_binary(term))},
    {:loop, :none, quote(do: :ok)}
  ]

  for {kind, size, body} <- @cases do
    defp loop(unquote(kind), unquote(size), 0, _term, last), do: last

    # What came is handed on: the compiler drops a call without effect whose value nobody sees.
    defp loop(unquote(kind), unquote(size), var!(n), var!(term), _last) do
      last =
        unquote(
          Macro.postwalk(body, fn
            {name, _, __MODULE__} when name in [:n, :term] -> {:var!, [], [{name, [], nil}]}
            other -> other
          end)
        )

      loop(unquote(kind), unquote(size), var!(n) - 1, var!(term), last)
    end
  end

  def run do
    dir = Path.join(System.tmp_dir!(), "elixir_scope_bench_events_#{System.pid()}")

    try do
      {:ok, _} = ElixirScope.start(dir: dir, limits: [ring_bytes: 64 * 1024 * 1024])
      times = measure()
      {:ok, status} = ElixirScope.status()
      if status.lost > 0, do: raise("#{status.lost} events were lost: the figures would be those of refusals")
      :ok = ElixirScope.stop()
      report(times)
    after
      File.rm_rf!(dir)
    end
  end

  defp terms do
    %{
      map: %{id: 42, count: 3, price: 995, title: "a book"},
      binary: :binary.copy("0123456789", 10),
      kb: orders(1_000),
      kb10: orders(10_000)
    }
  end

  # Orders until they take so many bytes in the external term format.
  defp orders(bytes) do
    Stream.iterate(1, &(&1 + 1))
    |> Stream.map(fn n ->
      for id <- 1..n, do: %{id: id, title: "article #{id}", price: id * 9.5, tags: [:new, :stock]}
    end)
    |> Enum.find(&(byte_size(:erlang.term_to_binary(&1)) >= bytes))
  end

  defp measure do
    terms = terms()

    cases =
      for {kind, size, _body} <- @cases, name <- if(size == :term, do: Map.keys(terms), else: [size]) do
        {{kind, name}, &loop(kind, size, @batch, terms[name], &1)}
      end

    rounds =
      for round <- 1..@rounds do
        if rem(round, @pause) == 0, do: ElixirScope.flush()

        for {name, loop} <- cases do
          started = System.monotonic_time(:nanosecond)
          loop.(nil)
          {name, (System.monotonic_time(:nanosecond) - started) / @batch}
        end
      end

    all =
      rounds
      |> List.flatten()
      |> Enum.group_by(&elem(&1, 0), &elem(&1, 1))
      |> Map.new(fn {name, times} -> {name, Enum.sort(times)} end)

    empty = at(all[{:loop, :none}], 0.5)

    Map.new(all, fn {name, times} ->
      {name, {max(at(times, 0.5) - empty, 0.0), max(at(times, 0.99) - empty, 0.0)}}
    end)
  end

  defp at(sorted, share), do: Enum.at(sorted, floor(length(sorted) * share))

  defp report(times) do
    {nif, nif99} = times[{:nif, :none}]

    rows =
      for {kind, label} <- @kinds do
        cells = for {size, _} <- @sizes, do: cell(times[{kind, size}])
        "| #{label} | #{Enum.join(cells, " | ")} |"
      end

    binaries = for {size, _} <- @sizes, do: cell(times[{:binary, size}])

    against =
      for {size, _} <- @sizes do
        case times[{:binary, size}] do
          nil -> if time = times[{:call, size}], do: Table.number(elem(time, 0) / nif) <> " x NIF", else: ""
          {time, _} -> Table.number(elem(times[{:call, size}], 0) / time) <> " x"
        end
      end

    """
    ### One event, by kind and by what it holds: ns, p50 / p99

    | kind | #{Enum.map_join(@sizes, " | ", &elem(&1, 1))} |
    |---|#{String.duplicate("---|", length(@sizes))}
    #{Enum.join(rows, "\n")}
    | `term_to_binary` | #{Enum.join(binaries, " | ")} |
    | call against `term_to_binary` | #{Enum.join(against, " | ")} |

    Empty NIF call: #{Table.number(nif)} / #{Table.number(nif99)} ns. #{@rounds} batches of #{@batch} calls of each case; calls and bindings hold
    two immediates, the others one. The terms are lists of maps with #{Enum.map_join([:kb, :kb10], " and ", &"#{length(terms()[&1])}")} elements.
    """
  end

  defp cell(nil), do: ""
  defp cell({p50, p99}), do: "#{Table.number(p50)} / #{Table.number(p99)}"
end
