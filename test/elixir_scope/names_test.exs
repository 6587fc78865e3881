defmodule ElixirScope.NamesTest do
  # A registered name stands for the process that had it then.
  use ExUnit.Case, async: false

  alias ElixirScope.Traced.{Echo, Store}

  @moduletag :tmp_dir
  @name :elixir_scope_names

  setup %{tmp_dir: dir} do
    {:ok, recording} = ElixirScope.start(dir: dir)
    on_exit(fn -> {:ok, _} = ElixirScope.start() end)
    %{recording: recording}
  end

  defp hold(state) do
    {:ok, server} = Store.start_link(state, name: @name)
    time = ElixirScope.now()
    :ok = GenServer.stop(server)
    {server, time}
  end

  test "of each of its holders, live and opened alike", %{recording: recording} do
    Echo.echo(1)
    before = ElixirScope.now()
    held = for number <- 1..5, do: {number, hold(number)}
    {_number, {first, _time}} = hd(held)
    after_all = ElixirScope.now()
    :ok = ElixirScope.stop()
    {:ok, opened} = ElixirScope.open(recording.path)

    for options <- [[], [in: opened]] do
      for {number, {server, time}} <- held do
        assert ElixirScope.get_state_at(@name, time, options) == {:ok, number}
        assert ElixirScope.get_state_at(server, time, options) == {:ok, number}
      end

      assert {:error, %{reason: :unknown_process, message: message}} =
               ElixirScope.get_state_at(@name, before, options)

      assert message =~ "expected a time at which a process had the name #{inspect(@name)}, got "

      assert message =~
               "the first that is known to have had it is #{inspect(first)}, which was seen first at "
    end

    # How a process ended is not recorded: the last one keeps the name, as it keeps its state.
    assert {:ok, 5} = ElixirScope.get_state_at(@name, min(after_all, known_until(opened)), in: opened)

    assert {:error, %{reason: :after_recording}} =
             ElixirScope.get_state_at(@name, after_all + 1_000_000_000_000, in: opened)
  end

  test "before its first holder, also while another one is alive" do
    before = ElixirScope.now()
    {first, _time} = hold(1)
    {:ok, second} = Store.start_link(2, name: @name)
    assert {:error, %{message: message}} = ElixirScope.get_state_at(@name, before)
    assert message =~ inspect(first)
    refute message =~ inspect(second)
  end

  test "that was taken after the first event is known while its process lives, and in this VM alone" do
    {:ok, server} = Store.start_link(1)
    time = ElixirScope.now()
    Process.register(server, @name)
    assert ElixirScope.get_state_at(@name, time) == {:ok, 1}
    {:ok, recording} = ElixirScope.snapshot()
    {:ok, opened} = ElixirScope.open(recording.path)

    assert {:error, %{reason: :unknown_process, message: message}} =
             ElixirScope.get_state_at(@name, time, in: opened)

    assert message =~ "processes with a state are #{inspect(server)}"
    :ok = GenServer.stop(server)
    assert {:error, %{reason: :unknown_process}} = ElixirScope.get_state_at(@name, time)
    assert ElixirScope.get_state_at(server, time) == {:ok, 1}
  end

  test "that nobody ever had is no process" do
    Echo.echo(1)

    assert {:error, %{reason: :unknown_process, message: message}} =
             ElixirScope.get_state_at(:nobody_here, ElixirScope.now())

    assert message =~ "expected a process that is in the recording, got: :nobody_here"
  end

  defp known_until(opened) do
    {:ok, %{span: {_first, last}}} = ElixirScope.status(in: opened)
    last
  end
end
