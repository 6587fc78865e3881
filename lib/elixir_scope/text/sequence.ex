defmodule ElixirScope.Text.Sequence do
  @moduledoc false
  # A sequence as a diagram: a column for each process, a row for each step.

  alias ElixirScope.{Sequence, Text}

  # The clock and the space behind it.
  @left 17
  @narrow 14
  @wide 34

  @doc "The lines of a diagram of so many columns of the terminal, with up to so many rows."
  @spec lines(Sequence.t(), pos_integer, pos_integer) :: [String.t()]
  def lines(%Sequence{processes: []}, _width, _rows), do: ["no message between processes in this time"]

  def lines(%Sequence{} = sequence, width, rows) do
    room = room(sequence, width)
    {steps, more} = Enum.split(sequence.steps, rows)

    [
      heads(sequence, room)
      | Enum.map(steps, fn {time, step} -> Text.clock(time) <> "  " <> row(step, sequence, room) end)
    ] ++
      more(more) ++ left_out(sequence)
  end

  # How far a column is from the next one.
  defp room(%{processes: processes}, width) do
    width |> Kernel.-(@left + 2) |> div(max(length(processes), 1)) |> max(@narrow) |> min(@wide)
  end

  defp heads(sequence, room) do
    names =
      for pid <- sequence.processes, do: sequence |> Sequence.name(pid) |> fitted(room - 2) |> Text.pad(room)

    String.trim_trailing(String.duplicate(" ", @left) <> Enum.join(names))
  end

  defp row({:message, %{from: nil} = message}, sequence, room) do
    text = "o " <> Sequence.text(message, 2 * room - 6)
    place(lifelines(sequence, room), place_of(sequence, message.to) * room, text)
  end

  defp row({:message, %{from: pid, to: pid} = message}, sequence, room) do
    text = "@ " <> Sequence.text(message, 2 * room - 6) <> mark(message)
    place(lifelines(sequence, room), place_of(sequence, pid) * room, text)
  end

  defp row({:message, message}, sequence, room) do
    {from, to} = {place_of(sequence, message.from) * room, place_of(sequence, message.to) * room}
    place(lifelines(sequence, room), min(from, to) + 1, arrow(message, abs(from - to) - 1, from < to))
  end

  defp row({:spawn, parent, child}, sequence, room) do
    {at, text} =
      if parent in sequence.processes,
        do: {parent, "+ spawns #{Sequence.name(sequence, child)}"},
        else: {child, "+ spawned"}

    place(lifelines(sequence, room), place_of(sequence, at) * room, fitted(text, 2 * room - 3))
  end

  defp row({:exit, pid, reason}, sequence, room) do
    text = "X ends: #{Text.short(reason, width: max(2 * room - 12, 12))}"
    place(lifelines(sequence, room), place_of(sequence, pid) * room, text)
  end

  # The label lies on the arrow, whose head is where it goes; of what was not delivered it is crossed.
  defp arrow(message, length, right?) do
    label = message |> Sequence.text(max(length - 5, 4)) |> fitted(max(length - 5, 1))
    line = if message.kind == :reply, do: "·", else: "─"
    head = head(message, right?)
    rest = max(length - Text.width(label) - 3, 0)
    shaft = String.duplicate(line, div(rest, 2))
    other = String.duplicate(line, rest - div(rest, 2))
    if right?, do: "#{shaft} #{label} #{other}#{head}", else: "#{head}#{other} #{label} #{shaft}"
  end

  defp head(%{outcome: outcome}, _right?) when outcome in [:pending, :nobody], do: "x"
  defp head(%{outcome: :unknown}, _right?), do: "?"
  defp head(_message, true), do: ">"
  defp head(_message, false), do: "<"

  defp mark(%{outcome: outcome}) when outcome in [:pending, :nobody], do: " x"
  defp mark(%{outcome: :unknown}), do: " ?"
  defp mark(_message), do: ""

  defp lifelines(sequence, room), do: Enum.map_join(sequence.processes, fn _pid -> Text.pad("│", room) end)

  # Over what stands there.
  defp place(line, at, text) do
    behind = at + Text.width(text)

    String.trim_trailing(
      String.slice(line, 0, at) <> text <> String.slice(line, behind, max(String.length(line) - behind, 0))
    )
  end

  defp place_of(sequence, pid), do: Enum.find_index(sequence.processes, &(&1 == pid))

  defp fitted(text, width) do
    if Text.width(text) <= width, do: text, else: String.slice(text, 0, max(width - 1, 1)) <> "…"
  end

  defp more([]), do: []

  defp more(more),
    do: [
      "and #{Text.number(length(more))} more steps: since:, until: and pid: choose, or look at its field steps"
    ]

  defp left_out(%{left_out: []}), do: []

  defp left_out(%{left_out: others}) do
    messages = Enum.sum(Enum.map(others, &elem(&1, 1)))

    [
      "#{Text.number(length(others))} other processes have a part in #{Text.number(messages)} messages, see its field left_out; pid: or columns: give them columns"
    ]
  end
end

defimpl Inspect, for: ElixirScope.Sequence do
  alias ElixirScope.Text

  @rows 40

  def inspect(%{processes: processes, steps: steps} = sequence, opts)
      when is_list(processes) and is_list(steps) do
    width = if is_integer(opts.width), do: max(opts.width, 60), else: 120
    rows = if opts.limit == :infinity, do: max(length(steps), 1), else: max(@rows, opts.limit)
    Text.view("Sequence", ["" | Text.Sequence.lines(sequence, width - 2, rows)])
  end

  # Made by hand.
  def inspect(sequence, opts), do: Inspect.Any.inspect(sequence, opts)
end
