defmodule ElixirScope.SnapshotWatchedTest do
  # What the VM tells beside does not change a golden trace: it differs from version to version.
  use ElixirScope.Recorded, watch: false
  import ElixirScope.Assertions

  alias ElixirScope.Case.{Scope, Snapshot}
  alias ElixirScope.Traced.{Echo, Store}

  defp text do
    Scope.begin()

    trace =
      record(fn ->
        {:ok, supervisor} = Supervisor.start_link([{Store, 0}], strategy: :one_for_one)
        [{_id, store, _type, _modules}] = Supervisor.which_children(supervisor)

        tasks =
          for n <- 1..3 do
            Task.async(fn ->
              Echo.echo(n)
              Task.await(Task.async(fn -> Echo.pair(self(), n) end))
            end)
          end

        Task.await_many(tasks)
        Store.put(store, 1)
        spawn_link(fn -> Echo.echo(:linked) end)
        Supervisor.stop(supervisor)
      end)

    {:ok, lines} = Snapshot.Text.lines(trace, [:calls, :states])
    Enum.join(lines, "\n")
  end

  test "a golden trace is the same whatever is watched", %{tmp_dir: dir} do
    unwatched = text()
    assert unwatched =~ "== #PID<2> Supervisor\n"
    assert unwatched =~ "== #PID<3> ElixirScope.Traced.Store\n"

    for watch <- [:all, [kinds: [:life]]] do
      {:ok, _} = ElixirScope.start(dir: dir, watch: watch)
      assert text() == unwatched
    end
  end
end
