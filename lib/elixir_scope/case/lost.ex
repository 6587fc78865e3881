defmodule ElixirScope.Case.Lost do
  @moduledoc false
  # Events that are missing in the time of a test: then nobody knows what did not happen.

  alias ElixirScope.Case.Failure
  alias ElixirScope.Native

  @shown 5

  @doc "In words; `nil`: none is missing. `until` is the end of the time, if that is not now."
  @spec text(%{recording: ElixirScope.Recording.t(), since: non_neg_integer}, non_neg_integer) ::
          String.t() | nil
  def text(%{recording: recording, since: since}, until \\ 0xFFFFFFFFFFFFFFFF) do
    case Native.gaps(recording.handle, since, until) do
      [] -> nil
      gaps -> "events are missing in the time of this test.\n" <> lines(gaps) <> "\n" <> advice(gaps)
    end
  end

  defp lines(gaps) do
    gaps
    |> Enum.take(@shown)
    |> Enum.map_join("\n", fn {cause, count, from, to} ->
      Failure.Parts.gap(%{cause: cause, count: count, from: from, to: to})
    end)
  end

  defp advice(gaps) do
    if Enum.any?(gaps, &(elem(&1, 0) in ["full", "oversize"])),
      do: "Raise limits: [ring_bytes: ...], or record fewer functions.",
      else: "ElixirScope.status() says more."
  end
end
