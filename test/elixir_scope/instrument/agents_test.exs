defmodule ElixirScope.Instrument.AgentsTest do
  # The module of Elixir's that runs Agents is instrumented while they run.
  use ExUnit.Case, async: false

  alias ElixirScope.Golden

  @moduletag :capture_log

  @source ~S'''
  defmodule ElixirScope.AgentsTest.Counter do
    use Agent
    # scope
    def start_link(count), do: Agent.start_link(fn -> count end, name: __MODULE__)
    def next, do: Agent.get_and_update(__MODULE__, &{&1, &1 + 1})
    def spec(count), do: Supervisor.child_spec({Agent, fn -> count end}, id: :counter)
    def add(agent, number), do: Agent.update(agent, &(&1 + number))
    def unrelated(number), do: number + 1
  end
  '''

  alias ElixirScope.AgentsTest.Counter

  setup do
    {:ok, _} = ElixirScope.start()
    take_back()

    on_exit(fn ->
      take_back()
      {:ok, _} = ElixirScope.start()
    end)
  end

  defp take_back,
    do: if(Agent.Server in ElixirScope.instrumented(), do: :ok = ElixirScope.uninstrument(Agent.Server))

  defp now(agent), do: ElixirScope.get_state_at(agent, ElixirScope.now())

  defp states(agent),
    do: for(event <- ElixirScope.events(kind: :state, pid: agent), do: {event.data.origin, event.data.state})

  # `apply/3`, because the module is there only while the test runs.
  defp call(function, args), do: apply(Counter, function, args)
  defp with_counter(use \\ "use ElixirScope", fun), do: Golden.with_instrumented(@source, use, fun)

  test "an Agent that an instrumented module starts has states, under its name too" do
    with_counter(fn ->
      call(:unrelated, [1])
      assert ElixirScope.instrumented() == []
      {:ok, agent} = call(:start_link, [1])
      assert ElixirScope.instrumented() == [Agent.Server]
      assert now(Counter) == {:ok, 1}
      before = ElixirScope.now()
      assert call(:next, []) == 1
      Agent.update(agent, &(&1 * 10))
      Agent.cast(agent, &(&1 + 1))
      assert Agent.get(agent, & &1) == 21
      assert states(agent) == [init: 1, callback: 2, callback: 20, callback: 21]
      assert ElixirScope.get_state_at(Counter, before) == {:ok, 1}
      assert now(Counter) == {:ok, 21}
    end)
  end

  test "so has one that a supervisor starts by a specification of the module" do
    with_counter(fn ->
      {:ok, supervisor} = Supervisor.start_link([call(:spec, [7])], strategy: :one_for_one)
      [{:counter, agent, _, _}] = Supervisor.which_children(supervisor)
      assert now(agent) == {:ok, 7}
      Supervisor.stop(supervisor)
    end)
  end

  test "one that was started before has states from its next callback on" do
    {:ok, agent} = Agent.start_link(fn -> 1 end)

    with_counter(fn ->
      call(:add, [agent, 2])
      assert states(agent) == [noticed: 1, callback: 3]
    end)
  end

  test "a change from outside is noticed" do
    with_counter(fn ->
      {:ok, agent} = call(:start_link, [1])
      :sys.replace_state(agent, fn 1 -> 2 end)
      Agent.get(agent, & &1)
      assert states(agent) == [init: 1, noticed: 2]
    end)
  end

  test "agents: false and state: false leave them alone" do
    for option <- ["agents", "state"] do
      with_counter("use ElixirScope, #{option}: false", fn ->
        {:ok, agent} = call(:start_link, [1])
        assert ElixirScope.instrumented() == []
        Agent.stop(agent)
      end)
    end
  end

  test "nothing is done while nothing is recorded" do
    with_counter(fn ->
      Golden.off(fn -> Agent.stop(elem(call(:start_link, [1]), 1)) end)
      assert ElixirScope.instrumented() == []
    end)
  end

  test "who takes Agent.Server back has it so until the next recording" do
    md5 = Agent.Server.module_info(:md5)

    with_counter(fn ->
      {:ok, agent} = call(:start_link, [1])
      :ok = ElixirScope.uninstrument(Agent.Server)
      assert Agent.Server.module_info(:md5) == md5
      assert call(:next, []) == 1
      assert ElixirScope.instrumented() == []
      {:ok, _} = ElixirScope.start()
      assert call(:next, []) == 2
      assert states(agent) == [noticed: 2, callback: 3]
    end)
  end

  test "what the user asked of Agent.Server stays" do
    {:ok, _} = ElixirScope.instrument(Agent.Server, only: [:handle_call], args: false)

    with_counter(fn ->
      {:ok, agent} = call(:start_link, [1])
      call(:next, [])
      assert states(agent) == [noticed: 1, callback: 2]
      assert [%{args: nil}] = ElixirScope.calls({Agent.Server, :handle_call}, pid: agent)
      assert :ok = ElixirScope.stop()
      assert call(:next, []) == 2
      assert Agent.get(agent, & &1) == 3
    end)
  end

  test "a program sees nothing of it" do
    Golden.assert_same(
      ~S'''
      defmodule Golden.Kept do
        use Agent
        # scope
        def start_link(x), do: Agent.start_link(fn -> x end)
        def session do
          {:ok, agent} = start_link(1)
          Agent.update(agent, &(&1 + 1))
          Agent.cast(agent, Kernel, :+, [1])
          {Agent.get_and_update(agent, &{&1, %{a: 1}}), Agent.get(agent, Map, :fetch, [:a]), :sys.get_state(agent), Agent.stop(agent)}
        catch
          :exit, {reason, _} -> shape(reason)
        end
        def crash(fun) do
          Process.flag(:trap_exit, true)
          Logger.disable(self())
          {:ok, agent} = Agent.start(fn -> 1 end)
          try do Agent.update(agent, fun) catch :exit, {reason, _} -> shape(reason) end
        end
        def refuse, do: (Process.flag(:trap_exit, true); Agent.start_link(fn -> raise "no" end)) |> elem(1) |> shape()
        defp shape({reason, stack}) when is_list(stack), do: {reason, for({m, _, _, _} = entry when m in [__MODULE__, Agent.Server] <- stack, do: Exception.format_stacktrace_entry(entry))}
        defp shape(reason), do: reason
      end
      ''',
      [
        ~S|Golden.Kept.session()|,
        ~S|Golden.Kept.crash(fn 1 -> raise "oops" end)|,
        ~S|Golden.Kept.crash(fn 2 -> 3 end)|,
        ~S|Golden.Kept.refuse()|,
        ~S|Golden.Kept.child_spec(1)|
      ]
    )
  end
end
