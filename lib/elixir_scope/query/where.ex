defmodule ElixirScope.Query.Where do
  @moduledoc false
  # What was true at the moment of a cursor.

  alias ElixirScope.{Cursor, Error, Event, Query, Where}
  alias ElixirScope.Query.{Program, Server, Stack}

  @ends [:return, :raise, :tail]

  @doc "See `ElixirScope.where/2`."
  @spec where(Cursor.t(), keyword) :: {:ok, Where.t()} | {:error, Error.t()}
  def where(%Cursor{} = cursor, options) do
    with :ok <- Query.check(options, [:lines]),
         {:ok, lines} <- lines(Keyword.get(options, :lines, 5)),
         {:ok, recording} <- Query.recording(in: cursor.recording) do
      event = own(cursor)

      where = %Where{
        recording: recording,
        event: cursor.event,
        time: cursor.time,
        ended: cursor.ended,
        over: cursor.over
      }

      {:ok, where |> process(cursor.pid || (event && event.pid), event) |> place(event, lines)}
    end
  end

  def where(other, _options) do
    Error.new(:bad_option, "expected a cursor, as ElixirScope.at/2 gives it, got: #{inspect(other)}")
  end

  defp lines(lines) when is_integer(lines) and lines >= 0, do: {:ok, lines}

  defp lines(other) do
    Error.new(
      :bad_option,
      "expected lines: how many lines of source to show before and behind, got: #{inspect(other)}"
    )
  end

  # Of a cursor that keeps to a process and stands on an event of another, the process's own last event.
  defp own(%{pid: pid, event: %Event{pid: other} = event} = cursor) when pid not in [nil, other] do
    with {:ok, process} <- Server.find(cursor.recording, pid, cursor.time),
         [own] <- Enum.take(Stack.stream(cursor.recording, filter(process, []), :prev, event.id), 1) do
      own
    else
      _none -> nil
    end
  end

  defp own(cursor), do: cursor.event

  defp filter(process, kinds) do
    %{
      kinds: Enum.map(kinds, &Atom.to_string/1),
      processes: [process],
      sites: nil,
      since: 0,
      until: 0xFFFFFFFFFFFFFFFF
    }
  end

  defp process(where, nil, _event), do: where

  defp process(where, pid, event) do
    where = %{where | pid: pid, state: Query.state_at(pid, where.time, in: where.recording)}

    case Server.find(where.recording, pid, where.time) do
      {:ok, process} when event != nil -> calls(where, process, event)
      _unknown -> where
    end
  end

  # On the end of a call that call is still shown, with its result.
  defp calls(where, process, event) do
    before = if event.kind in @ends, do: event.id, else: event.id + 1
    {calls, whole?} = Stack.open_calls(where.recording, process, before)

    %{
      where
      | calls: Enum.map(calls, &call/1),
        whole?: whole?,
        result: result(event),
        values: values(where.recording, process, event, List.first(calls))
    }
  end

  defp call(event) do
    args = event.data && event.data.args
    %{mfa: event.mfa, args: args, file: event.file, line: event.line, started: event.time, id: event.id}
  end

  defp result(%Event{kind: :return, data: %{value: value}}), do: {:returned, value}
  defp result(%Event{kind: :raise, data: data}), do: {:raised, data}
  defp result(%Event{kind: kind}) when kind in @ends, do: :ended
  defp result(_event), do: nil

  defp values(recording, process, event, call) do
    recording
    |> Stack.bindings(process, event, call)
    |> Enum.group_by(& &1.line, & &1.data.bindings)
    |> Enum.map(fn {line, bindings} -> {line, bindings |> Enum.concat() |> latest()} end)
    |> Enum.sort()
  end

  # Newest first: a variable that a line has bound again and again has the last value.
  defp latest(bindings), do: Enum.uniq_by(bindings, &elem(&1, 0))

  defp place(where, %Event{file: file, line: line} = event, lines) when is_binary(file) do
    source =
      with {:ok, text} <- Program.source(event, in: where.recording), do: {:ok, around(text, line, lines)}

    %{where | file: file, line: line, source: source}
  end

  # A line of the log says where it was written; the source is that of the call that it was written in.
  defp place(
         %{calls: [%{id: id} | _]} = where,
         %Event{kind: :log, data: %{metadata: %{file: file, line: line}}} = event,
         lines
       )
       when is_binary(file) and is_integer(line) do
    case Stack.event(where.recording, id) do
      %Event{file: own} = call when is_binary(own) ->
        if same_file?(own, file),
          do: place(where, %{call | line: line}, lines),
          else: place(where, call, lines)

      _none ->
        place(where, %{event | data: nil}, lines)
    end
  end

  # A mark or a gap lies nowhere in the source, but in a call.
  defp place(%{calls: [%{id: id} | _]} = where, _event, lines),
    do: place(where, Stack.event(where.recording, id), lines)

  defp place(where, _event, _lines), do: where

  # Each may be told from another folder.
  defp same_file?(one, other), do: String.ends_with?(one, other) or String.ends_with?(other, one)

  defp around(text, line, lines) do
    first = max(line - lines, 1)

    text
    |> String.split("\n")
    |> Enum.with_index(1)
    |> Enum.slice((first - 1)..(line + lines - 1))
    |> Enum.map(fn {text, number} -> {number, text} end)
    |> Enum.reverse()
    |> Enum.drop_while(fn {number, text} -> number > line and String.trim(text) == "" end)
    |> Enum.reverse()
  end
end
