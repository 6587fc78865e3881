defmodule ElixirScope.Query.Moment do
  @moduledoc """
  The forms in which a time may be given: nanoseconds of system time, a `DateTime`, an `ElixirScope.Event`, an
  `ElixirScope.Call` or `ElixirScope.Span` (when it began), an `ElixirScope.Log`, an `ElixirScope.Change`, an `ElixirScope.Cursor`, an `ElixirScope.Mark` or its label, or `{:ago, count, unit}` with
  a unit of `System.time_unit/0` such as `:second` or `:millisecond`.

      iex> ElixirScope.Query.Moment.nanoseconds(~U[2026-01-01 00:00:00.000001Z], fn -> 0 end)
      {:ok, 1_767_225_600_000_001_000}
      iex> ElixirScope.Query.Moment.nanoseconds({:ago, 2, :second}, fn -> 5_000_000_000 end)
      {:ok, 3_000_000_000}
  """

  alias ElixirScope.{Call, Change, Cursor, Error, Event, Log, Mark, Native, Query, Recording, Span}

  @type t ::
          non_neg_integer
          | DateTime.t()
          | Event.t()
          | Call.t()
          | Change.t()
          | Cursor.t()
          | Mark.t()
          | Log.t()
          | Span.t()
          | Mark.label()
          | {:ago, non_neg_integer, System.time_unit()}

  # The year 2262: later times do not fit 63 bits.
  @latest 0x7FFFFFFFFFFFFFFF

  @doc "The time in nanoseconds, also of the label of a mark in the recording."
  @spec find(Recording.t(), t) :: {:ok, non_neg_integer} | {:error, Error.t()}
  def find(recording, label)
      when (is_atom(label) and label not in [nil, true, false]) or is_binary(label) do
    with {:ok, mark} <- Query.Mark.find(recording, label), do: {:ok, mark.time}
  end

  def find(_recording, time), do: nanoseconds(time, &Native.now/0)

  @doc "The time in nanoseconds; `now` is asked for those that count from now."
  @spec nanoseconds(t, (() -> integer)) :: {:ok, non_neg_integer} | {:error, Error.t()}
  def nanoseconds(time, _now) when is_integer(time) and time in 0..@latest, do: {:ok, time}

  def nanoseconds(%DateTime{} = time, _now) do
    case DateTime.to_unix(time, :nanosecond) do
      nanoseconds when nanoseconds in 0..@latest -> {:ok, nanoseconds}
      _ -> bad(time)
    end
  end

  def nanoseconds(%module{time: time}, _now)
      when module in [Event, Change, Cursor, Mark, Log] and time in 0..@latest,
      do: {:ok, time}

  def nanoseconds(%module{started: time}, _now) when module in [Call, Span] and time in 0..@latest,
    do: {:ok, time}

  def nanoseconds({:ago, count, unit} = given, now) when is_integer(count) and count >= 0 do
    {:ok, max(now.() - System.convert_time_unit(count, unit, :nanosecond), 0)}
  rescue
    ArgumentError -> bad(given)
  end

  def nanoseconds(other, _now), do: bad(other)

  @doc "A time for people: the wall clock in UTC, with microseconds."
  @spec format(integer) :: String.t()
  defdelegate format(nanoseconds), to: ElixirScope.Text, as: :date

  defp bad(other) do
    Error.new(
      :bad_time,
      "expected a time as nanoseconds of system time (see ElixirScope.now/0), a DateTime, an ElixirScope.Event, " <>
        "the label of a mark or {:ago, 5, :second} (:second, :millisecond, :microsecond or :nanosecond), between 1970 and 2262, got: #{inspect(other)}"
    )
  end
end
