defmodule ElixirScope.TraceTest do
  # A slice of the recording, and the questions that are put to it.
  use ElixirScope.Case, async: true

  require Logger

  @moduletag :capture_log

  alias ElixirScope.{Call, Error, Message, Trace}
  alias ElixirScope.Traced.{Echo, Store}

  defp store(state) do
    {:ok, store} = start_supervised({Store, state}, id: make_ref())
    store
  end

  test "it holds what was done within, in the test's processes, and what the function gave" do
    store = store(0)
    Echo.echo(:before)
    Store.put(store, 1)

    trace =
      record(fn ->
        Echo.echo(:within)
        Task.await(Task.async(fn -> Store.put(store, 2) end))
        GenServer.cast(store, {:put, 3})
        :given
      end)

    Echo.echo(:behind)
    Store.put(store, 4)

    assert trace.result == :given
    assert [%Call{args: [:within]}] = Trace.calls(trace, &Echo.echo/1)
    assert [%Call{args: [{:put, 3}, _]}] = Trace.calls(trace, {Store, :handle_cast})
    assert Trace.calls(trace, {Store, :put}) |> Enum.map(&List.last(&1.args)) == [2]
    assert length(Trace.calls(trace)) == 4
    assert trace |> Trace.states(store) |> Enum.map(& &1.state) == [2, 3]

    assert Enum.to_list(Trace.events(trace, kind: :call, pid: self())) |> Enum.map(& &1.data.args) == [
             [:within]
           ]

    assert Trace.stats(trace).functions |> Enum.map(& &1.calls) |> Enum.sum() == 4
    assert %ElixirScope.FlameGraph{} = Trace.flame_graph(trace)
  end

  test "lines of the log, and what frameworks did, are those of its processes and time" do
    log = fn text -> Logger.error(text) end
    log.("before")

    trace =
      record(fn ->
        Task.await(Task.async(fn -> log.("within") end))
        Echo.echo(1)
      end)

    log.("behind")
    assert [%ElixirScope.Log{message: "within"}] = Trace.logs(trace)
    assert [] = Trace.logs(trace, matching: "behind")
    assert_raise Error, ~r/unknown filter :kind/, fn -> Trace.logs(trace, kind: :log) end
    assert Enum.all?(spans(trace), &(&1.pid in trace.pids))
    assert_raise Error, ~r/unknown filter :level/, fn -> Trace.spans(trace, level: :error) end
  end

  # Where the VM has no :telemetry there are none, with that reason.
  defp spans(trace) do
    Trace.spans(trace)
  rescue
    error in Error ->
      assert error.reason == :no_telemetry
      []
  end

  test "its processes are a tree, in the order in which they were made" do
    store = store(0)

    trace =
      record(fn ->
        Echo.echo(:in_the_test)

        tasks =
          for n <- 1..3 do
            Task.async(fn ->
              Echo.echo(n)
              Task.await(Task.async(fn -> Store.put(store, n) end))
              self()
            end)
          end

        Task.await_many(tasks)
      end)

    assert [%{pid: test, name: name, children: children}] = Trace.tree(trace)
    assert {test, name} == {self(), "the test #{inspect(self())}"}
    # The server was made by the test's supervisor, for the test.
    assert Enum.map(children, & &1.pid) == [store | trace.result]
    assert Enum.map(children, &length(&1.children)) == [0, 1, 1, 1]

    text = inspect(trace)
    assert text =~ ~r/#ElixirScope.Trace<8 processes, \d+ events in /
    assert text =~ ~r/\n  the test #PID<.*>\n    ElixirScope.Traced.Store #PID</
  end

  test "messages, a sequence of them, and ends, where they are watched" do
    store = store(0)
    {:ok, _} = ElixirScope.watch(self(), kinds: [:messages, :life], spawned: true)
    {:ok, _} = ElixirScope.watch(store, kinds: [:messages])

    trace =
      record(fn ->
        {pid, ref} = spawn_monitor(fn -> exit(Echo.echo(:enough)) end)
        assert_receive {:DOWN, ^ref, _, ^pid, :enough}, 5_000
        Store.put(store, 5)
        pid
      end)

    store_put = &match?(%Message{kind: :call, content: {_, _, {:put, 5}}}, &1)
    assert Enum.any?(Trace.messages(trace), store_put)
    assert Trace.messages(trace, kind: :cast) == []
    assert Enum.sort(Trace.sequence(trace).processes) |> Enum.member?(store)
    assert [%{data: %{reason: :enough}} = exit] = Trace.exits(trace)
    assert exit.pid == trace.result
  end

  test "where nothing happened nothing is made up" do
    store = store(0)
    Echo.echo(1)
    trace = record(fn -> :nothing end)
    assert trace.pids == [self()]
    assert Trace.calls(trace) == []
    assert Enum.to_list(Trace.events(trace)) == []
    assert Enum.to_list(Trace.states(trace, store)) == []
    assert_raise Error, ~r/messages/, fn -> Trace.messages(trace) end

    assert_raise Error, ~r/Silent is not instrumented/, fn ->
      Trace.calls(trace, ElixirScope.Traced.Silent)
    end

    assert_raise ArgumentError, ~r/record expects a function without arguments/, fn -> record(:done) end
    assert inspect(trace) =~ "1 process, 0 events in "
  end
end
