defmodule ElixirScope.Case.Lost do
  @moduledoc false
  # Events that are missing in the time of a test: then nobody knows what did not happen.

  alias ElixirScope.Case.Scope
  alias ElixirScope.{Query, Text}

  @shown 5

  @doc "In words; `nil`: none is missing. `span` is another time than that of the test, both ends included."
  @spec text(Scope.t(), {non_neg_integer, non_neg_integer} | nil) :: String.t() | nil
  def text(family, span \\ nil) do
    {since, until} = span || {family.since, 0x7FFFFFFFFFFFFFFF}
    {:ok, status} = Query.status(in: family.recording)

    case Enum.filter(status.gaps, &(&1.to >= since and &1.from <= until)) do
      [] -> nil
      gaps -> "events are missing in the time of this test.\n" <> lines(gaps) <> "\n" <> advice(gaps)
    end
  end

  defp lines(gaps) do
    gaps
    |> Enum.take(@shown)
    |> Enum.map_join(
      "\n",
      &"    #{&1.count} lost (#{&1.cause}) from #{Text.clock(&1.from)} to #{Text.clock(&1.to)}"
    )
  end

  defp advice(gaps) do
    if Enum.any?(gaps, &(&1.cause in [:full, :oversize])),
      do: "Raise limits: [ring_bytes: ...], or record fewer functions.",
      else: "ElixirScope.status() says more."
  end
end
