defmodule ElixirScope.Query.Gaps do
  @moduledoc false
  # Where events are missing, and what that means for states. Of what retention removed the last state of each process
  # stays: behind it nothing is missing, before it everything may be.

  alias ElixirScope.{Change, Error, Query, Recording}
  alias ElixirScope.Query.Moment

  @doc "All of a recording, as in `ElixirScope.status/1`."
  @spec all(Recording.t()) :: {:ok, [Change.gap()]} | {:error, Error.t()}
  def all(recording), do: with({:ok, status} <- Query.status(in: recording), do: {:ok, status.gaps})

  @doc "Those that touch an interval, both ends included."
  @spec touching([Change.gap()], non_neg_integer, non_neg_integer) :: [Change.gap()]
  def touching(gaps, from, to), do: Enum.filter(gaps, &(&1.from <= to and &1.to >= from))

  @doc "Those in which states may be missing that came before one, and after the one known before it, if there is one."
  @spec before([Change.gap()], non_neg_integer | nil, non_neg_integer) :: [Change.gap()]
  def before(gaps, previous, time) do
    gaps |> touching(previous || 0, time) |> Enum.reject(&(&1.cause == :removed and &1.to < time))
  end

  @doc "Those in which states may be missing that came after one, up to a time."
  @spec behind([Change.gap()], non_neg_integer, non_neg_integer) :: [Change.gap()]
  def behind(gaps, state, time), do: gaps |> touching(state, time) |> Enum.reject(&(&1.cause == :removed))

  @doc "Gaps in words."
  @spec text([Change.gap()]) :: String.t()
  def text([gap]), do: "#{since(gap)} (#{gap.cause})"
  def text([gap | more]), do: "#{since(gap)} (#{gap.cause}), and #{length(more)} more times"

  defp since(%{from: from, to: to}) when to > 0x7FFFFFFFFFFFFFFF, do: "since #{Moment.format(from)}"
  defp since(%{from: from, to: to}), do: "between #{Moment.format(from)} and #{Moment.format(to)}"
end
