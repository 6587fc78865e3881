defmodule ElixirScope.InvariantTest do
  use ElixirScope.Case, async: true

  alias ElixirScope.Traced.{Echo, Store}

  defp store(state, options \\ []) do
    {:ok, store} = start_supervised(%{id: make_ref(), start: {Store, :start_link, [state, options]}})
    store
  end

  test "it holds of all states, of a server and of all of a module" do
    [one, other] = [store(1), store(10)]
    for n <- 2..4, do: Store.put(one, n)
    Store.put(other, 11)
    assert assert_invariant(one, fn n -> n in 1..4 end)
    assert assert_invariant(Store, fn n -> n > 0 end)
  end

  test "the first state of which it was not so is shown, with its cause" do
    [one, other] = [store(1), store(10)]
    for n <- [2, -7, 3, -8], do: Store.put(one, n)
    Store.put(other, 11)

    message = failure(fn -> assert_invariant(Store, fn n -> n > 0 end) end)

    assert message =~
             "Expected of each state of ElixirScope.Traced.Store in the time of this test:\n\n    fn n -> n > 0 end"

    assert message =~ "It was not so of this one:"
    assert message =~ "{:put, -7}"
    assert message =~ inspect(one)
    assert_invariant(other, fn n -> n > 0 end)
  end

  test "what was said to it without an answer is waited for" do
    store = store(1)
    for n <- 1..50, do: GenServer.cast(store, {:put, n})
    GenServer.cast(store, {:put, :bad})
    assert failure(fn -> assert_invariant(store, &is_integer/1) end) =~ "{:put, :bad}"
  end

  test "a name stands for its server" do
    name = :"store_#{System.unique_integer([:positive])}"
    store(1, name: name)
    assert_invariant(name, &(&1 == 1))
    assert failure(fn -> assert_invariant(name, &(&1 == 2)) end) =~ inspect(name)
  end

  test "who had the name before the test began, and has ended, is none of its servers" do
    name = :"store_#{System.unique_integer([:positive])}"
    {:ok, before} = Store.start_link(-5, name: name)
    :ok = GenServer.stop(before)
    ElixirScope.Case.begin()
    store(1, name: name)
    assert_invariant(name, &(&1 > 0))
  end

  test "a function that fails is no proof, and says on what" do
    store = store(1)
    Store.put(store, %{count: 1})
    message = failure(fn -> assert_invariant(store, fn %{count: count} -> count > 0 end) end)
    assert message =~ "The function failed on this one: ** (FunctionClauseError)"
  end

  test "no state is no proof" do
    assert failure(fn -> assert_invariant(Store, fn _ -> true end) end) =~
             "no state of a server of the module ElixirScope.Traced.Store"

    assert failure(fn -> assert_invariant(:nobody_has_this_name, fn _ -> true end) end) =~
             ":nobody_has_this_name"

    pid = spawn_link(fn -> Echo.echo(receive(do: (:go -> :gone))) end)
    send(pid, :go)

    assert failure(fn -> assert_invariant(pid, fn _ -> true end) end) =~
             "no proof: no state of #{inspect(pid)} was recorded"

    store(1)
    nobody = Process.whereis(:nobody_has_this_name)

    assert_raise ArgumentError, ~r/assert_invariant expects a server or a module of servers, got: nil/, fn ->
      assert_invariant nobody, &is_integer/1
    end

    assert_raise ArgumentError, ~r/assert_invariant expects a server or a module/, fn ->
      assert_invariant(Store, true)
    end
  end

  test "a state of which a limit kept out a part is undecided" do
    store = store(1)
    Store.put(store, String.duplicate("x", 600_000))
    message = failure(fn -> assert_invariant(store, fn state -> state != nil end) end)

    assert message =~
             "Undecided: a limit kept out a part of what the function may look at (#ElixirScope.Cut<binary of 600000 bytes"

    assert failure(fn -> assert_invariant(store, &(&1 != nil), ignoring: :redacted) end) =~
             "Undecided: a limit"

    # This one looks at nothing.
    assert_invariant(store, fn _ -> true end)
  end

  test "what redaction kept out decides nothing, and a pattern says what is looked at" do
    store = store(%{token: "y", left: 2})
    Store.put(store, %{token: "z", left: 1})

    for check <- [
          fn -> assert_invariant(store, fn state -> state.token != "y" end) end,
          fn -> assert_invariant(store, &(&1.left > 0)) end,
          fn -> assert_invariant(store, fn %{token: t} -> t != "y" end) end,
          fn -> assert_invariant(store, fn %{token: t} when t != "y" -> true end) end,
          fn -> assert_invariant(store, fn %{token: "y"} -> false end) end,
          fn -> assert_invariant(store, fn state -> String.length(state.token) > 0 end) end
        ] do
      message = failure(check)
      assert message =~ "Undecided: redaction kept out a part of what the function may look at (#Redacted<>)"
      assert message =~ "ignoring: :redacted"
    end

    assert_invariant(store, fn %{left: left} -> left > 0 end)
    assert_invariant(store, fn %{left: left, token: _} when left > 0 -> true end)

    assert_invariant(store, fn
      %{gone: state} -> state.token == 1
      %{left: left} -> left > 0
    end)

    assert_invariant(store, &(&1.left > 0), ignoring: :redacted)

    assert failure(fn -> assert_invariant(store, &(&1.left > 1), ignoring: :redacted) end) =~
             "It was not so of this one"

    assert failure(fn -> assert_invariant(store, fn %{left: left} -> left > 1 end) end) =~
             "It was not so of this one"

    Store.put(store, "a=1&token=hunter")

    assert failure(fn -> assert_invariant(store, fn text when text != "" -> true end) end) =~
             "Undecided: redaction"
  end

  defp failure(fun), do: assert_raise(ExUnit.AssertionError, fun).message
end
