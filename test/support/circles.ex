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

    # Awaits the Task no longer than told.
    def handle_call({:yield, server, timeout}, _from, state) do
      task = Task.async(fn -> ask(server) end)
      answer = Task.yield(task, timeout)
      {:reply, answer, state}
    end

    def handle_call({:hand, next, helper}, _from, state),
      do: {:reply, GenServer.call(next, {:hand_on, helper, self()}, :infinity), state}

    # Has another one answer, and asks meanwhile.
    def handle_call({:hand_on, helper, server}, from, state) do
      send(helper, {:answer, from})
      {:reply, ask(server), state}
    end

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

    # Asks one thing after the other, and gives up each after its time.
    def handle_call({:try, next, requests}, _from, state) do
      {:reply, for({request, timeout} <- requests, do: attempt(next, request, timeout)), state}
    end

    # Ends, and asks in its `terminate`.
    def handle_call(:raise, _from, _state), do: raise("left")
    def handle_call(:stop, _from, state), do: {:stop, :normal, state}

    @impl true
    def handle_cast({:ask, who, request}, state) do
      GenServer.call(who, request, :infinity)
      {:noreply, state}
    end

    @impl true
    def handle_info(_message, state), do: {:noreply, state}

    @impl true
    def terminate(_reason, %{last: server}), do: ask(server)
    def terminate(_reason, _state), do: :ok

    def ask(server), do: GenServer.call(server, {:ask, [], :infinity}, :infinity)

    defp attempt(server, request, timeout) do
      GenServer.call(server, request, timeout)
    catch
      :exit, {:timeout, _} -> :gave_up
    end
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

  defmodule Child do
    @moduledoc false
    # Asks the supervisor that starts it, before it is started.
    use GenServer
    use ElixirScope

    def start_link(supervisor), do: GenServer.start_link(__MODULE__, supervisor)

    @impl true
    def init(supervisor), do: {:ok, DynamicSupervisor.which_children(supervisor)}
  end

  defmodule Barrier do
    @moduledoc false
    # Tells the other one that it is there, and then waits for something else.
    use ElixirScope

    def start, do: spawn(&run/0)

    def run do
      receive do
        {:peer, peer, extra} -> send(peer, {:joined, self(), extra})
      end

      receive do
        {:start, from} -> send(from, {:started, self()})
      end

      receive do
        {:joined, peer, _extra} -> peer
      end
    end

    # Asks without a reference, and takes nothing but the answer.
    def ask do
      receive do
        {:peer, peer} -> send(peer, {:ask, self()})
      end

      receive do
        {:answer, peer} -> peer
      end
    end

    # Asks two, of which either may answer.
    def ask_two do
      receive do
        {:peers, one, other} ->
          first = make_ref()
          second = make_ref()
          send(one, {:ask, self(), first})
          send(other, {:ask, self(), second})
          either(first, second)
      end
    end

    defp either(first, second) do
      receive do
        {^first, answer} -> answer
        {^second, answer} -> answer
      end
    end
  end

  @doc "A process that does something, and says so when it is done."
  def client(fun) do
    me = self()
    spawn(fn -> send(me, {:client, self(), fun.()}) end)
  end
end
