defmodule ElixirScope.CaseBareTest do
  # Assertions that are imported, where nothing notes that a test begins.
  use ExUnit.Case, async: true

  import ElixirScope.Assertions

  alias ElixirScope.Traced.Echo

  test "the test's process is a test, and what runs behind it is none" do
    Echo.echo(:bare)
    assert_called Echo.echo(:bare)
    refute_called Echo.echo(:other)

    on_exit(fn ->
      error = assert_raise(ExUnit.AssertionError, fn -> refute_called Echo.echo(:bare) end)
      assert error.message =~ "runs what was given to on_exit"
    end)
  end

  test "a failure has a command also where no name of the test is known" do
    test = self()

    spawn_link(fn ->
      ElixirScope.Case.begin()
      Echo.echo(:unnamed)
      error = assert_raise(ExUnit.AssertionError, fn -> assert_called Echo.echo(:missing) end)
      send(test, {:failed, self(), error.message})
    end)

    assert_receive {:failed, pid, message}
    assert [_, label] = Regex.run(~r/--at "(.*)"$/m, message)
    assert label == "failed: #{inspect(pid)}"
    assert %ElixirScope.Cursor{} = ElixirScope.at(label)
  end

  test "the command has the name of the test where it is said, and nothing of its process recorded" do
    test = self()

    spawn_link(fn ->
      ElixirScope.Case.begin(%{module: __MODULE__, test: :"test nothing runs"})
      error = assert_raise(ExUnit.AssertionError, fn -> assert_called Echo.echo(:missing) end)
      send(test, {:failed, error.message})
    end)

    assert_receive {:failed, message}
    assert message =~ ~s(--at "ElixirScope.CaseBareTest: nothing runs")
  end
end
