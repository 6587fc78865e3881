defmodule ElixirScope.Instrument.Golden.ProcessesTest do
  use ExUnit.Case, async: false

  alias ElixirScope.Golden

  @source ~S'''
  defmodule Golden.Processes do
    # scope
    def server(state) do
      receive do
        {:get, from} ->
          send(from, {:state, state})
          server(state)
        {:put, value} -> server(value)
        :stop -> {:stopped, state}
      after
        1_000 -> server(state)
      end
    end
    def ask(value) do
      pid = spawn_link(__MODULE__, :server, [0])
      send(pid, {:put, value})
      send(pid, {:get, self()})
      answer = receive(do: ({:state, state} -> state))
      send(pid, :stop)
      answer
    end
    def timeout(ms) do
      receive do
        :never -> :got
      after
        ms -> after_timeout(ms)
      end
    end
    defp after_timeout(ms), do: {:timeout, ms}
    def selective do
      send(self(), :b)
      send(self(), :a)
      first = receive(do: (:a -> :a))
      second = receive(do: (x -> x))
      {first, second}
    end
    def task(x), do: Task.async(fn -> x * 2 end) |> Task.await()
    def agent do
      {:ok, pid} = Agent.start_link(fn -> 1 end)
      Agent.update(pid, &(&1 + 1))
      value = Agent.get(pid, & &1)
      Agent.stop(pid)
      value
    end
    def exits do
      {pid, ref} = spawn_monitor(fn -> exit(:why) end)
      receive(do: ({:DOWN, ^ref, :process, ^pid, reason} -> reason))
    end
    def call_ref(pid) do
      ref = make_ref()
      send(pid, {self(), ref})
      send(self(), {ref, :answer})
      receive do
        {^ref, answer} -> answer
      end
    end
  end
  '''

  test "receive, timeouts, links, tasks and agents" do
    Golden.assert_same(@source, [
      ~S|Golden.Processes.ask(5)|,
      ~S|Golden.Processes.timeout(0)|,
      ~S|Golden.Processes.selective()|,
      ~S|Golden.Processes.task(2)|,
      ~S|Golden.Processes.agent()|,
      ~S|Golden.Processes.exits()|,
      ~S|Golden.Processes.call_ref(self())|,
      ~S|Golden.Processes.timeout(:no_number)|
    ])
  end
end
