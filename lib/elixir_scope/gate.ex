defmodule ElixirScope.Gate do
  @moduledoc false
  # What instrumented code asks first: is anything recorded? A constant function, so that "no" costs a call of a
  # few nanoseconds and no memory. `ElixirScope.Switch` replaces this module by one that says `true`, and back.

  @spec on() :: boolean
  def on, do: false
end
