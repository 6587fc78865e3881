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

  @doc "An integer with its thousands apart."
  @spec number(integer) :: String.t()
  def number(integer) do
    integer |> Integer.to_string() |> String.replace(~r/(?<=\d)(?=(\d{3})+$)/, ",")
  end

  @doc "The wall clock at a time."
  @spec clock(integer) :: String.t()
  def clock(ns) do
    ns |> DateTime.from_unix!(:nanosecond) |> Calendar.strftime("%Y-%m-%d %H:%M:%S.%f UTC")
  end

  @doc "A span of time in the unit that fits."
  @spec span(non_neg_integer) :: String.t()
  def span(ns) when ns < 1_000_000, do: "#{decimal(ns / 1_000, 1)} µs"
  def span(ns) when ns < 1_000_000_000, do: "#{decimal(ns / 1_000_000, 2)} ms"
  def span(ns), do: "#{decimal(ns / 1_000_000_000, 2)} s"

  @doc "A float with so many digits after the point."
  @spec decimal(float, non_neg_integer) :: String.t()
  def decimal(float, digits), do: :erlang.float_to_binary(float, decimals: digits)
end
