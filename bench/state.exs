# A server with 1,000 entries in its state that changes one of them at each call: what recording the state costs, against
# `term_to_binary` of the whole. Both servers are asked in turn, and the same is measured of one that changes nothing.

Code.require_file("table.exs", __DIR__)

defmodule Bench.State do
  @moduledoc false

  alias Bench.Table

  @entries 1_000
  @calls 50

  body =
    quote do
      use GenServer

      @impl true
      def init(entries), do: {:ok, Map.new(1..entries, &{&1, "value #{&1}"})}

      @impl true
      def handle_call({:put, key, value}, _from, state), do: {:reply, :ok, Map.put(state, key, value)}
      def handle_call(:nothing, _from, state), do: {:reply, :ok, state}
    end

  defmodule Plain do
    @moduledoc false
    Module.eval_quoted(__MODULE__, body)
  end

  defmodule Recorded do
    @moduledoc false
    use ElixirScope
    Module.eval_quoted(__MODULE__, body)
  end

  def run do
    dir = Path.join(System.tmp_dir!(), "elixir_scope_bench_state_#{System.pid()}")

    try do
      {:ok, _} = ElixirScope.start(dir: dir, limits: [ring_bytes: 64 * 1024 * 1024])
      servers = for module <- [Plain, Recorded], do: elem(GenServer.start_link(module, @entries), 1)
      times = measure(servers)
      {:ok, status} = ElixirScope.status()
      if status.lost > 0, do: raise("#{status.lost} events were lost: the figures would be those of refusals")
      Enum.each(servers, &GenServer.stop/1)
      :ok = ElixirScope.stop()
      report(Map.new(times))
    after
      File.rm_rf!(dir)
    end
  end

  defp measure([plain, recorded]) do
    state = :sys.get_state(plain)
    flush = &ElixirScope.flush/0

    Table.measure(
      [
        {:plain, flush, &put(&1, plain)},
        {:put, flush, &put(&1, recorded)},
        {:plain_nothing, flush, &nothing(&1, plain)},
        {:nothing, flush, &nothing(&1, recorded)},
        {:binary, flush, &binary(&1, state, nil)}
      ],
      @calls
    )
  end

  defp put(0, _server), do: :ok

  defp put(n, server) do
    GenServer.call(server, {:put, n, n})
    # Changed at every call, whatever the round before left there.
    GenServer.call(server, {:put, n, -n})
    put(n - 1, server)
  end

  defp nothing(0, _server), do: :ok

  defp nothing(n, server) do
    GenServer.call(server, :nothing)
    nothing(n - 1, server)
  end

  defp binary(0, _state, last), do: last
  defp binary(n, state, _last), do: binary(n - 1, state, :erlang.term_to_binary(state))

  defp report(t) do
    changed = (t.put - t.plain) / 2
    same = t.nothing - t.plain_nothing
    own = max(changed - same, 0.0)

    Table.promise(
      "a changed field of a #{@entries}-entry state, against `term_to_binary` of it",
      own / t.binary,
      {:most, 0.01},
      "x"
    )

    Table.markdown("A state of #{@entries} entries", [
      {"`term_to_binary` of the state", t.binary, []},
      {"a call that changes nothing: added by recording", same, []},
      {"a call that changes one entry: added by recording", changed, []},
      {"of that, for the state", own, [{own / t.binary, "`term_to_binary`"}]}
    ])
  end
end
