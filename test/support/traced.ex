defmodule ElixirScope.Traced do
  @moduledoc false
  # Small instrumented modules for tests.

  defmodule Echo do
    @moduledoc false
    use ElixirScope
    def echo(term), do: term
    def pair(left, right), do: {left, right}
    def fail(reason), do: raise(ArgumentError, "failed: #{reason}")
    def toss(term), do: throw(term)
    def leave(reason), do: exit(reason)
    def many(a, b, c, d, e, f, g, h, i, j, k, l, m, n), do: [a, b, c, d, e, f, g, h, i, j, k, l, m, n]
  end

  defmodule Store do
    @moduledoc false
    # A server whose state is whatever it is told.
    use GenServer
    use ElixirScope

    def start_link(state, options \\ []), do: GenServer.start_link(__MODULE__, state, options)
    def put(server, state), do: GenServer.call(server, {:put, state})

    @impl true
    def init(state), do: {:ok, state}

    @impl true
    def handle_call({:put, state}, _from, _old), do: {:reply, :ok, state}
    def handle_call(:get, _from, state), do: {:reply, state, state}
    def handle_call({:throw, state}, _from, _old), do: throw({:reply, :ok, state})

    def handle_call(:nested, _from, state) do
      {:reply, :ok, :other} = handle_call({:put, :other}, nil, :mine)
      {:reply, ElixirScope.now(), state}
    end

    def handle_call({:erase, state}, _from, _old) do
      :erlang.erase()
      {:reply, :ok, state}
    end

    def handle_call({:crash, reason}, _from, _state), do: exit(reason)

    @impl true
    def handle_cast({:put, state}, _old), do: {:noreply, state}

    @impl true
    def handle_info({:put, state}, _old), do: {:noreply, state, {:continue, :same}}

    @impl true
    def handle_continue(:same, state), do: {:noreply, state}
  end

  defmodule Empty do
    @moduledoc false
    @type nothing :: nil
  end

  defmodule Silent do
    @moduledoc false
    # Not instrumented.
    def run(term), do: term
  end
end
