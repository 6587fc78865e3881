defmodule ElixirScopeTest do
  # The recording is one for the VM, and each test begins a new one.
  use ElixirScope.Recorded

  import ElixirScope.Assertions

  alias ElixirScope.Error
  alias ElixirScope.Traced.{Echo, Empty, Silent, Store}

  describe "terms" do
    test "of every kind come back equal, as arguments, values and states" do
      seed = :rand.seed(:exsss, {1, 2, System.unique_integer()})
      terms = for _ <- 1..400, do: ElixirScope.Terms.random(6)
      {:ok, server} = Store.start_link(:first)

      for term <- terms do
        Echo.echo(term)
        Store.put(server, term)
      end

      calls = ElixirScope.calls(&Echo.echo/1)
      assert length(calls) == 400

      for {call, term} <- Enum.zip(calls, terms),
          do: assert({call.args, call.return} === {[term], term}, inspect(seed))

      states = for event <- ElixirScope.events(kind: :state, pid: server), do: event.data.state
      assert states === Enum.dedup([:first | terms]), inspect(seed)
    end

    test "come back equal from a file opened by another handle", %{recording: recording} do
      terms = for _ <- 1..100, do: ElixirScope.Terms.random(6)
      Enum.each(terms, &Echo.echo/1)
      :ok = ElixirScope.stop()
      {:ok, opened} = ElixirScope.open(recording.path)
      assert Enum.map(ElixirScope.calls(&Echo.echo/1, in: opened), & &1.return) === terms
    end

    test "of a million levels or elements are ordinary inputs" do
      deep = Enum.reduce(1..1_000_000, [], fn _, inner -> [inner] end)
      Echo.echo(deep)
      Echo.echo(Enum.to_list(1..1_000_000))
      Echo.echo(List.to_tuple(Enum.to_list(1..1_000_000)))
      Echo.echo(Map.new(1..1_000_000, &{&1, &1}))
      Echo.echo(String.duplicate("x", 50_000_000))
      [deep, list, tuple, map, binary] = for call <- ElixirScope.calls(&Echo.echo/1), do: call.return
      assert inspect(deep, limit: :infinity) =~ "#ElixirScope.Cut<list>"
      assert [1, 2, 3 | _] = list
      assert inspect(list, limit: :infinity) =~ "#ElixirScope.Cut<list>"
      assert tuple == %ElixirScope.Cut{kind: :tuple, size: 1_000_000}
      assert map == %ElixirScope.Cut{kind: :map, size: 1_000_000}
      assert %ElixirScope.Cut{kind: :binary, size: 50_000_000, kept: "xxx" <> _} = binary
    end

    test "of every shape stay within what a ring takes, however small it is", %{tmp_dir: dir} do
      {:ok, _} = ElixirScope.start(dir: dir, limits: [ring_bytes: 64 * 1024])
      wide = List.to_tuple(Enum.to_list(1..100_000))

      shapes = [
        wide,
        Enum.reduce(1..1_000, {}, fn _, inner -> Tuple.insert_at(Tuple.duplicate(:x, 300), 300, inner) end),
        Enum.reduce(1..1_000, {}, fn _, inner -> Tuple.insert_at(Tuple.duplicate(:x, 300), 0, inner) end),
        Enum.reduce(1..5_000, %{}, fn n, inner -> %{n => inner, {n} => 1.5} end),
        Enum.reduce(1..50_000, [], fn n, inner -> [inner, n | :tail] end),
        Enum.map(1..50_000, &{&1, Integer.to_string(&1)}),
        for(n <- 1..200, do: Map.new(1..200, &{&1, {n, self()}}))
      ]

      for shape <- shapes do
        Echo.echo(shape)
        # The ring holds the events of one.
        ElixirScope.flush()
      end

      assert {:ok, %{lost: 0}} = ElixirScope.status()
      calls = ElixirScope.calls(&Echo.echo/1)
      assert length(calls) == length(shapes)
      for call <- calls, do: assert(inspect(call.return, limit: :infinity) =~ "#ElixirScope.Cut<")
    end

    test "are cut at the limits that were asked for, and marked", %{tmp_dir: dir} do
      {:ok, _} = ElixirScope.start(dir: dir, limits: [depth: 2, value_bytes: 200, elements: 50])
      Echo.echo({{{:too, :deep}}})
      Echo.echo(String.duplicate("a", 300))
      [deep, long] = for call <- ElixirScope.calls(&Echo.echo/1), do: call.return
      assert deep == {{%ElixirScope.Cut{kind: :tuple, size: 2}}}
      assert %ElixirScope.Cut{kind: :binary, size: 300} = long
      assert inspect(deep) == "{{#ElixirScope.Cut<tuple of 2 elements>}}"
    end
  end

  describe "calls/2" do
    test "shows arguments, values, exceptions, throws and exits" do
      Echo.pair(1, :two)
      assert_raise ArgumentError, fn -> Echo.fail("x") end
      catch_throw(Echo.toss({:a, 1}))
      catch_exit(Echo.leave(:bye))
      Echo.many(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14)

      assert [%{args: [1, :two], outcome: :returned, return: {1, :two}, mfa: {Echo, :pair, 2}}] =
               ElixirScope.calls(&Echo.pair/2)

      assert [%{outcome: :raised, exception: %{kind: :error, reason: reason, stack: stack}}] =
               ElixirScope.calls({Echo, :fail})

      assert reason == %ArgumentError{message: "failed: x"}
      assert [{Echo, :fail, 1, location} | _] = stack
      assert Path.basename(location[:file]) == "traced.ex"
      assert [%{exception: %{kind: :throw, reason: {:a, 1}}}] = ElixirScope.calls({Echo, :toss, 1})
      assert [%{exception: %{kind: :exit, reason: :bye}}] = ElixirScope.calls({Echo, :leave, 1})
      assert [%{args: args, return: args}] = ElixirScope.calls({Echo, :many})
      assert args == Enum.to_list(1..14)
    end

    test "filters by process, time and number" do
      Echo.echo(1)
      time = ElixirScope.now()
      task = Task.async(fn -> Echo.echo(2) end)
      Task.await(task)
      assert [%{args: [1]}] = ElixirScope.calls({Echo, :echo}, until: time)
      assert [%{args: [2]}] = ElixirScope.calls({Echo, :echo}, since: time)
      assert [%{args: [2]}] = ElixirScope.calls({Echo, :echo}, pid: task.pid)
      assert [%{args: [1]}] = ElixirScope.calls({Echo, :echo}, limit: 1)
      assert [] == ElixirScope.calls({Echo, :pair, 2})
    end

    test "a call has begun before it has ended, and its parent around it" do
      Echo.echo(1)
      [call] = ElixirScope.calls(Echo)
      assert call.started <= call.finished and call.finished <= ElixirScope.now()
      {:ok, server} = Store.start_link(0)
      Store.put(server, 1)
      [callback] = ElixirScope.calls({Store, :handle_call, 3})
      assert callback.pid == server
      assert callback.parent == nil
      assert [{:put, 1}, {caller, _tag}, 0] = callback.args
      assert caller == self()
      assert callback.return == {:reply, :ok, 1}
    end

    test "refuses functions that could not have been seen" do
      assert_raise Error, ~r/Silent is not instrumented; put `use ElixirScope`/, fn ->
        ElixirScope.calls(&Silent.run/1)
      end

      assert_raise Error, ~r/Echo.echo\/9 does not exist; there is .*Echo.echo\/1/, fn ->
        ElixirScope.calls({Echo, :echo, 9})
      end

      assert_raise Error, ~r/expected a module with functions, and .*Empty defines none/, fn ->
        ElixirScope.calls(Empty)
      end

      assert_raise Error, ~r/expected a module that this VM knows/, fn -> ElixirScope.calls(NoSuchModule) end
      assert_raise Error, ~r/expected a function as/, fn -> ElixirScope.calls("Echo.echo/1") end
      assert_raise Error, ~r/unknown filter :lmit/, fn -> ElixirScope.calls(Echo, lmit: 3) end
    end
  end

  describe "get_state_at/3" do
    test "is right at every moment, whatever way the state came" do
      {:ok, server} = Store.start_link({:state, 0})
      start = ElixirScope.now()

      # {time before the change, time after it, state}: kept outside of the recording.
      changes =
        for number <- 1..1_000 do
          state = {:state, number}
          before = ElixirScope.now()

          case rem(number, 3) do
            0 -> Store.put(server, state)
            1 -> GenServer.cast(server, {:put, state})
            2 -> send(server, {:put, state})
          end

          ^state = GenServer.call(server, :get)
          {before, ElixirScope.now(), state}
        end

      for _ <- 1..10_000 do
        time = start + :rand.uniform(ElixirScope.now() - start)
        answer = ElixirScope.get_state_at!(server, time)
        assert answer in possible(changes, time), "at #{time}"
      end

      for {_before, time, state} <- changes,
          do: assert(ElixirScope.get_state_at(server, time) == {:ok, state})
    end

    test "takes all forms of servers and times" do
      name = :elixir_scope_test_store
      {:ok, server} = Store.start_link(1, name: name)
      {:ok, _} = Registry.start_link(keys: :unique, name: ElixirScopeTest.Registry)
      via = {:via, Registry, {ElixirScopeTest.Registry, :key}}
      {:ok, _} = Store.start_link(2, name: via)
      {:ok, _} = Store.start_link(3, name: {:global, :elixir_scope_test_store})
      now = ElixirScope.now()
      assert {:ok, 1} = ElixirScope.get_state_at(name, now)
      assert {:ok, 1} = ElixirScope.get_state_at(inspect(server), now)
      assert {:ok, 2} = ElixirScope.get_state_at(via, now)
      assert {:ok, 3} = ElixirScope.get_state_at({:global, :elixir_scope_test_store}, now)
      assert {:ok, 1} = ElixirScope.get_state_at(server, {:ago, 0, :second})
      [event] = Enum.to_list(ElixirScope.events(kind: :state, pid: server))
      assert {:ok, 1} = ElixirScope.get_state_at(server, event)
      datetime = DateTime.from_unix!(now, :nanosecond) |> DateTime.add(0, :second)
      assert {:error, _} = ElixirScope.get_state_at(server, DateTime.add(datetime, 3600, :second))
    end

    test "a name stands for the process that had it then" do
      Process.flag(:trap_exit, true)
      name = :elixir_scope_restarted
      {:ok, first} = Store.start_link(:first, name: name)
      before = ElixirScope.now()
      ref = Process.monitor(first)
      ExUnit.CaptureLog.capture_log(fn -> catch_exit(GenServer.call(first, {:crash, :boom})) end)
      assert_receive {:DOWN, ^ref, _, _, _}
      {:ok, _second} = Store.start_link(:second, name: name)
      assert {:ok, :first} = ElixirScope.get_state_at(name, before)
      assert {:ok, :second} = ElixirScope.get_state_at(name, ElixirScope.now())
    end

    test "a change from outside is noticed at the next callback" do
      {:ok, server} = Store.start_link(1)
      :sys.replace_state(server, fn 1 -> 2 end)
      assert GenServer.call(server, :get) == 2

      states =
        for event <- ElixirScope.events(kind: :state, pid: server), do: {event.data.origin, event.data.state}

      assert states == [{:init, 1}, {:noticed, 2}]
    end

    test "a callback may throw what it returns" do
      {:ok, server} = Store.start_link(1)
      GenServer.call(server, {:throw, 2})
      assert {:ok, 2} = ElixirScope.get_state_at(server, ElixirScope.now())
    end

    test "a callback that calls a callback as a plain function keeps its own state" do
      {:ok, server} = Store.start_link(1)
      within = GenServer.call(server, :nested)
      assert {:ok, 1} = ElixirScope.get_state_at(server, within)
      assert {:ok, 1} = ElixirScope.get_state_at(server, ElixirScope.now())
      assert [1] = for(event <- ElixirScope.events(kind: :state, pid: server), do: event.data.state)
    end

    test "a server may empty its process dictionary" do
      {:ok, server} = Store.start_link(1)

      for state <- 2..20 do
        GenServer.call(server, {:erase, state})
        assert {:ok, ^state} = ElixirScope.get_state_at(server, ElixirScope.now())
      end
    end

    test "the state of a server is not printed with its process dictionary" do
      {:ok, server} = Store.start_link("secret")
      {:dictionary, dictionary} = Process.info(server, :dictionary)
      refute inspect(dictionary) =~ "secret"
      assert inspect(dictionary) =~ "elixir_scope_state"
    end

    test "a callback called as a plain function changes no server's state" do
      Store.handle_call({:put, 1}, {self(), :tag}, 0)
      assert {:error, %Error{reason: :no_state}} = ElixirScope.get_state_at(self(), ElixirScope.now())
    end

    test "says what is wrong with the question" do
      {:ok, server} = Store.start_link(1)
      now = ElixirScope.now()
      reason = fn server, time -> ElixirScope.get_state_at(server, time) |> elem(1) |> Map.fetch!(:reason) end

      assert reason.(server, 0) == :before_recording
      assert reason.(server, now + 3_600_000_000_000) == :after_recording
      assert reason.(server, {:yesterday, 1}) == :bad_time
      assert reason.(server, :yesterday) == :unknown_mark
      assert reason.(server, Integer.pow(10, 30)) == :bad_time
      assert reason.(server, ~U[1950-01-01 00:00:00Z]) == :bad_time
      assert reason.({:via, NoSuchModule, :x}, now) == :unknown_process
      assert reason.({:via, Registry, {NoSuchRegistry, :x}}, now) == :unknown_process
      assert reason.(server, {:ago, 1, :fortnight}) == :bad_time
      assert reason.(:no_such_name, now) == :unknown_process
      assert reason.("#PID<0.99999.0>", now) == :unknown_process
      assert reason.("0.1.0", now) == :bad_server
      assert reason.(42, now) == :bad_server
      assert reason.(spawn(fn -> :ok end), now) == :unknown_process
      assert reason.(Process.whereis(:kernel_sup), now) == :not_instrumented
      Echo.echo(1)
      assert reason.(self(), ElixirScope.now()) == :no_state
      assert_raise Error, ~r/before|began at/, fn -> ElixirScope.get_state_at!(server, 0) end
    end
  end

  describe "the recording" do
    test "is made anew by start/1, and the old one can still be opened", %{recording: first, tmp_dir: dir} do
      Echo.echo(:in_the_first)
      {:ok, second} = ElixirScope.start(dir: dir)
      Echo.echo(:in_the_second)
      assert [%{args: [:in_the_second]}] = ElixirScope.calls({Echo, :echo})
      {:ok, opened} = ElixirScope.open(first.path)
      assert [%{args: [:in_the_first]}] = ElixirScope.calls({Echo, :echo}, in: opened)

      # An IEx of a project that records asks for what was there before: what it makes itself is asked without `in:`.
      assert {:ok, newest} = ElixirScope.open(dir)
      assert newest.path == first.path
      :ok = ElixirScope.stop()
      assert {:ok, newest} = ElixirScope.open(dir)
      assert newest.path == second.path
      assert Enum.sort(File.ls!(dir)) == Enum.sort([Path.basename(first.path), Path.basename(second.path)])
    end

    test "is what a folder is opened with where there is no other", %{recording: recording, tmp_dir: dir} do
      File.mkdir!(Path.join(dir, "z"))
      assert {:ok, %{path: path}} = ElixirScope.open(dir)
      assert path == recording.path
    end

    test "knows a state only from its own events" do
      {:ok, server} = Store.start_link(1)
      {:ok, _} = ElixirScope.start(dir: Path.join(System.tmp_dir!(), "elixir_scope_#{System.pid()}"))

      assert {:error, %Error{reason: :unknown_process}} =
               ElixirScope.get_state_at("#{inspect(server)}", ElixirScope.now())

      GenServer.call(server, :get)
      assert {:ok, 1} = ElixirScope.get_state_at(server, ElixirScope.now())
    end

    test "records nothing while it is paused, and says so" do
      {:ok, server} = Store.start_link(1)
      :ok = ElixirScope.pause()
      assert {:ok, %{state: :paused}} = ElixirScope.status()
      Store.put(server, 2)
      paused = ElixirScope.now()
      :ok = ElixirScope.resume()
      assert {:error, %Error{reason: :lost}} = ElixirScope.get_state_at(server, paused)
      assert {:ok, %{gaps: [%{cause: :paused}]}} = ElixirScope.status()
      Store.put(server, 3)
      assert {:ok, 3} = ElixirScope.get_state_at(server, ElixirScope.now())
      assert [[{:put, 3}, _, 2]] = for(call <- ElixirScope.calls({Store, :handle_call}), do: call.args)
    end

    test "that has ended decides no assertion of a test that began later" do
      :ok = ElixirScope.stop()
      :ok = ElixirScope.Case.Scope.begin()
      Echo.echo(:unseen)

      for check <- [fn -> assert_called(Echo.echo(:unseen)) end, fn -> refute_called(Echo.echo(:unseen)) end] do
        assert_raise ExUnit.AssertionError, ~r/has stopped before this test began/, check
      end
    end

    test "can be asked after it was stopped, and ends there" do
      {:ok, server} = Store.start_link(1)
      before = ElixirScope.now()
      :ok = ElixirScope.stop()
      Store.put(server, 2)
      assert {:ok, 1} = ElixirScope.get_state_at(server, before)
      assert {:error, %Error{reason: :after_recording}} = ElixirScope.get_state_at(server, ElixirScope.now())
      assert {:ok, %{state: :stopped}} = ElixirScope.status()
      assert {:error, %Error{reason: :not_recording}} = ElixirScope.stop()
    end

    test "records none of its own processes and modules" do
      Echo.echo(1)
      :ok = ElixirScope.flush()
      for event <- ElixirScope.events(), event.mfa, do: refute(match?({ElixirScope, _, _}, event.mfa))
      own = [Process.whereis(ElixirScope.Recorder), Process.whereis(ElixirScope.Supervisor)]
      assert Enum.filter(ElixirScope.events(), &(&1.pid in own)) == []
    end

    test "says that events are missing when its folder vanished", %{recording: recording} do
      Echo.echo(1)
      :ok = ElixirScope.flush()
      File.rm_rf!(recording.path)
      # A process that was not seen before has to be written to the dictionary, a thread may need a new ring.
      Task.await(Task.async(fn -> Echo.echo(2) end))
      assert {:ok, %{gaps: gaps}} = ElixirScope.status()
      assert Enum.all?(gaps, &(&1.cause in [:disk, :full, :oversize, :damage]))
    end

    test "two recordings of one folder never share one", %{tmp_dir: dir} do
      paths = for _ <- 1..5, do: elem(ElixirScope.start(dir: dir), 1).path
      assert Enum.uniq(paths) == paths
    end

    test "refuses options and folders that cannot be", %{tmp_dir: dir, recording: recording} do
      reason = fn options -> ElixirScope.start(options) |> elem(1) |> Map.fetch!(:reason) end
      assert reason.(dir: recording.path) == :in_use
      file = Path.join(dir, "file")
      File.write!(file, "")
      assert reason.(dir: Path.join(file, "below")) == :io
      assert reason.(dir: 7) == :bad_option
      assert reason.(overflow: :sometimes) == :bad_option
      assert reason.(limits: [depth: 0]) == :bad_option
      assert reason.(limits: [dept: 3]) == :bad_option
      assert reason.([1]) == :bad_option
      # A recording that cannot begin does not end the one that runs.
      assert {:ok, %{state: :running, path: path}} = ElixirScope.status()
      assert path == recording.path
      assert {:error, %Error{reason: :not_found}} = ElixirScope.open(Path.join(dir, "nothing"))
      assert {:error, %Error{reason: :bad_option}} = ElixirScope.open(:here)
    end
  end

  describe "events/1" do
    test "filters, and says why there is none" do
      assert inspect(ElixirScope.events()) =~ "none: nothing was recorded"
      Echo.echo(1)

      assert [%{kind: :call, data: %{args: [1]}}] =
               Enum.to_list(ElixirScope.events(kind: :call, mfa: &Echo.echo/1))

      assert Enum.count(ElixirScope.events(kind: [:call, :return])) == 2

      assert [%{kind: :call}] =
               Enum.to_list(ElixirScope.events(pid: self(), kind: [:call, :return], limit: 1))

      assert inspect(ElixirScope.events(kind: :state)) =~ "of 3 recorded none matches"
      assert inspect(ElixirScope.events(mfa: &Echo.pair/2)) =~ "made no event"
      assert inspect(ElixirScope.events(kind: :call)) =~ "#ElixirScope.Events<1 event, from "
      assert_raise Error, ~r/expected :kind to be/, fn -> ElixirScope.events(kind: :calls) end
      assert_raise Error, ~r/expected :limit/, fn -> ElixirScope.events(limit: 0) end
      assert_raise Error, ~r/expected :limit/, fn -> ElixirScope.events(limit: Integer.pow(2, 64)) end
      assert_raise Error, ~r/expected a time/, fn -> ElixirScope.events(since: Integer.pow(2, 64)) end
    end

    test "reads more than a page, in order, lazily" do
      for number <- 1..2_000, do: Echo.echo(number)
      events = ElixirScope.events(kind: :call)
      assert Enum.map(events, &hd(&1.data.args)) == Enum.to_list(1..2_000)
      assert [%{data: %{args: [1]}}] = Enum.take(events, 1)
      times = Enum.map(ElixirScope.events(pid: self()), & &1.time)
      assert times == Enum.sort(times)
    end
  end

  # While a change is on its way the old and the new state may be seen; at any other time there is one.
  defp possible(changes, time) do
    case Enum.find_index(changes, fn {_before, later, _state} -> time < later end) do
      nil ->
        [changes |> List.last() |> elem(2)]

      index ->
        {before, _later, state} = Enum.at(changes, index)
        last = if index == 0, do: {:state, 0}, else: changes |> Enum.at(index - 1) |> elem(2)
        if time < before, do: [last], else: [last, state]
    end
  end
end
