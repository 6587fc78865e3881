defmodule ElixirScope.FlowLostTest do
  # Where events of the test's time are missing, what is not there may have been there. Each test has a recording of its own.
  use ElixirScope.Recorded
  import ElixirScope.Assertions

  alias ElixirScope.Case.Scope
  alias ElixirScope.Traced.{Echo, Store}

  setup do
    Scope.begin()
  end

  # Between a pause and its end nothing is recorded, which is a gap.
  defp lose do
    :ok = ElixirScope.pause()
    Echo.echo(:lost)
    :ok = ElixirScope.resume()
  end

  test "what was recorded is found, and what was not is undecided" do
    Echo.echo(1)
    lose()
    Echo.echo(2)

    assert_flow do
      Echo.echo(1)
      Echo.echo(2)
    end

    for check <- [
          fn -> refute_flow(do: Echo.echo(3)) end,
          fn -> assert_never Echo.echo(3) end,
          fn -> refute_flow(do: leads_to(Echo.echo(3), Echo.echo(1))) end
        ] do
      assert failure(check) =~
               ~r/Undecided: none was recorded, but events are missing in the time of this test.\n    recording paused from /
    end

    message = failure(fn -> assert_flow(do: Echo.echo(3)) end)
    assert message =~ "Its first step was not found."
    assert message =~ "Events are missing"
  end

  test "an invariant of which some states are missing is undecided" do
    {:ok, store} = Store.start_link(1)
    assert_invariant store, &is_integer/1
    lose()
    Store.put(store, 2)

    assert failure(fn -> assert_invariant store, &is_integer/1 end) =~
             "Undecided: it was so of all that are known, but events are missing"

    # That it is broken is known all the same.
    Store.put(store, :broken)
    assert failure(fn -> assert_invariant store, &is_integer/1 end) =~ "It was not so of this one:"
  end

  test "a trace of which a part is missing is not compared" do
    trace = record(fn -> Echo.echo(lose()) end)
    assert failure(fn -> assert_snapshot trace, "lost" end) =~ "Undecided: events are missing"
    # Outside of its time nothing of it is missing.
    trace = record(fn -> Echo.echo(1) end)
    assert failure(fn -> assert_snapshot trace, "lost" end) =~ "which is not there"
  end

  defp failure(fun), do: assert_raise(ExUnit.AssertionError, fun).message
end
