defmodule ElixirScope.Message do
  @moduledoc false
  defstruct [:from, :to, :target, :content, :kind, :ref, :sent, :delivered, :taken, :outcome]
end
