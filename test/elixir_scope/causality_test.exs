defmodule ElixirScope.CausalityTest do
  # What happened before what. The recording is one for the VM, and each test begins a new one.
  use ElixirScope.Recorded, watch: :all

  alias ElixirScope.Causes.Way
  alias ElixirScope.{Clocked, Error, Event, ListedPast, Query}
  alias ElixirScope.Ledger.{Account, Teller}
  alias ElixirScope.Query.Causality

  defp one(filters), do: filters |> ElixirScope.events() |> Enum.to_list() |> hd()
  defp why(steps), do: Enum.map(steps, & &1.why)

  defp wait_for_end(pid) do
    ref = Process.monitor(pid)
    receive do: ({:DOWN, ^ref, :process, ^pid, _} -> :ok)
  end

  test "a way over two servers, with why each step" do
    {:ok, account} = Account.start_link()
    {:ok, teller} = Teller.start_link(account)
    asked = one(kind: :mark, pid: self(), since: marked("asked"))
    :ok = Teller.pay(teller, 7)
    change = account |> ElixirScope.state_history(order: :newest) |> Enum.at(0)
    assert {:ok, %Way{from: ^asked} = path} = ElixirScope.causal_path(asked, change)
    assert Enum.filter(why(path.steps), &(&1 != :same_process)) == [:message, :message]
    assert [first, second] = for(%{why: :message} = step <- path.steps, do: step)
    assert {first.from.pid, first.event.pid} == {self(), teller}
    assert {second.from.pid, second.event.pid} == {teller, account}
    assert second.message.content |> elem(2) == {:add, 7}
    # Each step begins where the one before it ends.
    ends = Enum.map(path.steps, & &1.event.id)
    assert Enum.map(path.steps, & &1.from.id) == [asked.id | Enum.drop(ends, -1)]
    assert List.last(ends) == change.id

    assert ElixirScope.happened_before?(asked, change)
    refute ElixirScope.happened_before?(change, asked)
    refute ElixirScope.happened_before?(change, change)
    refute ElixirScope.concurrent?(asked, change)
    refute ElixirScope.concurrent?(change, change)
    assert {:error, %Error{reason: :not_before, message: message}} = ElixirScope.causal_path(change, asked)
    assert message =~ "nothing leads from event"
    text = inspect(path)
    assert text =~ "-> message"
    assert text =~ "{:pay, 7}"
  end

  defp marked(label) do
    time = ElixirScope.now()
    :ok = ElixirScope.mark(label)
    time
  end

  test "two that do not know of each other are concurrent, until one tells the other" do
    [one, other] = for _ <- 1..2, do: elem(Account.start_link(), 1)
    :ok = GenServer.call(one, {:add, 1})
    :ok = GenServer.call(other, {:add, 2})

    [there, here] =
      for server <- [one, other], do: server |> ElixirScope.state_history(order: :newest) |> Enum.at(0)

    # Both were asked by this process, the other one after the first had answered.
    assert ElixirScope.happened_before?(there, here)

    me = self()

    tasks =
      for server <- [one, other],
          do: spawn(fn -> send(me, {:done, self(), GenServer.call(server, {:add, 3})}) end)

    for task <- tasks, do: assert_receive({:done, ^task, :ok})

    [there, here] =
      for server <- [one, other], do: server |> ElixirScope.state_history(order: :newest) |> Enum.at(0)

    assert ElixirScope.concurrent?(there, here)
    assert ElixirScope.happened_before?(there, here) == false
    assert ElixirScope.happened_before?(here, there) == false
    # But what this process did behind both answers knows of both.
    marked("behind")
    mark = one(kind: :mark, order: :newest)
    assert ElixirScope.happened_before?(there, mark)
    assert ElixirScope.happened_before?(here, mark)
  end

  test "a spawn comes before all that the process does, and its end before what tells of it" do
    me = self()
    before = one(kind: :mark, since: marked("before"))

    child =
      spawn(fn ->
        receive do: (:go -> :ok)
        ElixirScope.mark("in the child")
        exit(:done)
      end)

    send(child, :go)
    wait_for_end(child)
    within = one(kind: :mark, pid: child)
    afterwards = one(kind: :mark, since: marked("afterwards"))
    assert before.pid == me
    assert {:ok, path} = ElixirScope.causal_path(before, within)
    assert Enum.any?(why(path.steps), &(&1 in [:spawn, :message]))
    assert {:ok, path} = ElixirScope.causal_path(within, afterwards)
    assert :exit in why(path.steps)
    assert ElixirScope.happened_before?(one(kind: :spawn, pid: me), within)
  end

  test "an exit that a link passed on" do
    me = self()

    linked =
      spawn(fn ->
        other = spawn_link(fn -> receive do: (:go -> exit(:broken)) end)
        send(me, {:other, other})
        receive do: (:never -> :ok)
      end)

    assert_receive {:other, other}
    ref = Process.monitor(linked)
    send(other, :go)
    assert_receive {:DOWN, ^ref, _, _, :broken}
    [there, here] = for pid <- [other, linked], do: one(kind: :exit, pid: pid)
    assert {:ok, %Way{steps: [%{why: :exit}]}} = ElixirScope.causal_path(there, here)
    {:ok, causes} = ElixirScope.causes(here)
    assert Enum.any?(causes.steps, &(&1.why == :exit and &1.event.id == there.id))
    {:ok, effects} = ElixirScope.effects(there)
    assert Enum.any?(effects.steps, &(&1.why == :exit and &1.event.id == here.id))
  end

  test "what led to a change, and what a call led to" do
    {:ok, account} = Account.start_link()
    {:ok, teller} = Teller.start_link(account)
    :ok = Teller.pay(teller, 7)
    change = account |> ElixirScope.state_history(order: :newest) |> Enum.at(0)
    {:ok, causes} = ElixirScope.causes(change)
    times = Enum.map(causes.steps, & &1.event.time)
    assert times == Enum.sort(times, :desc)
    assert %{event: %{pid: ^teller}} = Enum.find(causes.steps, &(&1.event.kind == :send))

    assert Enum.any?(
             causes.steps,
             &((&1.why == :call and &1.event.mfa == {Account, :handle_call, 3}) or &1.why == :message)
           )

    assert causes.unknown == nil
    assert inspect(causes) =~ "causes of"

    [paid] = ElixirScope.calls({Teller, :handle_call}, pid: teller)
    {:ok, effects} = ElixirScope.effects(paid)
    sent = for %{why: :sent, event: event} <- effects.steps, do: elem(event.data.message, 0)
    assert :"$gen_call" in sent
    send = Enum.find(effects.steps, &(&1.why == :sent)).event
    {:ok, effects} = ElixirScope.effects(send)
    assert [%{why: :message, event: %{pid: ^account}} | _] = effects.steps
    {:ok, %{steps: [_], more: true}} = ElixirScope.effects(paid, limit: 1)
  end

  test "where events are missing, what is not known to be before is unknown" do
    [one, other] = for _ <- 1..2, do: elem(Account.start_link(), 1)
    me = self()
    first = spawn(fn -> send(me, {:done, GenServer.call(one, {:add, 1})}) end)
    wait_for_end(first)
    :ok = ElixirScope.pause()
    :ok = ElixirScope.resume()
    second = spawn(fn -> send(me, {:done, GenServer.call(other, {:add, 1})}) end)
    wait_for_end(second)

    [there, here] =
      for server <- [one, other], do: server |> ElixirScope.state_history(order: :newest) |> Enum.at(0)

    assert ElixirScope.happened_before?(here, there) == false
    answer = ElixirScope.happened_before?(there, here)
    assert answer in [:unknown, true]
    spawned = one(kind: :spawn, pid: me, order: :newest)
    assert ElixirScope.happened_before?(spawned, here)
    begin = one(kind: :spawned, pid: first)
    last = one(kind: :exit, pid: first)
    assert ElixirScope.happened_before?(begin, last)
  end

  test "a message from a process that is not watched may hide a way", %{tmp_dir: dir} do
    :ok = ElixirScope.stop()
    {:ok, _} = ElixirScope.start(dir: dir, watch: false)
    [one, other] = for _ <- 1..2, do: elem(Account.start_link(), 1)
    {:ok, _} = ElixirScope.watch([one, other], kinds: [:messages])
    :ok = GenServer.call(one, {:add, 1})
    :ok = GenServer.call(other, {:add, 1})

    [there, here] =
      for server <- [one, other], do: server |> ElixirScope.state_history(order: :newest) |> Enum.at(0)

    # This process asked the second behind the first's answer; but it is not watched.
    assert ElixirScope.happened_before?(there, here) == :unknown
    assert ElixirScope.concurrent?(there, here) == :unknown
    assert {:error, %Error{reason: :lost, message: message}} = ElixirScope.causal_path(there, here)
    assert message =~ "not watched"
  end

  test "what was there before both tells of neither", %{tmp_dir: dir} do
    :ok = ElixirScope.stop()
    {:ok, _} = ElixirScope.start(dir: dir, watch: false)
    {:ok, device} = StringIO.open("")
    servers = for _ <- 1..2, do: elem(Account.start_link(), 1)
    turn = :counters.new(1, [])
    # The device is not watched: nobody knows what led to its answers.
    noise = fn -> IO.puts(device, "noise") end
    both = fn steps -> for {server, own} <- Enum.zip(servers, steps), do: actor(server, own, turn) end

    quiet = both.([[{0, noise}, {2, :call}], [{1, noise}, {3, :call}]])
    [there, here] = played(quiet, turn, 4, servers)
    assert ElixirScope.concurrent?(there, here)

    :counters.put(turn, 1, 0)
    loud = both.([[{0, noise}, {1, :call}], [{2, noise}, {3, :call}]])
    [there, here] = played(loud, turn, 4, servers)
    assert ElixirScope.happened_before?(there, here) == :unknown
    assert ElixirScope.happened_before?(here, there) == false
  end

  test "nor does what came just before, from whomever" do
    [one, other] = for id <- [30_001, 30_002], do: :erlang.list_to_pid(~c"<0.#{id}.0>")
    # In microseconds: the one changes at 1000, the other at 1300.
    from = event(1, one, 1_000, :mark, %{label: "from"})
    to = event(9, other, 1_300, :mark, %{label: "to"})

    answer = fn at ->
      message = %ElixirScope.Message{
        to: other,
        delivered: %{id: 3, time: at * 1_000},
        content: {:io_reply, make_ref(), :ok},
        kind: :info,
        outcome: :delivered
      }

      delivered = event(3, other, at, :receive, %{message: message.content, from: nil})
      past = ListedPast.of([from, delivered, to], [message])
      {:ok, answer} = Causality.Search.run(past, from, to, false)
      answer
    end

    assert answer.(800) == :not_before
    assert answer.(950) == :not_before
    assert {:unknown, {:messages, [_]}} = answer.(1_100)
    assert {:unknown, {:messages, [_]}} = answer.(995)
  end

  defp event(id, pid, microseconds, kind, data) do
    %ElixirScope.Event{id: id, pid: pid, time: microseconds * 1_000, kind: kind, data: data}
  end

  # Does its steps when it is their turn, which it reads from a counter that is no message.
  defp actor(server, steps, turn) do
    spawn(fn ->
      receive do: (:go -> :ok)

      for {at, what} <- steps do
        ElixirScope.Until.until(fn -> :counters.get(turn, 1) == at end)
        if what == :call, do: GenServer.call(server, {:add, 1}), else: what.()
        :counters.add(turn, 1, 1)
      end
    end)
  end

  defp played(actors, turn, until, servers) do
    {:ok, _} = ElixirScope.watch(actors ++ servers, kinds: [:messages])
    for actor <- actors, do: send(actor, :go)
    ElixirScope.Until.until(fn -> :counters.get(turn, 1) == until end)
    for server <- servers, do: server |> ElixirScope.state_history(order: :newest) |> Enum.at(0)
  end

  test "what came to a process that is not instrumented led to what it did next" do
    # Functions of a shell or of Erlang: this module would be instrumented no more than that.
    {relay, _} =
      Code.eval_string("""
      fn ->
        receive do
          {:a, from} -> send(from, :b)
        end

        receive do
          :b -> exit(:ended)
        end
      end
      """)

    me = self()
    pid = spawn(relay)
    send(pid, {:a, me})
    assert_receive :b
    ref = Process.monitor(pid)
    send(pid, :b)
    assert_receive {:DOWN, ^ref, _, _, :ended}
    first = Enum.find(ElixirScope.events(kind: :receive, pid: pid), &(&1.data.message == {:a, me}))
    second = Enum.find(ElixirScope.events(kind: :receive, pid: pid), &(&1.data.message == :b))
    answer = Enum.find(ElixirScope.events(kind: :send, pid: pid), &(&1.data.message == :b))
    exit = one(kind: :exit, pid: pid)
    {:ok, causes} = ElixirScope.causes(exit)
    assert Enum.any?(causes.steps, &(&1.event.id == second.id and &1.why == :message))
    assert Enum.any?(causes.steps, &(&1.event.pid == me and &1.event.kind == :send))
    refute Enum.any?(causes.steps, &(&1.event.id == first.id))
    {:ok, causes} = ElixirScope.causes(answer)
    assert Enum.any?(causes.steps, &(&1.event.id == first.id))
    {:ok, effects} = ElixirScope.effects(first)
    assert Enum.any?(effects.steps, &(&1.event.id == answer.id))
    {:ok, effects} = ElixirScope.effects(second)
    assert Enum.any?(effects.steps, &(&1.event.id == exit.id))
  end

  test "what came before the earlier event is not read, unless another question of the same look begins there" do
    [one, other] = for _ <- 1..2, do: spawn(fn -> :ok end)
    event = fn id, pid -> %Event{id: id, time: id * 1_000_000_000, kind: :mark, pid: pid} end
    asker = self()
    past = ListedPast.of([event.(5, one), event.(9, other)], [])

    past = %{
      past
      | messages: fn options ->
          send(asker, {:read, options})
          {:ok, []}
        end
    }

    assert {:ok, _unknown} = Causality.Search.run(past, event.(5, one), event.(9, other), true)
    assert_received {:read, [since: 4_999_000_000]}
    past = %{past | since: 2_000_000_000}
    assert {:ok, _unknown} = Causality.Search.run(past, event.(5, one), event.(9, other), true)
    assert_received {:read, [since: 1_999_000_000]}
    refute_received {:read, _more}
  end

  test "refuses what it does not understand, and says what is expected", %{tmp_dir: dir} do
    {:ok, account} = Account.start_link()
    [init] = ElixirScope.calls({Account, :init}, pid: account)
    assert {:error, %Error{reason: :bad_option, message: message}} = ElixirScope.causes(7)
    assert message =~ "an event, a call, a change, a message, a line of the log, a span, or a cursor"
    assert {:error, %Error{reason: :bad_option}} = ElixirScope.causes(init, limit: 0)
    assert {:error, %Error{reason: :bad_option}} = ElixirScope.effects(init, since: 0)
    assert {:error, %Error{reason: :bad_option}} = ElixirScope.causal_path(init, init, limit: 1)
    # Of another recording.
    {:ok, _} = ElixirScope.start(dir: dir, watch: :all)
    assert {:error, %Error{reason: :bad_time, message: message}} = ElixirScope.causal_path(init, init)
    assert message =~ "must be of one recording"
    assert %Error{reason: :bad_time} = catch_error(ElixirScope.happened_before?(init, init))
    assert %Error{reason: :bad_option} = catch_error(ElixirScope.concurrent?(:now, init))
  end

  # Every pair of labels of random programs, against clocks that went along with the messages.
  @programs String.to_integer(System.get_env("CAUSALITY_PROGRAMS", "8"))
  @seed String.to_integer(System.get_env("CAUSALITY_SEED", "0"))

  @tag timeout: 300_000 + @programs * 10_000
  test "happened before is what vector clocks say", %{tmp_dir: dir} do
    seed = if @seed == 0, do: :rand.uniform(1_000_000), else: @seed
    for seed <- seed..(seed + @programs - 1)//1, do: compare(seed, dir)
  end

  defp compare(seed, dir) do
    {:ok, recording} = ElixirScope.start(dir: dir, watch: :all)
    log = Clocked.run(Clocked.generate(seed))
    {:ok, recording} = Query.recording(in: recording)
    assert ElixirScope.status(in: recording) |> elem(1) |> Map.fetch!(:lost) == 0

    labels =
      for event <- ElixirScope.events(kind: :call, mfa: {Clocked, :at, 1}),
          into: %{},
          do: {hd(event.data.args), event}

    # Read once, instead of for each question.
    {:ok, messages} = Query.Messages.list(recording)
    past = ListedPast.of(Enum.to_list(ElixirScope.events([])), messages, recording: recording)
    named? = Causality.named?(past)

    for {label, pid, _} = one <- log,
        {later, other_pid, _} = other <- log,
        pid != other_pid or label == later do
      {:ok, answer} = Causality.Search.run(past, labels[label], labels[later], named?)
      expected = Clocked.before?(one, other)

      assert match?({:before, _edges}, answer) == expected and not match?({:unknown, _why}, answer), """
      CAUSALITY_SEED=#{seed}: label #{label} of #{inspect(pid)} before label #{later} of #{inspect(other_pid)}:
      the clocks say #{expected}, the recording #{inspect(answer, limit: 20)}
      """
    end
  end
end
