defmodule ElixirScope.PauseTest do
  # A server that works on while recording is paused, resumed and ended: what is not recorded of it is said to be unknown.
  use ElixirScope.Recorded, limits: [ring_bytes: 64 * 1024]

  defmodule Busy do
    use GenServer
    use ElixirScope, args: false, returns: false

    def init(number), do: {:ok, number}
    def handle_call(:next, _from, number), do: {:reply, number + 1, number + 1}
  end

  test "no state is given for a time in which another one could have been put in its place" do
    {:ok, server} = GenServer.start_link(Busy, 0)
    client = Task.async(fn -> work(server, []) end)

    for _ <- 1..20 do
      Process.sleep(5)
      :ok = ElixirScope.pause()
      Process.sleep(1)
      :ok = ElixirScope.resume()
    end

    Process.sleep(5)
    :ok = ElixirScope.stop()
    send(client.pid, :stop)
    truth = Task.await(client, 30_000)

    {:ok, %{gaps: gaps}} = ElixirScope.status()
    assert Enum.count(gaps, &(&1.cause == :paused)) == 20

    answers =
      for {number, time} <- truth do
        case ElixirScope.get_state_at(server, time) do
          {:ok, state} -> {state, number}
          {:error, %{reason: reason}} -> reason
        end
      end

    assert [] = for({state, number} <- answers, state != number, do: {state, number})
    assert Enum.any?(answers, &is_tuple/1)
    assert :after_recording in answers
  end

  defp work(server, done) do
    receive do
      :stop -> done
    after
      0 -> work(server, [{GenServer.call(server, :next), ElixirScope.now()} | done])
    end
  end
end
