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

  @doc "The next line that it says."
  def line(port) do
    receive do
      {^port, {:data, {:eol, line}}} -> line
    after
      60_000 -> flunk("the other VM says nothing")
    end
  end

  @doc "`kill -9`, and back when it is gone: then the lock of its run is free."
  def kill(port, os_pid) do
    {_, 0} = System.cmd("kill", ["-9", os_pid])
    ref = Port.monitor(port)
    drop_lines(port, ref)
    gone?(os_pid) || flunk("process #{os_pid} does not end")
  end

  defp drop_lines(port, ref) do
    receive do
      {^port, {:data, _}} -> drop_lines(port, ref)
      {:DOWN, ^ref, :port, _, _} -> :ok
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
