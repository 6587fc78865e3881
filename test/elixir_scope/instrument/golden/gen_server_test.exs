defmodule ElixirScope.Instrument.Golden.GenServerTest do
  use ExUnit.Case, async: false

  alias ElixirScope.Golden

  @source ~S'''
  defmodule Golden.Server do
    use GenServer
    # scope
    def start_link(x), do: GenServer.start_link(__MODULE__, x)
    @impl true
    def init(:stop), do: {:stop, :refused}
    def init(x), do: {:ok, x, {:continue, :begin}}
    @impl true
    def handle_continue(:begin, state), do: {:noreply, [:continued | state]}
    @impl true
    def handle_call(:get, _from, state), do: {:reply, state, state}
    def handle_call({:push, x}, from, state), do: do_reply(x, from, state)
    def handle_call(:throw, _from, state), do: throw({:reply, :thrown, state})
    def handle_call({:stop, reason}, _from, state), do: {:stop, reason, :stopping, state}
    def handle_call({:apply, fun}, _from, state), do: apply(fun, [state])
    defp do_reply(x, from, state) do
      GenServer.reply(from, {:pushed, x})
      {:noreply, [x | state]}
    end
    @impl true
    def handle_cast({:push, x}, state), do: {:noreply, [x | state]}
    @impl true
    def handle_info(message, state), do: {:noreply, [{:info, message} | state]}
    @impl true
    def terminate(reason, _state) do
      if pid = Process.whereis(:golden_parent), do: send(pid, {:terminated, reason})
      :ok
    end
    @impl true
    def code_change(_old, state, extra), do: {:ok, [extra | state]}

    def session do
      {:ok, pid} = start_link([])
      GenServer.cast(pid, {:push, 1})
      send(pid, :hello)
      {GenServer.call(pid, {:push, 2}), GenServer.call(pid, :throw), GenServer.call(pid, :get),
       GenServer.call(pid, {:apply, fn state -> {:reply, :applied, [:last | state]} end}), :sys.get_state(pid),
       GenServer.stop(pid)}
    end
    def crash(request) do
      Process.flag(:trap_exit, true)
      Process.register(self(), :golden_parent)
      Logger.disable(self())
      {:ok, pid} = start_link([])
      answer = try do GenServer.call(pid, request) catch :exit, {reason, _} -> {:exit, shape(reason)} end
      {answer, receive(do: ({:EXIT, ^pid, reason} -> shape(reason))), receive(do: ({:terminated, reason} -> shape(reason)))}
    after
      Process.unregister(:golden_parent)
      Process.flag(:trap_exit, false)
    end
    # The stack below gen_server differs between releases, so only the server's own frames are shown.
    defp shape({reason, stack}) when is_list(stack), do: {reason, for({__MODULE__, f, a, l} <- stack, do: {f, a, l[:line]})}
    defp shape(reason), do: reason
  end
  '''

  test "GenServer callbacks, their replies, and how they fail" do
    Golden.assert_same(@source, [
      ~S|Golden.Server.session()|,
      ~S|Golden.Server.crash({:stop, :normal})|,
      ~S|Golden.Server.init(:stop)|,
      ~S|Golden.Server.code_change(1, [], :extra)|,
      ~S|Golden.Server.child_spec([])|,
      ~S|Golden.Server.handle_call(:unknown, self(), [])|
    ])
  end
end
