defmodule Mix.Tasks.Scope.Open do
  @shortdoc "Opens a recording in IEx"
  @moduledoc """
  Opens a recording in IEx: from then on every question asks it, without `in:`.

      iex -S mix scope.open _build/scope/20261121T105801.787877Z-4908-50
      iex -S mix scope.open _build/scope/20261121T105801.787877Z-4908-50 --at "CartTest: checkout takes from the stock"
      iex -S mix scope.open

  The path is a recording, or a folder of recordings and then the newest; without one it is `:dir` of the configuration
  (`_build/scope`). Failed tests print this line with the recording that they were recorded in, and a label that stands for the moment
  of the failure.

  | option | meaning |
  |---|---|
  | `--at` | a moment to begin with: the label of a mark, nanoseconds of system time, or an ISO 8601 time with its offset |

  The application of the project is not started, so nothing is recorded, and the recording is not changed.
  """

  use Mix.Task

  alias ElixirScope.{Query, Recorder, Text}
  alias ElixirScope.Query.{Mark, Moment}

  # Marks that are listed, the last ones.
  @marks 10

  @impl true
  def run(args) do
    {path, at} = arguments!(args)
    # Structs are shown as such when their modules are there.
    Mix.Task.run("compile")

    with {:ok, recording} <- Query.open(path),
         {:ok, time} <- moment(recording, at),
         {:ok, status} <- Query.status(in: recording),
         {:ok, marks} <- Mark.list(in: recording),
         :ok <- Recorder.ask(recording) do
      Enum.each(text(recording, status, marks, at, time), &Mix.shell().info(&1))
    else
      {:error, error} -> Mix.raise(error.message)
    end
  end

  defp arguments!(args) do
    case OptionParser.parse(args, strict: [at: :string]) do
      {options, [], []} -> {Application.get_env(:elixir_scope, :dir, "_build/scope"), options[:at]}
      {options, [path], []} -> {path, options[:at]}
      _other -> usage(args)
    end
  end

  defp usage(args) do
    Mix.raise(
      "expected the path of a recording, and perhaps --at LABEL, got: #{Enum.map_join(args, " ", &quoted/1)}; see mix help scope.open"
    )
  end

  defp quoted(arg), do: if(arg =~ ~r/\s/, do: inspect(arg), else: arg)

  defp moment(_recording, nil), do: {:ok, nil}

  defp moment(recording, text) do
    given =
      case {Integer.parse(text), DateTime.from_iso8601(text)} do
        {{nanoseconds, ""}, _} -> nanoseconds
        {_, {:ok, time, _offset}} -> time
        _label -> text
      end

    with {:ok, time} <- Moment.find(recording, given), :ok <- Query.within(recording, time), do: {:ok, time}
  end

  defp text(recording, status, marks, at, time) do
    [head(recording, status), marked(marks)] ++
      if iex?(), do: questions(at, time, marks), else: advice(recording, at)
  end

  defp head(recording, status) do
    [
      "#{Path.relative_to_cwd(recording.path)}: #{Text.number(status.events)} events of #{Text.number(status.processes)} processes",
      span(status.span),
      if(status.lost > 0,
        do: "\n#{Text.number(status.lost)} events are missing: ElixirScope.status().gaps",
        else: ""
      )
    ]
  end

  defp span({first, last}), do: ", from #{Text.date(first)} to #{Text.date(last)}"
  defp span(nil), do: ""

  defp marked([]), do: ""

  defp marked(marks) do
    shown = Enum.take(marks, -@marks)
    more = length(marks) - length(shown)

    ["\nMarks#{if more > 0, do: ", the last #{@marks} of #{length(marks)}"}:\n"] ++
      Enum.intersperse(for(mark <- shown, do: "    #{Text.clock(mark.time)}  #{inspect(mark.label)}"), "\n")
  end

  defp questions(at, time, marks) do
    moment = asked(at, time, marks)

    [
      "\nQuestions ask this recording:\n",
      "    ElixirScope.at(#{moment}) |> ElixirScope.where()",
      "    ElixirScope.processes(#{moment})",
      "    ElixirScope.help()"
    ]
  end

  defp asked(nil, _time, []), do: "{:ago, 0, :second}"
  defp asked(nil, _time, marks), do: inspect(List.last(marks).label)
  defp asked(at, time, _marks), do: if(Integer.to_string(time) == at, do: at, else: label(at, time))

  defp label(at, time),
    do: if(match?({:ok, _, _}, DateTime.from_iso8601(at)), do: "#{time}", else: inspect(at))

  defp advice(recording, at) do
    at = if at, do: " --at #{inspect(at)}", else: ""
    ["\nTo ask it:\n", "    iex -S mix scope.open #{Path.relative_to_cwd(recording.path)}#{at}"]
  end

  # Of an IEx that is to begin behind this task, and of one that runs.
  defp iex?, do: Code.ensure_loaded?(IEx) and IEx.started?()
end
