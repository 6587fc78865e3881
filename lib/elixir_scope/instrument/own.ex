# The library must not record itself: a recorder that runs into rewritten code would call itself without end.
defmodule ElixirScope.Instrument.Own do
  @moduledoc false

  @lib Path.expand("../..", __DIR__)

  @doc """
  Whether a module is part of this library: by its name and by the folder of its source. Modules of tests and
  of users may well live under `ElixirScope.` too.

      iex> ElixirScope.Instrument.Own.module?(ElixirScope.CartTest, "/app/test/cart_test.exs")
      false
  """
  @spec module?(module(), Path.t()) :: boolean()
  def module?(module, file) do
    match?(["Elixir", "ElixirScope" | _], module |> Atom.to_string() |> String.split(".")) and
      String.starts_with?(Path.expand(file), @lib <> "/")
  end
end
