# The other end of `:erlang.trace`: a process that only takes its messages out of the mailbox, and says when it has
# caught up, so that no round pays for the one before.
defmodule Bench.Tracer do
  @moduledoc false

  def start, do: spawn_link(&discard/0)

  def stop(tracer), do: send(tracer, :stop)

  def catch_up(tracer) do
    send(tracer, {:caught_up, self()})

    receive do
      :caught_up -> :ok
    end
  end

  defp discard do
    receive do
      {:caught_up, from} -> send(from, :caught_up)
      :stop -> exit(:normal)
      _ -> :ok
    end

    discard()
  end
end
