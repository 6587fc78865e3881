defmodule ElixirScope.Case.Silent do
  @moduledoc false
  # Processes of a test of which nothing is recorded, since they ask for that: nobody knows what these did not do.

  alias ElixirScope.Case.Scope

  # `{pid, since when, its relatives}`, as `ElixirScope.Capture` has noted them.
  @left_out :elixir_scope_left_out

  @doc "Why not all of a test is recorded, in words; `nil`: none of its processes was left out."
  @spec text(Scope.t()) :: String.t() | nil
  def text(family) do
    case for({pid, since, relatives} <- :ets.tab2list(@left_out), of?(family, pid, since, relatives), do: pid) do
      [] ->
        nil

      [_ | _] = pids ->
        "nothing is recorded of #{pids |> Enum.take(5) |> Enum.map_join(", ", &inspect/1)}, since there the flag `sensitive` is set " <>
          "(Process.flag(:sensitive, true)). Leave it out in tests that say what was not called"
    end
  end

  # One that the test was allowed may have been left out before.
  defp of?(family, pid, since, relatives) do
    if pid in family.pids,
      do: since >= family.since or Process.alive?(pid),
      else: since >= family.since and Enum.any?(relatives, &(&1 in family.pids))
  end
end
