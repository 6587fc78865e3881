defmodule Mix.Tasks.Shop.Record do
  @shortdoc "Records the shop under load, asks what went wrong, and kills this OS process"
  @moduledoc """
      mix shop.record FOLDER

  Recordings go to `FOLDER/scope`, and the answer to `FOLDER/answer.txt`, for `mix shop.ask` to compare.
  """

  use Mix.Task

  @requirements ["app.config"]
  @load_ms 3_000
  @last_load_ms 1_000

  @impl true
  def run([folder]) do
    # Recording begins with the application. Without this line it would go to _build/scope.
    Application.put_env(:elixir_scope, :dir, Path.join(folder, "scope"))
    {:ok, _started} = Application.ensure_all_started(:shop)

    title("#{length(Demo.Traffic.customers())} customers shop at the same time, and all is recorded")
    {:ok, _traffic} = Demo.Traffic.start_link()
    Demo.Progress.wait(@load_ms)
    Supervisor.stop(Demo.Traffic)

    IO.puts("")
    File.write!(Path.join(folder, "answer.txt"), Demo.Answer.print())

    title("They shop again, and in the middle of it: kill -9 #{System.pid()}")
    {:ok, _traffic} = Demo.Traffic.start_link()
    Demo.Progress.wait(@last_load_ms)
    System.cmd("kill", ["-9", System.pid()])
    Process.sleep(:infinity)
  end

  def run(_other), do: Mix.raise("expected a folder: mix shop.record FOLDER")

  defp title(text) do
    IO.puts(IO.ANSI.format([:bright, "\nOS process #{System.pid()}: ", text]))
  end
end
