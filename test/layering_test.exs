defmodule ElixirScope.LayeringTest do
  # Knowledge flows one way. Each room of lib/ names here all other rooms that it may know; docs/architecture.md
  # draws the same. A new edge is its own change, with its reason.
  use ExUnit.Case, async: true

  @rooms %{
    # room => {files, what it may know}
    error: {~w(error.ex), []},
    trace: {
      ~w(event.ex call.ex node.ex cut.ex recording.ex path.ex difference.ex difference/*.ex change.ex chain.ex locals.ex) ++
        ~w(message.ex sequence.ex life.ex lives.ex supervision_tree.ex exit_chain.ex causes.ex race.ex) ++
        ~w(deadlock.ex waiting.ex mailbox.ex stats.ex flame_graph.ex flame_graph/*.ex span.ex log.ex),
      []
    },
    # What `redact:` says, and what `ElixirScope.Recordable` does.
    redaction: {~w(redaction.ex redaction/*.ex recordable.ex), [:error]},
    options: {~w(options.ex), [:error, :redaction]},
    native: {~w(native.ex), [:error]},
    gate: {~w(gate.ex switch.ex), []},
    capture: {~w(capture.ex capture/*.ex), [:native]},
    instrument: {~w(instrument.ex instrument/*.ex), [:error, :capture, :native, :gate]},
    # The gate, because it looks for the question to it in rewritten code.
    project: {~w(project.ex project/*.ex), [:instrument, :gate]},
    # The recorder, because `scope.open` has the questions of its VM ask what it opened.
    mix_tasks: {~w(../mix/tasks/*.ex), [:project, :instrument, :query, :recorder, :text]},
    # The Elixir half of the capture, because both say who a process is.
    watch: {~w(watch.ex watch/*.ex), [:error, :native, :capture]},
    # The Elixir half of the capture, because what emits or logs may be a process that is not known yet.
    frameworks: {~w(framework.ex frameworks.ex frameworks/*.ex), [:error, :native, :gate, :capture]},
    recorder: {~w(recorder.ex), [:error, :trace, :options, :redaction, :native, :gate, :watch, :frameworks]},
    # The assertions, because a process of theirs is there from the beginning.
    application: {~w(application.ex), [:native, :options, :recorder, :instrument, :case]},
    # The native library and the recorder, because it looks up who a process was.
    text: {~w(text.ex text/*.ex text/*/*.ex), [:error, :trace, :native, :recorder]},
    # The Elixir half of the capture, because a mark is an event of the process that sets it.
    query:
      {~w(query.ex query/*.ex query/*/*.ex events.ex history.ex cursor.ex where.ex replay.ex mark.ex),
       [:error, :trace, :native, :recorder, :instrument, :text, :capture, :frameworks]},
    case:
      {~w(case.ex assertions.ex formatter.ex case/*.ex case/*/*.ex trace.ex trace/*.ex),
       [:error, :trace, :native, :query, :recorder, :text]},
    front:
      {~w(../elixir_scope.ex),
       [:error, :trace, :native, :query, :recorder, :instrument, :text, :watch, :frameworks]}
  }

  # The front door is named in docs and error texts, and by `use ElixirScope` in nobody's room.
  test "each file is in one room" do
    files = Path.wildcard("lib/**/*.ex")
    for file <- files, do: assert([_room] = rooms_of(file), "#{file} is in #{length(rooms_of(file))} rooms")
  end

  test "no room knows more than it may" do
    homes =
      for {room, {globs, _}} <- @rooms,
          file <- files(globs),
          module <- modules(file),
          into: %{},
          do: {module, room}

    edges =
      for {room, {globs, allowed}} <- @rooms,
          file <- files(globs),
          named <- references(file),
          other = homes[named],
          other != room and other not in allowed,
          do: "#{file} (#{room}) names #{inspect(named)} (#{other})"

    assert edges == []
  end

  test "no room knows a room that knows it" do
    graph = :digraph.new([:acyclic])
    for {room, _} <- @rooms, do: :digraph.add_vertex(graph, room)

    for {room, {_, allowed}} <- @rooms, other <- allowed do
      refute match?({:error, _}, :digraph.add_edge(graph, room, other)), "#{room} -> #{other} closes a circle"
    end
  end

  defp rooms_of(file), do: for({room, {globs, _}} <- @rooms, file in files(globs), do: room)

  defp files(globs) do
    for glob <- globs, file <- Path.wildcard(Path.join("lib/elixir_scope", glob)) do
      Path.relative_to_cwd(Path.expand(file))
    end
  end

  defp modules(file) do
    {_, found} = file |> ast() |> Macro.prewalk([], &module/2)
    found
  end

  defp module({:defmodule, _, [{:__aliases__, _, parts} | _]} = node, found),
    do: {node, [Module.concat(parts) | found]}

  defp module(node, found), do: {node, found}

  # Every module that a file names, with its aliases resolved.
  defp references(file) do
    {_, {_aliases, found}} = file |> ast() |> Macro.prewalk({%{}, []}, &reference/2)
    Enum.uniq(found) -- modules(file)
  end

  defp reference({:alias, _, [{{:., _, [{:__aliases__, _, base}, :{}]}, _, names}]}, acc) do
    {:ok, Enum.reduce(names, acc, fn {:__aliases__, _, name}, acc -> put(base ++ name, acc) end)}
  end

  defp reference({:alias, _, [{:__aliases__, _, parts} | _]}, acc), do: {:ok, put(parts, acc)}

  defp reference({:__aliases__, _, [first | rest]} = node, {aliases, found}) when is_atom(first) do
    parts = Map.get(aliases, first, [first]) ++ rest
    {node, {aliases, if(Enum.all?(parts, &is_atom/1), do: [Module.concat(parts) | found], else: found)}}
  end

  defp reference(node, acc), do: {node, acc}

  defp put(parts, {aliases, found}) do
    {Map.put(aliases, List.last(parts), parts), [Module.concat(parts) | found]}
  end

  defp ast(file), do: file |> File.read!() |> Code.string_to_quoted!()
end
