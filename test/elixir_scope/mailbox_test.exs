defmodule ElixirScope.MailboxTest do
  use ElixirScope.Recorded, watch: false

  alias ElixirScope.{Error, Mailbox, Message}
  alias ElixirScope.Query
  alias ElixirScope.Traced.Store

  defp message(content, delivered, taken \\ nil) do
    {kind, ref} = Message.about(content)
    taken = if taken, do: %{id: taken, time: taken * 10}
    outcome = if taken, do: :taken, else: :delivered

    %Message{
      content: content,
      kind: kind,
      ref: ref,
      delivered: %{id: delivered, time: delivered * 10},
      taken: taken,
      outcome: outcome
    }
  end

  describe "from deliveries and takings" do
    test "is what was delivered and not taken by then" do
      messages = [message(:a, 1, 4), message(:b, 2, 6), message(:c, 3), message(:d, 8)]
      takes = [{4, 40, :a, :receive}, {6, 60, :b, :receive}]

      for {time, contents} <- [
            {5, []},
            {10, [:a]},
            {35, [:a, :b, :c]},
            {45, [:b, :c]},
            {60, [:c]},
            {80, [:c, :d]}
          ] do
        takes = if time < 40, do: [{0, 0, :earlier, :receive} | takes], else: takes
        mailbox = Query.Mailbox.at(messages, takes, {1, 0}, [], time)
        assert {time, Enum.map(mailbox.messages, & &1.content)} == {time, contents}
        assert mailbox.length == length(contents)
      end
    end

    test "holds what was sent and not yet looked at" do
      on_the_way = %{message(:b, 9) | sent: %{id: 2, time: 20}}
      pending = %{message(:c, 9) | sent: %{id: 3, time: 30}, delivered: nil, outcome: :pending}
      unknown = %{pending | outcome: :unknown}
      messages = [message(:a, 1, 5), on_the_way, pending]
      mailbox = Query.Mailbox.at(messages, [{5, 50, :a, :callback}], {0, 0}, [], 60)
      assert %Mailbox{length: 2, messages: [%{content: :b}, %{content: :c}]} = mailbox
      assert [{_, 40}, {_, 30}] = Mailbox.waiting(%{mailbox | time: 60})

      # Of what was sent nobody knows whether it came, unless something came that was sent later, or it is what came from one of some.
      at = &Query.Mailbox.at(messages ++ [unknown | &1], [{5, 50, :a, :callback}], {0, 0}, [], 60)
      assert %Mailbox{length: :unknown, why: "of 1 that were sent" <> _} = at.([])
      later = %{message(:d, 5, 6) | sent: %{id: 4, time: 40}}
      assert %Mailbox{length: 2} = at.([later])
      assert %Mailbox{length: 3} = at.([%{message(:c, 5) | outcome: :unknown}])
    end

    test "is known of one that waits in a receive that is seen, and has taken nothing yet" do
      messages = [message(:a, 1), message(:b, 2)]
      assert %Mailbox{length: :unknown} = Query.Mailbox.at(messages, [], {0, 0}, [], 60)
      assert %Mailbox{length: 2} = Query.Mailbox.at(messages, [], {0, 0}, [], 60, true)
    end

    test "has no answer to who asks about a process" do
      messages = [message({make_ref(), {:parent, self()}}, 1), message({make_ref(), {:ok, 1}}, 2)]
      assert %Mailbox{length: 1} = Query.Mailbox.at(messages, [], {0, 0}, [], 60, true)
    end

    test "counts once what had come when it was introduced again" do
      messages = [message(:a, 1), message(:b, 2), message(:c, 9)]
      assert %Mailbox{length: 3, older: 0} = Query.Mailbox.at(messages, [], {50, 2}, [], 95, true)
      assert %Mailbox{length: 4, older: 1} = Query.Mailbox.at(messages, [], {50, 3}, [], 95, true)
    end

    test "counts what lay there before, until it is taken" do
      takes = [{4, 40, :unseen, :receive}, {5, 50, :a, :receive}]
      at = fn time -> Query.Mailbox.at([message(:a, 1, 5)], takes, {1, 3}, [], time) end
      assert %Mailbox{length: 3, older: 2, messages: [_]} = at.(45)
      assert %Mailbox{length: 2, older: 2, messages: []} = at.(55)
    end

    test "what a server was given before its last callback is gone, also what no callback saw" do
      from = {self(), make_ref()}
      system = message({:system, from, :get_state}, 1)
      messages = [system, message(:a, 2, 4), message(:b, 3)]

      assert %Mailbox{length: 1, messages: [%{content: :b}]} =
               Query.Mailbox.at(messages, [{4, 40, :a, :callback}], {0, 5}, [], 45)

      assert %Mailbox{length: 2} = Query.Mailbox.at(messages, [{4, 40, :a, :receive}], {0, 0}, [], 45)
    end

    test "is not known where no taking is seen, or events are missing" do
      mailbox = Query.Mailbox.at([message(:a, 1)], [], {0, 0}, [], 45)
      assert %Mailbox{length: :unknown, messages: [%{content: :a}]} = mailbox
      assert mailbox.why =~ "not instrumented"
      assert %Mailbox{length: 0, messages: []} = Query.Mailbox.at([message(:a, 9)], [], {0, 0}, [], 45)
      gap = %{cause: :full, count: 1, from: 10, to: 20}
      mailbox = Query.Mailbox.at([message(:a, 1, 4)], [{4, 40, :a, :receive}], {0, 0}, [gap], 45)
      assert mailbox.length == :unknown and mailbox.why =~ "events are missing"
    end
  end

  # Takes one message when it is told: its callback waits for an answer.
  defmodule Slow do
    use GenServer
    use ElixirScope

    def init(test), do: {:ok, test}

    def handle_cast({:wait, number}, test) do
      :go_on = GenServer.call(test, {:in, number})
      {:noreply, test}
    end
  end

  test "of a server that is busy" do
    {:ok, server} = GenServer.start_link(Slow, self())
    {:ok, _} = ElixirScope.watch([server, self()])
    for number <- 1..4, do: GenServer.cast(server, {:wait, number})
    # What came is delivered when the server looks, in its own receive.
    assert_receive {:"$gen_call", first, {:in, 1}}
    GenServer.reply(first, :go_on)
    assert_receive {:"$gen_call", second, {:in, 2}}
    assert {:ok, mailbox} = ElixirScope.mailbox(server, ElixirScope.now())
    waiting = for %{content: {:"$gen_cast", {:wait, number}}} <- mailbox.messages, do: number
    assert waiting == [3, 4]
    assert mailbox.actual == 2
    assert mailbox.length == 2
    assert [{_, longest}, {_, shortest}] = Mailbox.waiting(mailbox)
    assert longest >= shortest and shortest >= 0
    shown = inspect(mailbox)
    assert shown =~ "2 messages" and shown =~ "{:wait, 3}" and shown =~ "cast"
    GenServer.reply(second, :go_on)

    for number <- 3..4 do
      assert_receive {:"$gen_call", from, {:in, ^number}}
      GenServer.reply(from, :go_on)
    end
  end

  # It does not look at its mailbox until it is told to, in a way that is no message.
  defmodule Busy do
    use GenServer
    use ElixirScope

    def init(gate), do: {:ok, gate}
    def handle_call(:hello, _from, gate), do: {:reply, :hello, gate}

    def handle_cast({:spin, number}, gate) do
      :counters.add(gate, 1, 1)
      spin(gate, number)
      {:noreply, gate}
    end

    def handle_cast({:sleep, times}, gate) do
      for _ <- 1..times, do: Process.sleep(1)
      {:noreply, gate}
    end

    def handle_info(_message, gate), do: {:noreply, gate}

    @scope false
    defp spin(gate, number), do: if(:counters.get(gate, 2) < number, do: spin(gate, number))
  end

  defp busy do
    gate = :counters.new(2, [])
    {:ok, server} = GenServer.start_link(Busy, gate)
    {:ok, _} = ElixirScope.watch([server, self()])
    :hello = GenServer.call(server, :hello)
    {server, gate}
  end

  defp spin(server, gate, number) do
    GenServer.cast(server, {:spin, number})
    wait(fn -> :counters.get(gate, 1) == number end)
  end

  defp wait(done?), do: unless(done?.(), do: wait(done?))

  test "of a server that does not look at what is sent to it" do
    {server, gate} = busy()
    spin(server, gate, 1)
    for number <- 1..150, do: send(server, number)
    time = ElixirScope.now()
    assert {:ok, %Mailbox{length: 150, actual: 150}} = ElixirScope.mailbox(server, time)
    assert [%{pid: ^server, to: 150}] = ElixirScope.growing_mailboxes(until: time)
    :counters.add(gate, 2, 1)
    :hello = GenServer.call(server, :hello)
    assert {:ok, %Mailbox{length: 150}} = ElixirScope.mailbox(server, time)
  end

  test "is not known where the VM says another length and nothing explains it" do
    {server, gate} = busy()
    spin(server, gate, 1)
    for number <- 1..5, do: spawn_and_wait(fn -> send(server, number) end)
    assert {:ok, %Mailbox{actual: 5} = mailbox} = ElixirScope.mailbox(server, ElixirScope.now())

    # Newer VMs deliver to a process that is busy.
    assert mailbox.length == 5 or (mailbox.length == :unknown and mailbox.why =~ "the VM says 5")
    :counters.add(gate, 2, 1)
    :hello = GenServer.call(server, :hello)
    assert {:ok, %Mailbox{length: 0, actual: 0}} = ElixirScope.mailbox(server, ElixirScope.now())
  end

  defp spawn_and_wait(action) do
    {pid, monitor} = spawn_monitor(action)
    assert_receive {:DOWN, ^monitor, :process, ^pid, _}
  end

  test "has nothing of receives that gave up" do
    {server, _gate} = busy()
    GenServer.cast(server, {:sleep, 120})
    :hello = GenServer.call(server, :hello)
    assert {:ok, %Mailbox{length: 0}} = ElixirScope.mailbox(server, ElixirScope.now())
    assert ElixirScope.growing_mailboxes() == []
    assert ElixirScope.messages(to: server, matching: fn :timeout -> true end) == []
    refute Enum.any?(ElixirScope.stats().mailboxes, &(&1.pid == server and &1.most > 2))

    # A message that says so is one.
    send(server, :timeout)
    :hello = GenServer.call(server, :hello)
    assert [%Message{outcome: :taken}] = ElixirScope.messages(to: server, matching: fn :timeout -> true end)
  end

  test "of a process that is not watched any more, and again later" do
    {server, _gate} = busy()
    before = ElixirScope.now()
    :ok = ElixirScope.unwatch(server)
    send(server, :unseen)

    assert {:error, %Error{reason: :not_watched, message: text}} =
             ElixirScope.mailbox(server, ElixirScope.now())

    assert text =~ "unwatch"

    assert [%Message{outcome: :unwatched}] =
             ElixirScope.messages(to: server, matching: fn :unseen -> true end)

    assert {:ok, %Mailbox{length: 0}} = ElixirScope.mailbox(server, before)
    {:ok, _} = ElixirScope.watch(server)
    :hello = GenServer.call(server, :hello)
    assert {:ok, %Mailbox{length: 0}} = ElixirScope.mailbox(server, ElixirScope.now())
  end

  if String.to_integer(System.otp_release()) < 27 do
    test "of a process that another tool traces" do
      {:ok, store} = Store.start_link(%{})
      1 = :erlang.trace(store, true, [:procs])
      {:ok, _} = ElixirScope.watch(:all)
      {:ok, _} = ElixirScope.watch(self())
      Store.put(store, %{tea: 1})
      assert {:error, %Error{reason: :not_watched}} = ElixirScope.mailbox(store, ElixirScope.now())
      assert [%Message{outcome: :unwatched}] = ElixirScope.messages(to: store)
    end
  end

  defmodule Picky do
    use ElixirScope

    def loop do
      receive do
        :the_one -> :ok
      end
    end
  end

  test "of a process that waits in an instrumented receive and has taken nothing yet" do
    {:ok, _} = ElixirScope.watch(self(), spawned: true)
    pid = spawn_link(&Picky.loop/0)
    for number <- 1..3, do: send(pid, number)
    wait(fn -> Enum.any?(ElixirScope.events(pid: pid), &(&1.kind == :wait)) end)
    assert {:ok, %Mailbox{length: 3, actual: 3}} = ElixirScope.mailbox(pid, ElixirScope.now())
    send(pid, :the_one)
  end

  test "of a moment before a timer that came behind what was sent afterwards" do
    {:ok, _} = ElixirScope.watch(self(), spawned: true)
    pid = spawn_link(&Picky.loop/0)
    send(pid, 1)
    wait(fn -> Enum.any?(ElixirScope.events(pid: pid), &(&1.kind == :wait)) end)
    time = ElixirScope.now()
    send(pid, 2)
    Process.send_after(pid, 3, 0)
    wait(fn -> Process.info(pid, :message_queue_len) == {:message_queue_len, 3} end)
    assert {:ok, %Mailbox{length: 1, actual: 3}} = ElixirScope.mailbox(pid, time)
    send(pid, :the_one)
  end

  # The VM answers a process that asks about one at work with a message.
  test "what a process was asked when it said who it is, is no message" do
    {:ok, _} = ElixirScope.watch(self(), spawned: true)

    pids = for _ <- 1..40, do: spawn_link(&Picky.loop/0)
    Enum.each(1..10_000_000, & &1)
    for pid <- pids, do: send(pid, :the_one)
    wait(fn -> Enum.all?(pids, &(ElixirScope.messages(to: &1) != [])) end)
    assert Enum.all?(pids, &match?([%Message{content: :the_one}], ElixirScope.messages(to: &1)))
  end

  test "of an instrumented server between calls" do
    {:ok, store} = Store.start_link(%{})
    {:ok, _} = ElixirScope.watch([store, self()])
    Store.put(store, %{tea: 1})
    assert {:ok, %Mailbox{length: 0, messages: [], actual: 0}} = ElixirScope.mailbox(store, ElixirScope.now())
  end

  # No test instruments it, as it may be with Agents.
  defmodule Plain do
    use GenServer
    def start_link(count), do: GenServer.start_link(__MODULE__, count)
    def init(count), do: {:ok, count}
    def handle_call(:next, _from, count), do: {:reply, count, count + 1}
  end

  test "of a process whose takings are not seen" do
    plain = start_supervised!({Plain, 0})
    {:ok, _} = ElixirScope.watch(plain)
    0 = GenServer.call(plain, :next)
    assert {:ok, mailbox} = ElixirScope.mailbox(plain, ElixirScope.now())
    assert %Mailbox{length: :unknown, actual: 0, messages: [_ | _]} = mailbox
    assert inspect(mailbox) =~ "length not known (the VM says 0 now)"
  end

  test "where nothing is recorded" do
    {:ok, store} = Store.start_link(%{})
    Store.put(store, %{})
    assert {:error, %Error{reason: :not_watched}} = ElixirScope.mailbox(store, ElixirScope.now())
    {:ok, _} = ElixirScope.watch(self())
    send(self(), :hello)

    assert {:error, %Error{reason: :not_watched, message: message}} =
             ElixirScope.mailbox(store, ElixirScope.now())

    assert message =~ "ElixirScope.watch(#{inspect(store)})"
    # Of which nothing at all is recorded.
    kernel = Process.whereis(:kernel_sup)

    assert {:error, %Error{reason: :not_watched, message: message}} =
             ElixirScope.mailbox(kernel, ElixirScope.now())

    assert message =~ "ElixirScope.watch(#{inspect(kernel)})"
    assert {:error, %Error{reason: :bad_option}} = ElixirScope.mailbox(store, ElixirScope.now(), limit: 1)
    assert {:error, %Error{reason: :bad_time}} = ElixirScope.mailbox(store, :"no mark" |> Atom.to_charlist())
  end
end
