# What recording the state of a server costs, by the size of the state and of the change, against the other ways to know it:
# `term_to_binary` of the whole, `:sys.get_state/1` and that, a copy into ETS at each change, and `:sys.install/2` (what
# `:sys.trace/2` is made of; it sees messages, not states). All servers are asked in turn, in the same rounds.

Code.require_file("table.exs", __DIR__)

defmodule Bench.State do
  @moduledoc false

  alias Bench.Table
  alias ElixirScope.Native

  # A site as rewritten code holds it.
  @site {987_654_321, 1, Bench.State, :handle_call, 3, "bench/state.exs", 1, 0, :function, 0, 0, []}

  # Entries of the state, and calls in a round.
  @sizes [{10, 50}, {1_000, 50}, {10_000, 10}, {100_000, 2}]
  @promised 1_000

  # Changes in a round, where they alone are measured. The keyframe before the first is not in it: another one comes when
  # differences have taken twice its bytes.
  @changes 2_000

  body =
    quote do
      use GenServer

      @impl true
      def init(entries), do: {:ok, %{entries: Map.new(1..entries, &{&1, "value #{&1}"}), count: 0}}

      @impl true
      def handle_call({:field, number}, _from, state), do: {:reply, :ok, seen(%{state | count: number})}
    end

  defmodule Plain do
    @moduledoc false
    Module.eval_quoted(__MODULE__, body)
    defp seen(state), do: state
  end

  defmodule Recorded do
    @moduledoc false
    use ElixirScope, except: [:seen]
    Module.eval_quoted(__MODULE__, body)
    defp seen(state), do: state
  end

  defmodule Copied do
    @moduledoc false
    Module.eval_quoted(__MODULE__, body)

    defp seen(state) do
      :ets.insert(Bench.State, {self(), state})
      state
    end
  end

  def run do
    dir = Path.join(System.tmp_dir!(), "elixir_scope_bench_state_#{System.pid()}")
    :ets.new(Bench.State, [:named_table, :public])

    try do
      {:ok, _} =
        ElixirScope.start(dir: dir, limits: [ring_bytes: 64 * 1024 * 1024, state_bytes: 64 * 1024 * 1024])

      texts = for {size, calls} <- @sizes, do: one(size, calls)

      note = """

      What recording a change takes is the difference of two loops, with it and without. Their garbage collections, which copy the state,
      are the larger the state is: at 100,000 entries a change is lost in that noise, and may show below zero.
      """

      {:ok, status} = ElixirScope.status()
      if status.lost > 0, do: raise("#{status.lost} events were lost: the figures would be those of refusals")
      :ok = ElixirScope.stop()
      Enum.join(texts, "\n") <> note
    after
      File.rm_rf!(dir)
    end
  end

  defp one(size, calls) do
    names = [:plain, :recorded, :copied, :installed]
    servers = for module <- [Plain, Recorded, Copied, Plain], do: elem(GenServer.start_link(module, size), 1)
    by_name = Map.new(Enum.zip(names, servers))
    :ok = :sys.install(by_name.installed, {fn seen, _event, _state -> seen end, nil})
    state = :sys.get_state(by_name.plain)
    keys = for n <- 1..10, do: div(size * n, 10)
    flush = &ElixirScope.flush/0

    asked = for {name, server} <- by_name, do: {name, flush, &ask(&1, server)}
    changes = [field: :field, entry: [size], ten: keys]

    alone =
      for {what, change} <- changes, way <- [:changed, :kept] do
        {{way, what}, fn -> begin_with(state) end, fn _calls -> step(@changes, way, change, state) end}
      end

    others = [{:binary, flush, &binary(&1, state)}, {:get_state, flush, &get_state(&1, by_name.plain)}]
    times = Map.new(Table.measure(asked ++ alone ++ others, calls))
    Enum.each(servers, &GenServer.stop/1)
    report(size, calls, times)
  end

  defp ask(0, _server), do: :ok

  defp ask(n, server) do
    # Another one at each call, whatever the round before left there.
    GenServer.call(server, {:field, System.unique_integer()})
    ask(n - 1, server)
  end

  # The keyframe comes before the clock is read.
  defp begin_with(state) do
    ElixirScope.flush()
    Process.put(__MODULE__, Native.state(@site, 0, nil, state))
  end

  # What a callback does when its state has changed (see `ElixirScope.Capture`), and nothing else of it.
  defp step(0, _way, _change, state), do: state

  defp step(n, way, change, state) do
    next = change(change, n, state)
    if way == :kept, do: remember(next)
    step(n - 1, way, change, next)
  end

  defp change(:field, n, state), do: %{state | count: n}
  defp change(keys, n, state), do: %{state | entries: put(state.entries, keys, n)}
  defp put(entries, [], _number), do: entries
  defp put(entries, [key | rest], number), do: entries |> Map.put(key, number) |> put(rest, number)

  defp remember(state) do
    known = Process.get(__MODULE__)
    unless elem(known, 0) === state, do: Process.put(__MODULE__, Native.state(@site, 1, known, state))
  end

  defp binary(n, state, last \\ nil)
  defp binary(0, _state, last), do: last
  defp binary(n, state, _last), do: binary(n - 1, state, :erlang.term_to_binary(state))

  defp get_state(n, server, last \\ nil)
  defp get_state(0, _server, last), do: last

  defp get_state(n, server, _last),
    do: get_state(n - 1, server, server |> :sys.get_state() |> :erlang.term_to_binary())

  defp report(size, calls, t) do
    own = fn what -> (t[{:kept, what}] - t[{:changed, what}]) * calls / @changes end
    added = fn name -> t[name] - t.plain end
    ratio = fn time -> [{time / t.binary, "`term_to_binary`"}] end

    if size == @promised do
      for {what, text} <- [
            field: "field of a state with #{size} entries",
            entry: "entry of a state with #{size}"
          ] do
        label = "a changed #{text}, against `term_to_binary` of the state"
        Table.promise(label, own.(what) / t.binary, {:most, 0.01}, "x")
      end
    end

    Table.markdown("A state of #{size} entries", [
      {"`term_to_binary` of the state", t.binary, []},
      {"`:sys.get_state/1` and `term_to_binary`", t.get_state, ratio.(t.get_state)},
      {"recording a changed state: a field beside the entries", own.(:field), ratio.(own.(:field))},
      {"recording a changed state: one of the entries", own.(:entry), ratio.(own.(:entry))},
      {"recording a changed state: ten of the entries", own.(:ten), ratio.(own.(:ten))},
      {"a call that changes a field", t.plain, []},
      {"of that recorded, with message, reply and state: added", added.(:recorded), []},
      {"of that with a copy of the state into ETS: added", added.(:copied), ratio.(added.(:copied))},
      {"of that with `:sys.install/2` on the server, which sees no states: added", added.(:installed), []}
    ])
  end
end
