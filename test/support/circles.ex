defmodule ElixirScope.Circles do
  @moduledoc false
  # Programs whose processes wait for each other, and programs that only look so.

  defmodule Link do
    @moduledoc false
    # A server that asks what it is told to.
    use GenServer
    use ElixirScope

    def start(state \\ %{}), do: GenServer.start(__MODULE__, state)

    @impl true
    def init(state), do: {:ok, state}

    @impl true
    # Each asks the next one, and answers when it is answered.
    def handle_call({:ask, [next | rest], timeout}, _from, state) do
      {:reply, GenServer.call(next, {:ask, rest, timeout}, timeout), state}
    end

    def handle_call({:ask, [], _timeout}, _from, state), do: {:reply, :done, state}

    def handle_call({:give_up, next, timeout}, _from, state) do
      answer =
        try do
          GenServer.call(next, {:ask, [self()], :infinity}, timeout)
        catch
          :exit, {:timeout, _} -> :gave_up
        end

      {:reply, answer, state}
    end

    def handle_call(:itself, _from, state), do: {:reply, GenServer.call(self(), :itself), state}

    def handle_call({:task, server}, _from, state) do
      task = Task.async(fn -> ask(server) end)
      {:reply, Task.await(task, :infinity), state}
    end

    def handle_call({:machine, machine}, _from, state),
      do: {:reply, :gen_statem.call(machine, {:ask, self()}), state}

    # Answered later, by whoever is told to.
    def handle_call({:later, helper}, from, state) do
      send(helper, {:answer, from})
      {:noreply, state}
    end

    # Asks without waiting, and goes on.
    def handle_call({:request, next}, _from, state) do
      request = :gen_server.send_request(next, {:ask, [], :infinity})
      {:reply, :ok, Map.put(state, :request, request)}
    end

    def handle_call(:slow, _from, state) do
      receive do: (:enough -> :ok)
      {:reply, :done, state}
    end

    @impl true
    def handle_cast({:ask, who, request}, state) do
      GenServer.call(who, request, :infinity)
      {:noreply, state}
    end

    @impl true
    def handle_info(_message, state), do: {:noreply, state}

    def ask(server), do: GenServer.call(server, {:ask, [], :infinity}, :infinity)
  end

  defmodule Machine do
    @moduledoc false
    @behaviour :gen_statem
    use ElixirScope

    def start, do: :gen_statem.start(__MODULE__, nil, [])

    @impl true
    def callback_mode, do: :handle_event_function

    @impl true
    def init(nil), do: {:ok, :idle, nil}

    @impl true
    def handle_event({:call, from}, {:ask, server}, :idle, nil) do
      {:keep_state_and_data, [{:reply, from, GenServer.call(server, {:ask, [], :infinity}, :infinity)}]}
    end
  end

  defmodule Plain do
    @moduledoc false
    # Processes that ask each other with `send` and `receive`.
    use ElixirScope

    def start, do: spawn(&loop/0)

    def loop do
      receive do
        {:ask, from, ref, path} -> send(from, {ref, follow(path)})
        {:tell, from, text} -> send(from, {:told, text})
      end

      loop()
    end

    def follow([]), do: :done
    def follow([next | rest]), do: ask(next, rest)

    def ask(next, path) do
      ref = make_ref()
      send(next, {:ask, self(), ref, path})

      receive do
        {^ref, answer} -> answer
      end
    end
  end

  @doc "A process that does something, and says so when it is done."
  def client(fun) do
    me = self()
    spawn(fn -> send(me, {:client, self(), fun.()}) end)
  end
end
