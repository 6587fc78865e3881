defmodule ElixirScope.AssertStoppedTest do
  # Assertions where the application of ElixirScope does not run.
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
end
