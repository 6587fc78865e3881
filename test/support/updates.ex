defmodule ElixirScope.Updates do
  @moduledoc false
  # A server that is asked and told by several clients, which do one thing after the other, as they are told.

  defmodule Register do
    @moduledoc false
    use GenServer
    use ElixirScope

    def start(state), do: GenServer.start(__MODULE__, state)

    @impl true
    def init(state), do: {:ok, state}

    @impl true
    def handle_call({:get, key}, _from, state), do: {:reply, Map.get(state, key), state}
    def handle_call(:all, _from, state), do: {:reply, state, state}
    def handle_call(:ping, _from, state), do: {:reply, :pong, state}
    def handle_call({:put, key, value}, _from, state), do: {:reply, :ok, Map.put(state, key, value)}
    def handle_call({:replace, state}, _from, _old), do: {:reply, :ok, state}

    def handle_call({:add, key, count}, _from, state),
      do: {:reply, :ok, Map.update!(state, key, &(&1 + count))}

    def handle_call({:push, key, value}, _from, state),
      do: {:reply, :ok, Map.update!(state, key, &[value | &1])}

    @impl true
    def handle_cast({:put, key, value}, state), do: {:noreply, Map.put(state, key, value)}

    @impl true
    def handle_info({:tick, key}, state), do: {:noreply, Map.put(state, key, 100)}
  end

  defmodule Client do
    @moduledoc false
    # Does what it is told, and answers with what came of it. What it read last it keeps.
    def start, do: spawn(fn -> loop(nil) end)

    @doc "Has a client do something; `fun` is given what it read last."
    def ask(client, fun) do
      send(client, {:do, self(), fun})
      receive do: ({:done, ^client, result} -> result)
    end

    @doc "Has a client do something without waiting for it."
    def tell(client, fun), do: send(client, {:do, self(), fun})

    defp loop(read) do
      receive do
        {:do, from, fun} ->
          read = fun.(read)
          send(from, {:done, self(), read})
          loop(read)
      end
    end
  end
end
