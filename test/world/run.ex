# One command in a folder of its own: what it printed goes to a file beside that folder, since it is long.
defmodule World.Run do
  @moduledoc false

  # In a session of its own, which ends with this VM however that ends: then this shell has nothing more to read. The
  # command has nothing to read either, so that nobody waits for an answer.
  @shell """
  exec 3<&0
  setsid "$@" </dev/null 3<&- &
  command=$!
  (cat <&3; kill -KILL -- "-$command") >/dev/null 2>&1 &
  wait "$command"
  """

  @doc "Runs a command; its output, its status and its seconds."
  def command(command, arguments, folder, env, log) do
    begun = System.monotonic_time(:millisecond)
    arguments = ["-c", @shell, "sh", command | arguments]
    {output, status} = System.cmd("sh", arguments, cd: folder, env: env, stderr_to_stdout: true)
    File.write!(log, output)
    %{output: output, status: status, time: (System.monotonic_time(:millisecond) - begun) / 1000}
  end

  @doc "Runs the command of a suite in which World.Outcomes writes down what became of the tests, to `name`.outcomes."
  def suite(command, arguments, folder, env, name) do
    file = name <> ".outcomes"
    ran = command(command, arguments, folder, [{"WORLD_OUTCOMES", file} | env], name <> ".test.log")

    case File.read(file) do
      {:ok, outcomes} ->
        outcomes |> :erlang.binary_to_term() |> Map.merge(%{time: ran.time, ended: true})

      {:error, :enoent} ->
        IO.puts("#{name}: the suite ended before its end, with status #{ran.status}:\n" <> tail(ran.output))

        %{tests: %{}, events: 0, lost: 0, modules: 0, functions: 0, memory: 0, time: ran.time, ended: false}
    end
  end

  defp tail(output), do: output |> String.split("\n") |> Enum.take(-40) |> Enum.join("\n")
end
