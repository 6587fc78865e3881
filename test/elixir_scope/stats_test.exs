defmodule ElixirScope.StatsTest do
  use ElixirScope.Recorded

  alias ElixirScope.{Error, Stats}
  alias ElixirScope.Figures.{Counter, Kitchen}
  alias ElixirScope.Traced.{Silent, Store}

  defp of(stats, function, arity) do
    Enum.find(stats.functions, &(&1.mfa == {Kitchen, function, arity}))
  end

  defp counts(stats) do
    for %{mfa: {Kitchen, function, arity}} = one <- stats.functions,
        into: %{},
        do: {{function, arity}, one.calls}
  end

  test "counts the calls of each function, with their times" do
    Kitchen.dinner()
    stats = ElixirScope.stats(mfa: Kitchen)

    assert counts(stats) == %{{:dinner, 0} => 1, {:course, 1} => 3, {:chop, 1} => 3, {:cook, 1} => 3}
    [call] = ElixirScope.calls(&Kitchen.dinner/0)
    dinner = of(stats, :dinner, 0)
    assert dinner.total == call.finished - call.started
    assert {dinner.min, dinner.max, dinner.mean} == {dinner.total, dinner.total, dinner.total}
    # Whatever is in the dinner is somebody's own.
    assert stats.functions |> Enum.map(& &1.own) |> Enum.sum() == dinner.total

    courses = for call <- ElixirScope.calls(&Kitchen.course/1), do: call.finished - call.started
    course = of(stats, :course, 1)
    assert course.total == Enum.sum(courses)
    assert {course.min, course.max} == {Enum.min(courses), Enum.max(courses)}
    assert course.mean == div(Enum.sum(courses), 3)
    middle = courses |> Enum.sort() |> Enum.at(1)
    assert_in_delta course.p50, middle, middle / 100
    assert dinner.own == dinner.total - course.total
    for one <- stats.functions, do: assert(one.own <= one.total and one.running == nil)
  end

  test "counts the time of a recursion once" do
    assert Kitchen.factorial(20) > 0
    [outermost | _] = ElixirScope.calls(&Kitchen.factorial/1)
    factorial = of(ElixirScope.stats(), :factorial, 1)
    assert factorial.calls == 21
    assert factorial.total == outermost.finished - outermost.started
    assert factorial.own == factorial.total
    assert factorial.max == factorial.total
  end

  test "takes a loop of tail calls for rounds" do
    assert Kitchen.stir(100) == :stirred
    stir = of(ElixirScope.stats(), :stir, 1)
    calls = ElixirScope.calls(&Kitchen.stir/1)
    assert {stir.calls, length(calls)} == {101, 101}
    assert stir.total == hd(calls).finished - hd(calls).started
    assert {stir.own, stir.open, stir.unknown} == {stir.total, 0, 0}
    rounds = calls |> Enum.map(& &1.started) |> Enum.chunk_every(2, 1, :discard)
    assert stir.max >= rounds |> Enum.map(fn [one, next] -> next - one end) |> Enum.max()
    assert stir.mean == div(stir.total, 101)
  end

  test "a chain of tail calls lasts until its end, and each has its own part of it" do
    assert Kitchen.first(1) == 2
    stats = ElixirScope.stats()
    [first, second, third] = for name <- [:first, :second, :third], do: of(stats, name, 1)
    [call] = ElixirScope.calls(&Kitchen.first/1)
    assert first.total == call.finished - call.started
    assert first.total == first.own + second.own + third.own
    assert second.total == second.own + third.own
    assert third.total == third.own
    assert {first.max, third.max} == {first.total, third.total}

    assert Kitchen.ping(10) == :over
    stats = ElixirScope.stats()
    [ping, pong] = for name <- [:ping, :pong], do: of(stats, name, 1)
    assert {ping.calls, pong.calls} == {11, 10}
    assert ping.total == ping.own + pong.own
    assert pong.total == pong.own
  end

  test "counts what was raised, by each function that it left" do
    catch_error(Kitchen.first(:burn))
    Kitchen.first(1)
    stats = ElixirScope.stats()

    for name <- [:first, :second, :third],
        do: assert({of(stats, name, 1).calls, of(stats, name, 1).raised} == {2, 1})
  end

  test "of calls that are open at an end of the range the part within counts" do
    test = self()
    cook = spawn_link(fn -> Kitchen.serve(test) end)
    assert_receive {:waiting, ^cook}

    # `send` comes before the call of the function that it is in has ended; the next event of the process is behind `:go`.
    from = ElixirScope.now()
    to = from + 1_000_000
    while_before(to)
    stats = ElixirScope.stats(since: from, until: to, pid: cook)
    assert {stats.since, stats.until} == {from, to}
    [serve, wait] = [of(stats, :serve, 1), of(stats, :wait, 1)]
    assert {serve.calls, serve.before, serve.open, serve.total, serve.own} == {0, 1, 1, 1_000_000, 0}
    assert {wait.calls, wait.before, wait.open, wait.total, wait.own} == {0, 1, 1, 1_000_000, 1_000_000}
    assert {wait.min, wait.mean, wait.p50, wait.p99, wait.max} == {nil, nil, nil, nil, nil}

    ref = Process.monitor(cook)
    send(cook, :go)
    assert_receive {:DOWN, ^ref, :process, ^cook, :normal}
    stats = ElixirScope.stats(since: to, pid: cook)
    [call] = ElixirScope.calls(&Kitchen.wait/1, pid: cook)
    wait = of(stats, :wait, 1)
    assert {wait.calls, wait.before, wait.open, wait.total} == {0, 1, 0, call.finished - to}
    assert wait.max == call.finished - call.started
  end

  defp while_before(time), do: until(fn -> ElixirScope.now() > time end)
  defp until(done?), do: if(not done?.(), do: until(done?))

  test "of several processes each counts for itself, and one can be asked for" do
    workers =
      for number <- 1..3 do
        Task.async(fn ->
          for _ <- 1..number, do: Kitchen.dinner()
          self()
        end)
      end

    pids = Task.await_many(workers)
    stats = ElixirScope.stats()
    assert of(stats, :dinner, 0).calls == 6

    for {pid, number} <- Enum.with_index(pids, 1) do
      own = ElixirScope.stats(pid: pid)
      assert of(own, :cook, 1).calls == number * 3
      assert [{^pid, events}] = own.processes
      assert events == own.events |> Map.values() |> Enum.sum()
      assert events == Enum.count(ElixirScope.events(pid: pid))
    end

    calls = for pid <- pids, do: of(ElixirScope.stats(pid: pid), :dinner, 0).own
    assert of(stats, :dinner, 0).own == Enum.sum(calls)
  end

  test "where events are missing figures are lower bounds, and say so" do
    Kitchen.dinner()
    :ok = ElixirScope.pause()
    Kitchen.dinner()
    :ok = ElixirScope.resume()
    Kitchen.dinner()
    stats = ElixirScope.stats()
    assert of(stats, :dinner, 0).calls == 2
    assert [%{cause: :paused}] = stats.gaps
    assert inspect(stats) =~ "events are missing (1 gaps, see gaps): all figures are lower bounds"

    test = self()
    cook = spawn_link(fn -> Kitchen.serve(test) end)
    assert_receive {:waiting, ^cook}
    :ok = ElixirScope.pause()
    paused = ElixirScope.now()
    while_before(paused + 5_000_000)
    :ok = ElixirScope.resume()
    ref = Process.monitor(cook)
    send(cook, :go)
    assert_receive {:DOWN, ^ref, :process, ^cook, :normal}
    stats = ElixirScope.stats(pid: cook)
    [gap] = for %{from: from} = gap <- stats.gaps, from > paused - 1_000_000_000 and gap.to >= paused, do: gap
    serve = of(stats, :serve, 1)
    [begun] = Enum.to_list(ElixirScope.events(pid: cook, kind: :call, mfa: &Kitchen.serve/1))
    [ended] = Enum.to_list(ElixirScope.events(pid: cook, kind: :return, mfa: &Kitchen.serve/1))
    # It was seen to end, so it was open all the time; but nothing of the gap counts.
    assert serve.total == ended.time - begun.time - (gap.to - gap.from)
    assert {serve.max, serve.open, serve.unknown} == {nil, 0, 0}
  end

  test "sorts by own time, total time or calls, and takes the first" do
    Kitchen.dinner()
    Kitchen.factorial(30)

    for key <- [:own, :total, :calls] do
      stats = ElixirScope.stats(sort: key)
      values = Enum.map(stats.functions, &Map.fetch!(&1, key))
      assert values == Enum.sort(values, :desc)
      assert length(ElixirScope.stats(sort: key, limit: 2).functions) == 2
    end
  end

  test "counts events by kind and process, states among them once" do
    {:ok, server} = Store.start_link(0)
    for number <- 1..5, do: Store.put(server, number)
    stats = ElixirScope.stats(pid: server)
    expected = [pid: server] |> ElixirScope.events() |> Enum.frequencies_by(& &1.kind)
    assert stats.events == expected
    assert stats.events[:state] == 6
    assert stats.processes == [{server, expected |> Map.values() |> Enum.sum()}]
  end

  describe "of processes that are watched" do
    setup do
      server = start_supervised!(%{id: Counter, start: {GenServer, :start_link, [Counter, 0]}})
      {:ok, _} = ElixirScope.watch([server, self()], kinds: [:life, :messages], spawned: true)
      %{server: server}
    end

    test "messages are counted by who sent them to whom", %{server: server} do
      for _ <- 1..5, do: GenServer.cast(server, :add)
      for _ <- 1..3, do: 5 = GenServer.call(server, :get)
      stats = ElixirScope.stats()
      # Answers of the recorder to this process are messages too.
      own = for %{from: from, to: to} = row <- stats.messages, server in [from, to], do: row
      test = self()
      assert [%{from: ^test, to: ^server, count: 8}, %{from: ^server, to: ^test, count: 3}] = own
      assert ElixirScope.stats(since: ElixirScope.now()).messages == []
      assert inspect(stats) =~ ~r/messages\n +.* -> .* +8\n/
    end

    test "the longest mailbox is that in which most lay that was not taken", %{server: server} do
      gate = :atomics.new(2, [])
      GenServer.cast(server, {:hold, gate})
      until(fn -> :atomics.get(gate, 2) == 1 end)
      for _ <- 1..7, do: GenServer.cast(server, :add)
      until(fn -> :atomics.get(gate, 2) == 8 end)
      full = ElixirScope.now()
      :atomics.put(gate, 1, 1)
      7 = GenServer.call(server, :get)
      empty = ElixirScope.now()
      for _ <- 1..7, do: GenServer.call(server, :get)
      # Others of this VM may have mailboxes too, in a suite in which more is instrumented.
      stats = ElixirScope.stats(pid: server)
      # The call may have come before the first of the others was taken.
      assert [%{pid: ^server, most: most, at: at}] = stats.mailboxes
      assert most in 7..8
      assert at < empty
      assert [%{most: 1}] = ElixirScope.stats(pid: server, since: empty).mailboxes
      assert [%{most: before}] = ElixirScope.stats(pid: server, since: full).mailboxes
      assert before in 7..8
      assert inspect(stats) =~ ~r/longest mailboxes\n +.*#{inspect(Counter)}.* +[78] +at \d\d:/
    end

    test "a receive in instrumented code takes what it takes, and leaves the rest" do
      test = self()
      cook = spawn(fn -> Kitchen.serve(test) end)
      assert_receive {:waiting, ^cook}
      for message <- [:salt, :pepper, :go], do: send(cook, message)
      ref = Process.monitor(cook)
      assert_receive {:DOWN, ^ref, :process, ^cook, :normal}
      # Three lay there at most, when `:go` had not been taken.
      assert [%{pid: ^cook, most: 3}] = ElixirScope.stats(pid: cook).mailboxes
    end

    test "exits are counted by their reasons, without stacks" do
      stack = [{Kitchen, :cook, 1, [line: 7]}]
      crashes = for why <- ["no", "nor that"], do: {%RuntimeError{message: why}, stack}
      reasons = [:normal, :normal, {:shutdown, :over}, {:bad, 7} | crashes]
      pids = for reason <- reasons, do: spawn_monitor(fn -> exit(reason) end)
      for {pid, ref} <- pids, do: assert_receive({:DOWN, ^ref, :process, ^pid, _})
      stats = ElixirScope.stats(pid: Enum.map(pids, &elem(&1, 0)))
      expected = [{:normal, 2}, {RuntimeError, 2}, {{:shutdown, :over}, 1}, {{:bad, 7}, 1}]
      assert Enum.sort(stats.exits) == Enum.sort(expected)
      assert inspect(stats) =~ ~r/exits\n(.*\n)* +RuntimeError +2\n/
    end

    test "restarts are counted by supervisor and child" do
      child = %{id: :counter, start: {GenServer, :start_link, [Counter, 0]}}
      {:ok, supervisor} = Supervisor.start_link([], strategy: :one_for_one, max_restarts: 10)
      {:ok, _} = ElixirScope.watch(supervisor, kinds: [:life, :links, :messages], spawned: true)
      {:ok, first} = Supervisor.start_child(supervisor, child)
      last = Enum.reduce(1..3, first, fn _round, pid -> killed(supervisor, pid) end)
      assert Process.alive?(last)
      stats = ElixirScope.stats()
      assert [%{supervisor: ^supervisor, child: {Counter, :init, 1}, count: 3, last: time}] = stats.restarts
      assert time <= stats.until
      assert ElixirScope.stats(pid: supervisor).restarts == stats.restarts
      assert ElixirScope.stats(since: time + 1).restarts == []
      assert inspect(stats) =~ ~r/restarts\n +#{inspect(Counter)}.init\/1 by .* +3 +last at/
      Supervisor.stop(supervisor)
    end

    # The next child, once the supervisor has made it.
    defp killed(supervisor, pid) do
      ref = Process.monitor(pid)
      Process.exit(pid, :kill)
      assert_receive {:DOWN, ^ref, :process, ^pid, :killed}

      next = fn ->
        for {:counter, next, _, _} <- Supervisor.which_children(supervisor), is_pid(next), do: next
      end

      until(fn -> next.() not in [[], [pid]] end)
      hd(next.())
    end

    test "the open calls of a process that is killed end with it" do
      test = self()
      cook = spawn(fn -> Kitchen.serve(test) end)
      assert_receive {:waiting, ^cook}
      ref = Process.monitor(cook)
      Process.exit(cook, :kill)
      assert_receive {:DOWN, ^ref, :process, ^cook, :killed}
      while_before(ElixirScope.now() + 2_000_000)
      stats = ElixirScope.stats(pid: cook)
      [begun] = Enum.to_list(ElixirScope.events(pid: cook, kind: :call, mfa: &Kitchen.serve/1))
      [ended] = Enum.to_list(ElixirScope.events(pid: cook, kind: :exit))
      serve = of(stats, :serve, 1)
      assert {serve.open, serve.total} == {1, ended.time - begun.time}
    end

    if match?({:ok, _}, ElixirScope.Watch.Kinds.check([:scheduling])) do
      test "time on a scheduler is told apart from waiting" do
        test = self()

        cook =
          spawn(fn ->
            receive do: (:begin -> :ok)
            Kitchen.serve(test)
          end)

        {:ok, _} = ElixirScope.watch(cook, kinds: [:scheduling, :life])
        send(cook, :begin)
        assert_receive {:waiting, ^cook}
        while_before(ElixirScope.now() + 20_000_000)
        ref = Process.monitor(cook)
        send(cook, :go)
        assert_receive {:DOWN, ^ref, :process, ^cook, :normal}
        wait = of(ElixirScope.stats(pid: cook), :wait, 1)
        assert wait.own >= 20_000_000
        assert wait.running < wait.own - 15_000_000
        assert wait.running > 0
        assert inspect(ElixirScope.stats(pid: cook)) =~ "running"
      end
    end
  end

  test "what was not watched is said to be", %{tmp_dir: dir} do
    {:ok, _} = ElixirScope.start(dir: Path.join(dir, "unwatched"), watch: false)
    Kitchen.dinner()
    stats = ElixirScope.stats()
    assert {stats.messages, stats.mailboxes, stats.exits} == {:not_watched, :not_watched, :not_watched}
    assert inspect(stats) =~ "messages  not recorded, see ElixirScope.watch/2"
  end

  test "what lies outside, is no option, or could not be seen is an error", %{recording: recording} do
    Kitchen.dinner()
    bad = fn options -> assert_raise(Error, fn -> ElixirScope.stats(options) end) end
    assert %{reason: :bad_option} = bad.(sort: :size)
    assert %{reason: :bad_option} = bad.(by: :process)
    assert %{reason: :bad_option} = bad.(limit: 0)
    assert %{reason: :bad_option} = bad.(since: ElixirScope.now(), until: 5)
    assert %{reason: :before_recording} = bad.(until: 5)
    assert %{reason: :after_recording} = bad.(since: ElixirScope.now() + 60_000_000_000)
    assert %{reason: :unknown_process} = bad.(pid: spawn(fn -> :ok end))
    assert %{reason: :not_instrumented} = bad.(mfa: Silent)
    :ok = ElixirScope.stop()
    {:ok, opened} = ElixirScope.open(recording.path)
    assert counts(ElixirScope.stats(in: opened)) == counts(ElixirScope.stats(in: recording))
  end

  test "is shown as tables, with the names of processes, and the first rows of each" do
    Process.register(self(), :elixir_scope_diner)
    Kitchen.dinner()
    catch_error(Kitchen.first(:burn))
    text = inspect(ElixirScope.stats(), limit: 50)
    assert text =~ ~r/^#ElixirScope.Stats<\d\d:\d\d/
    assert text =~ ~r/functions by own time +calls +own +own % +total +mean +p50 +p99 +max +raised\n/
    assert text =~ ~r/ElixirScope.Figures.Kitchen.course\/1 +3 /
    assert text =~ ~r/busiest processes\n +:elixir_scope_diner +\d+ +events/
    refute text =~ "\e["
    coloured = inspect(ElixirScope.stats(), limit: 50, syntax_colors: [atom: :cyan])
    assert coloured =~ "\e[36mElixirScope.Figures.Kitchen.course/1\e[0m"
    for line <- String.split(text, "\n"), do: assert(String.length(line) < 140, line)

    many = %{ElixirScope.stats() | processes: List.duplicate({self(), 1}, 1_042)}
    assert inspect(many) =~ "and 1,034 more"
    refute inspect(many, limit: :infinity) =~ "more"
    assert inspect(%Stats{}) =~ "%ElixirScope.Stats{"
  end

  test "of a recording without events say that nothing was recorded", %{tmp_dir: dir} do
    {:ok, _recording} = ElixirScope.start(dir: dir <> "_empty", watch: false)
    assert inspect(ElixirScope.stats()) =~ "#ElixirScope.Stats<nothing was recorded"
    assert inspect(ElixirScope.flame_graph()) =~ "#ElixirScope.FlameGraph<nothing was recorded"
  end
end
