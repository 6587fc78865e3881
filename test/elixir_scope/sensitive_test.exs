defmodule ElixirScope.SensitiveTest do
  # Processes that ask not to be looked at, whose first event is none of instrumented code.
  use ExUnit.Case, async: false

  alias ElixirScope.StandIn

  require Logger

  @moduletag :capture_log
  @moduletag :tmp_dir

  setup %{tmp_dir: dir} do
    {:ok, recording} = ElixirScope.start(dir: dir, telemetry: [[:sensitive_test, :ping]])
    on_exit(fn -> {:ok, _} = ElixirScope.start() end)
    %{recording: recording}
  end

  @secret "correct-horse"

  # Each is done by a process of its own, three times, for its first event is not the last.
  defp done_by(sensitive?) do
    for {how, tell} <- [
          log: fn text -> Logger.error(text) end,
          telemetry: fn text -> StandIn.emit([:sensitive_test, :ping], %{}, %{note: text}) end,
          mark: fn text -> :ok = ElixirScope.mark(text) end
        ],
        into: %{} do
      {pid, monitor} =
        spawn_monitor(fn ->
          if sensitive?, do: Process.flag(:sensitive, true)
          for n <- 1..3, do: tell.("#{how}-#{@secret}-#{n}")
        end)

      assert_receive {:DOWN, ^monitor, :process, ^pid, :normal}
      {how, pid}
    end
  end

  defp events(pid), do: ElixirScope.events(pid: pid, kind: [:log, :telemetry, :mark]) |> Enum.map(& &1.kind)

  test "their lines, events of telemetry and marks are not recorded, the first of them neither" do
    pids = done_by(true)
    for {how, pid} <- pids, do: assert({how, events(pid)} == {how, []})
    refute Enum.any?(ElixirScope.events(), &(&1.kind != :state and inspect(&1.data) =~ "#{@secret}"))
    # A mark is set all the same, and is nobody's.
    marks = for mark <- ElixirScope.marks(), mark.label =~ @secret, do: {mark.label, mark.pid, mark.id}
    assert marks == for(n <- 1..3, do: {"mark-#{@secret}-#{n}", nil, nil})
  end

  test "those of others are, from the first on, also where the process ends with it" do
    for {how, pid} <- done_by(false), do: assert({how, events(pid)} == {how, [how, how, how]})
  end
end
