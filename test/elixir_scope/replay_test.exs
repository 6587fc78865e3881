defmodule ElixirScope.ReplayTest do
  # The code that runs is changed by a switch of the whole VM, and recordings are opened.
  use ExUnit.Case, async: false

  alias ElixirScope.{Error, Replay, Walked}
  alias ElixirScope.Traced.Store

  @moduletag :tmp_dir

  setup %{tmp_dir: dir} do
    {:ok, recording} = ElixirScope.start(dir: dir)

    on_exit(fn ->
      :persistent_term.erase(Walked)
      {:ok, _} = ElixirScope.start()
    end)

    {:ok, shop} = Walked.start_link(%{tea: 7})
    %{recording: recording, shop: shop}
  end

  defp inside(test) do
    send(test, {:in, self()})
    receive(do: (:go -> :gone))
  end

  defp slow(test) do
    send(test, {:slow, self()})
    Process.sleep(:infinity)
  end

  test "the same code on the same state and message is the same", %{shop: shop} do
    Walked.take(shop, :tea, 2)
    assert %Replay{same?: true} = replay = ElixirScope.replay(shop, {:ago, 0, :second})
    assert replay.call.mfa == {Walked, :handle_call, 3}
    assert replay.state == {:ok, %{tea: 7}}
    assert [{:take, :tea, 2}, {_pid, _tag}] = replay.message
    assert replay.recorded == %{outcome: :returned, return: {:reply, 5, %{tea: 5}}, state: {:ok, %{tea: 5}}}
    assert replay.replayed == replay.recorded
    assert replay.state_difference.entries == []
    assert inspect(replay) =~ "the same"
    # The server is where it was.
    assert Walked.take(shop, :tea, 0) == 5
  end

  test "each callback can be chosen by its time", %{shop: shop} do
    Walked.take(shop, :tea, 2)
    GenServer.cast(shop, {:put, :cup, 1})
    send(shop, {:put, :pot, 1})
    Walked.take(shop, :tea, 0)

    for {name, arity} <- [init: 1, handle_call: 3, handle_cast: 2, handle_info: 2, handle_continue: 2] do
      [call | _] = ElixirScope.calls({Walked, name, arity})
      replay = ElixirScope.replay(shop, call)
      assert {replay.call.id, replay.same?} == {call.id, true}
      assert ElixirScope.replay(shop, call.started).call.mfa == call.mfa
      assert ElixirScope.replay(shop, ElixirScope.at(call)).call.id == call.id
    end

    [init] = ElixirScope.calls({Walked, :init})
    assert %{state: :none, message: [%{tea: 7}]} = ElixirScope.replay(shop, init)
  end

  test "other code is shown side by side with what was", %{shop: shop} do
    Walked.take(shop, :tea, 2)
    GenServer.call(shop, :flag)
    :persistent_term.put(Walked, :new)
    replay = ElixirScope.replay(shop, {:ago, 0, :second})

    assert {replay.same?, replay.recorded.return, replay.replayed.return} ==
             {false, {:reply, :old, %{tea: 5}}, {:reply, :new, %{tea: 5}}}

    assert replay.result_difference.entries == [{[{:elem, 1}], :changed, :old, :new}]
    text = inspect(replay)
    assert text =~ "then  {:reply, :old, %{tea: 5}}"
    assert text =~ "now   {:reply, :new, %{tea: 5}}"
    assert text =~ "not the same"
    assert text =~ ":old"
  end

  @tag :capture_log
  test "what is raised is an outcome, and can be the same", %{shop: shop} do
    Process.unlink(shop)
    catch_exit(GenServer.call(shop, {:fail, "oh"}))
    replay = ElixirScope.replay(shop, {:ago, 0, :second})
    assert replay.same?

    assert %{outcome: :raised, exception: %{kind: :error, reason: %ArgumentError{message: "oh"}}} =
             replay.replayed

    assert inspect(replay) =~ ~r/then +\*\* \(ArgumentError\) oh\n +now +\*\* \(ArgumentError\) oh\n/
    # The server ended with another one.
    [terminate] = ElixirScope.calls({Walked, :terminate})
    assert ElixirScope.replay(shop, terminate).call.id == terminate.id
  end

  @tag :capture_log
  test "of what is raised all lines are shown, and errors of Erlang as Elixir shows them", %{shop: shop} do
    Process.unlink(shop)
    catch_exit(GenServer.call(shop, {:fail, "one\n\n  two\nthree"}))
    text = inspect(ElixirScope.replay(shop, {:ago, 0, :second}))

    assert text =~
             ~r/  then  \*\* \(ArgumentError\) one\n +\n {10}two\n {8}three\n  now   \*\* \(ArgumentError\) one\n/

    {:ok, other} = GenServer.start(Walked, %{tea: 7})
    catch_exit(GenServer.call(other, {:run, fn -> :erlang.error(:badarith) end}))
    replay = ElixirScope.replay(other, {:ago, 0, :second})
    line = "** (ArithmeticError) bad argument in arithmetic expression"
    assert inspect(replay) =~ ~r/then +#{Regex.escape(line)}\n +now +#{Regex.escape(line)}\n/
    assert inspect(replay.call) =~ line
    assert inspect(ElixirScope.events(pid: other, kind: :raise)) =~ line
  end

  test "throws and exits are outcomes, too", %{tmp_dir: _dir} do
    {:ok, store} = Store.start_link(:first)
    GenServer.call(store, {:throw, :second})
    replay = ElixirScope.replay(store, {:ago, 0, :second})

    assert {replay.same?, replay.replayed.exception.kind, replay.replayed.exception.reason} ==
             {true, :throw, {:reply, :ok, :second}}
  end

  test "what runs too long or is killed is an outcome", %{shop: shop} do
    test = self()
    key = make_ref()
    :persistent_term.put(key, :quick)

    run = fn ->
      case :persistent_term.get(key) do
        :quick -> :done
        :slow -> slow(test)
        :killed -> Process.exit(self(), :kill)
      end
    end

    GenServer.call(shop, {:run, run})
    :persistent_term.put(key, :slow)
    replay = ElixirScope.replay(shop, {:ago, 0, :second}, timeout: 50)
    assert replay.replayed == %{outcome: :timeout, after: 50}
    assert_receive {:slow, pid}
    refute Process.alive?(pid)
    assert inspect(replay) =~ "had not ended after 50 ms"

    :persistent_term.put(key, :killed)
    assert ElixirScope.replay(shop, {:ago, 0, :second}).replayed == %{outcome: :exited, reason: :killed}
    :persistent_term.erase(key)
  end

  test "nothing of it is recorded", %{shop: shop} do
    Walked.take(shop, :tea, 2)
    GenServer.cast(shop, {:put, :cup, 1})
    Walked.take(shop, :tea, 0)
    calls = fn -> length(ElixirScope.calls(Walked)) end
    before = calls.()
    {:ok, status} = ElixirScope.status()
    for _ <- 1..100, do: ElixirScope.replay(shop, {:ago, 0, :second})
    assert calls.() == before
    {:ok, later} = ElixirScope.status()
    assert {later.events, later.processes} == {status.events, status.processes}
    # Others go on being recorded, and so does the caller.
    Walked.down(0)
    assert calls.() == before + 1
  end

  test "a callback that has not ended is replayed, and nobody knows whether it is the same", %{shop: shop} do
    test = self()

    caller =
      spawn(fn ->
        GenServer.call(
          shop,
          {:run, fn -> inside(test) end},
          :infinity
        )
      end)

    assert_receive {:in, ^shop}
    replay = ElixirScope.replay(shop, {:ago, 0, :second}, timeout: 20)
    assert {replay.same?, replay.recorded, replay.replayed.outcome} == {nil, %{outcome: :open}, :timeout}
    Process.exit(caller, :kill)
    send(shop, :go)
  end

  test "of an opened recording the state and the message are those of then", %{
    shop: shop,
    recording: recording
  } do
    Walked.take(shop, :tea, 2)
    ElixirScope.mark(:then)
    Walked.take(shop, :tea, 5)
    :ok = ElixirScope.stop()
    {:ok, opened} = ElixirScope.open(recording.path)
    replay = ElixirScope.replay(inspect(shop), :then, in: opened)
    assert {replay.same?, replay.state, hd(replay.message)} == {true, {:ok, %{tea: 7}}, {:take, :tea, 2}}
  end

  test "a state machine is replayed with its state and its data" do
    defmodule Door do
      use ElixirScope
      @behaviour :gen_statem

      def callback_mode, do: :state_functions
      def init(count), do: {:ok, :closed, count}
      def closed({:call, from}, :open, count), do: {:next_state, :open, count + 1, [{:reply, from, :ok}]}
      def open({:call, from}, _again, _count), do: {:keep_state_and_data, [{:reply, from, :is_open}]}
    end

    {:ok, door} = :gen_statem.start_link(Door, 0, [])
    :gen_statem.call(door, :open)
    replay = ElixirScope.replay(door, {:ago, 0, :second})
    assert {replay.call.mfa, replay.state} == {{Door, :closed, 3}, {:ok, {:closed, 0}}}
    assert replay.recorded.state == {:ok, {:open, 1}}
    # The reply is an action, which gen_statem carries out, not the callback.
    assert replay.same?
    :gen_statem.call(door, :open)
    assert ElixirScope.replay(door, {:ago, 0, :second}).recorded.state == {:ok, {:open, 1}}
  end

  test "a callback that calls another is the one that the server ran" do
    {:ok, store} = Store.start_link(:first)
    GenServer.call(store, :nested)

    assert [{:put, :other}, nil] =
             Enum.map(ElixirScope.calls({Store, :handle_call}, pid: store), &hd(&1.args))
             |> tl()
             |> Kernel.++([nil])

    assert hd(ElixirScope.replay(store, {:ago, 0, :second}).message) == :nested
  end

  describe "errors:" do
    test "a part that a limit kept out", %{tmp_dir: dir} do
      {:ok, _} = ElixirScope.start(dir: dir, limits: [value_bytes: 200, state_bytes: 200])
      {:ok, store} = Store.start_link(String.duplicate("x", 1_000))
      GenServer.call(store, :get)
      error = assert_raise Error, fn -> ElixirScope.replay(store, {:ago, 0, :second}) end
      assert error.reason == :cut
      assert error.message =~ "argument 3 of 3"
      assert error.message =~ "higher limits"
    end

    test "no callback by then" do
      {:ok, unseen} = Task.Supervisor.start_link()
      before = ElixirScope.now()
      {:ok, late} = Walked.start_link(%{})
      Walked.take(late, :tea, 0)
      assert_raise Error, ~r/by which a callback of .* had begun/, fn -> ElixirScope.replay(late, before) end

      assert_raise Error, ~r/no event of it was recorded/, fn ->
        ElixirScope.replay(unseen, {:ago, 0, :second})
      end
    end

    test "events are missing since the last one", %{shop: shop} do
      Walked.take(shop, :tea, 1)
      :ok = ElixirScope.pause()
      :ok = ElixirScope.resume()
      error = assert_raise Error, fn -> ElixirScope.replay(shop, {:ago, 0, :second}) end
      assert error.reason == :lost
    end

    test "bad options", %{shop: shop} do
      assert_raise Error, ~r/timeout: milliseconds/, fn ->
        ElixirScope.replay(shop, {:ago, 0, :second}, timeout: 0)
      end

      assert_raise Error, ~r/unknown filter :till/, fn ->
        ElixirScope.replay(shop, {:ago, 0, :second}, till: 0)
      end
    end
  end
end
