defmodule ElixirScope.OverflowTest do
  # What happens when rings are full. The recording is one for the VM, and each test begins a new one.
  use ExUnit.Case, async: false

  import ElixirScope.OtherVm

  alias ElixirScope.{Options, Recording}
  alias ElixirScope.Traced.{Echo, Store}

  @moduletag :tmp_dir

  # The smallest there is.
  @ring 64 * 1024

  setup do
    on_exit(fn -> {:ok, _} = ElixirScope.start() end)
  end

  defp fly(dir, options \\ []) do
    limits = [ring_bytes: @ring, trigger_ms: Keyword.get(options, :trigger_ms, 0)]
    options = Keyword.delete(options, :trigger_ms)
    {:ok, recording} = ElixirScope.start([dir: dir, overflow: :overwrite, limits: limits] ++ options)
    recording
  end

  defp echo(numbers), do: Enum.each(numbers, &Echo.echo({:number, &1}))

  defp echoed do
    for %{args: [{:number, number}]} <- ElixirScope.calls(&Echo.echo/1), do: number
  end

  defp files(recording, pattern) do
    for file <- Path.wildcard(Path.join(recording.path, pattern)), do: {file, File.read!(file)}
  end

  describe "a flight recording" do
    test "writes nothing until a snapshot, and then the latest", %{tmp_dir: dir} do
      recording = fly(dir)
      echo(1..10)
      before = {files(recording, "segments/*"), files(recording, "dictionary")}
      echo(11..20_000)
      assert {:ok, %{state: :running, events: 0, overflow: :overwrite, flight: flight}} = ElixirScope.status()
      assert %{snapshots: 0, covers: {from, to}} = flight
      assert recording.path == dir |> Path.join("*") |> Path.wildcard() |> hd()
      assert from > flight.known_until and from < to
      # Neither the store nor the dictionary has grown: what is said of words was said at the first of them.
      assert before == {files(recording, "segments/*"), files(recording, "dictionary")}

      for question <- [
            fn -> ElixirScope.get_state_at(self(), ElixirScope.now()) end,
            fn -> {:error, catch_error(ElixirScope.calls(&Echo.echo/1))} end,
            fn -> {:error, catch_error(ElixirScope.events(kind: :call))} end,
            fn -> {:error, catch_error(ElixirScope.counts())} end
          ] do
        assert {:error, %{reason: :no_snapshot, message: message}} = question.()
        assert message =~ "take ElixirScope.snapshot()"
      end

      assert {:ok, %Recording{} = ^recording} = ElixirScope.snapshot()
      numbers = echoed()
      # Of a scheduler that this process was on for a short time it may hold more than the latest.
      assert numbers == numbers |> Enum.sort() |> Enum.uniq()
      assert Enum.take(numbers, -200) == Enum.to_list(19_801..20_000)
      assert length(numbers) < 5_000
    end

    test "counts what it overwrote, exactly, and goes on after a snapshot", %{tmp_dir: dir} do
      fly(dir)
      echo(1..5_000)
      {:ok, _} = ElixirScope.snapshot()
      assert {:ok, %{flight: %{snapshots: 1}}} = ElixirScope.status()
      first = echoed()
      echo(5_001..10_000)
      assert echoed() == first
      {:ok, _} = ElixirScope.snapshot()
      echo(10_001..10_010)
      {:ok, _} = ElixirScope.snapshot()

      assert {:ok, status} = ElixirScope.status()
      assert Enum.all?(status.gaps, &(&1.cause == :overwritten))
      shown = Enum.count(ElixirScope.events(kind: [:call, :return, :process]))
      # A call and a return each, and who this process is.
      assert shown + status.lost == 2 * 10_010 + 1
      numbers = echoed()
      assert Enum.take(numbers, -10) == Enum.to_list(10_001..10_010)
      assert numbers == Enum.uniq(numbers) and numbers == Enum.sort(numbers)

      # Stopping writes down the rest.
      echo(10_011..10_020)
      :ok = ElixirScope.stop()
      assert List.last(echoed()) == 10_020
    end

    test "knows nothing after its last snapshot", %{tmp_dir: dir} do
      fly(dir)
      {:ok, server} = Store.start_link(:first)
      time = ElixirScope.now()
      {:ok, _} = ElixirScope.snapshot()
      Store.put(server, :second)
      later = ElixirScope.now()
      assert {:ok, :first} = ElixirScope.get_state_at(server, time)
      assert {:error, %{reason: :after_recording}} = ElixirScope.get_state_at(server, later)
      {:ok, _} = ElixirScope.snapshot()
      assert {:ok, :second} = ElixirScope.get_state_at(server, later)
      assert {:ok, :first} = ElixirScope.get_state_at(server, time)
    end

    test "that is killed shows what its rings held", %{tmp_dir: dir} do
      {port, [os_pid, server]} = run("flight_vm.exs", [dir])
      facts = read(port, 3_000)
      facts = facts ++ facts(kill(port, os_pid))
      {:ok, recording} = ElixirScope.open(dir)
      {:ok, status} = ElixirScope.status(in: recording)
      assert status.damage == []
      assert Enum.all?(status.gaps, &(&1.cause == :overwritten))
      assert status.lost > 0 and status.from_rings > 0
      {_first, known_to} = status.span

      # The process moves between schedulers, and each has a ring that reaches back as far as it is busy.
      complete_from = status.gaps |> Enum.map(& &1.to) |> Enum.max()
      calls = ElixirScope.calls({Echo, :echo, 1}, in: recording)
      numbers = for %{args: [{:number, number}], started: time} <- calls, time >= complete_from, do: number
      {number, _time} = List.last(facts)
      assert List.last(numbers) >= number
      assert numbers == Enum.to_list(hd(numbers)..List.last(numbers))

      # The true state or an error; the truth from the first state on that is not made of one that was overwritten. States
      # are told whole twice while a ring goes round, so there is one.
      states = ElixirScope.events(kind: :state, pid: server, since: complete_from + 1, in: recording)
      %{time: told_from} = Enum.find(states, & &1.data)
      known = Enum.filter(facts, fn {_number, time} -> time <= known_to end)

      answers =
        for {number, time} <- Enum.take(known, 50) ++ Enum.take(known, -200) do
          case ElixirScope.get_state_at(server, time, in: recording) do
            {:ok, %{number: ^number}} -> {:right, time}
            {:error, %{reason: reason}} when reason in [:lost, :no_state] -> {:unknown, time}
          end
        end

      assert for({answer, time} <- answers, time >= told_from, uniq: true, do: answer) == [:right]
    end
  end

  describe "a trigger" do
    test "takes a snapshot when an exception leaves a function", %{tmp_dir: dir} do
      fly(dir, trigger: [:raise])
      echo(1..10)
      catch_throw(Echo.toss(:ball))
      catch_exit(Echo.leave(:now))
      assert {:ok, %{flight: %{snapshots: 0}}} = ElixirScope.status()
      assert_raise ArgumentError, fn -> Echo.fail(:now) end
      assert {:ok, %{flight: %{snapshots: 1}}} = ElixirScope.status()
      assert echoed() == Enum.to_list(1..10)
      assert [%{outcome: :raised}] = ElixirScope.calls(&Echo.fail/1)
    end

    test "waits until some time is over since the last one", %{tmp_dir: dir} do
      fly(dir, trigger: [:exit], trigger_ms: 3_600_000)
      catch_exit(Echo.leave(:one))
      assert {:ok, %{flight: %{snapshots: 1}}} = ElixirScope.status()
      catch_exit(Echo.leave(:two))
      assert {:ok, %{flight: %{snapshots: 1}}} = ElixirScope.status()
      # Whoever asks need not wait.
      {:ok, _} = ElixirScope.snapshot()
      assert length(ElixirScope.calls(&Echo.leave/1)) == 2
    end
  end

  describe "blocking" do
    test "loses nothing while the drain comes in time", %{tmp_dir: dir} do
      limits = [ring_bytes: @ring]
      {:ok, _} = ElixirScope.start(dir: dir, overflow: {:block, 1_000_000}, limits: limits)
      echo(1..50_000)
      assert {:ok, %{lost: 0, gaps: [], overflow: {:block, 1_000_000}, flight: nil}} = ElixirScope.status()
      assert echoed() == Enum.to_list(1..50_000)
    end
  end

  test "a recording that writes everything down by itself has it written down by a snapshot", %{tmp_dir: dir} do
    {:ok, recording} = ElixirScope.start(dir: dir)
    echo(1..3)
    assert ElixirScope.snapshot() == {:ok, recording}
    assert echoed() == [1, 2, 3]
    :ok = ElixirScope.stop()
    {:ok, opened} = ElixirScope.open(dir)
    assert {:error, %{reason: :bad_option, message: message}} = ElixirScope.snapshot(in: opened)
    assert message =~ "expected the recording of this VM"
    assert {:error, %{reason: :bad_option}} = ElixirScope.snapshot(last: 5)
  end

  test "options that make no sense are refused, and say what was expected" do
    message = fn options ->
      assert {:error, %{reason: :bad_option, message: message}} = Options.read(options)
      message
    end

    for overflow <- [:sometimes, {:block, 0}, {:block, 1_000_001}, {:block, 1.5}, :block, nil] do
      assert message.(overflow: overflow) =~
               "expected :overflow to be :drop_new, :overwrite, or {:block, microseconds}"
    end

    assert message.(overflow: :overwrite, trigger: [:throw]) =~ "a list of :raise and :exit"
    assert message.(overflow: :overwrite, trigger: :raise) =~ "expected :trigger to be a list"
    assert message.(trigger: [:raise]) =~ "together with overflow: :overwrite"
    assert message.(limits: [trigger_ms: -1]) =~ "expected :trigger_ms to be an integer from 0"

    assert {:ok, %{overflow: {:block, 5}, trigger: []}} = Options.read(overflow: {:block, 5})

    assert {:ok, %{overflow: :overwrite, trigger: [:exit]}} =
             Options.read(overflow: :overwrite, trigger: [:exit])
  end
end
