defmodule Demo.Progress do
  @moduledoc """
  Shows how far a span of time has come, and how much is recorded: a bar in a terminal, else a line a second.
  """

  import Demo.Text

  @width 40

  @doc "Returns when the time is over."
  @spec wait(pos_integer) :: :ok
  def wait(ms) do
    {tick, show} = if IO.ANSI.enabled?(), do: {100, &bar/2}, else: {1_000, &log/2}

    for elapsed <- tick..ms//tick do
      Process.sleep(tick)
      show.(elapsed, ms)
    end

    if IO.ANSI.enabled?(), do: IO.write("\n")
    :ok
  end

  defp bar(elapsed, ms) do
    full = div(@width * elapsed, ms)
    bar = [:green, String.duplicate("█", full), :faint, String.duplicate("░", @width - full), :reset]
    IO.write(["\r", IO.ANSI.clear_line(), "  ", IO.ANSI.format(bar), "  ", text(elapsed)])
  end

  defp log(elapsed, _ms), do: IO.puts("  #{text(elapsed)}")

  defp text(elapsed) do
    {:ok, status} = ElixirScope.status()
    "#{decimal(elapsed / 1_000, 1)} s  #{number(status.events)} events"
  end
end
