defmodule ElixirScope.WhoTest do
  # Who put a value into a state, and why the answer ends where it does. Each test begins a new recording.
  use ElixirScope.Recorded

  alias ElixirScope.{Chain, Error, Event}
  alias ElixirScope.Chain.Step
  alias ElixirScope.Ledger.{Account, Bare, Customer, Gate, Purse, Teller}
  alias ElixirScope.Traced.{Echo, Store}

  defp who(server, path, options \\ []) do
    {time, options} = Keyword.pop(options, :time, ElixirScope.now())
    assert {:ok, %Chain{} = chain} = ElixirScope.who_set(server, path, time, options)
    assert chain.ends in Chain.reasons()
    assert chain.why =~ ~r/\w/
    times = Enum.map(chain.steps, & &1.time)
    assert times == Enum.sort(times, :desc)
    chain
  end

  defp kinds(chain), do: Enum.map(chain.steps, & &1.kind)

  test "a call from a server within its own callback, and so on back to code that is not instrumented" do
    {:ok, account} = Account.start_link()
    {:ok, teller} = Teller.start_link(account)
    {:ok, _} = Customer.shop(teller, [5, 6, 7])
    me = self()

    chain = who(account, [:total])
    assert chain.value == {:ok, 18}
    assert %{pid: ^account, path: [:total]} = chain
    assert [change, book, pay, teller_pay, buy, shop] = chain.steps

    assert %Step{kind: :change, pid: ^account, message: {:add, 7}, from: ^teller} = change
    assert change.change.difference.entries |> List.keyfind([:total], 0) == {[:total], :changed, 11, 18}

    assert %Step{
             kind: :call,
             pid: ^teller,
             call: %{mfa: {Teller, :book, 2}, args: [^account, 7], outcome: :open}
           } = book

    assert %Step{kind: :callback, pid: ^teller, message: {:pay, 7}, from: ^me} = pay
    assert pay.call.mfa == {Teller, :handle_call, 3}
    assert book.call.parent == pay.call.id
    assert %Step{kind: :call, pid: ^me, call: %{mfa: {Teller, :pay, 2}, args: [^teller, 7]}} = teller_pay
    assert %{call: %{mfa: {Customer, :buy, 2}, args: [^teller, 7]}} = buy
    # The anonymous function between them gave its frame away: it ended in the call of buy/2.
    assert %{call: %{mfa: {Customer, :shop, 2}, parent: nil}} = shop
    assert teller_pay.call.parent == buy.call.id and buy.call.parent == shop.call.id
    assert chain.ends == :not_instrumented
    assert chain.why =~ "what called ElixirScope.Ledger.Customer.shop/2"
  end

  test "the change is the last one by the time after which the value is another" do
    {:ok, account} = Account.start_link()
    :ok = GenServer.call(account, {:put, :note, %{text: "a"}})
    time = ElixirScope.now()
    :ok = GenServer.call(account, {:add, 1})
    :ok = GenServer.call(account, {:put, :note, %{text: "a", by: 1}})
    :ok = GenServer.call(account, {:put, :note, %{text: "b"}})
    :ok = GenServer.call(account, {:delete, :note})

    assert [%{message: {:put, :note, %{text: "a"}}}] = who(account, [:note, :text], time: time).steps

    assert [%{message: {:put, :note, %{text: "b"}}}] =
             who(account, [:note, :by]).steps |> Enum.take(0) |> Kernel.++(before_delete(account))

    chain = who(account, [:note])
    assert chain.value == :none
    assert [%{message: {:delete, :note}}] = chain.steps
    assert chain.ends == :not_instrumented
    assert [%{message: {:add, 1}}] = who(account, [:entries, 0]).steps
    assert [%{message: {:add, 1}}] = who(account, [:entries, {:at, 0}]).steps
  end

  # The value at a time before it was taken away.
  defp before_delete(account) do
    [deleted | _] = account |> ElixirScope.state_history(order: :newest) |> Enum.to_list()
    who(account, [:note, :text], time: deleted.time - 1).steps
  end

  test "a value that init/1 put there, in a process that another server began" do
    {:ok, account} = Account.start_link()
    {:ok, teller} = Teller.start_link(account)
    opened = GenServer.call(teller, {:open, [total: 9]})
    :ok = GenServer.call(opened, {:put, :note, "x"})
    me = self()

    chain = who(opened, [:total])
    assert [:change, :start, :call, :callback] = kinds(chain)
    assert [%{message: [total: 9], call: %{mfa: {Account, :init, 1}}}, start, begun, callback] = chain.steps
    assert start.pid == teller
    assert inspect(chain) =~ ~r/  begun by ElixirScope.Ledger.Teller #{inspect(teller)}\n/
    assert begun.call.mfa == {Account, :start_link, 1} and begun.pid == teller
    assert %{message: {:open, [total: 9]}, from: ^me} = callback
    assert chain.ends == :not_instrumented
  end

  test "a value that init/1 put there, in a process that nothing instrumented began" do
    {:ok, store} = GenServer.start_link(Store, :first)
    chain = who(store, [])
    assert [:change] = kinds(chain)
    assert chain.ends == :init_argument
    assert hd(chain.steps).message == :first
    assert chain.why =~ "began with it"
  end

  test "a continued callback leads to the one before it, and that to its sender" do
    {:ok, account} = Account.start_link()
    :ok = GenServer.call(account, {:later, "later"})
    me = self()
    chain = who(account, [:note])

    assert [
             %{kind: :change, message: {:note, "later"}},
             %{kind: :callback, message: {:later, "later"}, from: ^me}
           ] = chain.steps

    assert chain.ends == :not_instrumented

    {:ok, account} = Account.start_link(continue: "at once")
    chain = who(account, [:note])
    assert [%{kind: :change}, %{kind: :callback, message: [continue: "at once"]} | _] = chain.steps
    # Account.start_link/1 was running in this process.
    assert [:start, :call] = chain |> kinds() |> Enum.drop(2)
    assert chain.ends == :not_instrumented
  end

  test "casts and infos have no known sender" do
    {:ok, account} = Account.start_link()
    :ok = GenServer.cast(account, {:add, 1})
    :sys.get_state(account)
    assert %{ends: :sender_unknown, steps: [%{message: {:add, 1}}], why: why} = who(account, [:total])
    assert why =~ "who sent {:add, 1}"
    {:ok, teller} = Teller.start_link(account)
    send(teller, {:pay, 4})
    eventually(fn -> match?({:ok, %{total: 5}}, ElixirScope.get_state_at(account, ElixirScope.now())) end)
    chain = who(account, [:total])
    assert [:change, :call, :callback] = kinds(chain)
    assert chain.ends == :sender_unknown
    assert chain.why =~ "who sent {:pay, 4}"
  end

  test "the states of a state machine and of an Agent" do
    {:ok, gate} = Gate.start_link()
    {:pushed, :ok} = Gate.push(gate)
    {:pushed, :ok} = Gate.push(gate)
    me = self()

    for path <- [[1, :pushes], [{:elem, 1}, :pushes]] do
      chain = who(gate, path)

      assert [%{kind: :change, message: :push, from: ^me}, %{kind: :call, call: %{mfa: {Gate, :push, 1}}}] =
               chain.steps

      assert hd(chain.steps).call.mfa == {Gate, :shut, 3}
      assert chain.value == {:ok, 1}
    end

    assert %{value: {:ok, :shut}, steps: [%{call: %{mfa: {Gate, :open, 3}}} | _]} = who(gate, [0])
    {:pushed, :ok} = Gate.push(gate)
    send(gate, :blow)
    assert {:shut, _} = :sys.get_state(gate)
    assert %{ends: :sender_unknown, steps: [%{message: :blow}]} = who(gate, [0])
    assert {:ok, %{state: {:open, %{pushes: 2}}}} = ElixirScope.first_change(Gate, [1, :pushes], &(&1 == 2))

    {:ok, purse} = Purse.start_link([1])
    :ok = Purse.drop(purse, 5)
    chain = who(purse, [0])

    assert [%{kind: :change, message: {:update, fun}}, %{kind: :call, call: %{mfa: {Purse, :drop, 2}}}] =
             chain.steps

    assert is_function(fun)
    assert {:ok, %{pid: ^purse, state: [5, 1]}} = ElixirScope.first_change(Purse, [0], &(&1 == 5))
    chain = who(purse, [1])
    assert [:change] = kinds(chain) |> Enum.take(1)
    assert {:ok, %{origin: :init}} = ElixirScope.last_change(purse, &(1 in &1))
  end

  test "what is in a set or a queue" do
    {:ok, store} = Store.start_link(%{set: MapSet.new([1]), queue: :queue.from_list([1])})
    Store.put(store, %{set: MapSet.new([1, 2]), queue: :queue.from_list([1])})
    Store.put(store, %{set: MapSet.new([1, 2]), queue: :queue.from_list([0, 1])})
    Store.put(store, %{set: MapSet.new([1, 2, 3]), queue: :queue.from_list([0, 1])})
    chain = who(store, [:set, {:member, 2}])
    assert {[:set, {:member, 2}], :put, nil, 2} in hd(chain.steps).change.difference.entries
    chain = who(store, [:queue, {:queue, 0}])
    assert {:put, %{queue: queue, set: set}} = hd(chain.steps).message
    assert {:queue.to_list(queue), MapSet.size(set)} == {[0, 1], 2}
  end

  test "a change from outside" do
    {:ok, account} = Account.start_link()
    :sys.replace_state(account, &%{&1 | note: "outside"})
    :ok = GenServer.call(account, {:add, 1})
    chain = who(account, [:note])
    assert [%{kind: :change, call: nil, message: nil}] = chain.steps
    assert chain.ends == :outside
    assert inspect(chain) =~ ~r/\n +from outside of the callbacks, after /
    assert chain.why =~ ":sys.replace_state/2"
    assert [%{message: {:add, 1}}] = who(account, [:total]).steps
  end

  test "a value that was there before the recording began", %{tmp_dir: dir} do
    {:ok, account} = Account.start_link(total: 3)
    {:ok, _} = ElixirScope.start(dir: dir)
    :ok = GenServer.call(account, {:put, :note, "new"})
    chain = who(account, [:total])
    assert {chain.ends, chain.steps, chain.value} == {:start_of_recording, [], {:ok, 3}}
    assert chain.why =~ "the recording began after"
    assert [%{message: {:put, :note, "new"}}] = who(account, [:note]).steps
  end

  test "a value that never was there" do
    {:ok, account} = Account.start_link()
    :ok = GenServer.call(account, {:add, 1})

    for path <- [[:nothing], [:total, :of], [:entries, 7], [:entries, {:at, -1}]] do
      chain = who(account, path)
      assert {chain.ends, chain.steps, chain.value} == {:never, [], :none}
    end
  end

  test "what a limit may hide is not said to be absent, nor put or removed", %{tmp_dir: dir} do
    {:ok, _} = ElixirScope.start(dir: dir, limits: [depth: 2])

    first = %{
      keys: %{{:k, {1}} => 1, {:k, {2}} => 2},
      pairs: [{:a, 1}],
      queue: {[3], [1, 2]},
      deep: %{a: %{b: 1}}
    }

    {:ok, server} = ElixirScope.Traced.Store.start_link(first)
    before = ElixirScope.now()
    :ok = ElixirScope.Traced.Store.put(server, %{first | deep: 0})
    now = ElixirScope.now()

    for path <- [[:keys, {:k, {1}}], [:pairs, :a], [:queue, {:queue, 2}], [:queue, {:queue, 0}]] do
      {:ok, chain} = ElixirScope.who_set(server, path, now)
      assert {path, chain.ends, chain.steps, chain.value} == {path, :cut, [], :unknown}
    end

    # Nothing stood there before or after, but that is known of the second state alone.
    {:ok, difference} = ElixirScope.diff_state(server, before, now, path: [:deep, :a, :c])
    assert [{[:deep, :a, :c], :unknown, %ElixirScope.Cut{}, nil}] = difference.entries
    [_init, change] = server |> ElixirScope.state_history(path: [:deep, :a, :c]) |> Enum.to_list()
    assert [{_path, :unknown, _old, nil}] = change.difference.entries
  end

  test "a value under a cut, or one that nobody can compare", %{tmp_dir: dir} do
    {:ok, _} = ElixirScope.start(dir: dir, limits: [state_bytes: 500])
    {:ok, account} = Account.start_link(note: %{text: String.duplicate("a", 1_000)})
    :ok = GenServer.call(account, {:put, :note, %{text: String.duplicate("b", 1_000)}})
    chain = who(account, [:note, :text])
    assert {chain.ends, chain.steps, chain.value} == {:cut, [], :unknown}
    assert chain.why =~ "#ElixirScope.Cut<binary of 1000 bytes"
    :ok = GenServer.call(account, {:put, :note, %{text: String.duplicate("b", 999) <> "c"}})
    chain = who(account, [:note])
    assert {chain.ends, chain.steps} == {:cut, []}
    assert {:ok, %{text: %ElixirScope.Cut{}}} = chain.value
  end

  test "events that are missing" do
    {:ok, account} = Account.start_link()
    :ok = GenServer.call(account, {:put, :note, "before"})
    known = ElixirScope.now()
    :ok = ElixirScope.pause()
    unknown = ElixirScope.now()
    :ok = GenServer.call(account, {:add, 1})
    :ok = ElixirScope.resume()
    :ok = GenServer.call(account, {:add, 2})

    assert [%{message: {:add, 2}}] = who(account, [:total]).steps
    # The first state behind the gap shows the same value: it may have been set meanwhile all the same.
    chain = who(account, [:note])
    assert {chain.ends, chain.steps} == {:lost, []}
    assert chain.why =~ "(paused)"

    assert [%{message: {:put, :note, "before"}}] = who(account, [:note], time: known).steps
    chain = who(account, [:note], time: unknown)
    assert {chain.ends, chain.value} == {:lost, :unknown}
  end

  test "what was running in a sender is known as far back as its events are there" do
    {:ok, account} = Account.start_link()
    me = self()
    task = Task.async(fn -> Customer.shop_when_told(me, account, 3) end)
    assert_receive :entered
    :ok = ElixirScope.pause()
    :ok = ElixirScope.resume()
    :ok = GenServer.call(account, {:add, 1})
    send(task.pid, :go)
    :ok = Task.await(task)

    chain = who(account, [:total])

    assert [%{kind: :change, message: {:add, 3}}, %{kind: :call, call: %{mfa: {Customer, :add, 2}}}] =
             chain.steps

    assert chain.ends == :lost
    assert chain.why =~ "(paused)"
  end

  test "what was running in a sender is found behind tens of thousands of its events" do
    {:ok, account} = Account.start_link()
    :ok = Customer.count_and_add(account, 15_000)
    chain = who(account, [:total])

    assert [
             %{kind: :change},
             %{call: %{mfa: {Customer, :add, 2}}},
             %{call: %{mfa: {Customer, :count_and_add, 2}}}
           ] = chain.steps

    assert chain.ends == :not_instrumented
  end

  test "the sender of a message that a limit has cut is known", %{tmp_dir: dir} do
    {:ok, _} = ElixirScope.start(dir: dir, limits: [value_bytes: 64])
    {:ok, account} = Account.start_link()
    :ok = GenServer.call(account, {:put, :note, String.duplicate("a", 1_000)})
    chain = who(account, [:note])
    own = self()
    assert [%{kind: :change, from: ^own, change: %{cause: %{kind: :call, unknown: nil}}} | _] = chain.steps
    assert inspect(hd(chain.steps).change.cause.message) =~ "Cut"
    assert chain.ends != :limit
  end

  test "a change whose call is missing says so" do
    {:ok, account} = Account.start_link()
    :ok = GenServer.call(account, {:paused, "new"})
    assert [_init, change] = account |> ElixirScope.state_history() |> Enum.to_list()
    assert %{kind: :call, message: nil, from: nil, call: nil, unknown: :lost} = change.cause
    assert [%{cause: :paused}] = change.gaps
    assert inspect(change) =~ "\n  call, what it was given is missing, with its events\n"
    assert %{ends: :lost} = who(account, [:note])
  end

  test "arguments that are not recorded" do
    {:ok, server} = GenServer.start_link(Bare, 1)
    :ok = GenServer.call(server, {:put, 2})
    chain = who(server, [])
    assert [%{kind: :change, message: nil, from: nil}] = chain.steps
    assert chain.ends == :not_recorded
    assert inspect(chain) =~ "by call, what it was given is not recorded (args: false)"
    assert chain.why =~ "args: false"
  end

  test "a sender in which nothing instrumented runs, or that is not in the recording" do
    {:ok, account} = Account.start_link()
    :ok = GenServer.call(account, {:add, 1})
    chain = who(account, [:total])
    assert chain.ends == :not_instrumented
    assert chain.why =~ "#{inspect(self())} sent it, and no instrumented function was running in it"

    task = Task.async(fn -> GenServer.call(account, {:add, 2}) end)
    :ok = Task.await(task)
    chain = who(account, [:total])
    assert chain.ends == :not_instrumented
    assert chain.why =~ "#{inspect(task.pid)} sent it, and no instrumented function"
  end

  test "a limit of steps" do
    {:ok, account} = Account.start_link()
    {:ok, teller} = Teller.start_link(account)
    {:ok, _} = Customer.shop(teller, [1])
    chain = who(account, [:total], limit: 3)
    assert {length(chain.steps), chain.ends} == {3, :limit}
    assert chain.why =~ "limit:"
    assert who(account, [:total], limit: 7).ends in [:not_instrumented, :limit]
    assert who(account, [:total], limit: 8).ends == :not_instrumented
  end

  test "the time may be an event, a name leads to the process of that time", %{recording: recording} do
    {:ok, first} = Account.start_link(name: :ledger_account)
    :ok = GenServer.call(first, {:add, 1})
    [event] = Enum.take(ElixirScope.events(pid: first, kind: :state), -1)
    assert %Event{} = event
    time = ElixirScope.now()
    :ok = GenServer.stop(first)
    {:ok, second} = Account.start_link(name: :ledger_account)
    :ok = GenServer.call(second, {:add, 2})

    assert %{pid: ^first, value: {:ok, 1}} = who(:ledger_account, [:total], time: time)
    assert %{pid: ^second, value: {:ok, 2}} = who(:ledger_account, [:total])
    assert %{pid: ^first, value: {:ok, 1}} = who(first, [:total], time: event)

    pid = inspect(first)
    :ok = ElixirScope.stop()
    {:ok, opened} = ElixirScope.open(recording.path)
    assert %{value: {:ok, 1}, steps: [%{message: {:add, 1}} | _]} = who(pid, [:total], time: time, in: opened)
  end

  test "refuses what it does not understand, and says what is expected" do
    began = ElixirScope.now()
    {:ok, account} = Account.start_link()
    now = ElixirScope.now()
    assert {:error, %Error{reason: :bad_option, message: message}} = ElixirScope.who_set(account, :total, now)

    assert message =~
             "expected a path as a list of keys and positions such as [:items, 0, :price], got: :total"

    assert {:error, %{reason: :bad_option}} = ElixirScope.who_set(account, [], now, limit: 0)
    assert {:error, %{reason: :bad_option}} = ElixirScope.who_set(account, [], now, until: 0)
    assert {:error, %{reason: :bad_time}} = ElixirScope.who_set(account, [], 1.5)
    assert {:error, %{reason: :bad_server}} = ElixirScope.who_set(1, [], now)
    assert {:error, %{reason: :no_state}} = ElixirScope.who_set(account, [], began)
    Echo.echo(1)
    assert {:error, %{reason: :no_state}} = ElixirScope.who_set(self(), [], ElixirScope.now())
  end

  defp eventually(condition), do: condition.() || eventually(condition)
end
