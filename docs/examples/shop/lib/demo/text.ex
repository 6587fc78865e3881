defmodule Demo.Text do
  @moduledoc """
  Numbers and times as people read them.

      iex> Demo.Text.number(1_234_567)
      "1,234,567"
      iex> Demo.Text.clock(1_767_225_600_000_001_999)
      "2026-01-01 00:00:00.000001 UTC"
      iex> {Demo.Text.span(12_300), Demo.Text.span(2_345_678), Demo.Text.span(3_000_000_000)}
      {"12.3 µs", "2.35 ms", "3.00 s"}
  """

  alias ElixirScope.Text

  @doc "An integer with its thousands apart."
  @spec number(integer) :: String.t()
  defdelegate number(integer), to: Text

  @doc "The wall clock at a time."
  @spec clock(integer) :: String.t()
  defdelegate clock(ns), to: Text, as: :date

  @doc "A span of time in the unit that fits."
  @spec span(non_neg_integer) :: String.t()
  defdelegate span(ns), to: Text, as: :duration

  @doc "A float with so many digits after the point."
  @spec decimal(float, non_neg_integer) :: String.t()
  defdelegate decimal(float, digits), to: Text
end
