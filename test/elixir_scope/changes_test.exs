defmodule ElixirScope.ChangesTest do
  # States as differences, seen through the questions that read them one after the other: against a plain list of states.
  use ExUnit.Case, async: false

  alias ElixirScope.{Cut, Recorder}
  alias ElixirScope.Query.{Server, States}
  alias ElixirScope.Servers.{Change, Plain}

  @moduletag :tmp_dir
  @forever 0xFFFFFFFFFFFFFFFF

  setup %{test: test} do
    on_exit(fn -> {:ok, _} = ElixirScope.start() end)
    :rand.seed(:exsss, {ExUnit.configuration()[:seed], :erlang.phash2(test), 1})
    :ok
  end

  test "states are the same in both directions, in pages and by themselves", %{tmp_dir: dir} do
    {:ok, _} = ElixirScope.start(dir: dir, overflow: {:block, 1_000_000})

    for _ <- 1..8 do
      {server, kept} = drive(250)
      expected = dedup(kept)
      {recording, process} = at(server)
      oldest = recording |> States.stream(process, 0, @forever, :oldest) |> Enum.to_list()
      newest = recording |> States.stream(process, 0, @forever, :newest) |> Enum.to_list()
      assert states(oldest) === expected
      assert Enum.reverse(newest) === oldest

      # Began somewhere, each with nothing before it at hand.
      for event <- Enum.take_random(oldest, 40) do
        assert [^event] =
                 recording
                 |> States.stream(process, event.time, event.time, :newest)
                 |> Enum.filter(&(&1.id == event.id))

        assert {:ok, event.data.state} === ElixirScope.get_state_at(server, event.time)
      end

      # The states in the arguments and returns of callbacks are those around them.
      for call <- ElixirScope.calls({Plain, :handle_call, 3}, pid: server, limit: 50) do
        assert {:ok, List.last(call.args)} === ElixirScope.get_state_at(server, call.started)
      end
    end
  end

  test "what limits keep out is cut, also in what is made of differences", %{tmp_dir: dir} do
    for {limits, number} <-
          Enum.with_index([[state_bytes: 300], [elements: 60], [depth: 4], [state_bytes: 2_000]]) do
      {:ok, _} =
        ElixirScope.start(dir: Path.join(dir, "#{number}"), limits: limits, overflow: {:block, 1_000_000})

      for _ <- 1..8 do
        {server, kept} = drive(150)
        {recording, process} = at(server)
        events = recording |> States.stream(process, 0, @forever, :oldest) |> Enum.to_list()
        expected = dedup(kept)
        assert length(events) == length(expected)

        for {event, state} <- Enum.zip(events, expected) do
          assert may_be?(event.data.state, state), """
          #{inspect(limits)}, seed #{ExUnit.configuration()[:seed]}
          recorded: #{inspect(event.data.state, limit: :infinity)}
          state:    #{inspect(state, limit: :infinity)}
          """

          # An anchor may know what a change before it had to cut, or the other way round: both are right.
          {:ok, answer} = ElixirScope.get_state_at(server, event.time)
          assert may_be?(answer, state)
        end
      end
    end
  end

  test "behind a state that limits have cut the next one that fits is whole", %{tmp_dir: dir} do
    {:ok, _} =
      ElixirScope.start(
        dir: dir,
        limits: [elements: 2_000, state_bytes: 8_000],
        overflow: {:block, 1_000_000}
      )

    large = Enum.to_list(1..5_000)

    for {first, cut, next} <- [
          {%{jobs: [], n: 0}, %{jobs: large, n: 1}, %{jobs: [], n: 2}},
          {%{x: 1}, %{x: 6, l: large}, %{x: 7}},
          {nil, %{log: large, stock: 2, x: 1}, %{stock: 3}},
          {%{map: %{}}, Map.new(large, &{&1, &1}), %{1 => 2}},
          {{:a, []}, {:b, List.duplicate("text", 5_000)}, {:c, []}}
        ] do
      {server, perform} = server(first)
      perform.({:put, cut})
      assert {:ok, seen} = ElixirScope.get_state_at(server, ElixirScope.now())
      assert seen !== cut and may_be?(seen, cut)
      perform.({:put, next})
      assert {:ok, next} === ElixirScope.get_state_at(server, ElixirScope.now())
      perform.({:put, cut})
      perform.({:put, first})
      assert {:ok, first} === ElixirScope.get_state_at(server, ElixirScope.now())
    end
  end

  test "what changes within a part that was cut before is told as not known, each time", %{tmp_dir: dir} do
    {:ok, _} = ElixirScope.start(dir: dir, limits: [depth: 2], overflow: {:block, 1_000_000})

    {:ok, server} =
      ElixirScope.Traced.Store.start_link(%{count: 0, deep: %{a: [%{b: 1}], set: MapSet.new([[1]])}})

    for {count, deep} <- [{1, 1}, {1, 2}, {2, 2}, {2, 3}],
        do:
          ElixirScope.Traced.Store.put(server, %{
            count: count,
            deep: %{a: [%{b: deep}], set: MapSet.new([[1]])}
          })

    kinds = fn path ->
      for change <- ElixirScope.state_history(server, path: path),
          do: Enum.map(change.difference.entries, &elem(&1, 1))
    end

    assert kinds.([:count]) == [[:put], [:changed], [:changed]]
    assert [[:put] | [_, _ | _] = later] = kinds.([:deep, :a])
    assert Enum.uniq(later) == [[:unknown]]
    assert {:ok, %{ends: :cut}} = ElixirScope.who_set(server, [:deep, :a], ElixirScope.now())
    assert {:ok, %{ends: :cut}} = ElixirScope.who_set(server, [:deep], ElixirScope.now())
  end

  test "what would not work without all of its parts is cut as a whole", %{tmp_dir: dir} do
    {:ok, _} = ElixirScope.start(dir: dir, limits: [elements: 1_000], overflow: {:block, 1_000_000})

    for build <- [
          &MapSet.new(1..&1),
          &List.duplicate(?a, &1),
          &%{MapSet.new([1]) | map: Map.new(1..&1, fn n -> {n, []} end)}
        ] do
      {server, perform} = server(%{part: nil})

      for size <- [2_000, 2_001] do
        perform.({:put, %{part: build.(size)}})
        assert {:ok, %{part: %Cut{}} = state} = ElixirScope.get_state_at(server, ElixirScope.now())
        assert inspect(state) =~ "Cut"
      end

      perform.({:put, %{part: build.(3)}})
      assert {:ok, %{part: build.(3)}} === ElixirScope.get_state_at(server, ElixirScope.now())
      assert length(Enum.to_list(ElixirScope.state_history(server))) == 4
    end
  end

  test "states are told again after what may have hidden a change", %{tmp_dir: dir} do
    {:ok, _} = ElixirScope.start(dir: dir, overflow: {:block, 1_000_000})
    {server, _perform} = server(%{n: 1})
    :ok = ElixirScope.pause()
    :ok = ElixirScope.resume()
    assert {:error, %{reason: :lost}} = ElixirScope.get_state_at(server, ElixirScope.now())
    Plain.sync(server)
    assert {:ok, %{n: 1}} = ElixirScope.get_state_at(server, ElixirScope.now())
    origins = for event <- ElixirScope.events(pid: server, kind: :state), do: event.data.origin
    assert origins == [:init, :restated]
    # That is no change.
    assert [%{origin: :init}] = Enum.to_list(ElixirScope.state_history(server))
  end

  test "a flight recording knows the states of servers that change seldom, or not at all", %{tmp_dir: dir} do
    {:ok, _} = ElixirScope.start(dir: dir, overflow: :overwrite, limits: [ring_bytes: 256 * 1024])
    {idle, _perform} = server(%{idle: List.duplicate("a", 50)})
    {seldom, perform} = server(%{n: 0, rest: Map.new(1..50, &{&1, &1})})
    Plain.sync(seldom)
    {busy, work} = server(%{n: 0})

    # Many times round.
    until = System.monotonic_time(:millisecond) + 1_000

    last =
      Stream.iterate(1, &(&1 + 1))
      |> Enum.find(fn n ->
        work.({:put, %{n: n}})
        if rem(n, 1_000) == 0, do: perform.({:at, [key: :n], {:swap, n}})
        if rem(n, 50) == 0, do: Plain.sync(idle)
        if rem(n, 50) == 25, do: Plain.sync(seldom)
        System.monotonic_time(:millisecond) > until
      end)

    now = ElixirScope.now()
    {:ok, recording} = ElixirScope.snapshot()
    {:ok, %{gaps: [_ | _]}} = ElixirScope.status(in: recording)
    assert {:ok, %{n: last}} === ElixirScope.get_state_at(busy, now, in: recording)
    assert {:ok, %{idle: List.duplicate("a", 50)}} === ElixirScope.get_state_at(idle, now, in: recording)
    assert {:ok, %{n: n}} = ElixirScope.get_state_at(seldom, now, in: recording)
    assert n == last - rem(last, 1_000)

    # What cannot be told of it is left out, and the gap is told.
    for server <- [busy, seldom, idle] do
      history = ElixirScope.state_history(server, in: recording)
      assert Enum.all?(history, & &1.state)
      assert history.gaps != []
    end

    assert {:ok, %{state: %{n: ^last}}} = ElixirScope.last_change(busy, &(&1.n == last), in: recording)
  end

  test "a change that touches a path is never left out of those that touch it", %{tmp_dir: dir} do
    {:ok, _} = ElixirScope.start(dir: dir, overflow: {:block, 1_000_000})
    path = [:wide, 7]
    table = :ets.new(:initial, [:public])
    wide = Map.new(1..500, &{&1, 0})
    :ets.insert(table, {:changes_path, self(), %{wide: wide, beside: {0, [0]}}})
    {:ok, server} = Plain.start_link(:changes_path, table)

    for step <- 1..400 do
      key = :rand.uniform(20)

      change =
        case :rand.uniform(10) do
          1 -> {:put, %{wide: Map.put(wide, 7, step), beside: {step, []}}}
          2 -> :rebuild
          n when n < 6 -> {:at, [key: :beside], {:swap, {step, [step]}}}
          _ -> {:at, [key: :wide], {:key, key, step}}
        end

      Plain.perform(server, :reply, change)
    end

    {recording, process} = at(server)
    all = recording |> States.stream(process, 0, @forever, :oldest) |> Enum.to_list()
    touching = recording |> States.touching(process, path, @forever) |> MapSet.new(& &1.id)

    changed =
      for [before, event] <- Enum.chunk_every(all, 2, 1, :discard),
          get_in(before.data.state, path) !== get_in(event.data.state, path),
          do: event.id

    assert Enum.all?(changed, &(&1 in touching))
    assert changed != []
    # The others are mostly left out: it is looked at the differences alone.
    assert MapSet.size(touching) < length(all) / 2
  end

  test "what retention removes leaves each state that is needed later", %{tmp_dir: dir} do
    {:ok, recording} =
      ElixirScope.start(
        dir: dir,
        retain: [bytes: 8 * 1024 * 1024],
        limits: [segment_bytes: 1024 * 1024],
        overflow: {:block, 1_000_000}
      )

    {still, kept} = drive(120)
    until = ElixirScope.now()

    wait_until(fn ->
      drive(60)
      removed?()
    end)

    :ok = ElixirScope.stop()
    {:ok, opened} = ElixirScope.open(recording.path)
    {:ok, status} = ElixirScope.status(in: opened)
    assert Enum.any?(status.gaps, &(&1.cause == :removed))
    assert status.started < until
    # Its last change was long ago: keyframe, anchor and changes have moved into the remnant.
    {_, last} = status.span
    assert {:ok, List.last(kept)} === ElixirScope.get_state_at(still, last, in: opened)
  end

  # A server that begins with a state, and what makes its changes.
  defp server(first) do
    table = :ets.new(:initial, [:public])
    name = :"elixir_scope_changes_#{System.unique_integer([:positive])}"
    :ets.insert(table, {name, self(), first})
    {:ok, server} = Plain.start_link(name, table)
    {server, &Plain.perform(server, :reply, &1)}
  end

  defp removed? do
    {:ok, status} = ElixirScope.status()
    Enum.any?(status.gaps, &(&1.cause == :removed))
  end

  defp wait_until(true?), do: true?.() || wait_until(true?)

  # A server that goes through random changes, and all its states.
  defp drive(count) do
    table = :ets.new(:initial, [:public])
    name = :"elixir_scope_changes_#{System.unique_integer([:positive])}"
    Change.forget()
    first = Change.state()
    :ets.insert(table, {name, self(), first})
    {:ok, server} = Plain.start_link(name, table)

    {states, _} =
      Enum.map_reduce(1..count, first, fn _, state ->
        change = Change.random(state)
        Plain.perform(server, Enum.random([:reply, :cast, :noreply]), change)
        state = Plain.after_change(:reply, change, state)
        {state, state}
      end)

    {server, [first | states]}
  end

  # A state that is equal to the one before is no change.
  defp dedup([first | rest]) do
    {states, _} =
      Enum.flat_map_reduce(rest, first, fn state, last ->
        {if(state === last, do: [], else: [state]), state}
      end)

    [first | states]
  end

  defp at(server) do
    {:ok, recording} = Recorder.current()
    :ok = ElixirScope.flush()
    {:ok, process} = Server.find(recording, server, ElixirScope.now())
    {recording, process}
  end

  defp states(events), do: for(event <- events, do: event.data.state)

  # Whether a state is one that was recorded so: the same, but for what is cut.
  defp may_be?(%Cut{}, _state), do: true
  defp may_be?(recorded, state) when recorded === state, do: true

  defp may_be?([head | tail], [is | rest]), do: may_be?(head, is) and may_be?(tail, rest)

  defp may_be?(recorded, state)
       when is_tuple(recorded) and is_tuple(state) and tuple_size(recorded) == tuple_size(state) do
    Enum.zip(Tuple.to_list(recorded), Tuple.to_list(state))
    |> Enum.all?(fn {one, other} -> may_be?(one, other) end)
  end

  defp may_be?(recorded, state) when is_map(recorded) and is_map(state) do
    {cut, whole} = recorded |> Map.to_list() |> Enum.split_with(fn {key, _} -> cut?(key) end)

    known =
      Enum.all?(whole, fn {key, value} ->
        match?(%{^key => _}, state) and may_be?(value, Map.fetch!(state, key))
      end)

    known and (cut != [] or map_size(recorded) == map_size(state))
  end

  defp may_be?(_recorded, _state), do: false

  defp cut?(%Cut{}), do: true
  defp cut?(key) when is_tuple(key), do: key |> Tuple.to_list() |> Enum.any?(&cut?/1)
  defp cut?([head | tail]), do: cut?(head) or cut?(tail)

  defp cut?(%{} = key), do: key |> Map.to_list() |> Enum.any?(fn {key, value} -> cut?(key) or cut?(value) end)
  defp cut?(_key), do: false
end
