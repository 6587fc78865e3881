defmodule ElixirScope.NamesTest do
  # A registered name stands for the process that had it then.
  use ElixirScope.Recorded

  alias ElixirScope.Traced.{Echo, Store}

  @name :elixir_scope_names

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

  # Before the last second, in which what is known live is believed.
  defp earlier(time), do: await(fn -> ElixirScope.now() - time > 1_100_000_000 end)

  defp await(done?) do
    unless done?.() do
      receive do
      after
        20 -> await(done?)
      end
    end
  end

  test "that was taken after the first event stands for its process now, and for nobody earlier" do
    {:ok, a} = Store.start_link(:a)
    {:ok, b} = Store.start_link(:b)
    Process.register(a, @name)
    held = ElixirScope.now()
    Process.unregister(@name)
    Process.register(b, @name)
    registry = {:via, :global, @name}
    :yes = :global.register_name(@name, b)
    earlier(held)

    for server <- [@name, {:global, @name}, registry] do
      assert ElixirScope.get_state_at(server, ElixirScope.now()) == {:ok, :b}

      assert {:error, %{reason: :unknown_process, message: message}} = ElixirScope.get_state_at(server, held)

      assert message =~
               "#{inspect(b)} has it now, and took it at a time that is not recorded; ask with the pid"
    end

    assert ElixirScope.get_state_at(a, held) == {:ok, :a}
  end

  test "that was given on to a process that had begun before" do
    {:ok, first} = Store.start_link(1)
    before = ElixirScope.now()
    {:ok, second} = Store.start_link(2, name: @name)
    held = ElixirScope.now()
    assert ElixirScope.get_state_at(@name, held) == {:ok, 2}
    Process.unregister(@name)
    Process.register(first, @name)
    assert ElixirScope.get_state_at(@name, ElixirScope.now()) == {:ok, 1}
    earlier(held)
    assert ElixirScope.get_state_at(@name, ElixirScope.now()) == {:ok, 1}
    assert {:error, %{reason: :unknown_process, message: message}} = ElixirScope.get_state_at(@name, held)
    assert message =~ "#{inspect(second)} had it, and #{inspect(first)} has it now, which took it at a time"
    assert {:error, %{message: message}} = ElixirScope.get_state_at(@name, before)
    assert message =~ "the first that is known to have had it is #{inspect(second)}"
    Process.unregister(@name)
    assert ElixirScope.get_state_at(@name, held) == {:ok, 2}
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
