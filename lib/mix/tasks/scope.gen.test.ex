defmodule Mix.Tasks.Scope.Gen.Test do
  @shortdoc "Writes an ExUnit test from a moment of a recording"
  @moduledoc """
  Writes an ExUnit test from a moment of a recording: the callback that ran last by then, with the state and the message that it was
  given, and the result that it had.

      mix scope.gen.test --server Shop.Stock --at 2026-11-21T13:04:05.123456Z
      mix scope.gen.test --server "#PID<0.186.0>" --at "before the bug" --in _build/scope/20261121T105801.787877Z-4908-50

  | option | meaning |
  |---|---|
  | `--server` | a registered name, or the text of a pid |
  | `--at` | nanoseconds of system time, an ISO 8601 time with its offset, `5s` (so long before the end of the recording; also `ms`, `us`, `ns`, `m`, `h`), or the label of a mark |
  | `--in` | the recording, or a folder of recordings and then the newest; default `_build/scope` |
  | `--out` | the file to write; by default one in `test/scope` |
  | `--force` | writes over a file that is there |

  The test passes as long as the code does what it did. When that was the bug, change what it asserts to what is right, and then
  the code.

  A pid or a reference in the state or the message cannot be written down: a placeholder stands for it, a process that has ended or a new
  reference. A function or port in it is an error. The callback runs in the process of the test; what it does to others it does.
  """

  use Mix.Task

  alias ElixirScope.Query
  alias ElixirScope.Query.Replay

  @switches [server: :string, at: :string, in: :string, out: :string, force: :boolean]
  @units %{
    "h" => 3_600_000_000_000,
    "m" => 60_000_000_000,
    "s" => 1_000_000_000,
    "ms" => 1_000_000,
    "us" => 1_000,
    "ns" => 1
  }

  @impl true
  def run(args) do
    options = options!(args)
    # Structs are written as such when their modules are there.
    Mix.Task.run("compile")
    path = Keyword.get(options, :in, Application.get_env(:elixir_scope, :dir, "_build/scope"))

    with {:ok, recording} <- Query.open(path),
         {:ok, status} <- Query.status(in: recording),
         {:ok, moment} <- Replay.moment(server!(options[:server]), time(options[:at], status), in: recording),
         {:ok, source} <- Query.Replay.GeneratedTest.source(moment) do
      path = Keyword.get(options, :out, Query.Replay.GeneratedTest.path(moment))
      write(path, formatted(path, source), options[:force])
    else
      {:error, error} -> Mix.raise(error.message)
    end
  end

  defp options!(args) do
    case OptionParser.parse(args, strict: @switches) do
      {options, [], []} -> if options[:server] && options[:at], do: options, else: usage(args)
      _other -> usage(args)
    end
  end

  defp usage(args) do
    Mix.raise(
      "expected --server NAME --at TIME, and perhaps --in RUN --out FILE --force, got: #{Enum.join(args, " ")}; see mix help scope.gen.test"
    )
  end

  defp server!(text) do
    cond do
      text =~ ~r/\A(#PID)?<[\d.]+>\z/ -> text
      String.starts_with?(text, ":") -> text |> String.trim_leading(":") |> name!(text)
      text =~ ~r/\A[A-Z]/ -> name!("Elixir." <> text, text)
      true -> name!(text, text)
    end
  end

  # Names of a recording become atoms when it is read, but not before.
  defp name!(name, text) do
    if byte_size(name) < 256,
      do: String.to_atom(name),
      else: Mix.raise("expected the name of a server, got: #{text}")
  end

  defp time(text, status) do
    case {Integer.parse(text), DateTime.from_iso8601(text)} do
      {{nanoseconds, ""}, _} -> nanoseconds
      {{count, unit}, _} when is_map_key(@units, unit) -> max(last(status) - count * @units[unit], 0)
      {_, {:ok, time, _offset}} -> time
      _label -> text
    end
  end

  defp last(%{span: {_first, last}}), do: last
  defp last(%{started: started}), do: started

  # As `mix format` would leave it: the project may have lines of another length.
  defp formatted(path, source) do
    if File.regular?(".formatter.exs") do
      {format, _options} = Mix.Tasks.Format.formatter_for_file(path)
      format.(source)
    else
      source
    end
  end

  defp write(path, source, force) do
    if File.exists?(path) and force != true do
      Mix.raise("#{path} is there already; name another file with --out, or say --force")
    end

    File.mkdir_p!(Path.dirname(path))
    File.write!(path, source)
    Mix.shell().info([:green, "* creating ", :reset, path, "\n\n    mix test ", path])
  end
end
