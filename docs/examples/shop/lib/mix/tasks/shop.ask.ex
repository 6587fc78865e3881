defmodule Mix.Tasks.Shop.Ask do
  @shortdoc "Asks a recording of the shop what went wrong"
  @moduledoc """
      mix shop.ask FOLDER

  Asks the newest recording below `FOLDER/scope`, which `mix shop.record` made, and fails when the answer is not the
  one that it wrote to `FOLDER/answer.txt`. The shop is not started.
  """

  use Mix.Task

  import Demo.Text

  @requirements ["app.config"]

  @impl true
  def run([folder]) do
    recording = open(Path.join(folder, "scope"))
    {:ok, status} = ElixirScope.status(in: recording)
    was = "process #{status.os_pid}"

    print([:bright, "\nOS process #{System.pid()}: opens what #{was} left behind"])

    print(
      "  #{number(status.from_rings)} events were not in the store yet when it died; its rings had them\n"
    )

    answer = Demo.Answer.print(in: recording)
    expected = File.read!(Path.join(folder, "answer.txt"))
    if answer != expected, do: Mix.raise("The answer is not the one of #{was}, which was:\n\n#{expected}")

    print([:green, "\nThis is the answer that #{was} gave before it was killed."])
    print(["The recording: ", recording.path])
    print(["Look into it:  ", :bright, "cd #{File.cwd!()} && iex -S mix run --no-start"])
  end

  def run(_other), do: Mix.raise("expected a folder: mix shop.ask FOLDER")

  defp open(path) do
    case ElixirScope.open(path) do
      {:ok, recording} -> recording
      {:error, error} -> Mix.raise(error.message)
    end
  end

  defp print(text), do: text |> IO.ANSI.format() |> IO.puts()
end
