defmodule ElixirScope.Mortals do
  @moduledoc false
  # Processes that end for known reasons.

  defmodule Till do
    @moduledoc false
    # A server that ends in each way that a server can.
    use GenServer
    use ElixirScope

    def start_link(options \\ []),
      do: GenServer.start_link(__MODULE__, options, Keyword.take(options, [:name]))

    def start(options \\ []), do: GenServer.start(__MODULE__, options, Keyword.take(options, [:name]))
    def pay(till, how), do: GenServer.call(till, {:pay, how})
    def tell(till, what), do: GenServer.cast(till, what)

    @impl true
    def init(options) do
      if options[:trap], do: Process.flag(:trap_exit, true)
      {:ok, options}
    end

    @impl true
    def handle_call({:pay, :raise}, _from, state), do: {:reply, count(state[:coins]), state}
    def handle_call({:pay, :exit}, _from, _state), do: exit(:till_stolen)
    def handle_call({:pay, :stop}, _from, state), do: {:stop, :till_closed, :ok, state}

    def handle_call({:pay, {:ask, other}}, _from, state),
      do: {:reply, GenServer.call(other, :ask, state[:wait] || 100), state}

    def handle_call({:pay, {:hold, release}}, _from, state) do
      wait(release)
      {:reply, :ok, state}
    end

    def handle_call({:pay, :ok}, _from, state), do: {:reply, :ok, state}

    @impl true
    def handle_cast(:raise, state), do: {:noreply, count(state)}
    def handle_cast({:monitor, pid}, state), do: {:noreply, [{:ref, Process.monitor(pid)} | state]}
    def handle_cast(:stop, state), do: {:stop, :normal, state}

    @impl true
    def handle_info({:DOWN, _ref, :process, _pid, reason}, state), do: {:stop, {:lost, reason}, state}
    def handle_info({:EXIT, _pid, reason}, state), do: {:stop, {:told, reason}, state}

    @impl true
    def terminate(_reason, state), do: if(is_list(state) and state[:last], do: state[:last].())

    defp count(coins), do: coins * 2
    defp wait(release), do: receive(do: (^release -> :ok))
  end

  defmodule Plain do
    @moduledoc false
    # A server that is not instrumented.
    use GenServer

    def start_link(options), do: GenServer.start_link(__MODULE__, options, Keyword.take(options, [:name]))

    def child_spec(options),
      do: %{
        id: options[:name] || options[:id],
        start: {__MODULE__, :start_link, [options]},
        restart: options[:restart] || :permanent
      }

    @impl true
    def init(options), do: {:ok, options}

    @impl true
    def handle_call(:ask, _from, state), do: {:noreply, state}
    def handle_call(:ok, _from, state), do: {:reply, :ok, state}

    @impl true
    def handle_cast(:raise, _state), do: raise(ArgumentError, "not instrumented")
    def handle_cast({:exit, reason}, _state), do: exit(reason)

    def handle_cast({:call, other, timeout}, state),
      do: {:noreply, [GenServer.call(other, :ask, timeout) | state]}
  end
end
