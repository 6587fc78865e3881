defmodule ElixirScope.WatchTest do
  # What the VM tells of watched processes. Not beside others that watch: what is watched is one for all of a VM.
  use ExUnit.Case, async: false

  alias ElixirScope.Error
  alias ElixirScope.Watch.Kinds

  defp idle, do: spawn(fn -> receive do: (:stop -> :ok) end)

  defp wait_for_end(pid) do
    ref = Process.monitor(pid)
    receive do: ({:DOWN, ^ref, :process, ^pid, _} -> :ok)
  end

  defp told(pid, kinds) do
    for event <- ElixirScope.events(pid: pid, kind: kinds), do: {event.kind, event.data}
  end

  test "a process tells what it is sent, what it sends, and how it ends" do
    me = self()
    pid = spawn(fn -> receive do: ({:go, x} -> send(me, {:done, x})) end)
    {:ok, %{processes: 1, held: []}} = ElixirScope.watch(pid, kinds: [:life, :messages])
    send(pid, {:go, %{a: [1, 2.5, "text"]}})
    assert_receive {:done, _}
    wait_for_end(pid)

    assert [
             {:receive, %{message: {:go, %{a: [1, 2.5, "text"]}}, from: from}},
             {:send, %{message: {:done, %{a: [1, 2.5, "text"]}}, to: ^me, exists: true}},
             {:exit, %{reason: :normal}}
           ] = told(pid, [:send, :receive, :exit])

    assert from == if(Kinds.sessions?(), do: me)
  end

  test "those that have ended are not kept for ever, however many were watched" do
    for _ <- 1..1_100 do
      pid = idle()
      {:ok, _} = ElixirScope.watch(pid, kinds: [:life], spawned: true)
      send(pid, :stop)
      wait_for_end(pid)
    end

    pid = idle()
    {:ok, _} = ElixirScope.watch(pid, kinds: [:life])
    {:ok, %{processes: watched}} = ElixirScope.watched()
    assert pid in watched
    assert length(watched) < 1_100
    send(pid, :stop)
  end

  test "a message has the same digest where it is sent and where it is delivered" do
    me = self()
    there = spawn(fn -> Enum.each(1..50, fn _ -> receive do: ({:echo, x} -> send(me, {:back, x})) end) end)
    {:ok, _} = ElixirScope.watch([self(), there], kinds: [:messages])
    big = Map.new(1..100, &{&1, "#{&1}"})

    for n <- 1..50 do
      send(there, {:echo, {n, make_ref(), self(), big, [n | :improper], n / 3, &is_atom/1}})
      assert_receive {:back, _}
    end

    wait_for_end(there)
    :ok = ElixirScope.unwatch(self())
    sent = for %{data: %{to: ^there} = data} <- ElixirScope.events(pid: self(), kind: :send), do: data
    delivered = for %{data: data} <- ElixirScope.events(pid: there, kind: :receive), do: data
    assert length(sent) == 50
    assert Enum.map(sent, &{&1.message, &1.digest}) == Enum.map(delivered, &{&1.message, &1.digest})
    assert sent |> Enum.map(& &1.digest) |> Enum.uniq() |> length() == 50
  end

  test "a process that is made, its links, its name, its end" do
    me = self()

    parent =
      spawn(fn ->
        receive do: (:go -> :ok)
        child = spawn_link(String, :to_atom, ["watch_test_atom"])
        wait_for_end(child)
        Process.register(self(), :watch_test_name)
        Process.unregister(:watch_test_name)
        send(:watch_test_nobody_has_it, :hello) |> catch_error()
        send(me, {:child, child})
      end)

    {:ok, _} = ElixirScope.watch(parent, spawned: true)
    send(parent, :go)
    assert_receive {:child, child}
    wait_for_end(parent)

    assert [
             {:spawn, %{child: ^child, mfa: {String, :to_atom, ["watch_test_atom"]}}},
             {:link, %{action: :link, other: ^child}},
             {:link, %{action: :unlinked, other: ^child}},
             {:name, %{action: :register, name: :watch_test_name}},
             {:name, %{action: :unregister, name: :watch_test_name}},
             {:exit, %{reason: :normal}}
           ] = told(parent, [:spawn, :link, :name, :exit])

    assert [
             {:spawned, %{parent: ^parent, mfa: {String, :to_atom, ["watch_test_atom"]}}},
             {:link, %{action: :linked, other: ^parent}},
             {:exit, %{reason: :normal}}
           ] = told(child, [:spawned, :link, :exit])
  end

  test "a process that lived before says who it is" do
    {:ok, agent} = Agent.start_link(fn -> 1 end, name: :watch_test_agent)
    {:ok, _} = ElixirScope.watch(:watch_test_agent)

    # It may have said so itself, where Agent.Server is instrumented already; not its links.
    assert [about] = for({:process, %{links: _} = about} <- told(agent, :process), do: about)
    assert %{name: :watch_test_agent, initial_call: {_, _, _}, ancestors: [me | _], messages: 0} = about
    assert me == self() and self() in about.links
  end

  test "what is not asked for is not told, and nothing any more after unwatch" do
    pid = idle()
    {:ok, _} = ElixirScope.watch(pid, kinds: [:messages])
    send(pid, :one)
    # A message that it has taken from its signals is told before the answer.
    {:message_queue_len, 1} = Process.info(pid, :message_queue_len)
    :ok = ElixirScope.unwatch(pid)
    send(pid, :two)
    send(pid, :stop)
    wait_for_end(pid)
    assert [{:receive, %{message: :one}}] = told(pid, [:receive, :exit, :send])
  end

  test "messages are told under the limits of values, with the same digest" do
    me = self()
    pid = spawn(fn -> receive do: ({:big, x} -> send(me, {:size, byte_size(x)})) end)
    {:ok, _} = ElixirScope.watch([me, pid], kinds: [:messages])
    send(pid, {:big, String.duplicate("x", 1_000_000)})
    assert_receive {:size, 1_000_000}
    :ok = ElixirScope.unwatch(me)
    wait_for_end(pid)
    assert [{:receive, %{message: {:big, cut}, digest: digest}} | _] = told(pid, [:receive])
    assert %ElixirScope.Cut{size: 1_000_000} = cut
    assert [{_, %{digest: ^digest}}] = Enum.filter(told(me, :send), fn {_, data} -> data.to == pid end)
  end

  test "of ten thousand short processes each birth and each end is told" do
    count = 10_000

    parent =
      spawn(fn ->
        receive do: (:go -> :ok)
        for n <- 1..count, do: spawn_monitor(fn -> exit({:short, n}) end)
        for _ <- 1..count, do: receive(do: ({:DOWN, _, _, _, {:short, _}} -> :ok))
      end)

    {:ok, _} = ElixirScope.watch(parent, kinds: [:life], spawned: true)
    send(parent, :go)
    wait_for_end(parent)
    children = for %{data: %{child: child}} <- ElixirScope.events(pid: parent, kind: :spawn), do: child
    assert length(Enum.uniq(children)) == count

    ends =
      for %{pid: pid, data: %{reason: {:short, n}}} <- ElixirScope.events(kind: :exit),
          into: %{},
          do: {pid, n}

    assert Enum.map(children, &ends[&1]) == Enum.to_list(1..count)
    born = for %{pid: pid, data: %{parent: ^parent}} <- ElixirScope.events(kind: :spawned), do: pid
    assert Enum.sort(born) == Enum.sort(children)
  end

  unless Kinds.sessions?() do
    test "those that another tool traces are named, also among all" do
      pid = idle()
      1 = :erlang.trace(pid, true, [:receive])
      me = self()
      assert {:ok, %{held: held}} = ElixirScope.watch(:all, kinds: [:links])
      :ok = ElixirScope.unwatch(:all)
      assert {pid, me} in held
      assert :erlang.trace_info(pid, :flags) == {:flags, [:receive]}
      send(pid, :stop)
    end
  end

  test "the text of a pid stands for the pid" do
    pid = idle()
    {:ok, _} = ElixirScope.watch(inspect(pid), kinds: [:messages])
    send(pid, :stop)
    wait_for_end(pid)
    assert [{:receive, %{message: :stop}}] = told(pid, [:receive])
    # One of another node, and one that has ended.
    assert {:error, %ElixirScope.Error{reason: :bad_server}} = ElixirScope.watch("#PID<9.1.0>")
    assert {:error, %ElixirScope.Error{reason: :unknown_process}} = ElixirScope.watch([inspect(pid)])
  end

  test "what cannot be watched is an error that says so" do
    for {who, options, reason, text} <- [
          {"text", [], :bad_server, "expected :all, :instrumented, a pid"},
          {nil, [], :bad_server, "got: nil"},
          {:watch_test_no_such_name, [], :unknown_process, ":watch_test_no_such_name"},
          {self(), [kinds: [:mesages]], :bad_option, "got: :mesages"},
          {self(), [kinds: :life], :bad_option, "got: :life"},
          {self(), [kinds: [1]], :bad_option, "got: 1"},
          {self(), [kinds: [nil]], :bad_option, "got: nil"},
          {self(), [kinds: [life: true]], :bad_option, "got: {:life, true}"},
          {self(), [kinds: [:life | :links]], :bad_option, "got: [:life | :links]"},
          {self(), [kind: [:life]], :bad_option, "kind:"},
          {self(), [spawned: 1], :bad_option, "spawned:"},
          {self(), [returns: 3], :bad_option, "returns:"},
          {[self() | self()], [], :bad_server, "got:"}
        ] do
      assert {:error, %Error{reason: ^reason, message: message}} = ElixirScope.watch(who, options)
      assert message =~ text
    end

    gone = spawn(fn -> :ok end)
    wait_for_end(gone)
    assert {:error, %Error{reason: :unknown_process}} = ElixirScope.watch(gone)
  end

  test "ports that are opened and closed" do
    me = self()

    pid =
      spawn(fn ->
        receive do: (:go -> :ok)
        port = Port.open({:spawn, "true"}, [:exit_status])
        receive do: ({^port, {:exit_status, 0}} -> send(me, {:port, port}))
      end)

    {:ok, _} = ElixirScope.watch(:all, kinds: [:ports])
    send(pid, :go)
    assert_receive {:port, port}, 5_000
    :ok = ElixirScope.unwatch(:all)

    told =
      for %{data: %{port: ^port} = data} <- ElixirScope.events(kind: :port), do: {data.action, data.about}

    assert [{:open, driver} | _] = told
    assert driver == true
  end

  if match?({:ok, _}, Kinds.check([:garbage])) do
    test "garbage collection, where that is safe" do
      pid = spawn(fn -> receive do: (:go -> :erlang.garbage_collect()) end)
      {:ok, _} = ElixirScope.watch(pid, kinds: [:garbage])
      send(pid, :go)
      wait_for_end(pid)

      assert [{:collect, %{action: :major_start, sizes: sizes}}, {:collect, %{action: :major_end}} | _] =
               told(pid, :collect)

      assert is_integer(sizes[:heap_size])
    end
  else
    test "garbage collection is refused where two who trace it end the VM" do
      assert {:error, %Error{reason: :unsupported, message: message}} =
               ElixirScope.watch(self(), kinds: [:garbage])

      assert message =~ "issues/11624"
    end
  end

  if match?({:ok, _}, Kinds.check([:scheduling])) do
    test "when a process runs" do
      pid = idle()
      {:ok, _} = ElixirScope.watch(pid, kinds: [:scheduling])
      send(pid, :stop)
      wait_for_end(pid)
      actions = for {:schedule, %{action: action}} <- told(pid, :schedule), do: action
      assert [:in | _] = actions
      assert List.last(actions) == :ended
    end
  else
    test "when a process runs is refused where that can end the VM" do
      assert {:error, %Error{reason: :unsupported, message: message}} =
               ElixirScope.watch(self(), kinds: [:scheduling])

      assert message =~ "issues/6448"
    end
  end

  if Kinds.sessions?() do
    test "monitors, tables and timers, with what they return" do
      pid =
        spawn(fn ->
          receive do: (:go -> :ok)
          ref = Process.monitor(self())
          Process.demonitor(ref)
          table = :ets.new(:watch_test_table, [])
          :ets.delete(table)
          Process.cancel_timer(Process.send_after(self(), :never, 60_000))
        end)

      {:ok, _} = ElixirScope.watch(pid, kinds: [:monitors, :tables, :timers])
      send(pid, :go)
      wait_for_end(pid)
      traced = for event <- ElixirScope.events(pid: pid, kind: :traced), do: {elem(event.mfa, 1), event.data}

      assert [
               {:monitor, %{action: :call, args: [:process, ^pid]}},
               {:monitor, %{action: :return, value: ref}},
               {:demonitor, %{action: :call, args: [ref]}},
               {:new, %{action: :call, args: [:watch_test_table, []]}},
               {:new, %{action: :return, value: table}},
               {:delete, %{action: :call, args: [table]}},
               {:send_after, %{action: :call, args: [60_000, ^pid, :never | _]}},
               {:send_after, %{action: :return, value: timer}},
               {:cancel_timer, %{action: :call, args: [timer | _]}}
             ] = traced

      assert is_reference(ref) and is_reference(table) and is_reference(timer)
    end

    test "calls of functions that are not instrumented, by pattern" do
      pid =
        spawn(fn ->
          receive do: (:go -> :ok)
          :queue.len(:queue.in(1, :queue.new()))
          catch_error(:lists.nth(3, [1]))
          Process.set_label({:worker, 3})
        end)

      {:ok, _} =
        ElixirScope.watch(pid, kinds: [:labels], calls: [{:queue, :in, 2}, {:lists, :nth, 2}], returns: true)

      send(pid, :go)
      wait_for_end(pid)

      assert [
               {{:queue, :in, 2}, %{action: :call, args: [1, {[], []}]}},
               {{:queue, :in, 2}, %{action: :return, value: {[1], []}}},
               {{:lists, :nth, 2}, %{action: :call, args: [3, [1]]}},
               {{:lists, :nth, 2}, %{action: :raise, kind: :error, reason: :function_clause}}
             ] = for(event <- ElixirScope.events(pid: pid, kind: :traced), do: {event.mfa, event.data})

      assert [{:label, %{label: {:worker, 3}}}] = told(pid, :label)
    end

    test "who ended a process with a signal, and who waits for an answer" do
      {:ok, agent} = Agent.start(fn -> 1 end)
      {:ok, _} = ElixirScope.watch([self(), agent])
      assert Agent.get(agent, & &1) == 1
      Process.exit(agent, :kill)
      wait_for_end(agent)
      :ok = ElixirScope.unwatch(self())

      traced =
        for %{mfa: mfa, data: data} <- ElixirScope.events(pid: self(), kind: :traced),
            # Patterns are those of all tests that run beside this one.
            mfa in [{:gen, :call, 4}, {:erlang, :exit, 2}],
            do: {mfa, data}

      assert [{{:gen, :call, 4}, %{args: [^agent | _]}}, {{:erlang, :exit, 2}, %{args: [^agent, :kill]}}] =
               traced
    end

    test "tracing by other tools is not seen, and not disturbed" do
      pid = idle()
      session = :trace.session_create(:watch_test, self(), [])
      1 = :trace.process(session, pid, true, [:receive])
      1 = :erlang.trace(pid, true, [:procs])
      {:ok, %{held: []}} = ElixirScope.watch(pid)
      send(pid, :stop)
      assert_receive {:trace, ^pid, :receive, :stop}
      assert_receive {:trace, ^pid, :exit, :normal}
      refute_received {:trace, ^pid, _, _}
      :trace.session_destroy(session)
      assert [{:receive, _}, {:exit, _}] = told(pid, [:receive, :exit])
    end
  else
    test "a process that another tool traces is left to it" do
      pid = idle()
      1 = :erlang.trace(pid, true, [:receive])
      assert {:error, %Error{reason: :traced, message: message}} = ElixirScope.watch(pid)
      assert message =~ "is traced by #{inspect(self())} already"

      other = idle()
      me = self()
      assert {:ok, %{processes: 1, held: [{^pid, ^me}]}} = ElixirScope.watch([pid, other])
      send(pid, :stop)
      assert_receive {:trace, ^pid, :receive, :stop}
      refute_received {:trace, ^pid, _, _}
      assert told(pid, [:receive, :exit]) == []
      send(other, :stop)
      wait_for_end(other)
      assert [{:receive, _}, {:exit, _}] = told(other, [:receive, :exit])
    end

    test "what needs sessions is refused with the reason" do
      for options <- [[kinds: [:waits]], [kinds: [:life, :labels]], [calls: [{:queue, :in, 2}]]] do
        assert {:error, %Error{reason: :unsupported, message: message}} = ElixirScope.watch(self(), options)
        assert message =~ "needs OTP 27"
      end
    end
  end
end
