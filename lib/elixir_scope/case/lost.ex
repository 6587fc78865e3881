defmodule ElixirScope.Case.Lost do
  @moduledoc false
  # What is missing in the time of a test: then nobody knows what did not happen.

  alias ElixirScope.{Native, Recording, Text}

  @forever 0xFFFFFFFFFFFFFFFF
  @shown 5
  @indent "    "

  @typedoc "As in `ElixirScope.status/1`; or nothing was recorded then, as the recording was `:absent`, or has `:paused`, `:stopped` or `:failed`."
  @type gap :: %{cause: atom, count: non_neg_integer, from: non_neg_integer, to: non_neg_integer}

  @doc "The gaps between two times, by their beginning."
  @spec between(Recording.t(), non_neg_integer, non_neg_integer) :: [gap]
  def between(recording, since, until \\ @forever),
    do: recording.handle |> Native.missing(since, until) |> gaps()

  @doc "Gaps as the native library gives them."
  @spec gaps([tuple]) :: [gap]
  def gaps(native) do
    for {cause, count, from, to} <- native,
        do: %{cause: String.to_atom(cause), count: count, from: from, to: to}
  end

  @doc "That a test cannot be decided, in words; `nil`: nothing is missing."
  @spec text([gap]) :: String.t() | nil
  def text([]), do: nil

  def text(gaps) do
    Enum.join(["events are missing in the time of this test." | lines(gaps)] ++ [advice(gaps)], "\n")
  end

  @doc "Each on a line, the first of them."
  @spec lines([gap]) :: [String.t()]
  def lines(gaps) do
    {shown, more} = Enum.split(gaps, @shown)
    Enum.map(shown, &line/1) ++ if(more == [], do: [], else: [@indent <> "and #{length(more)} more"])
  end

  defp line(gap), do: "#{@indent}#{lost(gap)} from #{Text.clock(gap.from)} to #{Text.clock(gap.to)}"

  # How many there would have been nobody knows.
  defp lost(%{cause: :absent}), do: "no recording"
  defp lost(%{cause: cause}) when cause in [:paused, :stopped, :failed], do: "recording #{cause}"
  defp lost(%{cause: cause, count: 0}), do: "lost, how many is unknown (#{cause}),"
  defp lost(%{cause: cause, count: count}), do: "#{count} lost (#{cause})"

  defp advice(gaps) do
    causes = Enum.map(gaps, & &1.cause)

    cond do
      Enum.any?([:full, :oversize], &(&1 in causes)) ->
        "Raise limits: [ring_bytes: ...], or record fewer functions."

      :absent in causes ->
        "A test that starts a recording says ElixirScope.Case.begin() behind that: from there on it is asked about."

      true ->
        "ElixirScope.status() says more."
    end
  end
end
