defmodule ElixirScope.RacesTest do
  # Lost updates, and their twins that are none. The recording is one for the VM, and each test begins a new one.
  use ExUnit.Case, async: false

  alias ElixirScope.{Error, Race}
  alias ElixirScope.Updates.{Client, Register}

  @moduletag :tmp_dir

  setup %{tmp_dir: dir} do
    {:ok, _recording} = ElixirScope.start(dir: dir, watch: :all)
    on_exit(fn -> {:ok, _} = ElixirScope.start() end)
    {:ok, server} = Register.start(%{count: 1, name: "a", items: [1], nested: %{left: 1, right: 1}})
    [one, other] = for _ <- 1..2, do: Client.start()
    %{server: server, one: one, other: other}
  end

  defp get(server, key), do: fn _read -> GenServer.call(server, {:get, key}) end
  defp put(server, key, fun), do: fn read -> GenServer.call(server, {:put, key, fun.(read)}) end
  defp plus(count), do: &(&1 + count)

  # Both clients are told by this process. So that its orders are no way from the one's write to the other's, it tells both before
  # either is answered: by a gate of their own each.
  defp interleaved(server, steps) do
    me = self()
    clients = steps |> Enum.map(&elem(&1, 0)) |> Enum.uniq()

    pids =
      for client <- clients, into: %{} do
        own = for {{^client, fun}, at} <- Enum.with_index(steps), do: {at, fun}
        {client, spawn(fn -> act(own, nil, me) end)}
      end

    # Which step it is they read from a counter that is no message.
    turn = :counters.new(1, [])
    for {_client, pid} <- pids, do: send(pid, {:turn, turn})
    for {_client, pid} <- pids, do: assert_receive({:over, ^pid}, 5_000)
    _ = server
    pids
  end

  defp act(steps, read, me) do
    receive do
      {:turn, turn} -> act(steps, read, me, turn)
    end
  end

  defp act([], _read, me, _turn), do: send(me, {:over, self()})

  defp act([{at, fun} | rest], read, me, turn) do
    ElixirScope.Until.until(fn -> :counters.get(turn, 1) == at end)
    read = fun.(read)
    :counters.add(turn, 1, 1)
    act(rest, read, me, turn)
  end

  test "two that read, and then write what they made of it", %{server: server} do
    pids =
      interleaved(server, [
        {:a, get(server, :count)},
        {:b, get(server, :count)},
        {:b, put(server, :count, plus(10))},
        {:a, put(server, :count, plus(1))}
      ])

    %{a: a, b: b} = pids

    assert [%Race{kind: :lost_update, server: ^server, paths: [[:count]], gaps: []} = race] =
             ElixirScope.races(server)

    assert %{client: ^b, read: %{reply: 1}, write: %{message: {:put, :count, 11}}} = race.first

    assert %{client: ^a, read: %{reply: 1, message: {:get, :count}}, write: %{message: {:put, :count, 2}}} =
             race.second

    assert race.first.write.difference.entries == [{[:count], :changed, 1, 11}]
    assert race.second.write.difference.entries == [{[:count], :changed, 11, 2}]
    assert race.second.write.value == {:ok, 11}
    assert race.lost =~ ~r/^\.count: 11 of .*#{Regex.escape(inspect(b))} was overwritten with 2, made of 1/
    assert race.second.read.time < race.first.write.time and race.first.write.time < race.second.write.time
    text = inspect(race)
    assert text =~ "lost update"
    assert text =~ ~r/reads +{:get, :count} +-> 1/
    assert text =~ ~r/writes +{:put, :count, 11} +.count 1 -> 11/
  end

  test "two that count the same up once each, so that both write the same", %{server: server} do
    interleaved(server, [
      {:a, get(server, :count)},
      {:b, get(server, :count)},
      {:a, put(server, :count, plus(1))},
      {:b, put(server, :count, plus(1))}
    ])

    assert {:ok, %{count: 2}} = ElixirScope.get_state_at(server, ElixirScope.now())
    assert [%Race{kind: :lost_update, paths: [[:count]]} = race] = ElixirScope.races(server)
    assert race.second.write.difference.entries == [{[:count], :changed, 2, 2}]
  end

  test "a whole state that is written back with what another one had put there", %{server: server} do
    interleaved(server, [
      {:a, fn _ -> GenServer.call(server, :all) end},
      {:b, fn _ -> {GenServer.cast(server, {:put, :name, "b"}), :sys.get_state(server)} end},
      {:a, fn state -> GenServer.call(server, {:replace, %{state | count: 7}}) end}
    ])

    assert [%Race{kind: :lost_update, paths: [[:name]]} = race] = ElixirScope.races(server)
    assert race.first.read == nil
    assert race.lost =~ ~s(.name: "b")
  end

  describe "is none:" do
    test "one after the other", %{server: server} do
      interleaved(server, [
        {:a, get(server, :count)},
        {:a, put(server, :count, plus(1))},
        {:b, get(server, :count)},
        {:b, put(server, :count, plus(1))}
      ])

      assert ElixirScope.races(server) == []
    end

    test "who reads again before it writes", %{server: server} do
      interleaved(server, [
        {:a, get(server, :count)},
        {:b, put(server, :count, fn _ -> 5 end)},
        {:a, get(server, :count)},
        {:a, put(server, :count, plus(1))}
      ])

      assert ElixirScope.races(server) == []
    end

    test "who was told by the other one", %{server: server, one: one, other: other} do
      Client.ask(one, get(server, :count))

      Client.ask(other, fn _ ->
        GenServer.call(server, {:put, :count, 5})
        Client.ask(one, fn _ -> GenServer.call(server, {:put, :count, 6}) end)
      end)

      assert ElixirScope.races(server) == []
    end

    test "who was told over a third one, such as a server of locks", %{server: server, one: one, other: other} do
      # This process hears of the one's end before it tells the other to begin.
      Client.ask(one, get(server, :count))
      Client.ask(other, fn _ -> GenServer.call(server, {:put, :count, 5}) end)
      Client.ask(one, fn read -> GenServer.call(server, {:put, :count, read + 1}) end)
      assert ElixirScope.races(server) == []
    end

    test "writes to different parts of the state", %{server: server} do
      interleaved(server, [
        {:a, get(server, :count)},
        {:b, put(server, :name, fn _ -> "b" end)},
        {:a, put(server, :count, plus(1))}
      ])

      assert ElixirScope.races(server) == []

      interleaved(server, [
        {:a, get(server, :nested)},
        {:b, put(server, :count, fn _ -> 9 end)},
        {:a, put(server, :nested, &%{&1 | left: 2})}
      ])

      assert ElixirScope.races(server) == []
    end

    test "what the server makes of its own state", %{server: server} do
      interleaved(server, [
        {:a, get(server, :count)},
        {:b, fn _ -> GenServer.call(server, {:add, :count, 10}) end},
        {:a, fn _ -> GenServer.call(server, {:add, :count, 3}) end}
      ])

      assert ElixirScope.races(server) == []
      assert [%Race{kind: :stale_read, paths: [[:count]]}] = ElixirScope.races(server, stale: true)
    end

    test "what is put beside it", %{server: server} do
      interleaved(server, [
        {:a, get(server, :items)},
        {:b, fn _ -> GenServer.call(server, {:push, :items, :b}) end},
        {:a, fn _ -> GenServer.call(server, {:push, :items, :a}) end}
      ])

      assert ElixirScope.races(server) == []
    end

    test "who had not read before", %{server: server} do
      interleaved(server, [
        {:a, fn _ -> GenServer.call(server, :ping) end},
        {:b, put(server, :count, fn _ -> 5 end)},
        {:a, put(server, :count, fn _ -> 6 end)}
      ])

      assert ElixirScope.races(server) == []
    end
  end

  test "a time that begins when the state was known long ago", %{server: server} do
    GenServer.call(server, :ping)
    since = ElixirScope.now()

    interleaved(server, [
      {:a, get(server, :count)},
      {:b, get(server, :count)},
      {:b, put(server, :count, plus(10))},
      {:a, put(server, :count, plus(1))}
    ])

    assert [%Race{kind: :lost_update, paths: [[:count]]} = race] = ElixirScope.races(server, since: since)
    assert race.first.write.difference.entries == [{[:count], :changed, 1, 11}]
  end

  test "clients that are not watched may have told each other", %{tmp_dir: dir} do
    :ok = ElixirScope.stop()
    {:ok, _} = ElixirScope.start(dir: dir, watch: false)
    {:ok, server} = Register.start(%{count: 1, name: "a"})
    {:ok, _} = ElixirScope.watch(server)

    pids =
      interleaved(server, [
        {:a, get(server, :count)},
        {:b, get(server, :count)},
        {:b, put(server, :count, plus(10))},
        {:a, put(server, :count, plus(1))}
      ])

    assert [%Race{kind: :unknown, paths: [[:count]], gaps: []} = race] = ElixirScope.races(server)
    assert {race.first.client, race.second.client} == {pids.b, pids.a}
    assert race.second.read.reply == 1
    assert race.lost =~ "the messages of #{inspect(pids.a)} are not recorded"
    assert inspect(race) =~ ~r/are not\s+recorded/
    # One after the other is none all the same.
    since = ElixirScope.now()

    interleaved(server, [
      {:a, get(server, :count)},
      {:a, put(server, :count, plus(1))},
      {:b, get(server, :count)},
      {:b, put(server, :count, plus(1))}
    ])

    assert ElixirScope.races(server, since: since) == []
  end

  test "what nobody sent is not the work of who asked before", %{server: server} do
    ticked = fn read ->
      send(server, {:tick, :count})
      :sys.get_state(server)
      read
    end

    timer = fn read ->
      Process.send_after(server, {:tick, :count}, 0)
      ElixirScope.Until.until(fn -> :sys.get_state(server).count == 100 end)
      read
    end

    interleaved(server, [
      {:a, get(server, :count)},
      {:b, fn _ -> GenServer.call(server, :ping) end},
      {:b, timer},
      {:a, put(server, :count, plus(1))}
    ])

    assert ElixirScope.races(server) == []
    # Twin: the one that was sent is.
    interleaved(server, [{:a, get(server, :count)}, {:b, ticked}, {:a, put(server, :count, plus(1))}])

    assert [%Race{paths: [[:count]], first: %{write: %{message: {:tick, :count}}}}] =
             ElixirScope.races(server)
  end

  test "where events are missing it is unknown", %{server: server} do
    interleaved(server, [
      {:a, get(server, :count)},
      {:b, put(server, :count, fn _ -> 5 end)},
      {:b, fn _ -> {ElixirScope.pause(), ElixirScope.resume()} end},
      {:a, put(server, :count, plus(1))}
    ])

    assert [%Race{kind: :unknown, first: %{}, gaps: [_]}, %Race{kind: :unknown, first: nil, gaps: [_]}] =
             ElixirScope.races(server)
  end

  test "a server without states, or without watched messages, is an error", %{
    tmp_dir: dir,
    server: server,
    one: one
  } do
    assert %Error{reason: :no_state} = catch_error(ElixirScope.races(one))
    assert %Error{reason: :bad_option} = catch_error(ElixirScope.races(server, stale: 1))
    assert %Error{reason: :bad_option} = catch_error(ElixirScope.races(server, kind: :all))
    :ok = ElixirScope.stop()
    {:ok, _} = ElixirScope.start(dir: dir, watch: false)
    {:ok, server} = Register.start(%{count: 1})
    GenServer.call(server, {:put, :count, 2})
    assert %Error{reason: :not_watched} = catch_error(ElixirScope.races(server))
  end
end
