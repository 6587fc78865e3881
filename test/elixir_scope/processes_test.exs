defmodule ElixirScope.ProcessesTest do
  # Who lived, and the life of one process.
  use ElixirScope.Recorded, watch: false

  alias ElixirScope.{Error, Event, Life, Lives}
  alias ElixirScope.Mortals.{Plain, Till}
  alias ElixirScope.Query.Processes
  alias ElixirScope.Watch.Kinds

  @moduletag capture_log: true

  setup do
    {:ok, _watched} = ElixirScope.watch(self(), spawned: true)
    :ok
  end

  defp ended(pid) do
    ref = Process.monitor(pid)
    receive do: ({:DOWN, ^ref, :process, ^pid, _reason} -> pid)
  end

  # Does what it is told, one message after the other.
  defp obedient, do: spawn(&obey/0)

  defp obey do
    receive do
      {:do, from, fun} ->
        send(from, {:done, self(), fun.()})
        obey()

      :end ->
        :ok
    end
  end

  defp tell(pid, fun) do
    send(pid, {:do, self(), fun})
    receive do: ({:done, ^pid, value} -> value)
  end

  defp stop(pid) do
    send(pid, :end)
    ended(pid)
  end

  defp life(pid, options \\ []) do
    {:ok, %Life{} = life} = ElixirScope.process(pid, options)
    assert inspect(life) =~ "#ElixirScope.Life<#{inspect(life.pid)}"
    life
  end

  describe "the life of a process" do
    test "its birth and the call that was open then, its relatives, its end" do
      me = self()
      {:ok, till} = Till.start(name: :mortal_till)
      born = ElixirScope.now()
      life = life(till)

      assert %Life{name: :mortal_till, initial_call: {Till, :init, 1}, kind: :gen_server, parent: ^me} = life
      assert %Life{status: :alive, exited: nil, ancestors: [^me | _]} = life
      assert %{call: %{mfa: {Till, :start, 1}}, time: time, mfa: {:proc_lib, :init_p, _}} = life.spawned
      assert {time, life.spawned.time} == {elem(life.seen, 0), Life.since(life)}
      assert till in Enum.map(life(me).children, & &1.pid)
      Till.tell(till, :stop)
      ended(till)

      assert %Life{
               status: :exited,
               exited: %{reason: :normal, time: ended},
               names: [{:mortal_till, from, ended}]
             } = life(till)

      assert from < ended
      assert %Life{status: :alive, exited: nil} = life(till, at: born)
      assert {:error, %Error{reason: :unknown_process}} = ElixirScope.process(till, at: time - 1)
      assert inspect(life(till)) =~ "in ElixirScope.Mortals.Till.start([name: :mortal_till])"
      assert inspect(life(till)) =~ ~r/exited     .*: :normal>/
    end

    test "links over time" do
      one = obedient()
      other = obedient()
      tell(one, fn -> Process.link(other) end)
      linked = ElixirScope.now()
      tell(one, fn -> Process.unlink(other) end)
      assert life(one, at: linked).links == [other]
      assert life(other, at: linked).links == [one]
      assert life(one).links == []
      assert Enum.map(life(one).link_history, &{&1.action, &1.other}) == [link: other, unlink: other]
      for pid <- [one, other], do: stop(pid)
    end

    test "names that move from one to the other stand for whom had them then" do
      [one, other] = pids = [obedient(), obedient()]
      before = ElixirScope.now()
      tell(one, fn -> Process.register(self(), :mortal_name) end)
      first = ElixirScope.now()
      tell(one, fn -> Process.unregister(:mortal_name) end)
      between = ElixirScope.now()
      tell(other, fn -> Process.register(self(), :mortal_name) end)
      second = ElixirScope.now()
      stop(other)
      after_all = ElixirScope.now()

      assert life(:mortal_name, at: first).pid == one
      assert life(:mortal_name, at: second).pid == other
      # Without a time it is the last that had it.
      assert life(:mortal_name).pid == other
      assert [_ | _] = Enum.to_list(ElixirScope.events(pid: :mortal_name))
      assert [{:mortal_name, from, to}] = life(one).names
      assert from in before..first and to in first..between

      assert {life(one, at: first).name, life(one, at: between).name, life(other).name} ==
               {:mortal_name, nil, :mortal_name}

      for {time, text} <- [
            {before, "the first that is known to have had it is #{inspect(one)}, which took it at"},
            {between, "#{inspect(one)} had it until it gave it back at"},
            {after_all, "#{inspect(other)} had it until it ended at"}
          ] do
        assert {:error, %Error{reason: :unknown_process, message: message}} =
                 ElixirScope.process(:mortal_name, at: time)

        assert message =~ text
      end

      named = fn pid, time -> ElixirScope.Text.process(elem(ElixirScope.Recorder.current(), 1), pid, time) end
      assert [named.(one, first), named.(other, second)] == [":mortal_name", ":mortal_name"]
      assert named.(one, between) =~ inspect(one)
      assert named.(other, first) =~ inspect(other)
      # It ended as the one with that name.
      assert named.(other, after_all) == ":mortal_name"
      stop(one)
      assert length(pids) == 2
    end

    test "a name is kept by a recording that is opened", %{recording: recording} do
      {:ok, till} = Till.start(name: :mortal_kept)
      time = ElixirScope.now()
      Till.tell(till, :stop)
      ended(till)
      after_all = ElixirScope.now()
      ElixirScope.mark(:end)
      :ok = ElixirScope.stop()
      {:ok, opened} = ElixirScope.open(recording.path)
      assert ElixirScope.get_state_at(:mortal_kept, time, in: opened) == {:ok, [name: :mortal_kept]}

      assert {:error, %Error{message: message}} =
               ElixirScope.get_state_at(:mortal_kept, after_all, in: opened)

      assert message =~ "had it until it ended at"
      assert {:ok, %Life{pid: ^till, status: :exited}} = ElixirScope.process(:mortal_kept, in: opened)
    end

    if Kinds.sessions?() do
      test "a label stands for one without a name" do
        pid = obedient()
        tell(pid, fn -> apply(Process, :set_label, [{:order, 7}]) end)
        assert life(pid).label == {:order, 7}
        assert inspect(ElixirScope.processes(ElixirScope.now())) =~ "{:order, 7}"

        assert ElixirScope.Text.process(elem(ElixirScope.Recorder.current(), 1), pid) ==
                 "{:order, 7} #{inspect(pid)}"

        stop(pid)
      end
    end

    test "a task that outlives its caller, whose parent is dead" do
      me = self()
      {:ok, tasks} = Task.Supervisor.start_link()

      caller =
        spawn(fn ->
          task = Task.Supervisor.async_nolink(tasks, fn -> receive(do: (:stop -> :ok)) end)
          send(me, {:task, task.pid})
        end)

      task = receive do: ({:task, pid} -> pid)
      ended(caller)
      time = ElixirScope.now()
      assert %Life{kind: :task, status: :alive, parent: ^tasks, callers: [^caller | _]} = life(task)
      assert %Life{status: :exited} = life(caller)
      Process.unlink(tasks)
      Process.exit(tasks, :kill)
      ended(tasks)
      # Its supervisor takes it down.
      ended(task)
      assert life(task).exited.reason == :killed
      assert task in Enum.map(ElixirScope.processes(time), & &1.pid)
      refute caller in Enum.map(ElixirScope.processes(time), & &1.pid)
    end

    test "of one that was not watched ends unseen" do
      :ok = ElixirScope.unwatch(self())
      {:ok, till} = Till.start()
      assert %Life{status: :alive, spawned: nil} = life(till)
      Till.tell(till, :stop)
      ended(till)
      assert %Life{status: :unknown, exited: nil, initial_call: {Till, :init, 1}} = life = life(till)
      assert inspect(life) =~ "not known to have ended"
      assert {:error, %Error{reason: :unknown_process}} = ElixirScope.process(:nobody_ever)
      assert {:error, %Error{reason: :bad_option}} = ElixirScope.process(till, time: 1)
    end
  end

  describe "all that lived at a moment" do
    test "are in a table, with what they run, since when, and of whom" do
      none = ElixirScope.now()
      {:ok, till} = Till.start(name: :mortal_till)
      {:ok, plain} = Plain.start_link(id: 1)
      {:ok, agent} = Agent.start_link(fn -> 1 end)
      time = ElixirScope.now()
      for pid <- [plain, agent], do: GenServer.stop(pid)
      assert %Lives{watched?: true, gaps: []} = lives = ElixirScope.processes(time)
      assert Enum.count(lives) == length(Enum.to_list(lives))
      found = for life <- lives, into: %{}, do: {life.pid, {life.kind, life.status, life.parent}}
      assert found[till] == {:gen_server, :alive, self()}
      assert found[plain] == {:gen_server, :alive, self()}
      assert found[agent] == {:agent, :alive, self()}
      starts = Enum.map(lives, &Life.since/1)
      assert starts == Enum.sort(starts)
      pids = for life <- ElixirScope.processes(ElixirScope.now()), do: life.pid
      assert till in pids and plain not in pids and agent not in pids
      refute till in Enum.map(ElixirScope.processes(none), & &1.pid)

      assert [_, row] = String.split(inspect(lives), inspect(till), parts: 2)

      assert row =~
               ~r/\A  :mortal_till +ElixirScope.Mortals.Till \(GenServer\) +since \d\d:\d\d:\d\d\.\d{6} +\d+  of /

      for line <- String.split(inspect(lives), "\n"), do: assert(String.length(line) < 200, line)
      Till.tell(till, :stop)
    end

    test "are those that ran instrumented code where nothing is watched, and it is said so", %{tmp_dir: dir} do
      :ok = ElixirScope.unwatch(self())
      {:ok, _} = ElixirScope.start(dir: dir <> "_unwatched", watch: false)
      {:ok, till} = Till.start()
      Till.pay(till, :ok)
      lives = ElixirScope.processes(ElixirScope.now())
      assert till in Enum.map(lives, & &1.pid)
      refute lives.watched?
      assert inspect(lives) =~ "the life of processes is not watched"
      Till.tell(till, :stop)
      ended(till)
      assert %Life{status: :unknown} = Enum.find(ElixirScope.processes(ElixirScope.now()), &(&1.pid == till))
      assert_raise Error, fn -> ElixirScope.processes(0) end
      assert_raise Error, fn -> ElixirScope.processes(ElixirScope.now(), pid: till) end
    end

    test "are many" do
      pids = for _ <- 1..300, do: obedient()
      time = ElixirScope.now()
      for pid <- pids, do: stop(pid)
      lives = ElixirScope.processes(time)
      assert pids -- Enum.map(lives, & &1.pid) == []
      assert inspect(lives) =~ ~r/and \d+ more: Enum.to_list/
      assert pids -- Enum.map(ElixirScope.processes(ElixirScope.now()), & &1.pid) == pids
    end
  end

  describe "from events alone" do
    defp event(id, kind, data), do: %Event{id: id, time: id, pid: self(), kind: kind, data: data}

    test "a spawned begins a new life; what comes behind an end belongs to none" do
      first = {:erlang, :apply, [&obey/0, []]}

      events = [
        event(1, :spawned, %{parent: self(), mfa: first}),
        event(2, :name, %{action: :register, name: :a}),
        event(3, :exit, %{reason: :boom}),
        event(4, :name, %{action: :unregister, name: :a}),
        event(5, :spawned, %{parent: self(), mfa: {Till, :pay, [1, 2]}}),
        # Whose end was not seen.
        event(6, :spawned, %{parent: self(), mfa: first})
      ]

      assert [one, two, three] = Processes.Fold.lives(events)
      assert %Life{name: :a, names: [{:a, 2, 3}], exited: %{reason: :boom}, kind: :process} = one
      assert %Life{name: nil, initial_call: {Till, :pay, 2}, exited: nil} = two
      assert %Life{names: [], spawned: %{id: 6}} = three
    end

    test "events that could not be read change nothing" do
      for kind <- Processes.Fold.kinds() do
        assert [%Life{kind: nil, name: nil}] = Processes.Fold.lives([event(1, kind, nil)])
      end
    end
  end
end
