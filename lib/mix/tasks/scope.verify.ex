defmodule Mix.Tasks.Scope.Verify do
  @shortdoc "Reads a recording from end to end and says whether it is sound"
  @moduledoc """
  Reads a recording from end to end and says what is in it, what is missing and what is damaged.

      mix scope.verify                    # the newest recording of _build/scope
      mix scope.verify path/to/recording  # this one, or the newest in this folder

  Each checksum is compared, each event is read, and whether all that it refers to is defined; and that the index at the
  front of each block says what is in the block. What the rings of a killed VM still held is shown as well. No file is
  changed.

  It ends with the exit code 0 when the recording is sound, also when events were lost, paused or removed while it was made:
  that is part of a sound recording. It ends with 1 when something is damaged or cannot be opened.
  """

  use Mix.Task

  alias ElixirScope.Query
  alias ElixirScope.Query.{Moment, Verification}

  @impl true
  def run(args) do
    path = path!(args)
    Mix.Task.run("loadpaths")

    with {:ok, recording} <- Query.open(path),
         {:ok, found} <- Verification.run(recording, &progress/2) do
      shell = Mix.shell()
      Enum.each(lines(found), &shell.info/1)
      if damaged?(found), do: exit({:shutdown, 1})
    else
      {:error, error} -> Mix.raise(error.message)
    end
  end

  defp path!(args) do
    case OptionParser.parse(args, strict: []) do
      {[], [], []} ->
        Application.get_env(:elixir_scope, :dir, "_build/scope")

      {[], [path], []} ->
        path

      _ ->
        Mix.raise(
          "expected the path of a recording, or nothing, got: #{Enum.join(args, " ")}; see mix help scope.verify"
        )
    end
  end

  # On a terminal alone: a log is no place for it.
  defp progress(segment, segments) do
    if IO.ANSI.enabled?() do
      IO.write(:stderr, [
        "\r",
        "segment #{segment} of #{segments}",
        if(segment == segments, do: "\r\e[K", else: "")
      ])
    end
  end

  defp damaged?(found), do: found.damage != [] or found.problems != []

  defp lines(found) do
    rows = [
      {"recorded by", "#{found.vm}, #{found.node}, OS process #{found.os_pid}; #{ended(found)}"},
      {"time", time(found.span)},
      {"segments", segments(found)},
      {"blocks", number(found.blocks)},
      {"events", events(found)},
      {"processes", number(found.processes)},
      {"functions", number(found.functions)}
    ]

    [
      IO.ANSI.format([:bright, found.path]),
      Enum.map(rows, &row/1),
      Enum.map(missing(found.gaps), &IO.ANSI.format([:yellow, row(&1)])),
      Enum.map(found.damage ++ found.problems, &IO.ANSI.format([:red, row({"damaged", damage(&1)})])),
      verdict(found)
    ]
    |> List.flatten()
  end

  defp row({name, value}), do: "  " <> String.pad_trailing(name, 12) <> value

  defp ended(%{state: :running}), do: "it goes on"
  defp ended(%{ended: true}), do: "ended"

  defp ended(%{from_rings: events}),
    do:
      "not ended: its VM was killed or halted, or its disk was full; #{number(events)} events were still in its rings"

  defp time(nil), do: "no event"

  defp time({first, last}) do
    "#{Moment.format(first)} to #{Moment.format(last)} (#{duration(last - first)})"
  end

  defp segments(found) do
    packed = if found.packed > 0, do: ", #{number(found.packed)} packed", else: ""
    "#{number(found.segments)}#{packed}; #{bytes(found.bytes)}"
  end

  defp events(%{events: 0}), do: "0"

  defp events(found) do
    each = fn bytes -> :erlang.float_to_binary(bytes / found.events, decimals: 1) end

    "#{number(found.events)}; #{each.(found.bytes)} bytes each on disk, #{each.(found.payload)} bytes of values each"
  end

  # One line a cause, however many intervals.
  defp missing(gaps) do
    for {cause, gaps} <- gaps |> Enum.group_by(& &1.cause) |> Enum.sort() do
      count = gaps |> Enum.map(& &1.count) |> Enum.sum()
      from = gaps |> Enum.map(& &1.from) |> Enum.min()
      to = gaps |> Enum.map(& &1.to) |> Enum.max()
      many = if length(gaps) == 1, do: "", else: " in #{number(length(gaps))} intervals"
      {"missing", "#{events_missing(cause, count)}#{many}, #{interval(from, to)}"}
    end
  end

  defp events_missing(:paused, _count), do: "recording was paused"
  defp events_missing(cause, 0), do: "an unknown number of events (#{cause})"
  defp events_missing(cause, count), do: "#{number(count)} events (#{cause})"

  defp interval(from, to) when to >= 0x7FFFFFFFFFFFFFFF, do: "from #{Moment.format(from)} on"
  defp interval(from, to), do: "#{Moment.format(from)} to #{Moment.format(to)}"

  defp damage(found), do: "#{found.file}, byte #{found.offset}, #{bytes(found.bytes)}: #{found.what}"

  defp verdict(found) do
    cond do
      damaged?(found) ->
        IO.ANSI.format([:red, "  damaged: what is not named above can be asked all the same"])

      found.gaps == [] ->
        IO.ANSI.format([:green, "  sound, nothing is missing"])

      true ->
        IO.ANSI.format([:green, "  sound"])
    end
  end

  defp duration(nanoseconds) when nanoseconds < 1_000_000, do: unit(nanoseconds, 1_000, "us")
  defp duration(nanoseconds) when nanoseconds < 1_000_000_000, do: unit(nanoseconds, 1_000_000, "ms")
  defp duration(nanoseconds), do: unit(nanoseconds, 1_000_000_000, "s")

  defp bytes(bytes) when bytes < 1_000, do: "#{bytes} bytes"
  defp bytes(bytes) when bytes < 1_000_000, do: unit(bytes, 1_000, "kB")
  defp bytes(bytes) when bytes < 1_000_000_000, do: unit(bytes, 1_000_000, "MB")
  defp bytes(bytes), do: unit(bytes, 1_000_000_000, "GB")

  defp unit(number, divisor, unit), do: "#{:erlang.float_to_binary(number / divisor, decimals: 1)} #{unit}"

  defp number(number) do
    number
    |> Integer.to_string()
    |> String.reverse()
    |> String.replace(~r/(\d{3})(?=\d)/, "\\1,")
    |> String.reverse()
  end
end
