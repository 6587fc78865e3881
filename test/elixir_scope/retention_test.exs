defmodule ElixirScope.RetentionTest do
  # How much of a recording is kept, and what `mix scope.verify` says of what is there.
  use ExUnit.Case, async: false

  import ElixirScope.Until, only: [until: 1]
  import ExUnit.CaptureIO
  import ExUnit.CaptureLog

  alias ElixirScope.Traced.{Echo, Store}
  alias Mix.Tasks.Scope.Verify

  @moduletag :tmp_dir

  setup %{tmp_dir: dir} do
    limits = [ring_bytes: 1024 * 1024, segment_bytes: 1024 * 1024]

    {:ok, recording} =
      ElixirScope.start(dir: dir, retain: [bytes: 8 * 1024 * 1024], pack: false, limits: limits)

    on_exit(fn ->
      {:ok, _} = ElixirScope.start()
    end)

    %{recording: recording}
  end

  test "the oldest segments go, the last state of a process that rests stays", %{recording: recording} do
    {:ok, resting} = Store.start_link(%{number: 7})
    Store.put(resting, %{number: 8})
    {:ok, busy} = Store.start_link(%{number: 0})
    began = ElixirScope.now()
    work_until(busy, 1, fn -> Enum.any?(status(recording).gaps, &(&1.cause == :removed)) end)
    worked = ElixirScope.now()

    status = status(recording)
    assert status.lost == 0
    # What is written to now and the remnant come on top.
    assert status.bytes < 12 * 1024 * 1024
    assert [%{cause: :removed, count: count, to: horizon}] = status.gaps
    assert count > 1_000

    assert {:ok, %{number: 8}} = ElixirScope.get_state_at(resting, worked)
    assert {:ok, %{number: 8}} = ElixirScope.get_state_at(resting, horizon + 1)
    assert {:error, %{reason: :lost, message: message}} = ElixirScope.get_state_at(busy, began)
    assert message =~ "(removed)"
    assert {:ok, %{number: number}} = ElixirScope.get_state_at(busy, horizon + 1)
    assert number > 0

    :ok = ElixirScope.stop()
    {:ok, opened} = ElixirScope.open(recording.path)
    # More may have been removed meanwhile.
    {:ok, %{gaps: [%{cause: :removed, to: horizon}]}} = ElixirScope.status(in: opened)
    assert {:ok, %{number: 8}} = ElixirScope.get_state_at(resting, worked, in: opened)
    assert {:ok, %{number: later}} = ElixirScope.get_state_at(busy, horizon + 1, in: opened)
    assert later >= number

    shown = capture_io(fn -> Verify.run([recording.path]) end)
    assert shown =~ ~r/events .* bytes each on disk/
    assert shown =~ ~r/missing +[0-9,]+ events \(removed\)/
    assert shown =~ "  sound\n"
  end

  test "where nothing can be written any more recording stops and says so, whoever has to say it", %{
    recording: recording,
    tmp_dir: dir
  } do
    {:ok, busy} = Store.start_link(%{number: 0})
    before = Process.whereis(ElixirScope.Recorder)
    away = Path.join(dir, "away")

    shown =
      capture_log(fn ->
        Process.exit(before, :kill)
        until(fn -> Process.whereis(ElixirScope.Recorder) not in [nil, before] end)
        File.rename!(recording.path, away)
        work_until(busy, 1, fn -> status(recording).state == :failed end)
        # It has answered, so it has said what it heard before.
        {:ok, _} = ElixirScope.watched()
      end)

    assert shown =~ "recorder ended in an error and was begun anew. The recording goes on"
    assert shown =~ ~r/ElixirScope has stopped recording: .*No such file/
    assert Store.put(busy, %{number: 0}) == :ok
    assert ElixirScope.events(pid: busy, limit: 1) != []
  end

  test "mix scope.verify names what is damaged, and ends with 1", %{recording: recording} do
    {:ok, store} = Store.start_link(%{number: 0})
    for number <- 1..1_000, do: Store.put(store, %{number: number})
    :ok = ElixirScope.stop()
    assert capture_io(fn -> Verify.run([recording.path]) end) =~ "sound, nothing is missing"

    [segment] = Path.wildcard(Path.join(recording.path, "segments/*.seg"))
    flip(segment, div(File.stat!(segment).size, 2))

    shown = capture_io(fn -> assert catch_exit(Verify.run([recording.path])) == {:shutdown, 1} end)

    assert shown =~ ~r/damaged +#{segment}, byte \d+, .*: expected the checksum of a block's body to match/
    assert shown =~ ~r/missing +[0-9,]+ events \(damage\)/
  end

  test "mix scope.verify says what is wrong with its arguments", %{tmp_dir: dir} do
    assert_raise Mix.Error, ~r/expected a recording at .*nowhere, found none; name a recording/, fn ->
      Verify.run([Path.join(dir, "nowhere")])
    end

    assert_raise Mix.Error, ~r/expected the path of a recording, or nothing, got: a b/, fn ->
      Verify.run(["a", "b"])
    end
  end

  test "a recording of an older format says what opens it", %{recording: recording, tmp_dir: dir} do
    :ok = ElixirScope.stop()
    <<magic::binary-8, _version::little-32, rest::binary>> = File.read!(Path.join(recording.path, "manifest"))
    File.write!(Path.join(recording.path, "manifest"), [magic, <<2::little-32>>, rest])
    assert {:error, %{reason: :other_version, message: message}} = ElixirScope.open(dir)
    assert message =~ "found 2: ElixirScope 0.1 wrote it and opens it"
  end

  test "bad values of retain: and pack: are refused in words" do
    for {options, words} <- [
          {[retain: [bytes: 5]], ~r/expected bytes: of :retain to be an integer from 8388608/},
          {[retain: [bytes: 2 ** 64]],
           ~r/to 1125899906842624 \(1 PiB\), or :infinity, got: 18446744073709551616/},
          {[retain: [age: {300_000, :day}]], ~r/100 years at most/},
          {[retain: [age: {1, "minute"}]], ~r/expected age: of :retain to be/},
          {[overflow: :overwrite, trigger: [:raise | :x]],
           ~r/expected :trigger to be a list of :raise and :exit/},
          {[overflow: :overwrite, trigger: :raise], ~r/expected :trigger to be a list of :raise and :exit/},
          {[retain: [age: {1, :month}]],
           ~r/expected age: of :retain to be \{15, :minute\}.*got: \{1, :month\}/},
          {[retain: [megabytes: 5]], ~r/unknown key of :retain :megabytes/},
          {[retain: 5], ~r/expected :retain as a keyword list/},
          {[pack: :yes], ~r/expected :pack to be true or false, got: :yes/}
        ] do
      assert {:error, %{reason: :bad_option, message: message}} = ElixirScope.start(options)
      assert message =~ words
    end
  end

  defp work_until(server, number, done?) do
    for step <- number..(number + 499) do
      Store.put(server, %{number: step})
      Echo.echo(:binary.copy(<<rem(step, 256)>>, 500))
    end

    unless done?.(), do: work_until(server, number + 500, done?)
  end

  defp status(recording) do
    {:ok, status} = ElixirScope.status(in: recording)
    status
  end

  defp flip(file, at) do
    {:ok, file} = :file.open(file, [:read, :write, :raw, :binary])
    {:ok, <<byte>>} = :file.pread(file, at, 1)
    :ok = :file.pwrite(file, at, <<Bitwise.bxor(byte, 1)>>)
    :file.close(file)
  end
end
