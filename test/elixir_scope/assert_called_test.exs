defmodule ElixirScope.AssertCalledTest do
  # Assertions on calls: patterns, outcomes, numbers, waiting and refusals, also as failures whose text is looked at.
  use ElixirScope.Case, async: true

  alias ElixirScope.Shop.{Stock, Till}

  describe "assert_called" do
    test "finds private functions, and gives the call" do
      Till.sell(4, 2)
      call = assert_called Till.price(id)
      assert {id, call.return, call.mfa} == {4, 40, {Till, :price, 1}}
    end

    test "looks at what was returned, and binds all variables" do
      Till.sell(1, 2)
      Till.sell(3, 4)
      call = assert_called Till.sell(id, count), returning: sum when sum > 100
      assert {id, count, sum, call.return} == {3, 4, 120, 120}
      assert_called Till.sell(3, n) when n * 30 == total, returning: total
      assert {n, total} == {4, 120}
    end

    test "takes guards that are alternatives, on both sides" do
      Till.sell(1, 2)
      Till.sell(3, 4)

      assert [_, _] =
               assert_called(Till.sell(id, _) when hd(id) == 1 when id > 0, returning: n when n > 1, times: 2)

      assert_called Till.sell(id, _) when id > 1, returning: n when hd(n) == 1 when n > 1, times: 1
      refute_called Till.sell(id, _) when id == 5 when id == 6, returning: n when n == 20 when n == 120
    end

    test "a failure names what was expected to return" do
      Till.sell(1, 2)
      message = failure(fn -> assert_called Till.sell(_, _), returning: 21 end)
      assert message =~ "Expected a call that matches\n\n    Till.sell(_, _), returning: 21"
      assert message =~ "what it returned: expected 21, got 20"
    end

    test "a failure looks at the newest of very many calls, and says how many there are" do
      for n <- 1..1_100, do: Till.hold(n, n)
      message = failure(fn -> assert_called Till.hold(_, 0) end)
      assert message =~ "There are 1100 calls"
      assert message =~ "and 1,095 more"
      assert length(assert_called(Till.hold(n, n), times: 1_100)) == 1_100
      assert n == 1
    end

    test "a failure says that the guard is not true, and of a variable that it stands for two values" do
      Till.sell(3, 2)
      Till.hold(%{id: 1}, [2, 3])
      message = failure(fn -> assert_called Till.sell(id, _) when id > 3 end)
      assert message =~ "Till.sell(3, 2) -> 60\n" <> String.duplicate(" ", 33) <> "^\n"
      assert message =~ "argument 1: expected id > 3, got 3"

      message = failure(fn -> assert_called Till.sell(id, _), returning: sum when sum < id end)
      assert message =~ "argument 1: expected sum < id, got 3"
      assert message =~ "what it returned: expected sum < id, got 60"

      none = 0
      message = failure(fn -> assert_called Till.sell(_, _) when none > 0 end)
      assert message =~ "expected the guard to be true: none > 0"

      message = failure(fn -> assert_called Till.hold(%{id: x}, [_, x]) end)
      assert message =~ "argument 2 at [1]: expected 1, as x is before, got 3"

      # Where others match too, those that do have no reason.
      Till.sell(4, 2)
      message = failure(fn -> assert_called Till.sell(id, _) when id > 3, times: 2 end)
      assert message =~ "argument 1: expected id > 3, got 3"
      refute message =~ "got 4"
    end

    test "looks at what was raised: an exception by its name or its fields, an error of the VM, a throw" do
      assert_raise ArgumentError, fn -> Till.sell(7, 0) end
      assert_raise ArithmeticError, fn -> Till.divide(1, 0) end
      assert catch_throw(Till.toss({:gone, 1})) == {:gone, 1}

      assert_called Till.sell(7, _), raising: ArgumentError
      assert_called Till.sell(_, 0), raising: %{message: "cannot sell" <> rest}
      assert rest == " 0 of 7"
      assert_called Till.divide(_, _), raising: :badarith
      assert_called Till.divide(_, _), raising: ArithmeticError
      assert_called Till.toss(_), raising: {:gone, n} when n > 0

      refute_called Till.sell(_, _), raising: KeyError
      refute_called Till.sell(_, _), returning: _
      assert failure(fn -> assert_called Till.sell(_, _), raising: KeyError end) =~ "cannot sell 0 of 7"

      assert failure(fn -> refute_called Till.sell(_, _), raising: ArgumentError end) =~
               "but this one was recorded"
    end

    test "counts: times" do
      for count <- 1..3, do: Till.sell(1, count)
      assert [%{return: 10}, %{return: 20}, %{return: 30}] = assert_called(Till.sell(_, _), times: 3)
      assert [_] = assert_called(Till.sell(1, n), times: 1..2, returning: 20)
      assert n == 2

      assert failure(fn -> assert_called Till.sell(_, _), times: 2 end) =~
               "Expected 2 calls that match\n\n    Till.sell(_, _), times: 2\n\nin this test's processes.\n\nThere are 3."

      assert failure(fn -> assert_called Till.sell(_, _), times: 4..5 end) =~
               "Expected 4 to 5 calls that match"

      assert failure(fn -> assert_called Till.sell(9, _), times: 1 end) =~ "Expected 1 call that matches\n"

      assert [_, _, _] = assert_called(Till.sell(1, _), times: 0..3)
      assert [] = assert_called(Till.sell(9, none), times: 0..2)
      assert none == nil

      assert failure(fn -> assert_called Till.sell(_, _), times: 0..2 end) =~
               "Expected at most 2 calls that match"

      assert failure(fn -> assert_called Till.sell(_, _), times: 0..1 end) =~
               "Expected at most 1 call that matches\n"

      for bad <- [0, -1, 1..0//-1, 0..0, -1..2, :many] do
        assert_raise ArgumentError, ~r/expected times: a number of calls such as 2, or a range/, fn ->
          assert_called Till.sell(_, _), times: bad
        end
      end
    end
  end

  describe "waiting" do
    test "for what processes of the test still do, without sleeping" do
      stock = start_supervised!({Stock, 5})
      for count <- 1..3, do: Stock.take(stock, count)
      assert_called Stock.handle_cast({:take, 3}, _)
      assert_called Stock.handle_cast({:take, _}, _), times: 3
      Stock.take(stock, 9)
      assert failure(fn -> refute_called Stock.handle_cast({:take, 9}, _) end) =~ "{:take, 9}"
    end

    test "for processes that have recorded nothing yet, and those that they make" do
      work = fn ->
        Enum.each(1..2_000, &:erlang.phash2/1)
        Till.sell(2, 3)
      end

      for _ <- 1..20 do
        spawn(fn ->
          {pid, ref} = spawn_monitor(work)
          receive(do: ({:DOWN, ^ref, :process, ^pid, _reason} -> :ok))
        end)
      end

      assert_called Till.sell(2, 3), times: 20
    end

    test "for an answer that somebody else works on" do
      test = self()

      spawn(fn ->
        task =
          Task.async(fn ->
            send(test, {:task, self()})
            receive(do: (:go -> 6))
          end)

        Till.sell(Task.await(task), 1)
      end)

      assert_receive {:task, task}
      spawn(fn -> send(task, :go) end)
      assert_called Till.sell(6, 1)
    end

    test "so long as a number of milliseconds says" do
      for bad <- [:long, :infinity, -5, 1.5] do
        for assertion <- [
              fn -> assert_called Till.sell(_, _), within: bad end,
              fn -> assert_called Till.sell(_, _), times: 0..1, within: bad end,
              fn -> refute_called Till.sell(_, _), within: bad end,
              fn -> assert_state self(), _, within: bad end,
              fn -> assert_exited self(), _, within: bad end,
              fn -> refute_message self() ~> self(), _, within: bad end,
              fn -> assert_never Till.sell(_, _), within: bad end
            ] do
          assert_raise ArgumentError,
                       ~r/expected within: milliseconds to wait, such as 500, got: #{inspect(bad)}/,
                       assertion
        end
      end
    end

    test "not for timers, unless it is said for how long" do
      stock = start_supervised!({Stock, 5})
      Stock.take_later(stock, 2, 60)
      assert failure(fn -> assert_called Stock.handle_info(_, _) end) =~ "Stock.handle_info/2 was not called"
      assert_called Stock.handle_info({:take, 2}, _), within: 5_000
      Stock.take_later(stock, 3, 30)
      assert failure(fn -> refute_called Stock.handle_info({:take, 3}, _), within: 5_000 end) =~ "{:take, 3}"
    end

    test "at most so many: within a time for one more" do
      stock = start_supervised!({Stock, 5})
      for _ <- 1..2, do: Stock.take_later(stock, 1, 30)
      message = failure(fn -> assert_called Stock.handle_info(_, _), times: 0..1, within: 5_000 end)
      assert message =~ "Expected at most 1 call that matches"
      assert message =~ "There are 2."
      assert_called Stock.handle_info(_, _), times: 0..2, within: 10
    end

    test "ends when nothing goes on, long before the time is over" do
      start_supervised!({Stock, 5})
      started = System.monotonic_time(:millisecond)
      refute_called Stock.handle_cast(_, _)
      assert System.monotonic_time(:millisecond) - started < ElixirScope.Case.Quiet.timeout()
    end

    test "ends after its time where something always goes on" do
      {:ok, busy} = Task.start(fn -> Stream.repeatedly(fn -> :erlang.yield() end) |> Stream.run() end)
      message = failure(fn -> refute_called Till.sell(_, _) end)
      assert message =~ "Undecided: none was recorded, but after 1,000 ms the test's processes were not quiet"
      Process.exit(busy, :kill)
    end

    test "a call that has not ended matches its arguments, and no outcome" do
      pid = spawn(fn -> Till.wait(:go) end)
      assert_called Till.wait(:go)
      refute_called Till.wait(:go), returning: _
      send(pid, :go)
      assert_called Till.wait(_), returning: :go
    end
  end

  describe "what nobody knows" do
    test "arguments that are not recorded match what asks for nothing" do
      Till.unseen("word")
      assert_called Till.unseen(_), returning: {:kept, "word"}
      assert failure(fn -> refute_called Till.unseen(_) end) =~ "but this one was recorded"
      message = failure(fn -> refute_called Till.unseen("other") end)
      assert message =~ "Undecided: none was recorded, but nobody knows of 1 call."

      assert failure(fn -> assert_called Till.unseen("word") end) =~
               "Of 1 call nobody knows whether it matches"

      assert failure(fn -> assert_called Till.unseen("word"), times: 1 end) =~ "Undecided: 0 were recorded"
    end

    test "a part that a limit kept out may match, what stands beside it decides all the same" do
      long = String.duplicate("x", 100_000)
      Till.hold(1, long)
      other = String.duplicate("x", 99_999) <> "y"
      longer = long <> "y"
      refute_called Till.hold(2, ^other)
      # How long it was is known.
      refute_called Till.hold(_, ^longer)
      assert failure(fn -> refute_called Till.hold(_, ^other) end) =~ "Undecided: none was recorded"
    end
  end

  describe "refusals" do
    test "when the test is compiled" do
      alias_ = "alias ElixirScope.Shop.Till\n"

      for {code, why} <- [
            {"assert_called Till.no_such(1)", ~r/Till.no_such\/1 does not exist/},
            {"refute_called Till.sell(1)",
             ~r/Till.sell\/1 does not exist; there is ElixirScope.Shop.Till.sell\/2/},
            {"refute_called Till.hidden(1)", ~r/Till.hidden\/1 is not instrumented, other functions of/},
            {"refute_called Till.counted(1)", ~r/not instrumented.*:count/},
            {"refute_called Till.twice(1)", ~r/Till.twice\/1 is a macro/},
            {"assert_called String.trim(_)", ~r/String is not instrumented; put `use ElixirScope`/},
            {"assert_called local(1)", ~r/assert_called expects a call with its module.*got: local\(1\)/},
            {"refute_called Till.sell(_, _), times: 2",
             ~r/refute_called has no option times:; it takes within:, /},
            {"assert_called Till.sell(_, _), time: 2", ~r/assert_called has no option time:/},
            {"assert_called Till.sell(_, _), 2", ~r/expects options as a keyword list.*got: 2/},
            {"assert_called Till.sell(_, _), times: 0", ~r/that there was no call says refute_called/},
            {"assert_called Till.sell(_, _), returning: 1, raising: 2", ~r/a call ends in one way/},
            {"refute_called Till.sell(_, _), raising: ArgumentErorr", ~r/no module ArgumentErorr is there/},
            {"refute_called Till.sell(_, _), raising: Till",
             ~r/the module ElixirScope.Shop.Till is no exception/},
            {"assert_never raised(Till.sell(_, _), ArgumentErorr)", ~r/no module ArgumentErorr is there/}
          ] do
        assert_raise CompileError, why, fn ->
          Code.eval_string("import ElixirScope.Assertions\n" <> alias_ <> code)
        end
      end
    end

    test "when it runs, where only then it is known" do
      till = Till

      for {check, why} <- [
            {fn -> refute_called till.no_such(1) end, "Till.no_such/1 does not exist"},
            {fn -> refute_called till.hidden(1) end, "Till.hidden/1 is not instrumented"},
            {fn -> refute_called till.twice(1) end, "Till.twice/1 is a macro"},
            {fn -> refute_called ElixirScope.NoSuchModule.run(1) end, "expected a module that this VM knows"}
          ] do
        message = failure(check)
        assert message =~ "The question cannot be answered: "
        assert message =~ why
      end

      Till.counted(1)

      assert failure(fn -> refute_called till.counted(_) end) =~
               "are counted, not recorded: ElixirScope.counts()"
    end

    test "of a module that is none, in a variable" do
      for module <- [%{a: 1}, nil, "Till", self()] do
        why = "expected a module that this VM knows, got: #{inspect(module)}"
        assert failure(fn -> assert_called module.sell(_, _) end) =~ why
        assert failure(fn -> refute_called module.sell(_, _) end) =~ why
        assert failure(fn -> assert_never module.sell(_, _) end) =~ why
        assert failure(fn -> assert_flow(do: returned(module.sell(_, _), _)) end) =~ why
      end
    end

    test "of what the compiler put into its callers: its calls are recorded, but where there is none nobody can say" do
      [{module, _}] =
        Code.compile_string("""
        defmodule ElixirScope.AssertCalledTest.Inlined do
          use ElixirScope
          @compile {:inline, double: 1, half: 1}
          def run(x), do: double(x)
          def back(x), do: half(x)
          defp double(x), do: x * 2
          defp half(x), do: div(x, 2)
        end
        """)

      module.run(4)
      assert_called module.double(4), returning: 8
      assert failure(fn -> refute_called module.half(_) end) =~ "half/1 is inlined: `@compile {:inline, ...}`"
    end
  end

  test "a failure is bounded" do
    for count <- 1..2_000, do: Till.sell(1, count)
    message = failure(fn -> assert_called Till.sell(_, 0) end)
    assert message =~ "There are 2000 calls of ElixirScope.Shop.Till.sell/2 recorded"
    assert length(String.split(message, "\n")) < 120
    assert byte_size(message) < 12_000
  end

  defp failure(fun), do: assert_raise(ExUnit.AssertionError, fun).message
end
