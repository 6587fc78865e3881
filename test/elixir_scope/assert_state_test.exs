defmodule ElixirScope.AssertStateTest do
  # Assertions on states, messages and ends, also as failures whose text is looked at.
  use ElixirScope.Case, async: true

  alias ElixirScope.Shop.Stock
  alias ElixirScope.Traced.Silent

  defp stock(count \\ 5), do: start_supervised!({Stock, count})

  describe "assert_state" do
    test "waits until the state matches, gives it and binds variables" do
      stock = stock()
      for _ <- 1..5, do: Stock.take(stock, 1)
      assert %{count: 0} = assert_state(stock, %{count: 0})
      three = 3
      Stock.take(stock, -3)
      assert_state stock, %{count: ^three}
      assert_state stock, %{count: count} when count in 1..3
      assert count == 3
      Stock.take_later(stock, 1, 30)
      assert_state stock, %{count: 2}, within: 5_000
    end

    test "fails with the state, what differs and the history" do
      stock = stock()
      Stock.take(stock, 2)
      message = failure(fn -> assert_state stock, %{count: count} when count > 3 end)
      assert message =~ "Expected the state of a server to match\n\n    stock, %{count: count} when count > 3"
      assert message =~ "It does not:"
      assert message =~ "count: 3"
      assert message =~ "at .count: expected count > 3, got 3"
      message = failure(fn -> assert_state stock, %{count: 4} end)
      assert message =~ "at .count: expected 4, got 3" or message =~ "expected 4, got 3"
      assert length(String.split(message, "\n")) < 100
    end

    test "at a moment" do
      stock = stock()
      Stock.take(stock, 1)
      call = assert_called Stock.handle_cast({:take, 1}, _)
      Stock.take(stock, 1)
      assert_state stock, %{count: 3}
      assert_state stock, %{count: 5}, at: call
      assert_state stock, %{count: n}, at: call.finished
      assert n == 4
      message = failure(fn -> assert_state stock, %{count: 3}, at: call end)
      assert message =~ "Expected the state of a server at a moment to match"
      assert failure(fn -> assert_state stock, _, at: 0 end) =~ "expected a time within the recording"
    end

    test "at any time since the test began" do
      stock = stock()
      for _ <- 1..4, do: Stock.take(stock, 1)
      assert %{count: 3} = assert_state(stock, %{count: 3}, :ever)
      assert_state stock, %{count: n} when n < 3, :ever
      assert n == 2
      message = failure(fn -> assert_state stock, %{count: 6}, :ever end)
      assert message =~ "Expected a state of a server to match\n\n    stock, %{count: 6}, :ever"
      assert message =~ "None of 5 states does:"
      Stock.take_later(stock, -5, 30)
      assert_state stock, %{count: 6}, [:ever, within: 5_000]
    end

    test "at all times since the test began" do
      stock = stock()
      for _ <- 1..4, do: Stock.take(stock, 1)
      assert %{count: 1} = assert_state(stock, %{count: n} when n > 0, :always)
      assert n == 1
      Stock.take(stock, 2)
      Stock.take(stock, -5)
      message = failure(fn -> assert_state stock, %{count: n} when n >= 0, :always end)
      assert message =~ "Expected all states of a server to match"
      assert message =~ "Of 7 states this one does not:"
      assert message =~ "count: -1"
    end

    test "of a server that lives longer: the state that it had when the test began counts" do
      # As if two tests followed each other.
      {:ok, stock} = Stock.start(9)
      Stock.count(stock)
      ElixirScope.Case.begin()
      assert_state stock, %{count: 9}, :ever
      Stock.take(stock, 1)
      assert_state stock, %{count: n} when n in [8, 9], :always
      ElixirScope.Case.begin()
      assert failure(fn -> assert_state stock, %{count: 9}, :ever end) =~ "None of 1 state does"
      Process.exit(stock, :kill)
    end

    test "of a server that has ended: there is none now, and there was" do
      for watch? <- [true, false] do
        {:ok, stock} = Stock.start(5)
        if watch?, do: {:ok, _} = ElixirScope.watch(stock)
        Stock.take(stock, 1)
        call = assert_called Stock.handle_cast({:take, 1}, _)
        assert_state stock, %{count: 4}
        GenServer.stop(stock)
        message = failure(fn -> assert_state stock, %{count: 4} end)
        assert message =~ "#{inspect(stock)} has ended"
        assert not watch? or message =~ ~r/has ended at [\d:.]+, so it has no state now/
        assert message =~ "%{count: 4}"
        assert failure(fn -> assert_state stock, %{count: 7} end) =~ "at .count: expected 7, got 4"
        assert_state stock, %{count: 4}, :ever
        assert_state stock, %{count: 5}, at: call
        ElixirScope.Case.begin()
      end
    end

    test "of a name: of all servers that had it in turn, in the time of the test" do
      name = :"#{__MODULE__}.in_turn"

      in_turn = fn count ->
        {:ok, stock} = GenServer.start(Stock, count, name: name)
        Stock.take(stock, 1)
        stock
      end

      GenServer.stop(in_turn.(100))
      first = in_turn.(50)
      # That it ended in the time of the test somebody has to tell: it does nothing else in it.
      {:ok, _} = ElixirScope.watch(first)
      assert_state name, %{count: 49}
      ElixirScope.Case.begin()
      GenServer.stop(first)
      last = in_turn.(5)
      assert_state name, %{count: 4}
      assert_state name, %{count: 49}, :ever
      assert_state name, %{count: 4}, :ever
      assert %{count: 4} = assert_state(name, %{count: n} when n < 50, :always)
      assert n == 4
      message = failure(fn -> assert_state name, %{count: n} when n < 10, :always end)
      assert message =~ "Of 3 states this one does not:"
      # Those of the one whose state it was.
      assert message =~ "init 50"
      assert failure(fn -> assert_state name, %{count: 100}, :ever end) =~ "None of 3 states does:"
      GenServer.stop(last)
      assert_state name, %{count: 49}, :ever

      # One of which no state is known may have had any.
      {:ok, agent} = Agent.start_link(fn -> 70 end, name: name)
      {:ok, _} = ElixirScope.watch(agent, kinds: [:life, :names])
      assert_state name, %{count: 49}, :ever

      assert failure(fn -> assert_state name, %{count: n} when n < 50, :always end) =~
               "Undecided: all of 3 states that are known do, but no state of #{inspect(agent)} was recorded"
    end

    test "is refused where no state can be known" do
      {:ok, agent} = Task.start(fn -> receive(do: (:stop -> Silent.run(1))) end)

      assert failure(fn -> assert_state agent, _ end) =~
               "The question cannot be answered: #{inspect(agent)} is alive, but no event of it was recorded"

      assert failure(fn -> assert_state :nobody_has_this_name, _, :always end) =~
               "The question cannot be answered"

      assert failure(fn -> assert_state self(), _, :ever end) =~ "The question cannot be answered"
      send(agent, :stop)
    end

    test "options are checked when the test is compiled" do
      for {code, why} <- [
            {"assert_state s, 1, :never", ~r/assert_state expects :ever, :always, at: time or nothing/},
            {"assert_state s, 1, until: 3", ~r/assert_state has no option until:; it takes at:, within:/}
          ] do
        assert_raise CompileError, why, fn ->
          Code.eval_string("import ElixirScope.Assertions\ns = self()\n" <> code)
        end
      end
    end
  end

  describe "assert_message" do
    test "finds what was sent, by both ends and its content" do
      stock = stock()
      {:ok, _} = ElixirScope.watch([self(), stock])
      Stock.take(stock, 2)
      event = assert_message _ ~> stock, {:"$gen_cast", {:take, count}}
      assert {count, event.kind, event.pid} == {2, :send, self()}
      assert_message _ ~> ^stock, {:"$gen_cast", _} when true
      assert Stock.count(stock) == 3
      assert_message stock ~> self(), {_ref, 3}
      refute_message stock ~> self(), {_ref, 4}
      refute_message _ ~> stock, {:"$gen_cast", {:take, n}} when n > 2
    end

    test "is of all that was sent, or of what a cast, a call and an answer carry" do
      stock = stock()
      {:ok, _} = ElixirScope.watch([self(), stock])
      Stock.take(stock, 2)
      send(stock, {:take, 1})
      assert Stock.count(stock) == 2
      assert %{data: %{message: {:"$gen_cast", _}}} = assert_message(_ ~> stock, {:take, 2})
      assert %{data: %{message: {:take, 1}}} = assert_message(_ ~> stock, {:take, count} when count < 2)
      assert %{data: %{message: {:"$gen_call", {from, _}, _}}} = assert_message(_ ~> stock, :count)
      assert {from, count} == {self(), 1}
      assert_message stock ~> self(), 2
      refute_message stock ~> self(), 3

      assert failure(fn -> refute_message _ ~> stock, :count end) =~ "Expected no message that matches"
      message = failure(fn -> assert_message _ ~> stock, {:take, 7} end)
      assert message =~ ~r/There are \d messages between these:/
      # What comes nearest is shown as it was held against the pattern.
      assert message =~ ~r/\n      {:take, 2}\n +\^\n      at \{1\}: expected 7, got 2\n/
    end

    test "fails with the messages between the two" do
      stock = stock()
      {:ok, _} = ElixirScope.watch(stock)
      Stock.take(stock, 2)
      message = failure(fn -> assert_message _ ~> stock, {:"$gen_cast", {:take, 3}} end)
      assert message =~ "Expected a message that matches\n\n    _ ~> stock, {:\"$gen_cast\", {:take, 3}}"
      assert message =~ "There is 1 message between these:"
      assert message =~ "expected 3, got 2"
      message = failure(fn -> refute_message _ ~> stock, {:"$gen_cast", {:take, _}} end)
      assert message =~ "Expected no message that matches"
      assert message =~ "{:take, 2}"
    end

    test "of processes that nobody watches it says so" do
      stock = stock()
      Stock.take(stock, 2)

      for check <- [
            fn -> assert_message _ ~> stock, {:"$gen_cast", _} end,
            fn -> refute_message _ ~> stock, {:"$gen_cast", _} end,
            fn -> refute_message _ ~> _, :anything end
          ] do
        message = failure(check)
        assert message =~ "The question cannot be answered: the messages of"
        assert message =~ "Say ElixirScope.watch(pid)"
      end
    end

    test "of a process that is watched only from the midst of the test on nobody knows what came before" do
      stock = stock()
      Stock.take(stock, 2)
      assert_state stock, %{count: 3}
      {:ok, _} = ElixirScope.watch(stock)
      Stock.take(stock, 1)
      # What was seen is an answer.
      assert_message _ ~> stock, {:take, 1}
      assert failure(fn -> refute_message _ ~> stock, {:take, 1} end) =~ "but this one was recorded"

      for check <- [
            fn -> refute_message _ ~> stock, {:take, 2} end,
            fn -> refute_message stock ~> _, :anything end,
            fn -> assert_never message(_ ~> stock, {:take, 2}) end
          ] do
        message = failure(check)

        assert message =~
                 "Undecided: none was recorded, but the messages of #{inspect(stock)} are recorded only since "

        assert message =~ "ElixirScope.watch(self(), spawned: true)"
      end

      message = failure(fn -> assert_message _ ~> stock, {:take, 2} end)
      assert message =~ "It may have been there: the messages of #{inspect(stock)} are recorded only since "
    end

    test "one that is watched before it works was heard from the beginning, until it is watched no more" do
      stock = stock()
      {:ok, _} = ElixirScope.watch(stock)
      Stock.take(stock, 2)
      refute_message _ ~> stock, {:take, 1}
      :ok = ElixirScope.unwatch(stock)
      Stock.take(stock, 1)
      assert_state stock, %{count: 2}

      assert failure(fn -> refute_message _ ~> stock, {:take, 1} end) =~
               ~r/Undecided: none was recorded, but the messages of .* were recorded only until /
    end

    test "of a name that nobody has had cannot be denied" do
      {:ok, _} = ElixirScope.watch(self())
      name = :"#{__MODULE__}.nobody"

      for check <- [
            fn -> refute_message _ ~> name, _ end,
            fn -> refute_message name ~> _, _ end,
            fn -> refute_message self() ~> name, _ end
          ] do
        assert failure(check) =~
                 "The question cannot be answered: nobody is known to have had the name #{inspect(name)}"
      end

      assert failure(fn -> assert_message _ ~> name, _ end) =~ "No message between these was recorded."

      # What was sent to it is known all the same.
      send({name, node()}, :lost)
      assert_message _ ~> name, :lost
      assert failure(fn -> refute_message _ ~> name, :lost end) =~ "but this one was recorded"

      stock = stock()
      Process.register(stock, name)
      {:ok, _} = ElixirScope.watch(stock)
      refute_message _ ~> name, :found
    end

    test "what is no message is refused" do
      assert_raise CompileError,
                   ~r/assert_message expects two processes, such as `assert_message self\(\) ~> server/,
                   fn ->
                     Code.eval_string("import ElixirScope.Assertions\nassert_message self(), :hello")
                   end

      assert failure(fn -> assert_message "x" ~> self(), :hello end) =~
               "expected both ends of a message as a pid"
    end
  end

  describe "assert_exited" do
    test "waits for the end of a process, and looks at the reason" do
      {:ok, stock} = Stock.start(1)
      {:ok, _} = ElixirScope.watch(stock)
      GenServer.cast(stock, {:crash, {:shutdown, :sold_out}})
      event = assert_exited stock, {:shutdown, why}
      assert {why, event.kind, event.pid} == {:sold_out, :exit, stock}
      message = failure(fn -> assert_exited stock, :normal end)
      assert message =~ "Expected a process to have ended with a reason that matches\n\n    stock, :normal"
      assert message =~ "It ended with another reason:"
      assert message =~ "{:shutdown, :sold_out}"
    end

    test "says what stands against it" do
      stock = stock()
      assert failure(fn -> assert_exited stock, _ end) =~ "#{inspect(stock)} is alive."

      assert failure(fn -> assert_exited "nobody", _ end) =~
               "expected the process as a pid or the name that it had"

      assert failure(fn -> assert_exited :nobody_has_this_name, _ end) =~
               "nobody is known to have had the name"
    end
  end

  defp failure(fun), do: assert_raise(ExUnit.AssertionError, fun).message
end
