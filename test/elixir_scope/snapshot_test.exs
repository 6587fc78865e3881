defmodule ElixirScope.SnapshotTest do
  # Golden traces. The text is the same on all versions, whatever is watched.
  use ElixirScope.Case, async: true

  alias ElixirScope.Case.Snapshot
  alias ElixirScope.Traced.{Echo, Store}

  doctest ElixirScope.Case.Snapshot.Diff

  defp store(state) do
    {:ok, store} = start_supervised({Store, state}, id: make_ref())
    store
  end

  defp text(trace, shown \\ [:calls, :states]) do
    {:ok, lines} = Snapshot.Text.lines(trace, shown)
    Enum.join(lines, "\n")
  end

  test "a trace is its file" do
    store = store(%{count: 0})

    trace =
      record(fn ->
        Echo.pair(self(), make_ref())
        Store.put(store, %{count: 1, by: self()})
        assert_raise ArgumentError, fn -> Echo.fail(:x) end
        Task.await(Task.async(fn -> Store.put(store, Enum.to_list(1..60)) end))
        GenServer.call(store, :nested)
      end)

    assert_snapshot(trace, "store")
  end

  test "what is made anew in each run is replaced" do
    trace =
      record(fn ->
        Echo.echo(%{id: System.unique_integer([:positive]), ref: "order-#{System.unique_integer()}"})
      end)

    replace = [{~r/\bid: \d+/, "id: #id"}, {~r/order-[-\d]+/, "order-#"}, {"order", "an order"}]
    assert_snapshot(trace, "replaced", replace: replace)
  end

  defmodule Shop do
    @moduledoc false
    use ElixirScope

    def total(items), do: items |> Enum.map(fn {price, count} -> price * count end) |> sum(0)
    defp sum([], total), do: total
    defp sum([one | more], total), do: sum(more, total + one)

    def buy(items) do
      1 = check(items)
      {:paid, total(items)}
    end

    defp check([_ | _]), do: 1
    defp check([]), do: raise(ArgumentError, "nothing")

    def wait(from) do
      send(from, :waits)
      receive do: (:go -> :gone)
    end
  end

  test "calls stand in those that made them" do
    # The function that a tail call goes to stands in the place of the one that made it, and ends for both.
    trace =
      record(fn ->
        Shop.buy([{2, 3}, {1, 4}])
        catch_error(Shop.buy([]))
      end)

    assert text(trace) == """
           ElixirScope trace 1

           == #PID<1> the test
             ElixirScope.SnapshotTest.Shop.buy([{2, 3}, {1, 4}])
               ElixirScope.SnapshotTest.Shop.check([{2, 3}, {1, 4}]) -> 1
               ElixirScope.SnapshotTest.Shop.total([{2, 3}, {1, 4}])
                 fn/1 in ElixirScope.SnapshotTest.Shop.total/1 ({2, 3}) -> 6
                 fn/1 in ElixirScope.SnapshotTest.Shop.total/1 ({1, 4}) -> 4
               ElixirScope.SnapshotTest.Shop.sum([6, 4], 0)
               ElixirScope.SnapshotTest.Shop.sum([4], 6)
               ElixirScope.SnapshotTest.Shop.sum([], 10) -> 10
             -> {:paid, 10}
             ElixirScope.SnapshotTest.Shop.buy([])
               ElixirScope.SnapshotTest.Shop.check([]) raises %ArgumentError{message: "nothing"}
             raises %ArgumentError{message: "nothing"}\
           """
  end

  test "a call that goes on behind the trace has no end in it" do
    test = self()
    {:ok, pid} = Task.start(fn -> Shop.wait(test) end)
    assert_receive :waits
    # It began before.
    trace = record(fn -> Echo.echo(1) end)
    refute text(trace) =~ "Shop.wait"
    send(pid, :go)

    trace =
      record(fn ->
        {:ok, pid} = Task.start(fn -> Shop.wait(test) end)
        assert_receive :waits
        pid
      end)

    ref = Process.monitor(trace.result)
    send(trace.result, :go)
    assert_receive {:DOWN, ^ref, _, _, _}
    assert text(trace) =~ "Shop.wait(#PID<2>) has not returned"
  end

  test "who is first of two processes does not show, nor who they are" do
    text = fn delays ->
      trace =
        record(fn ->
          delays
          |> Enum.map(fn ready? ->
            Task.async(fn ->
              unless ready?, do: receive(do: (:go -> :ok))
              Echo.echo({:by, self(), make_ref()})
              self()
            end)
          end)
          |> then(fn tasks ->
            # Those that wait are told when the others are done.
            {ready, waiting} = tasks |> Enum.zip(delays) |> Enum.split_with(&elem(&1, 1))
            for {task, true} <- ready, do: Task.await(task)
            for {task, false} <- waiting, do: send(task.pid, :go)
            for {task, false} <- waiting, do: Task.await(task)
          end)
        end)

      text(trace)
    end

    first = text.([true, false, true])
    assert first == text.([false, true, false])
    assert first == text.([false, false, true])
    assert first =~ "== #PID<1>"
    assert first =~ "== #PID<3>"
    refute first =~ "<0."
  end

  test "a file that is not there fails, and says how to write it" do
    trace = record(fn -> Echo.echo(1) end)
    message = failure(fn -> assert_snapshot(trace, "never_written") end)
    assert message =~ "test/elixir_scope/snapshots/never_written.trace, which is not there."
    assert message =~ "write it: ELIXIR_SCOPE_UPDATE=1 mix test"
    assert message =~ "ElixirScope.Traced.Echo.echo(1) -> 1"
  end

  @tag :tmp_dir
  test "a difference is shown line by line", %{tmp_dir: dir} do
    test_file = Path.join(dir, "some_test.exs")
    File.mkdir_p!(Path.join(dir, "snapshots"))
    golden = record(fn -> for n <- 1..9, do: Echo.echo(n) end)
    File.write!(Path.join(dir, "snapshots/nine.trace"), text(golden) <> "\n")
    assert Snapshot.assert(record(fn -> for n <- 1..9, do: Echo.echo(n) end), "nine", test_file, [])

    other = record(fn -> for n <- [1, 2, 3, 4, 50, 6, 7, 8, 9], do: Echo.echo(n) end)
    message = failure(fn -> Snapshot.assert(other, "nine", test_file, []) end)
    assert message =~ "- is the file, + what was recorded"

    assert [
             "      ... 4 equal lines",
             "        ElixirScope.Traced.Echo.echo(2) -> 2",
             "        ElixirScope.Traced.Echo.echo(3) -> 3",
             "        ElixirScope.Traced.Echo.echo(4) -> 4",
             "    -   ElixirScope.Traced.Echo.echo(5) -> 5",
             "    +   ElixirScope.Traced.Echo.echo(50) -> 50",
             "        ElixirScope.Traced.Echo.echo(6) -> 6" | _
           ] = message |> String.split("\n") |> Enum.drop_while(&(not String.contains?(&1, "equal lines")))

    # As another system checks it out.
    File.write!(Path.join(dir, "snapshots/nine.trace"), String.replace(text(golden) <> "\n", "\n", "\r\n"))
    assert Snapshot.assert(golden, "nine", test_file, [])
  end

  test "messages and ends, where they are watched" do
    store = store(0)
    {:ok, _} = ElixirScope.watch(self(), kinds: [:messages, :life], spawned: true)

    trace =
      record(fn ->
        {pid, ref} = spawn_monitor(fn -> Echo.echo(GenServer.cast(store, {:put, self()})) end)
        assert_receive {:DOWN, ^ref, _, ^pid, :normal}, 5_000
        # Answers behind what was cast.
        GenServer.call(store, :get)
      end)

    text = text(trace, [:calls, :messages, :exits])
    assert text =~ ~s(sends #PID<)
    assert text =~ ~s({:"$gen_cast", {:put, #PID<)
    assert text =~ "exits :normal"
    refute text(trace) =~ "exits :normal"
  end

  test "the loading of code is not in it, as it happens in the first run only" do
    {:ok, _} = ElixirScope.watch(self(), kinds: [:messages])

    trace =
      record(fn ->
        # The code server is asked each time.
        {:error, :nofile} = Code.ensure_loaded(ElixirScope.NoSuchModule)
        send(self(), :sent)
      end)

    assert [_ | _] = for(%{target: :code_server} = asked <- ElixirScope.Trace.messages(trace), do: asked)
    text = text(trace, [:messages])
    assert text =~ "sends #PID<1> :sent"
    refute text =~ "code_server"
  end

  test "what is kept by many pids is in an order that does not come from the pids" do
    pids = for _ <- 1..40, do: spawn(fn -> :ok end)

    [text, other] =
      for pids <- [pids, Enum.reverse(pids)] do
        by_pid = pids |> Enum.with_index() |> Map.new()

        text(
          record(fn ->
            Echo.pair(by_pid, MapSet.new(pids))
            Echo.echo({hd(pids), make_ref()})
          end)
        )
      end

    assert text == other
  end

  test "what cannot be compared fails" do
    trace = record(fn -> :nothing end)
    assert failure(fn -> assert_snapshot(trace, "nothing") end) =~ "Nothing of the kind was recorded"
    assert_raise ArgumentError, ~r/expects an ElixirScope.Trace/, fn -> assert_snapshot(:trace, "x") end
    assert_raise ArgumentError, ~r/the name of a file/, fn -> assert_snapshot(trace, "../x") end
    assert_raise ArgumentError, ~r/the name of a file/, fn -> assert_snapshot(trace, :x) end

    assert_raise ArgumentError, ~r/the option show:/, fn ->
      assert_snapshot(trace, "x", show: [:everything])
    end

    assert_raise ArgumentError, ~r/the options show: and replace:/, fn ->
      assert_snapshot(trace, "x", hide: [:calls])
    end

    for bad <- [nil, [{"", "x"}], [{~r/a/, :b}], ["a"], [{"a", "b"} | :c]] do
      assert_raise ArgumentError, ~r/the option replace: with pairs/, fn ->
        assert_snapshot(trace, "x", replace: bad)
      end
    end
  end

  test "a trace that ended while something went on is undecided" do
    test = self()

    trace =
      record(fn ->
        Echo.pair(1, 2)
        spawn_link(fn -> go_on(test) end)
      end)

    send(trace.result, :enough)
    message = failure(fn -> assert_snapshot(trace, "busy") end)

    assert message =~
             "Undecided: after 1,000 ms the test's processes were not quiet: #{inspect(trace.result)} was still"

    assert trace.unsettled =~ "were not quiet"
    assert record(fn -> :ok end).unsettled == nil
  end

  defp go_on(test) do
    receive do
      :enough -> send(test, :done)
    after
      0 -> go_on(test)
    end
  end

  describe "terms" do
    defp plain(term, names \\ %Snapshot.Terms{since: 0, until: 0}),
      do: term |> Snapshot.Terms.text(names) |> elem(0)

    test "are numbered as they appear, also within texts" do
      [one, other] = [self(), spawn(fn -> :ok end)]
      ref = make_ref()
      term = {other, [one, ref | other], %{one => "#{inspect(one)} #{inspect(ref)}"}, hd(Port.list())}

      assert plain(term) ==
               ~S({#PID<1>, [#PID<2>, #Reference<1> | #PID<1>], %{#PID<2> => "#PID<2> #Reference<1>"}, #Port<1>})
    end

    test "that are functions are called after where they stand" do
      assert plain(fn x -> x end) =~
               ~r/\A#Function<fn\/1 in ElixirScope.SnapshotTest.*test terms that are functions.*>\z/

      assert plain(&Enum.map/2) == "&Enum.map/2"
      assert plain("got #{inspect(fn -> 1 end)}") =~ ~r/"got #Function<fn\/0 in ElixirScope.SnapshotTest/
    end

    test "that are moments of the trace are one" do
      now = ElixirScope.now()
      names = %Snapshot.Terms{since: now, until: now}
      seconds = div(now, 1_000_000_000)

      assert plain({now, div(now, 1_000_000), seconds, DateTime.from_unix!(seconds)}, names) ==
               "{#time, #time, #time, #time}"

      assert plain([5_000_000_000, ~U[2020-01-01 00:00:00Z]], names) ==
               "[5000000000, ~U[2020-01-01 00:00:00Z]]"
    end

    test "that are keys are as many as there were, also where they have the same text" do
      now = ElixirScope.now()
      names = %Snapshot.Terms{since: now, until: now}
      seconds = div(now, 1_000_000_000)

      assert plain(%{(seconds - 1) => :b, seconds => :a}, names) == "%{#time => :b, #time => :a}"
      assert plain(MapSet.new([{:at, seconds}, {:at, seconds + 1}]), names) =~ "{:at, #time}, {:at, #time}"
      assert [_, _, _] = String.split(plain(%{fn -> 1 end => 1, fn -> 2 end => 2}), "#Function<fn/0 in")
    end

    test "of structs are shown as these are, or as maps where that fails" do
      assert plain(%{set: MapSet.new([self()])}) =~ "#PID<1>"
      assert plain(%Date{year: self(), month: 1, day: 1, calendar: Calendar.ISO}) =~ "year: #PID<1>"
    end
  end

  defp failure(fun), do: assert_raise(ExUnit.AssertionError, fun).message
end
