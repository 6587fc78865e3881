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
    {:ok, recording} = ElixirScope.open(Path.join(folder, "scope"))
    {:ok, status} = ElixirScope.status(in: recording)

    print([
      "\n",
      :bright,
      "OS process #{System.pid()}: opens what process #{status.os_pid} left behind",
      :reset
    ])

    print([
      "  ",
      number(status.from_rings),
      " events were in memory only when it died, and were taken from its rings\n"
    ])

    answer = Demo.Answer.print(in: recording)
    expected = File.read!(Path.join(folder, "answer.txt"))

    if answer != expected do
      Mix.raise("The answer is not the one that process #{status.os_pid} gave, which was:\n\n#{expected}")
    end

    print([:green, "The same answer as that of process #{status.os_pid}, before it was killed.", :reset, "\n"])

    print("The recording  #{recording.path}")
    print(["Look into it   ", :bright, "cd #{File.cwd!()} && iex -S mix run --no-start", :reset])
  end

  defp print(text), do: text |> IO.ANSI.format() |> IO.puts()
end
