defmodule ElixirScope.OtherVmTest do
  # A recording outlives its VM, however that ends.
  use ExUnit.Case, async: true

  import ElixirScope.OtherVm

  @moduletag :tmp_dir

  test "of a VM that was killed, everything is there that it saw happen", %{tmp_dir: dir} do
    {server, facts} = kill_after(dir, 2_000)
    {:ok, recording} = ElixirScope.open(dir)
    assert {:ok, %{span: {_first, known_to}}} = ElixirScope.status(in: recording)

    # The clock was read after each change: of the last fact, and of no other, the time may be later than any event.
    {facts, late} = Enum.split_while(facts, fn {_number, time} -> time <= known_to end)
    assert length(late) <= 1

    for {number, time} <- facts do
      assert {:ok, %{number: ^number}} = ElixirScope.get_state_at(server, time, in: recording)
    end

    {number, time} = List.last(facts)
    assert {:ok, %{number: ^number}} = ElixirScope.get_state_at(:the_store, time, in: recording)
    calls = ElixirScope.calls({ElixirScope.Traced.Echo, :echo, 1}, in: recording)
    assert [1, 2, 3 | _] = numbers = for(%{args: [{:number, number}]} <- calls, do: number)
    assert numbers == Enum.to_list(1..length(numbers))
    assert length(numbers) >= number

    assert {:ok, status} = ElixirScope.status(in: recording)
    assert %{state: :stopped, lost: 0, damage: []} = status

    assert {:error, %{reason: :after_recording} = error} =
             ElixirScope.get_state_at(server, known_to + 1_000_000_000, in: recording)

    refute error.message =~ "open it again"
  end

  test "a recording can be read while another VM makes it", %{tmp_dir: dir} do
    {port, os_pid, server} = begin(dir)
    {number, time} = port |> read(500) |> List.last()
    recording = open_when_known(port, dir, time)
    assert {:ok, %{state: :running, damage: [], gaps: []}} = ElixirScope.status(in: recording)
    assert {:ok, %{number: ^number}} = ElixirScope.get_state_at(server, time, in: recording)

    assert {:error, %{reason: :after_recording} = error} =
             ElixirScope.get_state_at(server, ElixirScope.now(), in: recording)

    assert error.message =~ "it was still being made when it was opened: open it again"
    assert {:error, %{reason: :in_use}} = ElixirScope.start(dir: recording.path)
    kill(port, os_pid)
  end

  test "a damaged segment is named, and what is missing is unknown", %{tmp_dir: dir} do
    {port, os_pid, server} = begin(dir)
    # Behind the first block, which says who the server is.
    middle = 256 * 1_024
    facts = read_until_written(port, dir, 2 * middle)
    kill(port, os_pid)
    segment = first_segment(dir)
    path = segment |> Path.dirname() |> Path.dirname()
    damage(segment, middle)

    {:ok, recording} = ElixirScope.open(path)
    {:ok, status} = ElixirScope.status(in: recording)
    assert [%{file: ^segment, offset: offset, what: "expected " <> _}] = status.damage
    assert offset <= middle
    assert [%{cause: :damage, count: count}] = status.gaps
    assert count > 0

    # No wrong answer: the true state, or an error.
    answers =
      for {number, time} <- facts do
        case ElixirScope.get_state_at(server, time, in: recording) do
          {:ok, %{number: ^number}} -> :right
          {:error, error} -> error.reason
        end
      end

    assert :right in answers
    # The last fact may be later than the last event.
    assert Enum.uniq(answers) -- [:right, :lost, :no_state, :unknown_process, :after_recording] == []

    damage(segment, 0)
    assert {:error, %{reason: :damaged, message: message}} = ElixirScope.open(path)
    assert message =~ "expected the magic ESSEGMNT"
    assert message =~ "restore the file"
  end

  # The other VM's drain thread writes every few milliseconds, and goes on while it is given time.
  defp open_when_known(port, dir, time) do
    {:ok, recording} = ElixirScope.open(dir)
    {:ok, status} = ElixirScope.status(in: recording)

    case status.span do
      {_first, last} when last >= time ->
        recording

      _ ->
        line(port)
        open_when_known(port, dir, time)
    end
  end

  # A segment of a VM that was killed ends in the zeroes that it was made of.
  defp first_segment(dir), do: Path.join(dir, "*/segments/000001.seg") |> Path.wildcard() |> hd()

  # What the VM tells is in its rings first, and in the segment when its drain thread had a turn.
  defp read_until_written(port, dir, bytes) do
    facts = read(port, 500)
    {:ok, {:ok, there}} = File.open(first_segment(dir), [:binary, :raw], &:file.pread(&1, bytes, 512))
    if there == <<0::512*8>>, do: facts ++ read_until_written(port, dir, bytes), else: facts
  end

  defp damage(file, offset) do
    {:ok, device} = File.open(file, [:read, :write, :binary])
    {:ok, _} = :file.position(device, offset)
    :ok = IO.binwrite(device, "damaged!")
    File.close(device)
  end

  defp kill_after(dir, count) do
    {port, os_pid, server} = begin(dir)
    facts = read(port, count)
    kill(port, os_pid)
    {server, facts}
  end

  defp begin(dir) do
    {port, [os_pid, server]} = run("other_vm.exs", [dir])
    {port, os_pid, server}
  end
end
