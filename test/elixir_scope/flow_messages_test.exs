defmodule ElixirScope.FlowMessagesTest do
  # Flows with messages, ends of processes and causes. What is watched is said in each test, on each version.
  use ElixirScope.Case, async: true

  alias ElixirScope.{Event, Until}
  alias ElixirScope.Traced.{Echo, Store}

  defp store(state \\ 0) do
    {:ok, store} = start_supervised({Store, state}, id: make_ref())
    store
  end

  # A process that does what it is told, until it is told to end.
  defp worker do
    spawn_link(fn -> obey() end)
  end

  defp obey do
    receive do
      {:do, from, fun} ->
        send(from, {:done, fun.()})
        obey()

      {:exit, reason} ->
        Process.unlink(hd(Process.info(self(), :links) |> elem(1)))
        exit(reason)
    end
  end

  defp tell(worker, fun) do
    send(worker, {:do, self(), fun})
    assert_receive {:done, answer}, 5_000
    answer
  end

  defp ended(pid) do
    ref = Process.monitor(pid)
    assert_receive {:DOWN, ^ref, _, _, _}, 5_000
  end

  describe "messages" do
    test "are steps by who sends them, to whom, and what they say" do
      store = store()
      {:ok, _} = ElixirScope.watch([self(), store], kinds: [:messages])
      test = self()
      GenServer.cast(store, {:put, 1})
      Store.put(store, 2)
      send(store, {:put, 3})
      # Answers behind all before.
      3 = GenServer.call(store, :get)

      flow =
        assert_flow do
          message(test ~> store, {:put, 1})
          message(_ ~> store, {:"$gen_call", {^test, _}, {:put, n}}) when n > 1
          message(store ~> _, :ok)
          message(^test ~> ^store, {:put, 3})
          state(store, 3)
        end

      assert n == 2

      assert [
               %Event{kind: :send},
               %Event{kind: :send},
               %Event{kind: :send},
               %Event{kind: :send},
               %Event{}
             ] = flow

      refute_flow do
        message(test ~> store, {:put, 3})
        message(test ~> store, {:put, 1})
      end

      assert_never(message(_ ~> store, {:put, 4}))
      assert_never(message(test ~> store, {:put, 4}))
    end

    test "a process that a step bound is one end" do
      store = store()
      {:ok, _} = ElixirScope.watch([self(), store], kinds: [:messages])
      Echo.echo({:use, store})
      Store.put(store, 5)

      assert_flow do
        Echo.echo({:use, pid})
        message(_ ~> ^pid, {:put, n})
        state(^pid, ^n)
      end

      assert {pid, n} == {store, 5}
    end

    test "that nobody recorded are refused, with what to do" do
      store = store()
      worker = worker()
      test = self()
      Store.put(store, 1)

      for check <- [
            fn -> assert_flow(do: message(test ~> store, {:put, 1})) end,
            fn -> refute_flow(do: message(test ~> store, {:put, 9})) end,
            fn -> assert_never(message(worker ~> store, _)) end
          ] do
        message = failure(check)
        assert message =~ "was not watched" or message =~ "were not watched" or message =~ "are not recorded"
        assert message =~ "ElixirScope.watch("
      end
    end

    test "that may have been between others make their absence undecided" do
      store = store()
      {:ok, _} = ElixirScope.watch(self(), kinds: [:messages])
      Store.put(store, 1)
      assert_flow(do: message(_ ~> store, {:put, 1}))
      message = failure(fn -> assert_never(message(_ ~> store, {:put, 9})) end)
      assert message =~ "Undecided: none was recorded, but the messages of #{inspect(store)} are not recorded"
      assert message =~ "ElixirScope.watch("
    end
  end

  describe "ends" do
    test "are steps by their reason" do
      worker = worker()
      {:ok, _} = ElixirScope.watch(worker, kinds: [:life])
      tell(worker, fn -> Echo.echo(:last) end)
      send(worker, {:exit, {:shutdown, :enough}})
      ended(worker)

      [_call, %Event{kind: :exit}] =
        assert_flow do
          Echo.echo(:last)
          exited(worker, {:shutdown, reason})
        end

      assert reason == :enough
      assert failure(fn -> assert_never(exited(worker, _)) end) =~ "shutdown"
      assert_never(exited(worker, :kill))
    end

    test "that nobody recorded are refused, with what to do" do
      worker = worker()
      tell(worker, fn -> Echo.echo(:last) end)
      send(worker, {:exit, {:shutdown, :enough}})
      ended(worker)

      assert failure(fn -> assert_flow(do: exited(worker, _)) end) =~
               "was not recorded: processes tell it when they are watched"
    end

    test "that nobody would have recorded cannot be denied" do
      gone = spawn(fn -> exit(:boo) end)
      ended(gone)

      for check <- [
            fn -> assert_never exited(gone, _) end,
            fn ->
              refute_flow do
                Echo.echo(:first)
                exited(gone, :boo)
              end
            end
          ] do
        message = failure(check)
        assert message =~ "#{inspect(gone)} has ended, but its end was not recorded: it was not watched"
        assert message =~ "ElixirScope.watch(pid)"
      end

      # Who lives has not ended, whether or not anybody would have told it.
      worker = worker()
      assert_never exited(worker, _)
      {:ok, _} = ElixirScope.watch(worker, kinds: [:life])
      assert_never exited(worker, _)
      send(worker, {:exit, :normal})
      ended(worker)
      assert_never exited(worker, :boo)
      assert failure(fn -> assert_never exited(worker, :normal) end) =~ "normal"
    end

    test "of a name are denied of all that are known to have had it" do
      name = :"#{__MODULE__}.in_turn"
      first = worker()
      Process.register(first, name)

      # Another one may have had it before, so far as anybody knows.
      assert failure(fn -> assert_never exited(name, _) end) =~ "The question cannot be answered"
      {:ok, _} = ElixirScope.watch(first, kinds: [:life, :names])
      assert_never exited(name, _)
      send(first, {:exit, :enough})
      ended(first)
      second = worker()
      {:ok, _} = ElixirScope.watch(second, kinds: [:life, :names])
      Process.register(second, name)
      assert failure(fn -> assert_never exited(name, _) end) =~ "enough"
      assert_never exited(name, :normal)
    end

    test "of nothing that is a process are refused" do
      for check <- [
            fn -> assert_never exited(Process.get(:none), _) end,
            fn -> assert_never state(Process.get(:none), _) end,
            fn -> assert_never message(_ ~> Process.get(:none), _) end,
            fn -> refute_flow(do: message(Process.get(:none) ~> _, _)) end,
            fn -> assert_never state(Process.get(:none, []), _) end,
            fn -> assert_never exited(Process.get(:none, [self()]), _) end
          ] do
        assert failure(check) =~ "The question cannot be answered: expected a process as a pid"
      end
    end
  end

  describe "leads_to" do
    test "over a message" do
      store = store()
      worker = worker()
      {:ok, _} = ElixirScope.watch([self(), store, worker], kinds: [:messages])
      tell(worker, fn -> Echo.echo(Store.put(store, 1)) end)

      assert_flow do
        leads_to(Store.put(^store, 1), state(store, 1))
        returned(Echo.echo(_), :ok)
      end

      assert_flow do
        leads_to do
          Store.put(_, n)
          message(_ ~> store, {:put, ^n})
          Store.handle_call({:put, ^n}, _, _)
          returned(Store.put(_, _), :ok)
          Echo.echo(:ok)
        end
      end

      assert n == 1
    end

    test "is not what merely came before" do
      store = store()
      [one, other] = [worker(), worker()]
      {:ok, _} = ElixirScope.watch([self(), store, one, other], kinds: [:messages])
      # The answer of `watch` comes from nobody that is known, and clocks are not exact to each other.
      answered = ElixirScope.now()
      Until.until(fn -> ElixirScope.now() > answered + 1_000_000 end)
      # Each is told before either answers, so neither can have known of the other.
      send(one, {:do, self(), fn -> Echo.echo(:idle) end})
      send(other, {:do, self(), fn -> Store.put(store, 1) end})
      assert_receive {:done, _}, 5_000
      assert_receive {:done, _}, 5_000

      message = failure(fn -> assert_flow(do: leads_to(Echo.echo(:idle), state(store, 1))) end)
      assert message =~ "Step 1 was found, step 2 behind it was not."
      assert message =~ "matches, but step 1 did not lead to it"
      assert message =~ ~r/2  state\(store, 1\)  +led to by step 1/
      refute_flow(do: leads_to(Echo.echo(:idle), state(store, 1)))
    end

    test "that nobody can know is neither found nor refuted" do
      store = store()
      Echo.echo(:first)
      Store.put(store, 1)

      message = failure(fn -> assert_flow(do: leads_to(Echo.echo(:first), state(store, 1))) end)
      assert message =~ "matches, but nobody knows whether step 1 led to it"
      assert message =~ "Undecided: "
      assert message =~ "ElixirScope.watch("

      message = failure(fn -> refute_flow(do: leads_to(Echo.echo(:first), state(store, 1))) end)
      assert message =~ "Undecided: none was recorded, but whether step 1 led to step 2 is unknown"
    end

    test "within one process it is its own order" do
      Echo.echo(1)
      Echo.pair(1, 2)
      assert_flow(do: leads_to(Echo.echo(1), Echo.pair(_, _)))
      refute_flow(do: leads_to(Echo.pair(_, _), Echo.echo(1)))
    end

    test "that matched nothing fails" do
      Echo.echo(1)

      assert failure(fn -> assert_flow(do: leads_to(Echo.echo(2), Echo.echo(1))) end) =~
               "Its first step was not found."
    end
  end

  defp failure(fun), do: assert_raise(ExUnit.AssertionError, fun).message
end
