defmodule ElixirScope.BadInputTest do
  # What a program may hold, and what a recording may have in it, that is not as one would wish.
  use ExUnit.Case, async: false

  import ElixirScope.OtherVm, only: [run: 2, line: 1, kill: 2, start: 2]

  alias ElixirScope.{Cut, Text}
  alias ElixirScope.Traced.{Echo, Store}

  @moduletag :tmp_dir

  setup %{tmp_dir: dir} do
    {:ok, recording} = ElixirScope.start(dir: Path.join(dir, "own"))
    on_exit(fn -> {:ok, _} = ElixirScope.start() end)
    %{recording: recording}
  end

  test "states with functions, ports, references and pids of what is gone come back equal", %{
    recording: recording
  } do
    add = 7
    {dead, monitor} = spawn_monitor(fn -> :ok end)
    assert_receive {:DOWN, ^monitor, :process, ^dead, _}
    port = Port.open({:spawn, "true"}, [])
    true = Port.close(port)
    other_node = :erlang.binary_to_term(<<131, 88, 119, 5, "a@b.c", 7::32, 0::32, 1::32>>)

    state = %{
      fun: &(&1 + add),
      named: &String.trim/1,
      dead: dead,
      port: port,
      ref: make_ref(),
      other: other_node
    }

    {:ok, server} = Store.start_link(state)
    Store.put(server, {:again, state, dead})
    time = ElixirScope.now()
    :ok = GenServer.stop(server)
    :ok = ElixirScope.stop()
    {:ok, opened} = ElixirScope.open(recording.path)

    for options <- [[], [in: opened]] do
      assert {:ok, {:again, ^state, ^dead} = known} = ElixirScope.get_state_at(server, time, options)
      assert elem(known, 1).fun.(1) == 8
      assert inspect(ElixirScope.events([pid: server] ++ options), limit: :infinity) =~ inspect(dead)
    end
  end

  test "a module where one server is expected: the error names the servers of it" do
    {:ok, server} = Store.start_link(1)
    now = ElixirScope.now()

    for {:error, error} <- [
          ElixirScope.get_state_at(Store, now),
          ElixirScope.last_change(Store, &(&1 == 1)),
          ElixirScope.who_set(Store, [], now)
        ] do
      assert error.reason == :unknown_process

      assert error.message =~
               "if servers of the module ElixirScope.Traced.Store are meant: one of them is expected here"

      assert error.message =~
               "expected here (#{inspect(server)}), and ElixirScope.first_change/3 takes the module"
    end

    assert_raise ElixirScope.Error, ~r/of the module/, fn -> ElixirScope.state_history(Store) end
    {:error, error} = ElixirScope.get_state_at(:no_such_server, now)
    refute error.message =~ "of the module"
  end

  describe "a pid" do
    # The VM warns that this is made for its own tests alone.
    setup do
      :ok =
        :logger.add_primary_filter(
          :own_tests,
          {fn event, _ -> if own_test?(event), do: :stop, else: :ignore end, nil}
        )

      :erts_debug.set_internal_state(:available_internal_state, true)

      on_exit(fn ->
        :erts_debug.set_internal_state(:available_internal_state, false)
        :logger.remove_primary_filter(:own_tests)
      end)
    end

    # The VM counts pids up to 2^28 and begins anew; `next_pid` of its tests of itself lets it begin where one likes.
    test "that comes back with another serial is another process" do
      {:ok, first} = Store.start_link(:first)
      then = ElixirScope.now()
      :ok = GenServer.stop(first)
      {id, serial} = numbers(first)
      second = start_at(id, serial + 1, :second)
      assert {id, serial + 1} == numbers(second)
      now = ElixirScope.now()
      assert ElixirScope.get_state_at(first, now) == {:ok, :first}
      assert ElixirScope.get_state_at(second, now) == {:ok, :second}
      assert ElixirScope.get_state_at(inspect(second), now) == {:ok, :second}
      assert {:error, %{reason: :no_state}} = ElixirScope.get_state_at(second, then)
    end

    test "that comes back the very same stands for the process that had it then" do
      {:ok, first} = Store.start_link(:first, name: :elixir_scope_first)
      then = ElixirScope.now()
      :ok = GenServer.stop(first)
      {id, serial} = numbers(first)
      assert ^first = start_at(id, serial, :second)
      assert ElixirScope.get_state_at(first, then) == {:ok, :first}
      assert ElixirScope.get_state_at(:elixir_scope_first, then) == {:ok, :first}
      assert ElixirScope.get_state_at(first, ElixirScope.now()) == {:ok, :second}

      states =
        for event <- ElixirScope.events(pid: first, kind: :state), do: {event.data.origin, event.data.state}

      assert states == [{:init, :first}, {:init, :second}]
      # Each said who it was.
      names = for event <- ElixirScope.events(pid: first, kind: :process), do: event.data.name
      assert names == [:elixir_scope_first, nil]
    end
  end

  test "time never goes back, in whatever process, and no event before one that it saw" do
    tasks = for _ <- 1..8, do: Task.async(fn -> for _ <- 1..5_000, do: ElixirScope.now() end)
    for times <- Task.await_many(tasks), do: assert(times == Enum.sort(times))

    # Handed from process to process, each reading comes after the one before.
    parent = self()

    Enum.reduce(1..500, ElixirScope.now(), fn _, before ->
      spawn(fn -> send(parent, {:now, ElixirScope.now(), Echo.echo(before)}) end)
      assert_receive {:now, now, ^before}
      assert now >= before
      now
    end)

    calls = ElixirScope.calls(&Echo.echo/1)
    assert length(calls) == 500
    for call <- calls, do: assert(call.started >= hd(call.args))
    assert Enum.map(calls, & &1.started) == calls |> Enum.map(& &1.started) |> Enum.sort()
  end

  test "a recording in progress is as it was when it was opened, by name too", %{tmp_dir: dir} do
    dir = Path.join(dir, "other")
    {port, [os_pid, _server]} = run("other_vm.exs", [dir])
    {number, time, opened} = known(port, dir)
    assert {:ok, %{state: :running}} = ElixirScope.status(in: opened)
    assert {:ok, %{number: ^number}} = ElixirScope.get_state_at(:the_store, time, in: opened)
    assert inspect(opened) =~ "#ElixirScope.Recording<opened, begun "
    assert inspect(ElixirScope.events(in: opened, pid: :the_store, kind: :state)) =~ "more than 1,000 events"
    {:ok, %{span: {_first, last}}} = ElixirScope.status(in: opened)
    {later, later_time, again} = known(port, dir, last + 1)
    assert later > number

    # Of the time after it was opened it knows nothing, or what is true.
    case ElixirScope.get_state_at(:the_store, later_time, in: opened) do
      {:error, error} -> assert error.reason == :after_recording
      {:ok, state} -> assert state.number == later
    end

    assert {:ok, %{number: ^later}} = ElixirScope.get_state_at(:the_store, later_time, in: again)
    kill(port, os_pid)
  end

  test "a recording of another program, with structs of modules that are not here, can be read", %{
    tmp_dir: dir
  } do
    dir = Path.join(dir, "foreign")
    port = start("foreign_vm.exs", [dir])
    facts = facts(port)
    {"stopped", [_time, os_pid, server]} = List.keyfind(facts, "stopped", 0)
    {:ok, opened} = ElixirScope.open(dir)
    refute Code.ensure_loaded?(Foreign.Wish)

    states =
      for {name, [time, _os_pid, _server]} <- facts, name != "stopped" do
        assert {:ok, {known, wish}} = ElixirScope.get_state_at(server, String.to_integer(time), in: opened)
        assert Atom.to_string(known) == name
        # As people see it: in the shell, and in our own words.
        assert is_binary(inspect(wish))
        refute Text.short(wish) =~ "Inspect.Error"
        {known, wish}
      end

    states = Map.new(states)
    assert %{__struct__: Foreign.Wish, made: ~D[2026-01-01]} = states.struct
    assert Atom.to_string(states.struct.name) == "foreign atom of #{os_pid}"

    assert Text.short(states.struct, width: 200) =~
             "%{__struct__: Foreign.Wish, made: ~D[2026-01-01], name: :\"foreign atom"

    assert Text.short(states.mapset, width: 200) =~ "__struct__: MapSet"
    assert Text.short(states.date) == "%{__struct__: Date, week: 1, year: 2026}"
    assert is_function(states.fun.closure, 1)
    assert Text.short(states.fun.named) =~ "&Foreign.Server.refuse/1"

    events = ElixirScope.events(in: opened)
    refute inspect(events) =~ "Inspect.Error"
    for event <- events, do: refute(inspect(event, limit: :infinity) =~ "Inspect.Error")
    assert [refused] = ElixirScope.calls({Foreign.Server, :refuse, 1}, in: opened)
    assert inspect(refused) =~ ~r/Foreign.Server.refuse\(:no\)\s+\*\* \(Foreign.Refusal\) %{.*why: :no/
    assert inspect(hd(ElixirScope.calls({Foreign.Server, :init}, in: opened))) =~ "  :foreign_server  "
    assert {:error, error} = ElixirScope.get_state_at(:foreign_other, ElixirScope.now(), in: opened)
    assert is_binary(inspect(error))
  end

  test "a state that grows without bound is exact, or says where it was cut", %{tmp_dir: dir} do
    limits = [elements: 1_000, value_bytes: 20_000, state_bytes: 20_000]
    # States come faster than they are written.
    {:ok, recording} =
      ElixirScope.start(dir: Path.join(dir, "growing"), limits: limits, overflow: {:block, 1_000_000})

    {:ok, server} = Store.start_link([])

    {facts, _list} =
      Enum.map_reduce(1..3_000, [], fn number, list ->
        list = [number | list]
        Store.put(server, list)
        {{ElixirScope.now(), number}, list}
      end)

    for {time, number} <- Enum.take_every(facts, 97) do
      {:ok, state} = ElixirScope.get_state_at(server, time)
      whole = Enum.to_list(number..1//-1)

      case cut_at(state) do
        nil ->
          assert state == whole

        kept ->
          # What is shown is true, and says that it is not all.
          assert kept >= 900 and kept < number
          assert Enum.take(state, kept) == Enum.take(whole, kept)
      end
    end

    {_time, exact} =
      Enum.find(facts, fn {time, _number} -> cut_at(ElixirScope.get_state_at!(server, time)) end)

    assert exact in 900..1_100

    {:ok, text} = Store.start_link("")

    for size <- 1..2_000//10 do
      Store.put(text, String.duplicate("x", size * 100))

      case ElixirScope.get_state_at!(text, ElixirScope.now()) do
        %Cut{kind: :binary, size: true_size, kept: kept} ->
          assert {true_size, String.trim(kept, "x")} == {size * 100, ""}

        whole ->
          assert whole == String.duplicate("x", size * 100)
      end
    end

    :ok = ElixirScope.stop()
    {:ok, status} = ElixirScope.status(in: recording)
    assert status.lost == 0
    # 3,200 states of up to 20 kB: what is on disk is of the size of the changes.
    assert status.bytes < 3_200 * 1_000
  end

  defp own_test?(event), do: inspect(event) =~ "emulator internal state"

  # How many elements of a list stand before the rest that was cut, or `nil`.
  defp cut_at(list), do: cut_at(list, 0)
  defp cut_at([], _kept), do: nil
  defp cut_at(%Cut{kind: :list}, kept), do: kept
  defp cut_at([%Cut{}], kept), do: kept
  defp cut_at([_ | rest], kept), do: cut_at(rest, kept + 1)

  defp numbers(pid) do
    {:ok, numbers} = ElixirScope.Query.Server.numbers(pid)
    numbers
  end

  # A server at these numbers. Another process may take them first, and ends soon. Of the count of processes the id is the lower 15 bits
  # in OTP 25, all 28 in later ones.
  defp start_at(id, serial, state, tries \\ 200) do
    :erts_debug.set_internal_state(
      :next_pid,
      serial * Integer.pow(2, if(rem(tries, 2) == 0, do: 15, else: 28)) + id - 1
    )

    {:ok, server} = Store.start_link(state)

    cond do
      numbers(server) == {id, serial} -> server
      tries > 0 -> start_at(id, serial, state, tries - 1)
      true -> flunk("no process came to be at #{id}, #{serial}, but at #{inspect(numbers(server))}")
    end
  end

  # What the other VM said, and its recording with that in it.
  defp known(port, dir, since \\ 0) do
    [number, time] = port |> line() |> String.split(" ") |> Enum.map(&String.to_integer/1)

    if number < 1_100 or time < since do
      known(port, dir, since)
    else
      {number, time, open_at(port, dir, time)}
    end
  end

  defp open_at(port, dir, time) do
    {:ok, opened} = ElixirScope.open(dir)

    case ElixirScope.status(in: opened) do
      {:ok, %{span: {_first, last}}} when last >= time ->
        opened

      _not_yet ->
        line(port)
        open_at(port, dir, time)
    end
  end

  defp facts(port) do
    [name | rest] = port |> line() |> String.split(" ")
    if name == "stopped", do: [{name, rest}], else: [{name, rest} | facts(port)]
  end

  test "neither nothing nor a list without an end is taken for one or several" do
    bad = [self() | :others]

    for {question, expected} <- [
          {fn -> ElixirScope.events(pid: bad) |> Enum.to_list() end, "expected a process"},
          {fn -> ElixirScope.events(kind: nil) |> Enum.to_list() end, "expected :kind to be one or a list"},
          {fn -> ElixirScope.calls(__MODULE__, pid: bad) end, "expected a process"},
          {fn -> ElixirScope.spans(kind: [:request | :query]) end, "expected :kind to be one or a list"},
          {fn -> ElixirScope.spans(kind: nil) end, "expected :kind to be one or a list"},
          {fn -> ElixirScope.stats(pid: bad) end, "expected a process"},
          {fn -> ElixirScope.flame_graph(pid: bad) end, "expected a process"},
          {fn -> ElixirScope.deadlocks(since: %ElixirScope.Event{}) end, "expected a time"},
          {fn -> ElixirScope.deadlocks(until: %ElixirScope.Call{started: -1}) end, "expected a time"}
        ] do
      assert_raise ElixirScope.Error, ~r/#{expected}/, question
    end

    assert {:error, %{message: message}} = ElixirScope.first_change(bad, & &1)
    assert message =~ "expected a process"
  end
end
