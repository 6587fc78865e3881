defmodule ElixirScope.AssertStoppedTest do
  # Assertions where the application of ElixirScope does not run, and where it records nothing more.
  use ExUnit.Case, async: false

  import ElixirScope.Assertions

  alias ElixirScope.Traced.{Echo, Store}

  @moduletag :capture_log

  setup do
    on_exit(fn ->
      {:ok, _} = Application.ensure_all_started(:elixir_scope)
      {:ok, _} = ElixirScope.start()
    end)
  end

  test "each says that ElixirScope is not running" do
    store = start_supervised!({Store, 1})
    :ok = Application.stop(:elixir_scope)

    for asked <- [
          fn -> assert_called Echo.echo(1) end,
          fn -> assert_called Echo.echo(1), times: 0..1 end,
          fn -> refute_called Echo.echo(1) end,
          fn -> assert_state store, 1 end,
          fn -> assert_state store, 1, :always end,
          fn -> assert_invariant store, &(&1 == 1) end,
          fn -> assert_message _ ~> store, 1 end,
          fn -> refute_message _ ~> store, 1 end,
          fn -> assert_exited store, :normal end,
          fn -> assert_flow(do: Echo.echo(1)) end,
          fn -> assert_never Echo.echo(1) end,
          fn -> record(fn -> Echo.echo(1) end) end,
          fn -> ElixirScope.Case.allow(store) end
        ] do
      assert_raise ExUnit.AssertionError, ~r/the application :elixir_scope is not running/, asked
    end
  end

  @tag :tmp_dir
  test "the command of a failure opens a recording in which nothing comes after it", %{tmp_dir: dir} do
    {:ok, recording} = ElixirScope.start()
    Echo.echo(:last)
    error = assert_raise(ExUnit.AssertionError, fn -> assert_called Echo.echo(:missing), within: 50 end)
    assert [_, label] = Regex.run(~r/--at "(.*)"$/m, error.message)
    # As one is whose VM ends just then.
    copy = Path.join(dir, "copy")
    File.cp_r!(recording.path, copy)
    {:ok, past} = ElixirScope.open(copy)
    assert [%{args: [:last]}] = ElixirScope.calls(&Echo.echo/1, in: past)
    assert {:ok, time} = ElixirScope.Query.Moment.find(past, label)
    assert ElixirScope.Query.within(past, time) == :ok
  end
end
