defmodule ElixirScope.Case.Descent do
  @moduledoc false
  # Whether the VM tells of all processes that a test makes, and those make: of one that nobody told of, nobody knows how it has ended, nor that it
  # lived at all. A process hands that on to those that it makes (`spawned: true`), so what it had made before is asked about itself.

  alias ElixirScope.Case.Scope
  alias ElixirScope.{Native, Recorder, Text}
  alias ElixirScope.Query.{Processes, Server}

  @forever 0xFFFFFFFFFFFFFFFF

  @doc "Why there may have been others, in words; `nil`: there were none."
  @spec doubt(Scope.t()) :: String.t() | nil
  def doubt(%{test: test, pids: pids, since: since} = family) do
    told = told()

    if not is_map_key(told, :all) or told.all > since,
      do: Enum.find_value([test | List.delete(pids, test)], &why(&1, told, family))
  end

  defp told do
    case Recorder.watched() do
      {:ok, %{descent: descent}} -> descent
      _nothing -> %{}
    end
  end

  defp why(pid, _told, _family) when node(pid) != node(), do: nil

  defp why(pid, told, family) do
    case told |> Map.take([pid, :all]) |> Map.values() |> Enum.min(fn -> nil end) do
      nil -> if not born?(family, pid), do: never(pid, family)
      time -> if worked?(family, pid, time), do: late(pid, time)
    end
  end

  # Whose birth was told has it from who made it.
  defp born?(family, pid),
    do: family.recording |> Processes.stream(["spawned"], [numbers(pid)], 0, @forever) |> Enum.any?()

  # In a call it may have made others. What it does beside those that are recorded stands in the test.
  defp worked?(%{since: since, recording: recording}, pid, time) do
    filter = %{kinds: [], processes: [numbers(pid)], sites: nil, since: since, until: max(time - 1, 0)}
    time > since and Native.calls(recording.handle, filter, 1) != []
  end

  defp numbers(pid) do
    {:ok, process} = Server.numbers(pid)
    process
  end

  defp never(pid, %{test: test}) do
    who = if pid == test, do: "the test", else: inspect(pid)
    "nobody tells of the processes that #{who} makes, and how they end. " <> advice()
  end

  defp late(pid, time) do
    "of the processes that #{inspect(pid)} makes it is told only since #{Text.clock(time)}, and it was at work before in this test. " <>
      advice()
  end

  defp advice,
    do: "Say {:ok, _} = ElixirScope.watch(self(), spawned: true) as the first thing of the test"
end
