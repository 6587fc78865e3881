defmodule ElixirScope.OtherVm do
  @moduledoc false
  # Runs a script of test/support in a VM of its own, reads the lines that it says, and kills it.
  import ExUnit.Assertions

  @doc "The port, and the words of the first line, which begins with the process of the system."
  def run(script, args) do
    paths = Enum.flat_map(Path.wildcard("_build/test/lib/*/ebin"), &["-pa", &1])
    args = paths ++ [Path.join(__DIR__, script) | args]
    options = [:binary, :use_stdio, line: 1_000, args: args]
    port = Port.open({:spawn_executable, System.find_executable("elixir")}, options)
    {port, port |> line() |> String.split(" ")}
  end

  @doc "Facts: a number and the time at which it was true, one a line."
  def read(port, count) do
    for _ <- 1..count, do: port |> line() |> fact()
  end

  defp fact(line) do
    [number, time] = String.split(line, " ")
    {String.to_integer(number), String.to_integer(time)}
  end

  def line(port) do
    receive do
      {^port, {:data, {:eol, line}}} -> line
    after
      60_000 -> flunk("the other VM says nothing")
    end
  end

  @doc "Kills it, and gives the facts that it had said and nobody had read."
  def kill(port, os_pid) do
    {_, 0} = System.cmd("kill", ["-9", os_pid])
    # The lock of the run is free when the process is gone for the system, which the end of its output shows.
    ref = Port.monitor(port)
    left = lines_left(port, ref)
    gone?(os_pid) || flunk("process #{os_pid} does not end")
    Enum.map(left, &fact/1)
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
