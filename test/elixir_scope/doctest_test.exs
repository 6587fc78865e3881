defmodule ElixirScope.DoctestTest do
  # The examples of the docs, against the recording that begins with the application.
  use ExUnit.Case, async: false

  @moduletag :capture_log

  setup_all do
    {:ok, _recording} = ElixirScope.start(dir: ElixirScope.Doctest.dir())

    on_exit(fn ->
      {:ok, _recording} = ElixirScope.start()
      File.rm_rf!(ElixirScope.Doctest.dir())
    end)
  end

  doctest ElixirScope
  doctest ElixirScope.Error
  doctest ElixirScope.FlameGraph
  doctest ElixirScope.Frameworks
  doctest ElixirScope.Frameworks.Shown
  doctest ElixirScope.Options
  doctest ElixirScope.Query.FirstCut
  doctest ElixirScope.Query.Moment
  doctest ElixirScope.Text
  doctest ElixirScope.Query.Replay.Literal
  doctest ElixirScope.Query.Server
  doctest ElixirScope.Query.Function
end
