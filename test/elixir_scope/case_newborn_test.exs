defmodule ElixirScope.CaseNewbornTest do
  use ExUnit.Case, async: true

  alias ElixirScope.Case.Newborn

  defp waiting(count, spawn \\ &spawn_link/1),
    do: for(_ <- 1..count, do: spawn.(fn -> Process.sleep(:infinity) end))

  # In this VM others make processes too, so many that all have to be looked through.
  test "the processes that were made since another one, and live, are all there" do
    [first | pids] = waiting(100)
    assert pids -- Newborn.since(first) == []
    [first | pids] = waiting(1_200)
    assert pids -- Newborn.since(first) == []
  end

  test "what was made by one that has ended is there as well" do
    test = self()
    [first] = waiting(1)
    {maker, monitor} = spawn_monitor(fn -> send(test, {:made, hd(waiting(1, &spawn/1))}) end)
    assert_receive {:made, made}, 10_000
    assert_receive {:DOWN, ^monitor, :process, ^maker, _reason}, 10_000
    assert made in Newborn.since(first)
    Process.exit(made, :kill)
  end

  @functions """
  made = fn -> spawn(fn -> Process.sleep(:infinity) end) end

  ended = fn ->
    {pid, monitor} = spawn_monitor(fn -> :ok end)
    receive do: ({:DOWN, ^monitor, :process, ^pid, _} -> pid)
  end

  since = &ElixirScope.Case.Newborn.since/1
  """

  test "in a VM by itself there are no others" do
    code = """
    older = made.()
    first = made.()
    pids = for _ <- 1..50, do: made.()
    gone = for _ <- 1..50, do: ended.()
    found = since.(first)
    IO.inspect({pids -- found, older in found, first in found, self() in found, gone -- gone -- found})
    # Once there are too many, all are looked through.
    for _ <- 1..1_000, do: ended.()
    found = since.(first)
    IO.inspect({pids -- found, older in found, self() in found})
    """

    assert in_own_vm(code, []) == "{[], false, false, false, []}\n{[], true, true}\n"
  end

  test "in a VM that has used up its numbers all are looked through" do
    # A VM takes 1,024 places for processes at least.
    code = """
    for _ <- 1..5_000, do: ended.()
    first = made.()
    pids = for _ <- 1..50, do: made.()
    found = since.(first)
    IO.inspect({pids -- found, tl(pids) -- since.(hd(pids)), self() in found})
    """

    assert in_own_vm(code, ["--erl", "+P 1024"]) == "{[], [], true}\n"
  end

  defp in_own_vm(code, options) do
    arguments = options ++ ["-pa", Mix.Project.compile_path(), "-e", @functions <> code]
    {said, 0} = System.cmd("elixir", arguments, stderr_to_stdout: true)
    said
  end
end
