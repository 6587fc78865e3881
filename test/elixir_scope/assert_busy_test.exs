defmodule ElixirScope.AssertBusyTest do
  # What did not happen while a test's processes are still at work may happen yet. The time-out of assertions is set for all tests.
  use ElixirScope.Case, async: false

  alias ElixirScope.Traced.{Echo, Store}
  alias ElixirScope.Until

  setup do
    {:ok, _} = ElixirScope.watch(self(), spawned: true)
    Until.assert_timeout(100)
    store = start_supervised!({Store, 1})
    holder = spawn_link(fn -> answer(receive(do: ({:"$gen_call", from, :wait} -> from))) end)

    %{
      store: store,
      holder: holder,
      busy: spawn_link(fn -> work(GenServer.call(holder, :wait, :infinity)) end)
    }
  end

  defp answer(from), do: receive(do: ({:work, term, to} -> GenServer.reply(from, {term, to})))

  # It waits for an answer until it is given one, which is no rest.
  defp work({term, to}) do
    Echo.echo(term)
    send(to, {:worked, term})
  end

  test "nothing is denied while a process is busy, and the failure names it", %{
    store: store,
    holder: holder,
    busy: busy
  } do
    Echo.pair(1, 2)

    for check <- [
          fn -> refute_called Echo.echo(:late) end,
          fn -> refute_called Echo.echo(:late), within: 1 end,
          fn -> assert_called Echo.pair(1, _), times: 1 end,
          fn -> assert_called Echo.pair(1, _), times: 1, within: 1 end,
          fn -> refute_message _ ~> store, :late end,
          fn -> assert_state store, 1, :always end,
          fn -> assert_invariant store, &(&1 == 1) end,
          fn -> refute_flow(do: Echo.echo(:late)) end,
          fn -> assert_never Echo.echo(:late) end
        ] do
      message = failure(check)
      assert message =~ "Undecided: "
      assert message =~ "after 100 ms the test's processes were not quiet: #{inspect(busy)} was still at work"
    end

    # What is there is there, and too much is too much.
    assert_called Echo.pair(1, _)
    assert failure(fn -> refute_called Echo.pair(1, _) end) =~ "but this one was recorded"
    Echo.pair(1, 3)
    assert failure(fn -> assert_called Echo.pair(1, _), times: 1 end) =~ "There are 2."

    send(holder, {:work, :late, self()})
    assert_receive {:worked, :late}
    assert failure(fn -> refute_called Echo.echo(:late) end) =~ "but this one was recorded"
    refute_called Echo.echo(:later)
    assert_called Echo.pair(1, _), times: 2
  end

  test "within: is the least that is waited", %{holder: holder} do
    Until.assert_timeout(30_000)
    test = self()
    # It is at work for longer than is asked for.
    spawn_link(fn ->
      receive(do: (:never -> :ok), after: (50 -> send(holder, {:work, :done, test})))
    end)

    assert failure(fn -> refute_called Echo.echo(:done), within: 1 end) =~ "but this one was recorded"
  end

  # Before OTP 27 nobody tells who made a process whose maker has ended.
  if List.to_integer(:erlang.system_info(:otp_release)) >= 27 do
    test "what a process does whose maker has ended is waited for", %{holder: holder} do
      Until.assert_timeout(30_000)
      test = self()
      flag = :counters.new(1, [])
      # Nobody else is at work.
      send(holder, {:work, :before, test})
      assert_receive {:worked, :before}

      {maker, ref} =
        spawn_monitor(fn ->
          Echo.echo(:mid)
          send(test, {:made, spawn(fn -> deep(flag) end)})
        end)

      assert_receive {:made, deep}
      assert_receive {:DOWN, ^ref, :process, ^maker, :normal}
      {:ok, _} = :timer.apply_after(50, :counters, :put, [flag, 1, 1])
      assert Process.alive?(deep)
      assert failure(fn -> refute_called Echo.echo(:deep) end) =~ "but this one was recorded"
      assert_called Echo.echo(:deep), times: 1
    end

    test "so is a chain of processes that have all ended but the last", %{holder: holder} do
      Until.assert_timeout(30_000)
      send(holder, {:work, :before, self()})
      assert_receive {:worked, :before}

      # Nothing was asked before that would know one of them.
      for length <- [1, 10, 300] do
        spawn(fn -> chain(length) end)
        assert failure(fn -> refute_called Echo.echo({:end, ^length}) end) =~ "but this one was recorded"
      end
    end

    defp chain(length, left \\ nil)
    defp chain(length, 0), do: Echo.echo({:end, length})
    defp chain(length, left), do: spawn(fn -> chain(length, (left || length) - 1) end)

    # At work until it is told to end.
    defp deep(flag) do
      :erlang.yield()
      if :counters.get(flag, 1) == 0, do: deep(flag), else: Echo.echo(:deep)
    end
  end

  defp failure(fun), do: assert_raise(ExUnit.AssertionError, fun).message
end
