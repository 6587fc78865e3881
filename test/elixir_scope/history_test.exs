defmodule ElixirScope.HistoryTest do
  # What is said of a state's changes. The recording is one for the VM, and each test begins a new one.
  use ElixirScope.Recorded

  alias ElixirScope.{Change, Difference, Error, Query}
  alias ElixirScope.Ledger.{Account, Bare, Teller}
  alias ElixirScope.Traced.{Echo, Store}

  defp history(server, options \\ []), do: server |> ElixirScope.state_history(options) |> Enum.to_list()

  # The last one comes by itself.
  defp timed_changes(timed) do
    case history(timed) do
      [_, _, _, _, _, _] = all -> all
      _fewer -> timed_changes(timed)
    end
  end

  defp totals(changes), do: Enum.map(changes, & &1.state.total)

  describe "state_history/2" do
    test "gives each change with its cause and its difference" do
      {:ok, account} = Account.start_link(total: 1)
      :ok = GenServer.call(account, {:add, 2})
      :ok = GenServer.call(account, :nothing)
      :ok = GenServer.cast(account, {:add, 3})
      send(account, {:add, 4})
      :ok = GenServer.call(account, {:later, "later"})
      :ok = GenServer.call(account, {:throw, "thrown"})

      assert [init, call, cast, info, continue, thrown] = history(account)
      me = self()

      assert %Change{origin: :init, before: :none, cause: %{kind: :init, message: [total: 1], from: nil}} =
               init

      assert init.difference.entries == [{[], :put, nil, init.state}]

      assert %{kind: :call, message: {:add, 2}, from: ^me, call: %{mfa: {Account, :handle_call, 3}}} =
               call.cause

      assert call.before == {:ok, init.state}
      assert call.difference.entries == [{[:entries, {:at, 0}], :put, nil, 2}, {[:total], :changed, 1, 3}]
      assert call.cause.call.outcome == :returned
      assert call.cause.call.started <= call.time and call.time <= call.cause.call.finished
      assert %{kind: :cast, message: {:add, 3}, from: nil, call: %{outcome: :returned}} = cast.cause
      assert %{kind: :info, message: {:add, 4}, from: nil} = info.cause

      assert %{kind: :callback, message: {:note, "later"}, call: %{mfa: {_, :handle_continue, 2}}} =
               continue.cause

      assert %{kind: :call, call: %{outcome: :raised}} = thrown.cause
      assert Enum.all?([init, call, cast, info, continue, thrown], &(&1.gaps == [] and &1.pid == account))
    end

    test "a callback that calls itself as a function is one change, caused by the outer one" do
      {:ok, account} = Account.start_link()
      :ok = GenServer.call(account, {:twice, 5})
      assert [_init, change] = history(account)
      assert change.cause.message == {:twice, 5}
      assert Difference.apply(elem(change.before, 1), change.difference) == change.state
    end

    test "a change from outside of the callbacks says since when it can have been" do
      {:ok, account} = Account.start_link()
      :sys.replace_state(account, &%{&1 | note: "replaced"})
      :ok = GenServer.call(account, {:add, 1})
      assert [init, replaced, added] = history(account)
      assert %{kind: :outside, message: nil, from: nil, call: nil, since: since} = replaced.cause
      assert since == init.time
      assert replaced.difference.entries == [{[:note], :changed, nil, "replaced"}]
      assert added.difference.entries == [{[:entries, {:at, 0}], :put, nil, 1}, {[:total], :changed, 0, 1}]
    end

    test "in both orders, between times, and so many at most" do
      {:ok, account} = Account.start_link()

      times =
        for n <- 1..10 do
          :ok = GenServer.call(account, {:put, :total, n})
          ElixirScope.now()
        end

      assert totals(history(account)) == Enum.to_list(0..10)
      assert totals(history(account, order: :newest)) == Enum.to_list(10..0//-1)
      assert totals(history(account, limit: 3)) == [0, 1, 2]
      assert totals(history(account, limit: 3, order: :newest)) == [10, 9, 8]
      bounds = [since: Enum.at(times, 2), until: Enum.at(times, 5)]
      assert [first | _] = some = history(account, bounds)
      assert totals(some) == [4, 5, 6]
      # The state before the first one was known, though it lies outside.
      assert first.before |> elem(1) |> Map.get(:total) == 3
      assert history(account, [order: :newest] ++ bounds) == Enum.reverse(some)
      assert history(account, since: ElixirScope.now()) == []
    end

    test "at a path, only changes of what stands there" do
      {:ok, account} = Account.start_link()
      for n <- 1..3, do: :ok = GenServer.call(account, {:put, :total, n})
      :ok = GenServer.call(account, {:put, :note, %{text: "a"}})
      :ok = GenServer.call(account, {:put, :total, 4})
      :ok = GenServer.call(account, {:put, :note, %{text: "b", by: 1}})
      :ok = GenServer.call(account, {:put, :note, nil})

      for order <- [:oldest, :newest] do
        changes = history(account, path: [:note, :text], order: order)
        changes = if order == :oldest, do: changes, else: Enum.reverse(changes)

        assert Enum.map(changes, & &1.difference.entries) == [
                 [{[:note, :text], :put, nil, "a"}],
                 [{[:note, :text], :changed, "a", "b"}],
                 [{[:note, :text], :removed, "b", nil}]
               ]
      end
    end

    test "is lazy, and asks again each time" do
      {:ok, account} = Account.start_link()
      changes = ElixirScope.state_history(account)
      assert Enum.count(changes) == 1
      :ok = GenServer.call(account, {:add, 1})
      assert Enum.count(ElixirScope.state_history(account)) == 2
      assert [%Change{origin: :init}] = Enum.take(changes, 1)
    end

    test "of a recording that was opened", %{recording: recording} do
      {:ok, account} = Account.start_link()
      :ok = GenServer.call(account, {:add, 1})
      pid = inspect(account)
      :ok = ElixirScope.stop()
      {:ok, opened} = ElixirScope.open(recording.path)
      assert [_init, %Change{cause: %{message: {:add, 1}}}] = history(pid, in: opened)
    end

    test "without arguments knows the callback, and no message" do
      {:ok, server} = GenServer.start_link(Bare, 1)
      :ok = GenServer.call(server, {:put, 2})
      assert [%{cause: %{kind: :init, message: nil}}, %{cause: cause}] = history(server)
      assert %{kind: :call, message: nil, from: nil, call: %{mfa: {Bare, :handle_call, 3}, args: nil}} = cause
    end

    test "says where events are missing" do
      {:ok, account} = Account.start_link()
      before = ElixirScope.now()
      :ok = ElixirScope.pause()
      :ok = GenServer.call(account, {:add, 1})
      :ok = ElixirScope.resume()
      :ok = GenServer.call(account, {:add, 2})
      :ok = GenServer.call(account, {:add, 3})

      history = ElixirScope.state_history(account)
      assert [%{cause: :paused}] = history.gaps
      assert [init, noticed, two, three] = Enum.to_list(history)
      assert [%{cause: :paused}] = noticed.gaps
      assert noticed.origin == :noticed
      assert init.gaps == [] and two.gaps == [] and three.gaps == []
      assert ElixirScope.state_history(account, until: before).gaps == []

      assert [%{cause: :paused}] =
               ElixirScope.state_history(account, since: before, until: before + 1_000_000_000).gaps
    end

    test "refuses what it does not understand, and says what is expected" do
      {:ok, account} = Account.start_link()
      assert_raise Error, ~r/unknown filter :form/, fn -> history(account, form: 1) end

      assert_raise Error, ~r/expected :order to be :oldest or :newest, got: :up/, fn ->
        history(account, order: :up)
      end

      assert_raise Error, ~r/expected :limit to be a positive integer/, fn -> history(account, limit: 0) end
      assert_raise Error, ~r/expected a path as a list of keys/, fn -> history(account, path: :total) end
      assert_raise Error, ~r/expected a path as a list of keys/, fn -> history(account, path: [:a | :b]) end
      assert_raise Error, ~r/expected a time/, fn -> history(account, since: 1.5) end
      Echo.echo(1)
      assert %Error{reason: :no_state} = catch_error(history(self()))
    end

    test "of a large state costs what was changed in it" do
      {:ok, store} = Store.start_link(Map.new(1..5_000, &{&1, {&1}}))
      for n <- 1..50, do: Store.put(store, store |> GenServer.call(:get) |> Map.put(n, :changed))
      changes = history(store)
      assert length(changes) == 51

      for {change, n} <- changes |> tl() |> Enum.with_index(1),
          do: assert(change.difference.entries == [{[n], :changed, {n}, :changed}])
    end
  end

  describe "diff_state/4" do
    test "shows what differs between two moments, in both directions" do
      {:ok, account} = Account.start_link()
      before = ElixirScope.now()
      :ok = GenServer.call(account, {:add, 1})
      :ok = GenServer.call(account, {:add, 2})
      later = ElixirScope.now()
      assert {:ok, difference} = ElixirScope.diff_state(account, before, later)

      assert difference.entries == [
               {[:entries, {:at, 0}], :put, nil, 2},
               {[:entries, {:at, 1}], :put, nil, 1},
               {[:total], :changed, 0, 3}
             ]

      assert {:ok, back} = ElixirScope.diff_state(account, later, before)
      assert {[:total], :changed, 3, 0} in back.entries
      assert {:ok, %Difference{entries: []}} = ElixirScope.diff_state(account, later, later)
      assert {:ok, at} = ElixirScope.diff_state(account, before, later, path: [:total])
      assert at.entries == [{[:total], :changed, 0, 3}]
    end

    test "has the errors of a state that is not known" do
      started = ElixirScope.now()
      {:ok, account} = Account.start_link()
      assert {:error, %{reason: :no_state}} = ElixirScope.diff_state(account, started, ElixirScope.now())
      assert {:error, %{reason: :bad_option}} = ElixirScope.diff_state(account, started, started, path: 1)
      assert {:error, %{reason: :bad_option}} = ElixirScope.diff_state(account, started, started, of: 1)
    end

    test "of parts that a limit kept out says that nobody knows", %{tmp_dir: dir} do
      {:ok, _} = ElixirScope.start(dir: dir, limits: [state_bytes: 500])
      {:ok, account} = Account.start_link(note: String.duplicate("a", 1_000))
      before = ElixirScope.now()
      :ok = GenServer.call(account, {:put, :note, String.duplicate("a", 999) <> "b"})
      between = ElixirScope.now()
      :ok = GenServer.call(account, {:put, :note, String.duplicate("a", 1_001)})
      assert {:ok, unknown} = ElixirScope.diff_state(account, before, between)
      assert [{[:note], :unknown, %{size: 1_000}, %{size: 1_000}}] = unknown.entries
      assert {:ok, known} = ElixirScope.diff_state(account, between, ElixirScope.now())
      assert [{[:note], :changed, %{size: 1_000}, %{size: 1_001}}] = known.entries
    end
  end

  describe "the cause" do
    test "of a state machine's callback has its message and its sender" do
      from = {self(), [:alias | make_ref()]}
      me = self()
      message = &Query.History.Cause.message({Machine, &1, length(&2)}, &2)

      assert message.(:handle_event, [{:call, from}, :push, :open, 1]) == %{
               kind: :call,
               message: :push,
               from: me
             }

      assert message.(:handle_event, [:cast, :push, :open, 1]) == %{kind: :cast, message: :push, from: nil}

      assert message.(:handle_event, [:state_timeout, :late, :open, 1]) == %{
               kind: :callback,
               message: :late,
               from: nil
             }

      assert message.(:open, [{:call, from}, :push, 1]) == %{kind: :call, message: :push, from: me}
      assert message.(:open, [:info, :push, 1]) == %{kind: :info, message: :push, from: nil}

      assert message.(:handle_event, ["save", %{}, %{}]) == %{
               kind: :callback,
               message: {"save", %{}},
               from: nil
             }
    end

    test "of a state machine's own events has their type" do
      {:ok, timed} = :gen_statem.start_link(ElixirScope.Servers.Timed, [], [])
      :ok = :gen_statem.call(timed, :begin)
      assert [_init, enter, call, internal, state_timeout, named] = timed_changes(timed)
      assert Enum.map([enter, call], & &1.cause.event) == [:enter, nil]
      assert %{kind: :callback, event: :internal, message: :next} = internal.cause
      assert %{event: :state_timeout, message: :late} = state_timeout.cause
      assert %{event: {:timeout, :tick}, message: 1} = named.cause
      assert inspect(internal) =~ "Servers.Timed.handle_event/4 internal :next"
      assert inspect(state_timeout) =~ "Servers.Timed.handle_event/4 state_timeout :late"
      assert inspect(named) =~ "Servers.Timed.handle_event/4 timeout :tick 1"
      assert inspect(ElixirScope.state_history(timed)) =~ "state_timeout :late"
    end

    test "is found behind many callbacks that changed nothing" do
      {:ok, account} = Account.start_link()
      for _ <- 1..2_000, do: :ok = GenServer.call(account, :nothing)
      :ok = GenServer.call(account, {:add, 1})
      {:ok, teller} = Teller.start_link(account)
      # A callback with many calls within it.
      assert [_, %{cause: %{message: {:add, 1}}}] = history(account)
      :ok = Teller.pay(teller, 2)
      assert [_, %{cause: %{message: {:pay, 2}}}] = history(teller)
    end
  end

  test "questions take the recording that they are asked about", %{recording: recording} do
    {:ok, account} = Account.start_link()
    assert {:error, %{reason: :bad_option}} = Query.History.history(account, in: :here)
    assert {:ok, _} = Query.History.history(account, in: recording)
  end
end
