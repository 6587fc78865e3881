defmodule ElixirScope.Text.SupervisionTree do
  @moduledoc false
  # A tree of supervisors as lines.

  alias ElixirScope.Text

  # Restarts of one child that are shown.
  @restarts 2
  # Columns that a process may take.
  @title 70

  @doc "The lines of a node and of what is below it: `{branch and name, since}` and lines of restarts."
  @spec rows(ElixirScope.SupervisionTree.Node.t(), keyword) :: [[String.t()]]
  def rows(node, options), do: below(node, "", "", options)

  defp below(node, own, rest, options) do
    bar = if node.children == [], do: "   ", else: "│  "
    [row(own, node, options) | restarts(rest <> bar, node, options)] ++ children(node, rest, options)
  end

  defp children(node, rest, options) do
    last = length(node.children) - 1

    node.children
    |> Enum.with_index()
    |> Enum.flat_map(fn
      {child, ^last} -> below(child, rest <> "└─ ", rest <> "   ", options)
      {child, _not_last} -> below(child, rest <> "├─ ", rest <> "│  ", options)
    end)
  end

  defp row(own, node, options) do
    [
      own <> Text.paint(Text.Life.cut(title(node), @title), color(node), options),
      Text.paint(inspect(node.pid), :faint, options),
      "#{if node.began?, do: "since", else: "seen"} #{Text.clock(node.since)}",
      count(node.restarts, options)
    ]
  end

  defp title(%{app: app} = node) when app != nil, do: "#{name(node)} of #{app}"
  defp title(node), do: name(node)

  defp name(node) do
    case Text.Life.name(node) do
      "" ->
        Text.Life.runs(node)

      name ->
        if runs_its_name?(node),
          do: "#{name}#{Text.Life.of_kind(node.kind)}",
          else: "#{name} #{Text.Life.runs(node)}"
    end
  end

  defp runs_its_name?(%{name: name, module: module}), do: name == module and name != nil

  defp color(%{kind: :supervisor}), do: :bright
  defp color(_node), do: :normal

  defp count([], _options), do: ""
  defp count([_], options), do: Text.paint("restarted once", :yellow, options)
  defp count(some, options), do: Text.paint("restarted #{length(some)} times", :yellow, options)

  defp restarts(indent, node, options) do
    shown = Enum.take(node.restarts, -@restarts)
    more = length(node.restarts) - length(shown)

    if(more > 0, do: [["#{indent}#{more} restarts before"]], else: []) ++
      for restart <- shown, do: [indent <> Text.paint(because(restart, options), :yellow, options)]
  end

  @doc "A restart in words."
  @spec because(ElixirScope.SupervisionTree.Restart.t(), keyword) :: String.t()
  def because(restart, options) do
    options = Keyword.update(options, :width, 60, &if(is_integer(&1), do: max(&1 - 40, 70), else: &1))
    clock = Text.clock(restart.time)
    sure = if restart.certain?, do: "", else: ", as it seems"

    if restart.cause.id == restart.exit.id,
      do:
        "#{clock} #{inspect(restart.from)} exited: #{Text.Life.reason(restart.exit.reason, options)}#{sure}",
      else:
        "#{clock} with its sibling #{inspect(restart.cause.pid)}, which exited: #{Text.Life.reason(restart.cause.reason, options)}#{sure}"
  end

  @doc "Rows of a tree as lines: restarts stand below and take the width of all columns."
  @spec lines([[String.t()]]) :: [String.t()]
  def lines(rows) do
    table = rows |> Enum.filter(&match?([_, _ | _], &1)) |> Text.table()

    {lines, []} =
      Enum.map_reduce(rows, table, fn
        [alone], table -> {alone, table}
        _row, [line | table] -> {line, table}
      end)

    lines
  end
end

defimpl Inspect, for: ElixirScope.SupervisionTree do
  alias ElixirScope.{Native, Text}

  @shown 100

  def inspect(%{time: time, roots: roots} = tree, opts) when is_integer(time) and is_list(roots) do
    lines =
      Text.SupervisionTree.lines(Enum.flat_map(roots, &Text.SupervisionTree.rows(&1, Text.options(opts))))

    shown = if opts.limit == :infinity, do: lines, else: Enum.take(lines, @shown)

    Text.view("SupervisionTree", [
      "#{count(roots)} at #{Text.moment(time, Native.now())}",
      shown,
      more(length(lines) - length(shown)),
      missing(tree)
    ])
  end

  # Made by hand.
  def inspect(tree, opts), do: Inspect.Any.inspect(tree, opts)

  defp count([]), do: "no supervisor is known to have lived"
  defp count([_]), do: "1 supervisor at the top"
  defp count(roots), do: "#{length(roots)} supervisors at the top"

  defp more(count) when count > 0, do: ["and #{count} more lines: root: and app: show less of it"]
  defp more(_none), do: []

  defp missing(%{gaps: []}), do: []
  defp missing(%{gaps: gaps}), do: ["events are missing in #{length(gaps)} intervals before, see its gaps"]
end

defimpl Inspect, for: ElixirScope.SupervisionTree.Node do
  alias ElixirScope.Text

  def inspect(%{pid: pid, since: since} = node, opts) when is_pid(pid) and is_integer(since) do
    Text.view(
      "SupervisionTree.Node",
      Text.SupervisionTree.lines(Text.SupervisionTree.rows(node, Text.options(opts)))
    )
  end

  # Made by hand.
  def inspect(node, opts), do: Inspect.Any.inspect(node, opts)
end

defimpl Inspect, for: ElixirScope.SupervisionTree.Restart do
  alias ElixirScope.Text
  alias ElixirScope.Text.Names

  def inspect(%{supervisor: supervisor, exit: %{}, cause: %{}} = restart, opts) when is_pid(supervisor) do
    name = if restart.name, do: Kernel.inspect(restart.name), else: Kernel.inspect(supervisor)
    child = Text.Life.runs(%{initial_call: restart.child, kind: nil})

    Text.view("SupervisionTree.Restart", [
      "#{child}#{named(restart)} by #{name}, #{Kernel.inspect(restart.from)} -> #{Kernel.inspect(restart.to)} in #{Text.duration(restart.took)}",
      Text.SupervisionTree.because(restart, Text.options(opts))
    ])
  end

  # Made by hand.
  def inspect(restart, opts), do: Inspect.Any.inspect(restart, opts)

  # Children that run the same function may have names.
  defp named(%{exit: %{id: id, pid: pid, time: time}}) do
    with recording when recording != nil <- Names.origin(id, pid, time),
         %{name: name} when is_atom(name) and name not in [nil, :undefined] <-
           Names.about(recording, pid, time) do
      " #{Kernel.inspect(name)}"
    else
      _unknown -> ""
    end
  end
end
