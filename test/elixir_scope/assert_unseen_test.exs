defmodule ElixirScope.AssertUnseenTest do
  # What assertions do themselves is no doing of the test: it is not recorded, whatever is watched.
  use ElixirScope.Case, async: true

  alias ElixirScope.Shop.Till
  alias ElixirScope.Until

  # Works until it is told to end, and takes messages only then.
  defp busy(flag) do
    if :counters.get(flag, 1) == 0, do: busy(flag), else: Till.wait(:end)
  end

  test "asking busy processes what they are at sends no message that the test has" do
    flag = :counters.new(1, [])
    busy = spawn_link(fn -> busy(flag) end)
    {:ok, _} = ElixirScope.watch([self(), busy])
    # Nothing more is known of it after the time is over.
    assert {:late, _busy} = ElixirScope.Case.Quiet.settle()
    :counters.put(flag, 1, 1)
    assert_called Till.wait(:end)
    refute_message _ ~> busy, _
    refute_message _ ~> self(), _
    send(busy, :end)
    assert_message self() ~> busy, :end
  end

  test "nor does a process that asks those that made it, which are busy" do
    {:ok, _} = ElixirScope.watch(self(), spawned: true)
    {test, flag} = {self(), :counters.new(1, [])}
    begun = fn -> receive(do: (:begin -> Till.wait(:end))) end

    made = fn ->
      send(test, {:made, spawn_link(begun)})
      busy(flag)
    end

    parents = for _ <- 1..20, do: spawn_link(made)
    children = for _ <- parents, do: receive(do: ({:made, child} -> child))
    for child <- children, do: send(child, :begin)
    Until.all_wait(children)
    :counters.put(flag, 1, 1)
    for child <- children, do: refute_message(_ ~> child, {_tag, _answer})
    for one <- children ++ parents, do: send(one, :end)
  end

  test "a process at work that is none of the test's is asked once who it is" do
    test = self()
    :timer.apply_after(1, __MODULE__, :stranger, [test])
    assert_receive {:stranger, stranger}
    on_exit(fn -> Process.exit(stranger, :kill) end)
    # Long enough to have said all of itself.
    Until.until(fn -> Process.info(stranger, :reductions) > {:reductions, 10_000} end)
    ElixirScope.Case.begin()
    refute_called Till.sell(_, _)
    assert [{^stranger, _seen, [_ | _]}] = :ets.lookup(:elixir_scope_seen, stranger)
  end

  # Called by a process that no test made.
  def stranger(test) do
    send(test, {:stranger, self()})
    spin()
  end

  defp spin, do: spin()
end
