# The tests whose outcome may differ, each with the reason. As short as possible: everything else is a bug of ours.
defmodule World.Expected do
  @moduledoc false

  @expected %{}

  @doc "Why this test may end differently when it is instrumented, or `nil`."
  def reason(name, {module, test}), do: @expected[{name, inspect(module), Atom.to_string(test)}]
end
