defmodule ElixirScope.Case.Scope do
  @moduledoc false
  # Which part of the recording belongs to a test: its processes, from its beginning on.

  alias ElixirScope.{Native, Query}

  @begun :"$elixir_scope_test"

  @doc "Remembers when the test of the calling process began."
  def begin do
    Process.put(@begun, Native.now())
    :ok
  end

  @doc "When the test began; without `use ElixirScope.Case`, the beginning of the recording."
  def since, do: Process.get(@begun, 0)

  @doc "The pids of the test's processes that made events."
  def pids(recording, test) do
    processes = for {pid, who} <- Query.processes(recording), do: {pid, relatives(who)}
    family(processes, MapSet.new([test]))
  end

  defp relatives(who) do
    for key <- [:parents, :ancestors, :callers], pid <- Map.get(who, key, []), is_pid(pid), do: pid
  end

  # Parents need not have been seen before their children, so this goes round until nobody joins.
  defp family(processes, members) do
    {joining, others} =
      Enum.split_with(processes, fn {pid, relatives} ->
        pid in members or Enum.any?(relatives, &(&1 in members))
      end)

    case joining do
      [] -> members
      _ -> family(others, Enum.into(joining, members, fn {pid, _relatives} -> pid end))
    end
  end
end
