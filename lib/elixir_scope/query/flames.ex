defmodule ElixirScope.Query.Flames do
  @moduledoc false
  # Stacks of calls with their times, as a tree.

  alias ElixirScope.{Error, FlameGraph, Native, Query, Text}
  alias ElixirScope.Query.Range

  @doc "See `ElixirScope.flame_graph/1`."
  @spec flame_graph(keyword) :: {:ok, FlameGraph.t()} | {:error, Error.t()}
  def flame_graph(options) do
    with :ok <- Query.check(options, [:in, :since, :until, :pid, :by]),
         {:ok, by} <- by(options),
         {:ok, recording, filter, reached} <- Range.filter(options) do
      {{since, until}, nodes, gaps} = Native.stacks(recording.handle, filter, reached, by == :process)
      roots = nodes |> trees() |> named(&label(&1, recording, until))

      {:ok,
       %FlameGraph{
         recording: recording,
         since: since,
         until: until,
         by: by,
         total: roots |> Enum.map(& &1.total) |> Enum.sum(),
         roots: roots,
         gaps: Range.gaps(gaps)
       }}
    end
  end

  defp by(options) do
    case Keyword.get(options, :by, :function) do
      by when by in [:function, :process] ->
        {:ok, by}

      other ->
        Error.new(:bad_option, "expected :by to be :function or :process, got: #{inspect(other)}")
    end
  end

  # A node stands behind the one around it. So seen from the end, the children of each are complete when it is met.
  defp trees(nodes) do
    nodes
    |> Enum.with_index()
    |> Enum.reverse()
    |> Enum.reduce(%{}, fn {{parent, frame, own, calls}, place}, waiting ->
      {children, waiting} = Map.pop(waiting, place, [])
      total = Enum.reduce(children, own, &(&1.total + &2))
      children = Enum.sort_by(children, &{-&1.total, &1.frame})
      tree = %{frame: frame, own: own, total: total, calls: calls, children: children}
      Map.update(waiting, parent, [tree], &[tree | &1])
    end)
    |> Map.get(nil, [])
    |> Enum.sort_by(&{-&1.total, &1.frame})
  end

  # The same functions stand in many stacks.
  defp named(trees, label), do: trees |> named(label, %{}) |> elem(0)

  defp named(trees, label, known) do
    trees
    # Nothing took any time there.
    |> Enum.reject(&(&1.total == 0 and &1.calls == 0))
    |> Enum.map_reduce(known, fn tree, known ->
      known = Map.put_new_lazy(known, tree.frame, fn -> label.(tree.frame) end)
      {children, known} = named(tree.children, label, known)
      {Map.merge(tree, %{label: known[tree.frame], children: children}), known}
    end)
  end

  defp label(:missing, _recording, _time), do: "(events are missing)"
  defp label(nil, _recording, _time), do: "(unknown)"
  defp label(pid, recording, time) when is_pid(pid), do: Text.process(recording, pid, time)
  defp label(mfa, _recording, _time), do: Text.mfa(mfa)
end
