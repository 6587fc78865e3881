defmodule ElixirScope.Frameworks.Shown do
  @moduledoc false
  # Values as parts of the name of a span. In the place of any of them may stand an `ElixirScope.Cut`.

  @doc """
  A value as text.

      iex> for value <- ["GET", :get, nil, 7, %ElixirScope.Cut{kind: :redacted}], do: ElixirScope.Frameworks.Shown.text(value)
      ["GET", "get", "", "7", "#Redacted<>"]
  """
  @spec text(term) :: String.t()
  def text(value) when is_binary(value) or is_atom(value) or is_integer(value), do: to_string(value)
  def text(value), do: inspect(value)
end
