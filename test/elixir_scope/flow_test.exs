defmodule ElixirScope.FlowTest do
  # Flows in the one recording that serves all.
  use ElixirScope.Case, async: true

  alias ElixirScope.{Call, Event}
  alias ElixirScope.Traced.{Echo, Silent, Store}

  test "steps in their order, with others between, give what they were and bind variables" do
    Echo.echo(:noise)
    Echo.pair(1, %{id: 7})
    Echo.echo(:noise)
    Echo.echo(7)

    flow =
      assert_flow do
        Echo.pair(_, %{id: id})
        returned(Echo.echo(^id), answer)
      end

    assert {id, answer} == {7, 7}
    assert [%Call{args: [1, %{id: 7}]}, %Call{args: [7]}] = flow

    refute_flow do
      Echo.echo(7)
      Echo.pair(_, _)
    end
  end

  test "what a step binds is tried until all fit" do
    for id <- 1..5, do: Echo.pair(:first, id)
    for id <- [4, 2], do: Echo.pair(:second, id)

    assert_flow do
      Echo.pair(:first, id)
      Echo.pair(:first, other) when other > id
      Echo.pair(:second, ^other)
      Echo.pair(:second, ^id)
    end

    assert {id, other} == {2, 4}
  end

  test "a variable of the test can be pinned before the flow binds it anew" do
    id = 1
    Echo.echo(1)
    Echo.echo(2)

    assert_flow do
      Echo.echo(^id)
      Echo.echo(id)
    end

    assert id == 2
  end

  test "two equal steps are two things" do
    Echo.echo(1)

    assert failure(fn ->
             assert_flow(
               do:
                 (
                   Echo.echo(1)
                   Echo.echo(1)
                 )
             )
           end) =~ "Step 1 was found, step 2 behind it was not."

    Echo.echo(1)

    assert_flow do
      Echo.echo(1)
      Echo.echo(1)
    end
  end

  test "any order lies between what is before and behind it" do
    for n <- [1, 3, 2, 4], do: Echo.echo(n)

    assert_flow do
      Echo.echo(1)

      any_order do
        Echo.echo(2)
        Echo.echo(3)
      end

      Echo.echo(4)
    end

    assert failure(fn ->
             assert_flow do
               any_order do
                 Echo.echo(3)
                 Echo.echo(2)
               end

               Echo.echo(1)
             end
           end) =~ "matches, but comes too early"
  end

  test "returns, exceptions, throws and exits" do
    Echo.pair(1, 2)
    assert_raise ArgumentError, fn -> Echo.fail(:x) end
    catch_throw(Echo.toss(:ball))
    catch_exit(Echo.leave(:bye))

    assert_flow do
      returned(Echo.pair(_, _), {1, 2})
      raised(Echo.fail(_), %ArgumentError{message: message})
      raised(Echo.toss(_), :ball)
      raised(Echo.leave(_), :bye)
    end

    assert_flow(do: raised(Echo.fail(:x), ArgumentError))
    assert_never raised(Echo.fail(_), RuntimeError)

    assert message == "failed: x"

    assert_never(returned(Echo.fail(_), _))
    assert failure(fn -> assert_never(raised(Echo.toss(_), _)) end) =~ "Expected that this never happens"
  end

  test "an inner call returns before the outer one, also where they end at once" do
    {:ok, store} = start_supervised({Store, 0})
    GenServer.call(store, :nested)

    assert_flow do
      Store.handle_call(:nested, _, _)
      returned(Store.handle_call({:put, _}, _, _), _)
      returned(Store.handle_call(:nested, _, _), _)
    end
  end

  test "states of servers, and a server that a step bound" do
    {:ok, store} = start_supervised({Store, 0})
    for n <- [1, 2, 3], do: Store.put(store, n)

    [init, event, _call] =
      assert_flow do
        state(store, 0)
        state(store, n) when n > 1
        Store.handle_call({:put, 3}, {_, _}, ^n)
      end

    assert {n, event.pid} == {2, store}
    assert %Event{kind: :state, data: %{origin: :init}} = init

    returned = Echo.echo({:server, store})

    assert_flow do
      returned(Echo.echo({:server, pid}), ^returned)
    end

    assert pid == store

    assert_flow do
      state(_, 1)
      Store.handle_call(_, _, 1)
    end

    refute_flow do
      state(store, 3)
      state(store, 2)
    end

    assert_never(state(store, n) when n > 3)
    assert failure(fn -> assert_never(state(_, n) when n > 2) end) =~ "state 3"
  end

  test "states of which none would have been recorded cannot be denied" do
    {:ok, plain} = Agent.start_link(fn -> :idle end, name: :"#{__MODULE__}.plain")
    Echo.echo(1)

    for check <- [
          fn -> assert_never state(plain, :broken) end,
          fn -> assert_never state(self(), :broken) end,
          fn -> assert_never state(spawn(fn -> :ok end), :broken) end,
          fn ->
            refute_flow do
              Echo.echo(1)
              state(plain, :broken)
            end
          end,
          fn -> assert_never state(:"#{__MODULE__}.plain", :broken) end
        ] do
      assert failure(check) =~ "The question cannot be answered"
    end

    assert failure(fn -> assert_never state(self(), :broken) end) =~
             "no state of #{inspect(self())} was recorded: states are those of servers"

    assert failure(fn -> assert_never state(_, :broken) end) =~
             "no state of a process of this test was recorded: states are those of servers"

    {:ok, store} = start_supervised({Store, 0})
    assert_never state(_, :broken)
    assert_never state(store, :broken)
    stop_supervised(Store)
    assert_never state(store, :broken)
  end

  test "states are denied of all that had a name in turn" do
    name = :"#{__MODULE__}.in_turn"
    {:ok, store} = GenServer.start(Store, 0, name: name)
    Store.put(store, 1)
    assert_never state(name, :broken)
    GenServer.stop(store)
    {:ok, agent} = Agent.start_link(fn -> :idle end, name: name)
    {:ok, _} = ElixirScope.watch(agent, kinds: [:life, :names])
    assert_flow(do: state(name, 1))

    assert failure(fn -> assert_never state(name, :broken) end) =~
             "no state of #{inspect(agent)} was recorded"

    assert failure(fn -> assert_never state(name, 1) end) =~ "state 1"
  end

  test "it waits for what is done behind it" do
    {:ok, store} = start_supervised({Store, 0})
    test = self()

    spawn_link(fn ->
      send(test, :begun)
      receive do: (:go -> GenServer.cast(store, {:put, :late}))
    end)
    |> then(fn pid ->
      assert_receive :begun
      Process.send_after(pid, :go, 20)
    end)

    assert_flow within: 5_000 do
      state(store, 0)
      state(store, :late)
    end
  end

  test "what must not come is waited for" do
    {:ok, store} = start_supervised({Store, 0})
    for n <- 1..30, do: GenServer.cast(store, {:put, n})
    assert failure(fn -> refute_flow(do: state(store, 30)) end) =~ "state 30"

    # Nobody but a timer knows of it.
    Process.send_after(store, {:put, :late}, 30)
    assert failure(fn -> assert_never state(store, :late), within: 5_000 end) =~ "state :late"
    refute_flow within: 1, do: state(store, :never)
  end

  test "steps that led to each other may lie in any order with others" do
    Echo.echo(:first)
    Echo.pair(:other, 1)
    Echo.echo(:second)
    Echo.pair(:last, 2)

    assert_flow do
      any_order do
        Echo.pair(:other, n)
        leads_to(Echo.echo(:first), Echo.echo(:second))
      end

      Echo.pair(:last, m) when m > n
    end

    assert {n, m} == {1, 2}

    refute_flow do
      any_order do
        Echo.pair(:last, _)
        leads_to(Echo.echo(:second), Echo.echo(:first))
      end
    end
  end

  test "a failure says how far it came and what is nearest" do
    Echo.pair(1, 2)
    Echo.echo(:other)
    Echo.pair(3, 4)

    message =
      failure(fn ->
        assert_flow do
          Echo.pair(1, two)
          Echo.echo(^two)
          Echo.pair(_, _)
        end
      end)

    assert message =~ "Expected this flow in the processes of this test:"
    assert message =~ ~r/1  Echo.pair\(1, two\)\n +2  Echo.echo\(\^two\)\n +3  Echo.pair\(_, _\)/
    assert message =~ "Step 1 was found, step 2 behind it was not."
    assert message =~ ~r/1  \d\d:\d\d:\d\d\.\d{6}  the test  ElixirScope.Traced.Echo.pair\(1, 2\) -> \{1, 2\}/
    assert message =~ ~r/2  not found +Echo.echo\(\^two\)/
    assert message =~ "From the steps before: two = 2"

    assert message =~
             ~r/What comes nearest to step 2:\n\n.*the test.*\n +ElixirScope.Traced.Echo\.echo\(.*:other/

    assert message =~ "argument 1: expected 2, got :other"

    message =
      failure(fn ->
        refute_flow(
          do:
            (
              Echo.pair(1, _)
              Echo.pair(3, _)
            )
        )
      end)

    assert message =~ "Expected no such flow in the processes of this test:"
    assert message =~ "Echo.pair(3, 4) -> {3, 4}"
  end

  test "what could not have been seen is never a success" do
    # With its name it is said when the test is compiled.
    silent = Silent

    for check <- [
          fn -> assert_flow(do: silent.run(1)) end,
          fn -> refute_flow(do: silent.run(1)) end,
          fn -> assert_never(silent.run(1)) end
        ] do
      assert failure(check) =~ "ElixirScope.Traced.Silent is not instrumented"
    end

    for {code, expected} <- [
          {"assert_flow do: ElixirScope.Traced.Silent.run(1)",
           ~r/assert_flow cannot be answered: .*Silent is not instrumented/},
          {"refute_flow do: returned(ElixirScope.Traced.Echo.no_such(_), _)",
           ~r/Echo.no_such\/1 does not exist/}
        ] do
      assert_raise CompileError, expected, fn ->
        Code.eval_string("import ElixirScope.Assertions\n" <> code)
      end
    end
  end

  test "of what a limit kept out nobody knows that it did not match" do
    Echo.pair(1, String.duplicate("x", 100_000))
    other = String.duplicate("x", 99_999) <> "y"
    message = failure(fn -> refute_flow(do: Echo.pair(_, ^other)) end)

    assert message =~
             ~s|Undecided: none was recorded, but of 1 that may match Echo.pair(_, ^other) a part is not in the recording|

    assert_never Echo.pair(2, ^other)
    # How long it was is known.
    assert_never Echo.pair(_, "xxy")
  end

  test "what is no flow is refused when the test is compiled" do
    for {code, expected} <- [
          {"assert_flow do\nend", ~r/assert_flow expects at least one step/},
          {"refute_flow do: local(1)", ~r/refute_flow expects a step: Mod.fun\(args\).*got: local\(1\)/s},
          {"assert_flow do\nany_order do\nElixirScope.Traced.Echo.echo(_)\nend\nend",
           ~r/two steps or more in any_order/},
          {"assert_flow do\nleads_to do\nElixirScope.Traced.Echo.echo(_)\nend\nend",
           ~r/two steps or more in leads_to/},
          {"assert_flow do\nmessage(self(), :x)\nend", ~r/message\(from ~> to, pattern\)/},
          {"refute_flow ElixirScope.Traced.Echo.echo(_)", ~r/refute_flow expects steps in a block/},
          {"assert_flow within: 2", ~r/assert_flow expects steps in a block/},
          {"assert_flow times: 2, do: ElixirScope.Traced.Echo.echo(_)", ~r/assert_flow has no option times:/},
          {"assert_never leads_to(ElixirScope.Traced.Echo.echo(_), ElixirScope.Traced.Echo.echo(_))",
           ~r/assert_never expects one step/}
        ] do
      assert_raise CompileError, expected, fn ->
        Code.eval_string("import ElixirScope.Assertions\n" <> code)
      end
    end
  end

  defp failure(fun), do: assert_raise(ExUnit.AssertionError, fun).message
end
