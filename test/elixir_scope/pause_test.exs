defmodule ElixirScope.PauseTest do
  # A server that works on while recording is paused, resumed and ended: what is not recorded of it is said to be unknown.
  use ElixirScope.Recorded, limits: [ring_bytes: 64 * 1024]

  import ElixirScope.Until, only: [until: 1]

  defmodule Busy do
    use GenServer
    use ElixirScope, args: false, returns: false

    def init(number), do: {:ok, number}
    def handle_call(:next, _from, number), do: {:reply, number + 1, number + 1}
  end

  test "no state is given for a time in which another one could have been put in its place" do
    {:ok, server} = GenServer.start_link(Busy, 0)
    rounds = :counters.new(1, [])
    client = Task.async(fn -> work(server, rounds, []) end)

    for _ <- 1..20 do
      works_on(rounds)
      :ok = ElixirScope.pause()
      works_on(rounds)
      :ok = ElixirScope.resume()
    end

    works_on(rounds)
    stopped = ElixirScope.now()
    :ok = ElixirScope.stop()
    works_on(rounds)
    send(client.pid, :stop)
    truth = Task.await(client, :infinity)

    {:ok, %{gaps: gaps}} = ElixirScope.status()
    pauses = for %{cause: :paused} = gap <- gaps, do: gap
    assert length(pauses) == 20

    # All that happened around them, and a part of the rest.
    edges = [stopped | Enum.flat_map(pauses, &[&1.from, &1.to])]
    near? = fn {number, time} -> rem(number, 50) == 0 or Enum.any?(edges, &(abs(&1 - time) < 1_000_000)) end
    missing? = fn from, to -> to >= stopped or Enum.any?(gaps, &(&1.from <= to and &1.to >= from)) end

    # Each call lies between the time that follows it and the one before, newest first.
    answers =
      for [{number, time} = round, {_, before}] <- Enum.chunk_every(truth, 2, 1, :discard), near?.(round) do
        case ElixirScope.get_state_at(server, time) do
          {:ok, ^number} -> :right
          {:ok, state} -> {state, number}
          {:error, %{reason: reason}} -> if missing?.(before, time), do: reason, else: {reason, number}
        end
      end

    assert [] = Enum.filter(answers, &is_tuple/1)
    assert :right in answers
    assert :after_recording in answers
  end

  defp works_on(rounds) do
    before = :counters.get(rounds, 1)
    until(fn -> :counters.get(rounds, 1) > before + 20 end)
  end

  defp work(server, rounds, done) do
    receive do
      :stop -> done
    after
      0 ->
        number = GenServer.call(server, :next)
        time = ElixirScope.now()
        :counters.add(rounds, 1, 1)
        work(server, rounds, [{number, time} | done])
    end
  end
end
