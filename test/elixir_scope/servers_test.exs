defmodule ElixirScope.ServersTest do
  # The states of servers of every kind but GenServer, by what their callbacks return.
  use ExUnit.Case, async: false
  doctest ElixirScope.Capture.Servers

  alias ElixirScope.Servers.{Component, Door, Hatch, Stage, View}
  alias Phoenix.LiveView.Channel

  @moduletag :capture_log

  setup do
    {:ok, _} = ElixirScope.start()
    Process.flag(:trap_exit, true)
    :ok
  end

  defp states(server), do: for(event <- events(server), do: event.data.state)
  defp origins(server), do: for(event <- events(server), do: {event.data.origin, event.data.state})
  defp events(server), do: Enum.to_list(ElixirScope.events(kind: :state, pid: server))
  defp now(server), do: ElixirScope.get_state_at!(server, ElixirScope.now())

  defp ended(pid), do: assert_receive({:EXIT, ^pid, _reason})

  describe "a state machine" do
    test "begins with what init/1 returns, with actions or without" do
      for begin <- [{:ok, :closed, 1}, {:ok, :closed, 1, {:state_timeout, 10_000, :late}}] do
        {:ok, door} = Door.start_link(begin)
        assert now(door) == {:closed, 1}
        assert now(door) == :sys.get_state(door)
        assert origins(door) == [init: {:closed, 1}]
      end

      assert {:error, :no} = Door.start_link({:stop, :no})
      assert :ignore = Door.start_link(:ignore)
    end

    test "has the state that each kind of transition leaves" do
      transitions = [
        {fn _, _, reply -> {:next_state, :open, 2, reply} end, {:open, 2}},
        {fn _, _, reply -> {:next_state, {:any, "term"}, 3, [reply]} end, {{:any, "term"}, 3}},
        {fn _, 3, reply -> {:keep_state, 4, reply} end, {{:any, "term"}, 4}},
        {fn _, 4, {:reply, from, reply} ->
           :gen_statem.reply(from, reply)
           {:keep_state, 5}
         end, {{:any, "term"}, 5}},
        {fn _, 5, {:reply, from, reply} ->
           :gen_statem.reply(from, reply)
           :keep_state_and_data
         end, {{:any, "term"}, 5}},
        {fn _, 5, reply -> {:keep_state_and_data, [reply]} end, {{:any, "term"}, 5}},
        {fn _, 5, reply -> {:repeat_state, 6, reply} end, {{:any, "term"}, 6}},
        {fn _, 6, reply -> {:repeat_state_and_data, [reply]} end, {{:any, "term"}, 6}},
        {fn _, 6, {:reply, from, reply} ->
           :gen_statem.reply(from, reply)
           {:repeat_state, 7}
         end, {{:any, "term"}, 7}},
        {fn _, 7, {:reply, from, reply} ->
           :gen_statem.reply(from, reply)
           :repeat_state_and_data
         end, {{:any, "term"}, 7}},
        {fn _, 7, {:reply, from, reply} ->
           :gen_statem.reply(from, reply)
           {:next_state, :shut, 8}
         end, {:shut, 8}},
        {fn _, 8, reply -> throw({:next_state, :shut, 9, reply}) end, {:shut, 9}},
        # The entry of a state changes its data at once.
        {fn _, 9, reply -> {:next_state, :noted, 10, reply} end, {:noted, {:entered, 10}}}
      ]

      {:ok, door} = Door.start_link({:ok, :closed, 1})

      for {transition, expected} <- transitions do
        Door.tell(door, transition)
        # An answer may be given before the transition is made.
        assert :sys.get_state(door) === expected
        assert now(door) === expected
      end

      kept = for {_, state} <- transitions, uniq: true, do: state
      {all, [noted]} = Enum.split(kept, -1)
      assert states(door) === [{:closed, 1}] ++ all ++ [{:noted, 10}, noted]
    end

    test "ends with the data that it stopped with" do
      for {transition, last} <- [
            {fn _, _, _ -> :stop end, {:closed, 1}},
            {fn _, _, _ -> {:stop, :boom} end, {:closed, 1}},
            {fn _, _, _ -> {:stop, :boom, 2} end, {:closed, 2}},
            {fn _, _, reply -> {:stop_and_reply, :boom, [reply]} end, {:closed, 1}},
            {fn _, _, reply -> {:stop_and_reply, :boom, reply, 3} end, {:closed, 3}},
            {fn _, _, _ -> raise "no" end, {:closed, 1}}
          ] do
        {:ok, door} = Door.start_link({:ok, :closed, 1})

        try do
          Door.tell(door, transition)
        catch
          :exit, _ -> :ok
        end

        ended(door)
        assert now(door) === last
      end
    end

    test "may have a function for each state" do
      {:ok, hatch} = Hatch.start_link(:closed, 1)
      Hatch.tell(hatch, fn 1, reply -> {:keep_state, 2, reply} end)
      assert now(hatch) == {:closed, 2}
      Hatch.tell(hatch, fn 2, reply -> {:next_state, :open, 3, reply} end)
      assert now(hatch) == {:open, {:opened, 3}}
      Hatch.tell(hatch, fn _, reply -> {:repeat_state, 4, reply} end)
      assert now(hatch) == {:open, {:opened, 4}}
      Hatch.tell(hatch, fn _, reply -> {:keep_state_and_data, reply} end)

      assert states(hatch) == [closed: 1, closed: 2, open: 3, open: {:opened, 3}, open: 4, open: {:opened, 4}]
    end

    test "has no state of its functions that look like one" do
      {:ok, hatch} = Hatch.start_link(:closed, 1)
      Hatch.tell(hatch, :helped)
      assert states(hatch) == [closed: 1, closed: {:helped, 1}]
      Hatch.helper(:a, :b, :c)
      assert [%{return: {:keep_state, :c, :timeout}}] = ElixirScope.calls(&Hatch.helper/3, pid: self())
      assert {:error, %{reason: :no_state}} = ElixirScope.get_state_at(self(), ElixirScope.now())
    end

    test "is noticed to be changed from outside, by a state or by new code" do
      {:ok, door} = Door.start_link({:ok, :closed, 1})
      :sys.replace_state(door, fn {:closed, 1} -> {:open, 2} end)
      Door.tell(door, fn :open, 2, reply -> {:keep_state_and_data, reply} end)
      assert origins(door) == [init: {:closed, 1}, noticed: {:open, 2}]
      :ok = :sys.suspend(door)
      :ok = :sys.change_code(door, Door, nil, :new)
      :ok = :sys.resume(door)
      assert now(door) == {:open, {:new, 2}}
      assert List.last(origins(door)) == {:callback, {:open, {:new, 2}}}
    end
  end

  describe "a GenStage" do
    test "begins with what init/1 returns" do
      for type <- [:producer, :consumer, :producer_consumer],
          args <- [{type, 1}, {:with_options, type, 1}] do
        {:ok, stage} = GenStage.start_link(Stage, args)
        assert origins(stage) == [init: 1]
      end
    end

    test "has the state that each callback returns" do
      {:ok, stage} = GenStage.start_link(Stage, {:producer_consumer, 1})
      GenStage.ask(stage, 5)
      assert GenStage.call(stage, :get) == {:asked, 5, 1}
      GenStage.call(stage, {:put, 2})
      GenStage.events(stage, [:a])
      GenStage.call(stage, {:sleep, 3})
      GenStage.events(stage, [:b])
      GenStage.cast(stage, {:put, 4})
      send(stage, {:put, 5})
      assert GenStage.call(stage, {:stop, 6}) == :stopped
      ended(stage)

      assert states(stage) ==
               [1, {:asked, 5, 1}, 2, {:got, [:a], 2}, {:asleep, 3}, {:woken, [:b]}, 4, 5, 6]
    end

    test "is noticed to be changed from outside" do
      {:ok, stage} = GenStage.start_link(Stage, {:producer, 1})
      :sys.replace_state(stage, &%{&1 | state: 2})
      assert GenStage.call(stage, :get) == 2
      assert origins(stage) == [init: 1, noticed: 2]
    end
  end

  describe "a LiveView" do
    test "has its socket for a state, from mount/3 on" do
      for params <- [%{}, %{temporary: true}] do
        {:ok, view} = Channel.start_link(View, params)
        [{:init, mounted} | _] = origins(view)
        assert mounted.assigns.count == 0
        assert now(view).assigns.uri == "http://localhost"
      end
    end

    test "has the socket that each callback returns" do
      {:ok, view} = Channel.start_link(View, %{})

      for {act, count} <- [
            {fn -> Channel.event(view, "add", %{by: 1}) end, 1},
            {fn -> assert Channel.event(view, "ask", %{by: 2}) == %{count: 3} end, 3},
            {fn -> Channel.async(view, :later, {:ok, 3}) end, 6},
            {fn -> send(view, {:add, 4}) end, 10}
          ] do
        act.()
        # What rendering changes is seen at the next callback.
        assert %{now(view) | assigns: nil} == %{Channel.socket(view) | assigns: nil}
        assert now(view).assigns.count == count
        assert Channel.socket(view).assigns.count == count
      end

      assert Enum.any?(
               origins(view),
               &match?({:noticed, %{assigns: %{__changed__: none}}} when none == %{}, &1)
             )
    end

    test "keeps its own while a component's callbacks run in its process" do
      {:ok, view} = Channel.start_link(View, %{})
      before = now(view)
      Channel.component_event(view, Component, "press")
      Channel.component_event(view, Component, "of the view")
      assert now(view) == before
      assert [%{return: {:noreply, socket}}, _] = ElixirScope.calls(&Component.handle_event/3, pid: view)
      assert socket.assigns.mine
    end
  end

  test "the data of a state machine is not written again in its arguments and returns" do
    source = """
    defmodule ElixirScope.ServersTest.Large do
      @behaviour :gen_statem
      use ElixirScope
      def callback_mode, do: :handle_event_function
      def init(data), do: {:ok, :on, data}

      def handle_event({:call, from}, number, state, data) do
        {:next_state, state, %{data | last: number}, {:reply, from, number}}
      end
    end
    """

    [{module, _}] = Code.compile_string(source)
    data = %{entries: Map.new(1..2_000, &{&1, "value"}), last: 0}
    {:ok, server} = :gen_statem.start_link(module, data, [])
    :ok = ElixirScope.flush()
    {:ok, before} = ElixirScope.status()
    for number <- 1..500, do: :gen_statem.call(server, number)
    {:ok, later} = ElixirScope.status()
    # Written whole, each would take some 20 KB.
    assert later.bytes - before.bytes < 500 * 2_000

    calls = ElixirScope.calls({module, :handle_event, 4}, pid: server)
    assert length(calls) == 500

    for {call, number} <- Enum.zip(calls, 1..500) do
      assert [_, ^number, :on, given] = call.args
      assert given === %{data | last: number - 1}
      assert {:next_state, :on, left, _} = call.return
      assert left === %{data | last: number}
    end
  end

  test "state: false holds for every kind" do
    source = """
    defmodule ElixirScope.ServersTest.NoState do
      @behaviour :gen_statem
      use ElixirScope, state: false
      def callback_mode, do: :state_functions
      def init(data), do: {:ok, :on, data}
      def on({:call, from}, _, data), do: {:keep_state, data + 1, {:reply, from, data}}
    end
    """

    [{module, _}] = Code.compile_string(source)
    {:ok, server} = :gen_statem.start_link(module, 1, [])
    assert :gen_statem.call(server, :next) == 1
    assert [_] = ElixirScope.calls({module, :on}, pid: server)
    assert states(server) == []
  end
end
