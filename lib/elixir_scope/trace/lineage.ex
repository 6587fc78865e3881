defmodule ElixirScope.Trace.Lineage do
  @moduledoc false
  # Who of some processes made whom. The order is one that no scheduler has a part in: pids are given in the order in which processes are
  # made, so children of one process, sorted by pid, stand in the order of its own program.

  alias ElixirScope.{Event, Events, Query, Recording}
  alias ElixirScope.Query.Server

  @typedoc "Each process with the nearest of the others that it came from, if there is one."
  @type parents :: %{pid => pid | nil}

  @doc "The parents of processes, among these."
  @spec parents(Recording.t(), [pid]) :: parents
  def parents(recording, pids) do
    members = MapSet.new(pids)

    found =
      for pid <- pids,
          into: %{},
          do: {pid, Enum.find(relatives(recording, pid), &(&1 in members and &1 != pid))}

    for pid <- pids, into: %{}, do: {pid, if(circle?(found, found[pid], pid), do: nil, else: found[pid])}
  end

  # Nearest first: who made it, then the ancestors that OTP noted, then for whom it works.
  defp relatives(recording, pid) do
    recording
    |> told(pid)
    |> Enum.flat_map(fn
      %Event{kind: :spawned, data: %{parent: parent}} ->
        [parent]

      %Event{kind: :process, data: %{} = who} ->
        for key <- [:parents, :ancestors, :callers], other <- Map.get(who, key, []), do: other

      _unreadable ->
        []
    end)
    |> Enum.filter(&is_pid/1)
  end

  @doc "What was told of who a process is, oldest first."
  @spec told(Recording.t(), pid) :: [Event.t()]
  def told(recording, pid) do
    case Query.filter(recording, kind: [:spawned, :process], pid: pid) do
      {:ok, filter} -> Enum.to_list(%Events{recording: recording, filter: filter, limit: :infinity})
      {:error, _none} -> []
    end
  end

  # A pid that was given anew can come from one that came from it.
  defp circle?(found, parent, pid), do: pid in ancestry(found, parent, [])

  defp ancestry(_found, nil, above), do: above

  defp ancestry(found, pid, above),
    do: if(pid in above, do: above, else: ancestry(found, found[pid], [pid | above]))

  @doc "Those that came from none of the others, the one that is named first."
  @spec roots(parents, pid) :: [pid]
  def roots(parents, first) do
    {own, others} = for({pid, nil} <- parents, do: pid) |> Enum.split_with(&(&1 == first))
    own ++ sorted(others)
  end

  @doc "Those that came from a process, in the order in which they were made."
  @spec children(parents, pid) :: [pid]
  def children(parents, pid), do: sorted(for {child, ^pid} <- parents, do: child)

  @doc "All of them: each before those that came from it."
  @spec in_order(parents, pid) :: [pid]
  def in_order(parents, first), do: parents |> roots(first) |> Enum.flat_map(&with_children(&1, parents))

  defp with_children(pid, parents),
    do: [pid | parents |> children(pid) |> Enum.flat_map(&with_children(&1, parents))]

  defp sorted(pids) do
    Enum.sort_by(pids, fn pid ->
      case Server.numbers(pid) do
        {:ok, {id, serial}} -> {0, serial, id}
        :error -> {1, pid, 0}
      end
    end)
  end
end
