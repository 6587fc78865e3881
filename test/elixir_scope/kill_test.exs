defmodule ElixirScope.KillTest do
  # `kill -9` of a VM under full load, at random moments. What the traced program wrote into files of its own, past
  # ElixirScope, is compared with what the recording shows: everything that had happened is there, once, in order; and
  # at most what a worker did between its last note and the kill is there besides.
  #
  # `make test-kill` runs it with 50 kills; ELIXIR_SCOPE_SEED repeats the moments (not the scheduling) of another run.
  use ExUnit.Case, async: true

  alias ElixirScope.OtherVm

  @moduletag :tmp_dir
  @kills String.to_integer(System.get_env("ELIXIR_SCOPE_KILLS", "4"))
  @seed String.to_integer(System.get_env("ELIXIR_SCOPE_SEED", "#{:erlang.phash2(make_ref(), 1_000_000)}"))
  @moduletag timeout: 300_000 + @kills * 30_000
  # More than cores, so that processes move between schedulers.
  @workers 4

  test "#{@kills} killed VMs: nothing that was captured is missing", %{tmp_dir: dir} do
    :rand.seed(:exsss, @seed)
    told = for kill <- 1..@kills, do: kill_and_look(Path.join(dir, "#{kill}"), kill)

    assert Enum.all?(told, &(&1.confirmed > 0)),
           "a VM was killed before it had done anything: #{inspect(told)}"

    # A machine that stands still for a moment makes one of them late, not half of them.
    typical = told |> Enum.map(& &1.open) |> Enum.sort() |> Enum.at(div(@kills, 2))
    assert typical < 1_000, "opening took #{typical} ms in the median"
    slowest = Enum.max_by(told, & &1.open)

    IO.puts(
      "\n#{@kills} kills (ELIXIR_SCOPE_SEED=#{@seed}): #{sum(told, :events)} events, #{sum(told, :from_rings)} of them " <>
        "found in rings, #{sum(told, :lost)} lost and counted; slowest open #{slowest.open} ms, " <>
        "of #{Float.round(slowest.bytes / 1_000_000, 1)} MB"
    )
  end

  # Every third VM has rings so small that they overflow: then what is missing has to be counted. Those of the others hold what is done in
  # seconds, for a machine that does not come to drain them.
  defp kill_and_look(dir, kill) do
    File.mkdir_p!(dir)
    for worker <- 1..@workers, do: File.write!(note(dir, worker), <<0::64, 0::64>>)
    {ring_bytes, calls} = if rem(kill, 3) == 0, do: {64 * 1024, "calls"}, else: {64 * 1024 * 1024, "states"}
    port = OtherVm.start("killed_vm.exs", [dir, "#{@workers}", "#{ring_bytes}", calls])
    [os_pid | pids] = port |> OtherVm.line() |> String.split(" ")
    workers = Enum.chunk_every(pids, 2)

    # From the first calls to some thousands, each order of magnitude as often.
    enough = round(:math.pow(10, 4 * :rand.uniform()))
    await(fn -> dir |> confirmed(:rand.uniform(@workers)) |> elem(0) >= enough end, port)
    OtherVm.kill(port, os_pid)

    {microseconds, {:ok, recording}} = :timer.tc(fn -> ElixirScope.open(Path.join(dir, "runs")) end)
    {:ok, status} = ElixirScope.status(in: recording)
    assert %{state: :stopped, damage: []} = status
    assert Enum.all?(status.gaps, &(&1.cause == :full and &1.count > 0)), inspect(status.gaps)

    facts = for {pids, worker} <- Enum.with_index(workers, 1), do: {worker, pids, confirmed(dir, worker)}
    if calls == "states", do: assert(status.lost == 0, inspect(status))

    if status.lost == 0,
      do: for(fact <- facts, do: all_there(recording, status, fact)),
      else: all_counted(recording, status, facts)

    numbers = for {_, _, {number, _}} <- facts, do: number
    told = Map.take(status, [:events, :from_rings, :lost, :bytes])
    File.rm_rf!(dir)
    Map.merge(told, %{open: div(microseconds, 1_000), confirmed: Enum.sum(numbers)})
  end

  defp all_there(recording, status, {worker, [pid, server], {number, time}}) do
    found = steps(recording, pid)
    per_round = if server == "nil", do: 2, else: 4

    assert length(found) in (number * per_round)..((number + 1) * per_round),
           "worker #{worker} noted #{number} rounds, #{length(found)} events were found: #{inspect(Enum.take(found, -10))}"

    assert found == worker |> rounds(server) |> Enum.take(length(found))

    if server != "nil" do
      found = steps(recording, server)
      # The state of init/1 comes first.
      init = [{:call, :init}, {:state, 0}, {:return, :init}]
      assert length(found) in (3 + number * 3)..(3 + (number + 1) * 3), "server of worker #{worker}"
      assert found == init |> Stream.concat(callbacks(worker)) |> Enum.take(length(found))

      # The note of the last call is later than its events; it may be later than all that is known.
      {_first, last} = status.span
      wanted = %{worker: worker, number: number}

      if number > 0,
        do: assert({:ok, ^wanted} = ElixirScope.get_state_at(server, min(time, last), in: recording))
    end
  end

  defp all_counted(recording, status, facts) do
    found = for {_, [pid, _], _} <- facts, do: length(steps(recording, pid))
    confirmed = for {_, _, {number, _}} <- facts, do: number
    produced = (2 * Enum.sum(confirmed))..(2 * Enum.sum(confirmed) + 2 * @workers)
    assert (Enum.sum(found) + status.lost) in produced

    for {worker, [pid, _], _} <- facts do
      numbers = for {kind, {:echo, _} = number} <- steps(recording, pid), do: {number, kind}

      assert numbers == Enum.sort(numbers) and numbers == Enum.uniq(numbers),
             "worker #{worker} is not in order"
    end
  end

  # Each event as what tells it from the others of its process.
  defp steps(recording, pid) do
    events = ElixirScope.events(pid: pid, in: recording)

    {steps, times} =
      for(event <- events, event.kind != :process, do: {step(event), event.time}) |> Enum.unzip()

    assert times == Enum.sort(times), "time goes back in #{pid}"
    steps
  end

  defp step(%{kind: :state, data: %{state: %{number: number}}}), do: {:state, number}

  defp step(%{kind: :call, mfa: {_, :echo, 1}, data: %{args: [{_worker, number}]}}),
    do: {:call, {:echo, number}}

  defp step(%{kind: :return, mfa: {_, :echo, 1}, data: %{value: {_, number}}}), do: {:return, {:echo, number}}
  defp step(%{kind: :call, mfa: {_, :put, 2}, data: %{args: [_, state]}}), do: {:call, {:put, state.number}}

  defp step(%{kind: :call, mfa: {_, :handle_call, 3}, data: %{args: [{:put, new}, _, old]}}),
    do: {:call, new.number, old.number}

  defp step(%{kind: :return, mfa: {_, :handle_call, 3}, data: %{value: {:reply, :ok, new}}}),
    do: {:return, new.number}

  defp step(%{kind: kind, mfa: {_, name, _}}), do: {kind, name}

  defp rounds(_worker, server) do
    number = Stream.iterate(1, &(&1 + 1))
    echo = &[{:call, {:echo, &1}}, {:return, {:echo, &1}}]
    put = if server == "nil", do: fn _ -> [] end, else: &[{:call, {:put, &1}}, {:return, :put}]
    Stream.flat_map(number, &(echo.(&1) ++ put.(&1)))
  end

  defp callbacks(_worker) do
    Stream.iterate(1, &(&1 + 1)) |> Stream.flat_map(&[{:call, &1, &1 - 1}, {:state, &1}, {:return, &1}])
  end

  defp await(condition, port) do
    unless condition.() do
      receive do
        {^port, message} -> flunk("the other VM says #{inspect(message)}")
      after
        # The test's own VM leaves the cores to the other one.
        1 -> await(condition, port)
      end
    end
  end

  defp confirmed(dir, worker) do
    <<number::64, time::64>> = File.read!(note(dir, worker))
    {number, time}
  end

  defp note(dir, worker), do: Path.join(dir, "confirmed.#{worker}")
  defp sum(told, field), do: told |> Enum.map(& &1[field]) |> Enum.sum()
end
