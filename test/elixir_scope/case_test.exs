defmodule ElixirScope.CaseTest do
  # Assertions on traces, tested by themselves. Async: each test sees its own processes in the one recording.
  use ElixirScope.Case, async: true

  alias ElixirScope.Traced.{Echo, Silent, Store}

  # Lives beside the tests: none of them started it.
  setup_all do
    {:ok, stranger} = Agent.start(fn -> nil end)
    %{stranger: stranger}
  end

  test "a call is found by its arguments: literal, pattern, pin and guard" do
    Echo.pair(1, %{id: 7, name: "x"})
    one = 1
    assert_called Echo.pair(1, _)
    assert_called Echo.pair(^one, %{id: 7})
    assert_called Echo.pair(n, %{id: id}) when n < id
    assert {n, id} == {1, 7}

    Echo.echo(<<2, "abcd">>)
    assert_called Echo.echo(<<size, text::binary-size(size), rest::binary>>)
    assert {size, text, rest} == {2, "ab", "cd"}
  end

  test "the call itself is returned" do
    Echo.pair(1, 2)
    call = assert_called Echo.pair(_, _)
    assert call.return == {1, 2}
  end

  test "calls in processes of the test are seen, however these were started" do
    parent = self()
    Task.async(fn -> Echo.echo(:task) end) |> Task.await()

    spawn(fn ->
      {_pid, ref} = spawn_monitor(fn -> send(parent, Echo.echo(:grandchild)) end)
      receive do: ({:DOWN, ^ref, _, _, _} -> :ok)
    end)

    assert_receive :grandchild
    {:ok, server} = start_supervised({Store, 0})
    Store.put(server, 5)
    assert_called Echo.echo(:task)
    assert_called Echo.echo(:grandchild)
    assert_called Store.handle_call({:put, 5}, {^parent, _}, 0)
  end

  test "calls of others are not", %{stranger: stranger} do
    Agent.get(stranger, fn _ -> Echo.echo(:elsewhere) end)
    refute_called Echo.echo(:elsewhere)
  end

  test "a failure shows what was expected and the calls that were recorded" do
    Echo.pair(1, 2)
    Echo.pair(3, "four")

    message = failure(fn -> assert_called Echo.pair(9, _) end)
    assert message =~ "Expected a call that matches\n\n    Echo.pair(9, _)"
    assert message =~ "There are 2 calls of ElixirScope.Traced.Echo.pair/2 recorded"
    assert message =~ "ElixirScope.Traced.Echo.pair(3, \"four\") -> {3, \"four\"}"
    assert message =~ inspect(self())

    assert failure(fn -> assert_called Echo.echo(1) end) =~
             "ElixirScope.Traced.Echo.echo/1 was not called in this test's processes."

    message = failure(fn -> refute_called Echo.pair(1, _) end)
    assert message =~ "Expected no call that matches\n\n    Echo.pair(1, _)"
    assert message =~ "Echo.pair(1, 2) -> {1, 2}"
  end

  test "what could not have been seen is never a success" do
    # A module that is named by a variable is looked at when the test runs.
    {silent, echo} = {Silent, Echo}

    for check <- [fn -> assert_called silent.run(1) end, fn -> refute_called silent.run(1) end] do
      assert failure(check) =~ "ElixirScope.Traced.Silent is not instrumented"
    end

    assert failure(fn -> refute_called echo.no_such(1) end) =~ "Echo.no_such/1 does not exist"
  end

  defp failure(fun), do: assert_raise(ExUnit.AssertionError, fun).message
end
