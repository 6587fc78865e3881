defmodule ElixirScope.AssertBirthsTest do
  # That no process of the test has ended so can be said where all of them are known: of one that made no event nobody knows, unless its birth is told.
  # What is watched for all the VM would be told here as well.
  use ElixirScope.Case, async: false

  alias ElixirScope.Traced.Echo

  defp ended(reason) do
    {pid, ref} = spawn_monitor(fn -> exit(reason) end)
    assert_receive {:DOWN, ^ref, :process, ^pid, ^reason}
  end

  test "a test that watches itself before it does anything knows how all have ended that it makes" do
    {:ok, _} = ElixirScope.watch(self(), spawned: true)
    ended(:boom)
    test = self()

    spawn(fn ->
      ended(:deep)
      send(test, :done)
    end)

    assert_receive :done
    assert_never exited(_, :other)
    for reason <- [:boom, :deep], do: assert(failure(fn -> assert_never exited(_, ^reason) end) =~ "exited")
    assert_flow do: exited(_, :deep)
  end

  test "one that watches itself alone does not" do
    {:ok, _} = ElixirScope.watch(self())
    ended(:boom)
    undecided("nobody tells of the processes that the test makes")
  end

  test "nor does one that was at work before" do
    Echo.echo(1)
    {:ok, _} = ElixirScope.watch(self(), spawned: true)
    undecided(~r/told only since \d\d:.* and it was at work before in this test/)
  end

  test "nor of a process that it had made before" do
    agent = start_supervised!({Agent, fn -> Echo.echo(1) end})
    {:ok, _} = ElixirScope.watch(self(), spawned: true)
    undecided(~r/the processes that #PID<\S+ makes/)
    {:ok, _} = ElixirScope.watch(agent, spawned: true)
    undecided(~r/the processes that #PID<\S+ makes/)
  end

  # Those that run instrumented code are watched by default since OTP 27, and the lives of all others with them.
  test "where the lives of all processes are watched all are known" do
    for who <- if(ElixirScope.Watch.default(), do: [:all, :instrumented], else: [:all]) do
      {:ok, _} = ElixirScope.watch(who, kinds: [:life])
      on_exit(fn -> ElixirScope.unwatch(who) end)
      ElixirScope.Case.begin()
      ended(:boom)
      assert_never exited(_, :other)
      assert failure(fn -> assert_never exited(_, :boom) end) =~ "exited"
      :ok = ElixirScope.unwatch(who)
      undecided("nobody tells of the processes that the test makes")
    end
  end

  test "another test's watch says nothing of this one's processes" do
    {:ok, _} = Task.await(Task.async(fn -> ElixirScope.watch(self(), spawned: true) end))
    ended(:boom)
    undecided("nobody tells of the processes that the test makes")
  end

  defp undecided(why) do
    message = failure(fn -> assert_never exited(_, :other) end)
    assert message =~ "Undecided: "
    assert message =~ why
    assert message =~ "Say {:ok, _} = ElixirScope.watch(self(), spawned: true) as the first thing of the test"
  end

  defp failure(fun), do: assert_raise(ExUnit.AssertionError, fun).message
end
