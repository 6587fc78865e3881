defmodule ElixirScope.OtherVm do
  @moduledoc false
  # Runs a script of test/support in a VM of its own, hears what it says, and kills it.

  import ExUnit.Assertions

  @doc "Starts `elixir script arguments`, with everything that is compiled for tests at hand."
  def start(script, arguments) do
    paths = Enum.flat_map(Path.wildcard("_build/test/lib/*/ebin"), &["-pa", &1])
    args = paths ++ [Path.join(__DIR__, script) | arguments]
    elixir = System.find_executable("elixir")
    Port.open({:spawn_executable, elixir}, [:binary, :use_stdio, line: 10_000, args: args])
  end

  @doc "As `start/2`: the port, and the words of its first line, which begins with the process of the system."
  def run(script, arguments) do
    port = start(script, arguments)
    {port, port |> line() |> String.split(" ")}
  end

  @doc "The next line that it says."
  def line(port) do
    receive do
      {^port, {:data, {:eol, line}}} -> line
    after
      60_000 -> flunk("the other VM says nothing")
    end
  end

  @doc "Facts: a number and the time at which it was true, one a line."
  def read(port, count), do: facts(for _ <- 1..count, do: line(port))

  @doc "The facts in some lines."
  def facts(lines) do
    for line <- lines do
      [number, time] = String.split(line, " ")
      {String.to_integer(number), String.to_integer(time)}
    end
  end

  @doc "`kill -9`, and back when it is gone: then the lock of its run is free. Gives the lines that nobody had read."
  def kill(port, os_pid) do
    {_, 0} = System.cmd("kill", ["-9", os_pid])
    ref = Port.monitor(port)
    left = lines_left(port, ref)
    gone?(os_pid) || flunk("process #{os_pid} does not end")
    left
  end

  # The last one may be cut off.
  defp lines_left(port, ref) do
    receive do
      {^port, {:data, {:eol, line}}} -> [line | lines_left(port, ref)]
      {^port, {:data, {:noeol, _}}} -> lines_left(port, ref)
      {:DOWN, ^ref, :port, _, _} -> []
    after
      60_000 -> flunk("the port does not close")
    end
  end

  defp gone?(os_pid, tries \\ 1_000) do
    case System.cmd("kill", ["-0", os_pid], stderr_to_stdout: true) do
      {_, 0} when tries > 0 -> gone?(os_pid, tries - 1)
      {_, 0} -> false
      _ -> true
    end
  end
end
