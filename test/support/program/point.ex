defmodule ElixirScope.Program.Point do
  @moduledoc false
  # The struct of random programs.
  defstruct x: 0, y: []
end
