defmodule ElixirScope.MessagesTest do
  # Each send with its delivery and what took it, on real programs. Each test begins a new recording.
  use ElixirScope.Recorded, watch: false

  alias ElixirScope.{Error, Message}
  alias ElixirScope.Traced.Store

  @senders? List.to_integer(:erlang.system_info(:otp_release)) >= 27

  # A process that does what it is told, and says when it is done.
  defp worker(name \\ nil) do
    test = self()

    pid =
      spawn_link(fn ->
        if name, do: Process.register(self(), name)
        send(test, {:ready, self()})
        obey(test)
      end)

    assert_receive {:ready, ^pid}
    pid
  end

  defp obey(test) do
    receive do
      {:do, function} ->
        send(test, {:done, self(), function.()})
        obey(test)
    end
  end

  defp tell(worker, function) do
    send(worker, {:do, function})
    assert_receive {:done, ^worker, answer}, 5_000
    answer
  end

  defp contents(messages), do: Enum.map(messages, & &1.content)

  defp between(a, b), do: ElixirScope.messages(between: [a, b])

  test "messages of processes that are not watched are no answer, but an error that says what to do" do
    assert {:error, %Error{reason: :not_watched, message: message}} = ElixirScope.Query.Messages.messages([])
    assert message =~ "ElixirScope.watch"
  end

  test "equal messages are paired in their order, and told from those of others" do
    [a, b, c] = for _ <- 1..3, do: worker()
    {:ok, _} = ElixirScope.watch([a, b, c])
    for _ <- 1..3, do: tell(a, fn -> send(b, :tick) end)
    tell(c, fn -> send(b, :tock) end)
    tell(b, fn -> :seen end)
    assert [one, two, three] = between(a, b)

    for message <- [one, two, three],
        do: assert(%Message{content: :tick, from: ^a, to: ^b, target: ^b} = message)

    assert one.delivered.id < two.delivered.id and two.delivered.id < three.delivered.id
    assert one.sent.id < one.delivered.id and two.sent.id < two.delivered.id
    assert [%Message{from: ^c, content: :tock, kind: :info, outcome: :delivered, ref: nil}] = between(c, b)
  end

  test "names, names of this node, itself, and what is not there" do
    name = :"worker_#{System.unique_integer([:positive])}"
    [a, b] = [worker(), worker(name)]
    {:ok, _} = ElixirScope.watch([a, b])
    dead = spawn(fn -> :ok end)
    ref = Process.monitor(dead)
    assert_receive {:DOWN, ^ref, _, _, _}

    tell(a, fn ->
      send(name, :one)
      send({name, node()}, :two)
      send(self(), :three)
      send(dead, :four)
    end)

    tell(b, fn -> :seen end)
    messages = ElixirScope.messages(from: a, matching: &is_atom/1)
    assert contents(messages) == [:one, :two, :three, :four]
    assert Enum.map(messages, & &1.to) == [b, b, a, dead]
    assert Enum.map(messages, & &1.outcome) == [:delivered, :delivered, :delivered, :nobody]
    assert Enum.at(messages, 1).target == {name, node()}
  end

  # Of a module that no test instruments, as it may be with Agents.
  defmodule Plain do
    use GenServer
    def start_link(count), do: GenServer.start_link(__MODULE__, count)
    def init(count), do: {:ok, count}
    def handle_call(:next, _from, count), do: {:reply, count, count + 1}
  end

  test "a call and its reply, through an alias" do
    {:ok, server} = Plain.start_link(41)
    a = worker()
    {:ok, _} = ElixirScope.watch([a, server])
    assert tell(a, fn -> GenServer.call(server, :next) end) == 41
    assert [call, reply] = between(a, server)
    assert %Message{kind: :call, from: ^a, to: ^server, outcome: :delivered, ref: ref} = call
    assert %Message{kind: :reply, from: ^server, to: ^a, content: {_, 41}, outcome: :taken, ref: ^ref} = reply
    assert is_reference(reply.target) and reply.taken == reply.delivered
  end

  test "a call that was given up: its reply reaches nobody" do
    a = worker()
    server = worker()
    {:ok, _} = ElixirScope.watch([a, server])

    late = fn ->
      catch_exit(GenServer.call(server, :slow, 1))
      :given_up
    end

    assert tell(a, late) == :given_up

    tell(server, fn ->
      receive do
        {:"$gen_call", from, :slow} -> GenServer.reply(from, :late)
      end
    end)

    tell(server, fn -> send(a, :after_it) end)
    tell(a, fn -> :seen end)
    assert [_call, reply, _after] = between(a, server)
    assert %Message{kind: :reply, delivered: nil, to: ^a} = reply
    # That what was sent later has come, and not this, is seen where deliveries name their senders.
    assert reply.outcome == if(@senders?, do: :nobody, else: :pending)
  end

  test "callbacks take what they are called with" do
    {:ok, store} = Store.start_link(%{})
    {:ok, _} = ElixirScope.watch([store, self()])
    Store.put(store, %{tea: 1})
    GenServer.cast(store, {:put, %{tea: 2}})
    send(store, {:put, %{tea: 3}})
    Store.put(store, %{tea: 4})
    messages = ElixirScope.messages(to: store)
    assert Enum.map(messages, & &1.kind) == [:call, :cast, :info, :call]
    assert Enum.map(messages, & &1.outcome) == [:taken, :taken, :taken, :taken]

    for message <- messages do
      assert %{mfa: {Store, function, _}, kind: :call} =
               ElixirScope.events(pid: store, since: message.taken.time, until: message.taken.time)
               |> Enum.find(&(&1.id == message.taken.id))

      assert function ==
               Map.fetch!(%{call: :handle_call, cast: :handle_cast, info: :handle_info}, message.kind)
    end
  end

  test "what the runtime sends has no sending" do
    a = worker()
    other = worker()
    Process.unlink(other)
    {:ok, _} = ElixirScope.watch([a, other])

    ref =
      tell(a, fn ->
        Process.send_after(self(), :tick, 1)
        Process.flag(:trap_exit, true)
        Process.monitor(other)
      end)

    tell(a, fn -> Process.link(other) end)
    Process.exit(other, :kill)

    tell(a, fn ->
      for _ <- 1..3 do
        receive do
          message -> message
        end
      end
    end)

    messages = Enum.filter(ElixirScope.messages(to: a), &(&1.kind in [:down, :exit] or &1.content == :tick))
    assert Enum.all?(messages, &(&1.sent == nil))
    # The process that has ended is who these are from, where the VM says it.
    from = if @senders?, do: other
    assert for(%{kind: kind, from: from} <- messages, kind != :info, uniq: true, do: from) == [from]
    assert Enum.find(messages, &(&1.kind == :info)).from == nil
    assert messages |> Enum.map(& &1.kind) |> Enum.sort() == [:down, :exit, :info]

    assert %{ref: ^ref, content: {:DOWN, ^ref, :process, ^other, :killed}} =
             Enum.find(messages, &(&1.kind == :down))
  end

  test "a Task's reply" do
    a = worker()
    {:ok, _} = ElixirScope.watch(a, spawned: true)
    assert tell(a, fn -> Task.await(Task.async(fn -> 7 end)) end) == 7

    assert [%Message{kind: :reply, to: ^a, content: {ref, 7}, ref: ref} = reply] =
             ElixirScope.messages(kind: :reply, to: a)

    assert reply.delivered != nil
    if @senders?, do: assert(reply.outcome == :taken), else: assert(reply.outcome in [:delivered, :taken])
    assert is_pid(reply.from) and reply.from != a
  end

  test "a reply to a process that is not watched is known to be for it" do
    {:ok, server} = Plain.start_link(41)
    {:ok, _} = ElixirScope.watch(server)
    41 = GenServer.call(server, :next)
    me = self()
    assert [call] = ElixirScope.messages(to: server, kind: :call)
    assert %Message{sent: nil, outcome: :delivered} = call

    assert [%Message{outcome: :unwatched, to: ^me, target: target}] =
             ElixirScope.messages(from: server, kind: :reply)

    assert is_reference(target)
  end

  defmodule Selective do
    use ElixirScope

    def run(test) do
      receive do
        {:second, _} -> :ok
      end

      send(test, :took_the_second)

      receive do
        {:first, _} -> :ok
      after
        60_000 -> :late
      end

      send(test, :took_the_first)

      receive do
        :never -> :ok
      end
    end
  end

  test "a receive takes what it chooses" do
    test = self()
    {:ok, _} = ElixirScope.watch(test)
    process = spawn_link(fn -> Selective.run(test) end)
    # Before it waits, what the VM answers it may lie in its mailbox.
    ElixirScope.Until.all_wait([process])
    {:ok, _} = ElixirScope.watch(process)
    for message <- [{:first, 1}, {:first, 2}, {:second, 3}], do: send(process, message)
    assert_receive :took_the_first
    messages = ElixirScope.messages(to: process, from: test)
    assert contents(messages) == [{:first, 1}, {:first, 2}, {:second, 3}]
    assert [first, second, third] = messages
    assert Enum.map(messages, & &1.outcome) == [:taken, :delivered, :taken]
    assert third.taken.id < first.taken.id and second.taken == nil
    assert {:ok, mailbox} = ElixirScope.mailbox(process, ElixirScope.now())
    assert %{length: 1, actual: 1, messages: [%{content: {:first, 2}}]} = mailbox
    Process.unlink(process)
    Process.exit(process, :kill)
  end

  defmodule Door do
    @behaviour :gen_statem
    use ElixirScope

    @impl true
    def callback_mode, do: :state_functions

    @impl true
    def init(_), do: {:ok, :open, 0}

    def open({:call, from}, :close, count), do: {:next_state, :closed, count + 1, [{:reply, from, :ok}]}
    def open(:cast, :close, count), do: {:next_state, :closed, count + 1}
    def open(:info, _message, count), do: {:keep_state, count}

    def closed({:call, from}, :open, count), do: {:next_state, :open, count, [{:reply, from, count}]}
    def closed(_type, _event, count), do: {:keep_state, count}
  end

  test "a state machine takes what its states are given" do
    {:ok, door} = :gen_statem.start_link(Door, nil, [])
    {:ok, _} = ElixirScope.watch([door, self()])
    send(door, :knock)
    :gen_statem.cast(door, :close)
    assert :gen_statem.call(door, :open) == 1
    messages = ElixirScope.messages(to: door, from: self())
    assert Enum.map(messages, &{&1.kind, &1.outcome}) == [info: :taken, cast: :taken, call: :taken]

    assert [%Message{outcome: :taken, content: {_, 1}}] =
             ElixirScope.messages(from: door, to: self(), kind: :reply)
  end

  test "those of a process that is not watched have no sending, and to one that is not watched no delivery" do
    [a, b] = [worker(), worker()]
    {:ok, _} = ElixirScope.watch(a)
    tell(b, fn -> send(a, :hello) end)
    tell(a, fn -> send(b, :hello) end)
    assert [hello] = ElixirScope.messages(to: a, matching: &(&1 == :hello))
    assert %Message{sent: nil, delivered: %{}, outcome: :delivered} = hello
    assert hello.from == if(@senders?, do: b, else: nil)
    assert [%Message{outcome: :unwatched, delivered: nil, from: ^a}] = ElixirScope.messages(to: b)
  end

  test "equal messages of many processes at once: each pair keeps its order, and nothing is left over" do
    workers = for _ <- 1..5, do: worker()
    {:ok, _} = ElixirScope.watch(workers)

    for {worker, seed} <- Enum.with_index(workers) do
      send(
        worker,
        {:do,
         fn ->
           :rand.seed(:exsss, {seed, 2, 3})
           for _ <- 1..300, do: send(Enum.random(workers), Enum.random([:tea, :cup]))
           :sent
         end}
      )
    end

    for worker <- workers, do: assert_receive({:done, ^worker, :sent}, 5_000)

    # Each looks into its mailbox once more, behind all of them.
    for worker <- workers, do: tell(worker, fn -> :seen end)
    messages = ElixirScope.messages(between: workers)
    sent = Enum.filter(messages, & &1.sent)
    assert length(sent) == 1_500
    if @senders?, do: assert(Enum.all?(messages, &(&1.outcome == :delivered and &1.from != nil)))
    assert Enum.all?(messages, &(&1.outcome in [:delivered, :unknown]))

    for {{_from, _to, _content}, own} <- Enum.group_by(sent, &{&1.from, &1.to, &1.content}) do
      delivered = for %{delivered: %{id: id}} <- own, do: id
      assert delivered == Enum.sort(Enum.uniq(delivered))
      assert Enum.all?(own, &(&1.delivered == nil or &1.delivered.id > &1.sent.id))
    end

    # Everything came once, whether it is known which it is or not.
    came = Enum.filter(ElixirScope.messages(to: workers, matching: &(&1 in [:tea, :cup])), & &1.delivered)
    assert length(came) == 1_500
  end

  if @senders? do
    test "by default those of processes that run instrumented code", %{tmp_dir: dir} do
      {:ok, _} = ElixirScope.start(dir: Path.join(dir, "default"), watch: :instrumented)
      {:ok, store} = Store.start_link(%{})
      other = worker()
      for number <- 1..3, do: Store.put(store, number)
      for _ <- 1..3, do: GenServer.cast(store, {:put, :same})
      send(other, :not_watched)
      Store.put(store, :last)
      me = self()
      messages = ElixirScope.messages(to: store, from: me)

      assert Enum.map(messages, &{&1.kind, &1.outcome}) ==
               List.duplicate({:call, :taken}, 3) ++ List.duplicate({:cast, :taken}, 3) ++ [call: :taken]

      assert Enum.all?(ElixirScope.messages(from: store, to: me, kind: :reply), &(&1.outcome == :taken))
      assert [%Message{outcome: :unwatched}] = ElixirScope.messages(to: other)
    end
  end

  test "filters" do
    [a, b] = [worker(), worker()]
    {:ok, _} = ElixirScope.watch([a, b])
    tell(a, fn -> for number <- 1..10, do: send(b, {:number, number}) end)
    middle = ElixirScope.now()
    tell(a, fn -> for number <- 11..20, do: send(b, {:number, number}) end)
    tell(b, fn -> send(a, :back) end)
    numbers = fn filters -> for %{content: {:number, number}} <- ElixirScope.messages(filters), do: number end
    assert numbers.(from: a, to: b) == Enum.to_list(1..20)
    assert numbers.(from: a, to: b, until: middle) == Enum.to_list(1..10)
    assert numbers.(to: b, since: middle, matching: fn {:number, _} -> true end) == Enum.to_list(11..20)
    assert numbers.(pid: b, matching: fn {:number, number} -> number > 18 end) == [19, 20]
    assert numbers.(from: a, to: b, limit: 3) == [1, 2, 3]
    assert numbers.(from: a, to: b, limit: 2, order: :newest) == [20, 19]
    assert contents(ElixirScope.messages(from: b, to: a)) == [:back]
    assert ElixirScope.messages(between: [a, b], kind: :call) == []
    assert length(ElixirScope.messages(between: [a, b], outcome: :delivered)) == 21
  end

  test "the newest are the last of all, however far back they lie" do
    [a, b] = [worker(), worker()]
    {:ok, _} = ElixirScope.watch([a, b])
    tell(b, fn -> for number <- 1..3, do: send(a, {:rare, number}) end)
    tell(a, fn -> for number <- 1..600, do: send(b, {:often, rem(number, 7), number}) end)

    for filters <- [
          [],
          [to: b],
          [from: b],
          [pid: a, matching: fn {kind, _} -> kind == :rare end],
          [between: [a, b], matching: fn {:often, rest, _} -> rest == 3 end],
          [from: b, outcome: :nobody]
        ],
        limit <- [1, 2, 5, 1_000] do
      newest = ElixirScope.messages([order: :newest, limit: limit] ++ filters)
      assert newest == filters |> ElixirScope.messages() |> Enum.reverse() |> Enum.take(limit)
    end
  end

  test "bad filters" do
    a = worker()
    {:ok, _} = ElixirScope.watch([a, self()])
    tell(a, fn -> :ok end)

    for {filters, words} <- [
          {[kind: :post], ":kind to be one or a list of :call, :reply"},
          {[outcome: :lost], ":outcome to be one or a list of :taken"},
          {[matching: 1], ":matching to be a function"},
          {[order: :up], ":order to be :oldest or :newest"},
          {[colour: :red], "unknown filter :colour"},
          {[limit: 0], ":limit to be a positive integer"},
          {[since: :never_marked], "never_marked"},
          {[matching: fn message -> raise inspect(message) end], "the function of :matching failed"}
        ] do
      error = assert_raise Error, fn -> ElixirScope.messages(filters) end
      assert error.message =~ words
    end
  end

  test "a message is shown on a line" do
    [a, b] = [worker(), worker()]
    {:ok, _} = ElixirScope.watch([a, b])
    tell(a, fn -> send(b, {:order, 7}) end)
    tell(b, fn -> :seen end)
    assert [message] = between(a, b)
    shown = inspect(message)
    assert shown =~ ~r/^#ElixirScope.Message<\d\d:\d\d:\d\d\.\d{6}  .* -> .*  info  {:order, 7}  delivered>$/
    assert shown =~ inspect(a) and shown =~ inspect(b)
    assert inspect(%Message{}) =~ "%ElixirScope.Message{"
  end

  test "a process that ended without looking at a message was there" do
    {:ok, _} = ElixirScope.watch(self(), spawned: true)
    gate = :counters.new(1, [])
    # Sleeping it does not look at its mailbox; a monitor would have it do so.
    pid = spawn(fn -> sleep(gate) end)
    send(pid, :while_it_lives)
    :counters.add(gate, 1, 1)
    wait_for_end(pid)
    send(pid, :afterwards)

    assert [{:while_it_lives, first}, {:afterwards, :nobody}] =
             for(message <- ElixirScope.messages(to: pid), do: {message.content, message.outcome})

    # Newer VMs look when a sleep is over.
    assert first in [:pending, :delivered]
  end

  defp sleep(gate) do
    Process.sleep(1)
    if :counters.get(gate, 1) == 0, do: sleep(gate)
  end

  defp wait_for_end(pid), do: if(pid in Process.list(), do: wait_for_end(pid))

  test "what goes to an alias that is no more in use is not said to be to one that is not watched" do
    {:ok, _} = ElixirScope.watch(self())
    once = :erlang.alias([:reply])
    never = :erlang.alias()
    :erlang.unalias(never)
    send(once, {:first, once})
    assert_receive {:first, _}
    send(once, {:second, once})
    send(never, {:third, never})
    send(self(), {:last, make_ref()})
    assert_receive {:last, _}

    outcomes =
      for %Message{target: target} = message when is_reference(target) <- ElixirScope.messages(from: self()),
          do: {elem(message.content, 0), message.outcome}

    assert [{:first, first}, {:second, second}, {:third, :unknown}] = outcomes
    assert first in [:delivered, :taken]
    assert second in [:unknown, :nobody]
  end

  test "what could not be answered is an error" do
    {:ok, _} = ElixirScope.watch(self())
    send(self(), :hello)
    future = ElixirScope.now() + 3_600_000_000_000

    for {reason, filters} <- [
          after_recording: [since: future],
          before_recording: [until: 5],
          bad_option: [since: 10, until: 5],
          bad_option: [pid: []],
          bad_option: [to: nil],
          bad_option: [between: self()],
          bad_option: [between: [self()]],
          not_watched: [to: Process.whereis(:code_server)]
        ] do
      error = assert_raise Error, fn -> ElixirScope.messages(filters) end
      assert {error.reason, filters} == {reason, filters}
    end

    for {reason, options} <- [
          after_recording: [since: future],
          before_recording: [until: 5],
          bad_option: [pid: nil]
        ] do
      error = assert_raise Error, fn -> ElixirScope.sequence(options) end
      assert {error.reason, options} == {reason, options}
    end

    error = assert_raise Error, fn -> ElixirScope.messages(matching: fn _ -> raise "no" end) end
    assert error.message =~ "what a message holds"
  end
end
