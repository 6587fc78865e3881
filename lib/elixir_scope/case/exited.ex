defmodule ElixirScope.Case.Exited do
  @moduledoc false
  # `assert_exited` when a test runs.

  alias ElixirScope.Case.{Failure, Quiet, Scope}
  alias ElixirScope.{Event, Native, Query}
  alias ElixirScope.Query.Processes

  @doc "The event of the end, and what it binds."
  @spec assert(map) :: {Event.t(), tuple}
  def assert(asked) do
    pids = pids(asked.process)

    case Quiet.last(fn -> look(pids, asked) end, within: asked.within, also: Enum.filter(pids, &local?/1)) do
      {:ok, found} -> found
      {_why, seen} -> failed(seen, pids, asked)
    end
  end

  defp local?(pid), do: node(pid) == node()

  # Of a name those that had it, the last first.
  defp pids(pid) when is_pid(pid), do: [pid]

  defp pids(name) when is_atom(name) and name not in [nil, true, false] do
    {:ok, recording} = recording()
    Enum.uniq(List.wrap(Process.whereis(name)) ++ Processes.holders(recording, name, Native.now()))
  end

  defp pids(other),
    do: Failure.impossible("expected the process as a pid or the name that it had, got: #{inspect(other)}")

  defp recording do
    with {:error, error} <- Query.recording([]), do: Failure.impossible(error.message)
  end

  defp look(pids, asked) do
    {:ok, recording} = recording()
    exits = for pid <- pids, event = Processes.exit_of(recording, pid, Native.now()), do: event

    Enum.find_value(exits, {:not_yet, exits}, fn event ->
      case asked.matcher.(event.data.reason) do
        {:ok, bound} -> {:ok, {event, bound}}
        :error -> nil
      end
    end)
  end

  defp failed([], [], asked) do
    Failure.impossible(
      "nobody is known to have had the name #{inspect(asked.process)}; ask with the pid, or watch the process: ElixirScope.watch(pid)"
    )
  end

  defp failed(exits, pids, asked) do
    {:ok, family} = Scope.family()

    Failure.fail(%{
      expected: "Expected a process to have ended with a reason that matches\n\n    #{asked.text}",
      found: found(exits, pids),
      family: family,
      candidates: exits,
      pattern: %{value: asked.expected}
    })
  end

  defp found([_ | _], _pids), do: "It ended with another reason:"

  defp found([], pids) do
    case Enum.filter(pids, &(local?(&1) and Process.alive?(&1))) do
      [] ->
        "It has ended, but its end was not recorded: it was not watched. Say ElixirScope.watch(pid) before it ends."

      alive ->
        "#{Enum.map_join(alive, ", ", &inspect/1)} is alive."
    end
  end
end
