defmodule ElixirScope.Instrument.Golden.ServersTest do
  use ExUnit.Case, async: false

  alias ElixirScope.Golden

  @moduletag :capture_log

  # What both modes of a state machine are asked, and how they end.
  @asked ~S'''
    def start(x), do: :gen_statem.start(__MODULE__, x, [])
    def session do
      {:ok, pid} = start(1)
      answers = for request <- [:keep, :next, :same, :repeat, :throw, :later, :state], do: :gen_statem.call(pid, request)
      :gen_statem.cast(pid, :next)
      send(pid, :next)
      {answers, :gen_statem.call(pid, :state), :sys.get_state(pid), :gen_statem.stop(pid)}
    end
    def upgrade do
      {:ok, pid} = start(1)
      :ok = :sys.suspend(pid)
      :ok = :sys.change_code(pid, __MODULE__, 1, :extra)
      :ok = :sys.resume(pid)
      {:sys.get_state(pid), :gen_statem.stop(pid)}
    end
    def crash(request) do
      {:ok, pid} = start(1)
      monitor = Process.monitor(pid)
      answer = try do :gen_statem.call(pid, request) catch :exit, {reason, _} -> {:exit, shape(reason)} end
      {answer, receive(do: ({:DOWN, ^monitor, _, _, reason} -> shape(reason)))}
    end
    # A tail call out of a callback keeps its frame while recording, so only the innermost one is shown.
    defp shape({reason, [{m, f, args, l} | _]}) when is_list(args), do: {reason, {m, f, length(args), l[:line]}}
    defp shape({reason, [{m, f, a, l} | _]}), do: {reason, {m, f, a, l[:line]}}
    defp shape(reason), do: reason
    def init(:stop), do: {:stop, :refused}
    def init(x), do: {:ok, :one, x, {:state_timeout, 60_000, :late}}
    def terminate(_reason, _name, data), do: {:ended, data}
    def code_change(_old, name, data, extra), do: {:ok, name, {extra, data}}
    defp answer({:call, from}, :keep, _name, data), do: {:keep_state, data + 1, {:reply, from, :kept}}
    defp answer({:call, from}, :next, name, data), do: {:next_state, other(name), data + 1, [{:reply, from, name}]}
    defp answer({:call, from}, :same, _name, _data), do: {:keep_state_and_data, {:reply, from, :same}}
    defp answer({:call, from}, :repeat, _name, data), do: {:repeat_state, data, {:reply, from, :again}}
    defp answer({:call, from}, :throw, _name, data), do: throw({:keep_state, data + 10, {:reply, from, :thrown}})
    defp answer({:call, from}, :later, name, data), do: {:keep_state, data, [{:next_event, :internal, {:tell, from, name}}]}
    defp answer({:call, from}, :state, name, data), do: {:keep_state_and_data, {:reply, from, {name, data}}}
    defp answer({:call, from}, :stop, _name, data), do: {:stop_and_reply, :stopped, {:reply, from, :bye}, data}
    defp answer({:call, _from}, :wrong, _name, _data), do: :nonsense
    defp answer({:call, _from}, :raise, name, data), do: raise "raised in #{name} with #{inspect(data)}"
    defp answer(:internal, {:tell, from, name}, name, data) do
      :gen_statem.reply(from, {:told, data})
      :keep_state_and_data
    end
    defp answer(type, :next, name, data) when type in [:cast, :info], do: {:next_state, other(name), data + 100}
    defp other(:one), do: :two
    defp other(:two), do: :one
  '''

  @expressions [
    ~S|M.session()|,
    ~S|M.upgrade()|,
    ~S|M.start(:stop)|,
    ~S|M.crash(:stop)|,
    ~S|M.crash(:wrong)|,
    ~S|M.crash(:raise)|,
    ~S|M.crash(:unknown)|,
    ~S|M.code_change(1, :one, 2, 3)|
  ]

  defp expressions(module), do: Enum.map(@expressions, &String.replace(&1, "M.", "#{module}."))

  test "a state machine with one function for all states" do
    source = """
    defmodule Golden.Machine do
      @behaviour :gen_statem
      # scope
      def callback_mode, do: [:handle_event_function, :state_enter]
      def handle_event(:enter, _old, _name, _data), do: :keep_state_and_data
      def handle_event(type, content, name, data), do: answer(type, content, name, data)
      #{@asked}
    end
    """

    Golden.assert_same(
      source,
      expressions("Golden.Machine") ++ [~S|Golden.Machine.handle_event(:cast, :no, :one, 1)|]
    )
  end

  test "a state machine with a function for each state" do
    source = """
    defmodule Golden.States do
      @behaviour :gen_statem
      # scope
      def callback_mode, do: :state_functions
      def one(type, content, data), do: answer(type, content, :one, data)
      def two(:info, :never, _data), do: :never
      def two(type, content, data), do: answer(type, content, :two, data)
      def client(pid, request, timeout \\\\ 5000), do: :gen_statem.call(pid, request, timeout)
      #{@asked}
    end
    """

    Golden.assert_same(
      source,
      expressions("Golden.States") ++
        [
          ~S|{:ok, pid} = Golden.States.start(1); Golden.States.client(pid, :next, 1000)|,
          ~S|Golden.States.one(:cast, :no, 1)|,
          ~S|Golden.States.two({:call, {self(), :tag}}, :state, 1)|
        ]
    )
  end

  test "stages and views" do
    Golden.assert_same(
      ~S'''
      defmodule Golden.Stage do
        use GenStage
        # scope
        def init(x), do: {:producer_consumer, x, []}
        def handle_demand(n, state), do: {:noreply, Enum.to_list(1..n), state + n}
        def handle_events(events, _from, state), do: {:noreply, events, state + length(events)}
        def handle_call(:get, _from, state), do: {:reply, state, [], state}
        def session do
          {:ok, pid} = GenStage.start_link(__MODULE__, 1)
          GenStage.ask(pid, 3)
          GenStage.events(pid, [:a, :b])
          {GenStage.call(pid, :get), GenServer.stop(pid)}
        end
      end
      defmodule Golden.View do
        @behaviour Phoenix.LiveView
        # scope
        alias Phoenix.LiveView.{Channel, Socket}
        def mount(_params, _session, socket), do: {:ok, Socket.assign(socket, :n, 1), []}
        def handle_params(%{n: n}, _uri, socket), do: {:noreply, Socket.assign(socket, :n, n)}
        def handle_event("add", n, socket), do: add(socket, n)
        def handle_info(n, socket), do: add(socket, n)
        def handle_async(_name, n, socket), do: add(socket, n)
        defp add(socket, n), do: {:noreply, Socket.assign(socket, :n, socket.assigns.n + n)}
        def session do
          {:ok, pid} = Channel.start_link(__MODULE__, %{n: 1})
          send(pid, 10)
          {Channel.event(pid, "add", 100), Channel.async(pid, :task, 1000), Channel.socket(pid), GenServer.stop(pid)}
        end
      end
      ''',
      [
        ~S|Golden.Stage.session()|,
        ~S|Golden.View.session()|,
        ~S|Golden.View.handle_event("none", 1, %Phoenix.LiveView.Socket{})|
      ]
    )
  end
end
