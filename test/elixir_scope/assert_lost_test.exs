defmodule ElixirScope.AssertLostTest do
  # What assertions say when the recording does not know: events of the test's time are missing, or nothing is recorded. Each test begins a
  # recording of its own.
  use ElixirScope.Case, async: false

  alias ElixirScope.Case.{Failure, Scope}
  alias ElixirScope.Native
  alias ElixirScope.Shop.{Stock, Till}

  @moduletag :tmp_dir

  setup %{tmp_dir: dir} do
    on_exit(fn -> {:ok, _} = ElixirScope.start() end)
    {:ok, _} = ElixirScope.start(dir: dir)
    # Here begins the test for its assertions.
    ElixirScope.Case.begin()
  end

  defp lose do
    :ok = ElixirScope.pause()
    Till.sell(7, 7)
    :ok = ElixirScope.resume()
  end

  # A watched server with a state, and a call.
  defp sold do
    stock = start_supervised!({Stock, 5})
    {:ok, _} = ElixirScope.watch(stock)
    Till.sell(1, 2)
    assert Stock.count(stock) == 5
    stock
  end

  test "what nobody has seen cannot be denied" do
    stock = sold()
    refute_called Till.sell(7, _)
    lose()

    # What was recorded is an answer all the same.
    assert_called Till.sell(1, 2)
    assert_state stock, %{count: 5}, :ever
    assert failure(fn -> refute_called Till.sell(1, _) end) =~ "but this one was recorded"

    undecided(stock, ~r/^    recording paused from \d\d:/m)

    # More than were asked for are too many, whatever is missing.
    Till.sell(1, 2)
    assert failure(fn -> assert_called Till.sell(_, _), times: 1 end) =~ "There are 2."
    assert failure(fn -> assert_called Till.sell(7, _) end) =~ "Events are missing"
  end

  test "nor what is done while recording rests, or is over" do
    stock = sold()

    :ok = ElixirScope.pause()
    Till.sell(7, 7)
    undecided(stock, ~r/^    recording paused from \d\d:\d\d:[\d.]+ to \d\d:/m)
    assert_called Till.sell(1, 2)
    message = failure(fn -> assert_called Stock.take_later(_, _, _) end)
    assert message =~ "No call of ElixirScope.Shop.Stock.take_later/3 is recorded, but not all is."

    :ok = ElixirScope.stop()
    undecided(stock, ~r/^    recording stopped from \d\d:\d\d:[\d.]+ to \d\d:/m)
    assert_called Till.sell(1, 2)
  end

  test "nor what was done before recording began", %{tmp_dir: dir} do
    stock = start_supervised!({Stock, 5})
    Till.sell(7, 7)
    {:ok, _} = ElixirScope.start(dir: dir)
    {:ok, _} = ElixirScope.watch(self())
    {:ok, _} = ElixirScope.watch(stock)
    Till.sell(1, 2)
    assert Stock.count(stock) == 5
    assert failure(fn -> refute_called Till.sell(7, _) end) =~ "says ElixirScope.Case.begin() behind that"
    undecided(stock, ~r/^    no recording from \d\d:/m)

    ElixirScope.Case.begin()
    refute_called Till.sell(_, _)
  end

  defp undecided(stock, why) do
    for check <- [
          fn -> refute_called Till.sell(7, _) end,
          fn -> assert_called Till.sell(_, _), times: 1 end,
          fn -> assert_state stock, %{count: 5}, :always end,
          fn -> assert_invariant Stock, fn %{count: count} -> count >= 0 end end,
          fn -> assert_never exited(stock, _) end,
          fn -> refute_flow do: Till.sell(7, _) end
        ] do
      message = failure(check)
      assert message =~ "Undecided: "
      assert message =~ "events are missing in the time of this test.\n"
      assert message =~ why
    end
  end

  test "messages that nobody has seen cannot be denied" do
    stock = start_supervised!({Stock, 5})
    {:ok, _} = ElixirScope.watch(stock)
    refute_message _ ~> stock, :no_such_message
    lose()
    assert failure(fn -> refute_message _ ~> stock, :no_such_message end) =~ "    recording paused from "
  end

  test "what was missing after a test had ended is not shown of it" do
    {:ok, family} = Scope.family()
    ended = Map.put(family, :until, Native.now())
    lose()
    assert ["Events are missing:" | _] = Failure.Parts.missing(family)
    assert Failure.Parts.missing(ended) == []
  end

  test "what was missing before a test began is none of its business" do
    lose()
    ElixirScope.Case.begin()
    refute_called Till.sell(7, _)
    Till.sell(1, 1)
    assert_called Till.sell(_, _), times: 1
  end

  test "after the end of the recording nothing of a test is known" do
    :ok = ElixirScope.stop()
    ElixirScope.Case.begin()
    Till.sell(1, 1)

    for check <- [fn -> refute_called Till.sell(_, _) end, fn -> assert_called Till.sell(_, _) end] do
      message = failure(check)
      assert message =~ "The question cannot be answered: the recording of this VM"
      assert message =~ "has stopped before this test began"
    end
  end

  defp failure(fun), do: assert_raise(ExUnit.AssertionError, fun).message
end
