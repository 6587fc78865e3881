defmodule ElixirScope.WatchBusyTest do
  # All processes of a busy node are watched: the VM lives, answers, and its memory stays bounded. `ELIXIR_SCOPE_BUSY=60` for a minute.
  use ExUnit.Case, async: true

  alias ElixirScope.OtherVm

  @moduletag :tmp_dir
  @seconds String.to_integer(System.get_env("ELIXIR_SCOPE_BUSY", "6"))
  @moduletag timeout: (@seconds + 300) * 1_000

  test "watching a node that does what has ended VMs before", %{tmp_dir: dir} do
    port = OtherVm.start("watched_vm.exs", [dir, "#{@seconds}"])
    {facts, []} = Code.eval_string(OtherVm.line(port))
    if @seconds > 10, do: IO.puts("\n" <> inspect(facts, pretty: true, limit: :infinity))

    assert %{ours: [], damage: [], state: :running} = facts
    assert facts.events > 10_000
    assert facts.slowest_ms < 5_000, inspect(facts)
    assert facts.memory < 100 * 1024 * 1024, inspect(facts)
  end
end
