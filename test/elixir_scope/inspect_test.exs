defmodule ElixirScope.InspectTest do
  # What people see of the structs in IEx.
  use ElixirScope.Recorded

  alias ElixirScope.{Call, Cut, Difference, Error, Event, Recording}
  alias ElixirScope.Traced.{Echo, Store}

  # Times differ from run to run.
  defp timeless(text) do
    text
    |> String.replace(~r/(\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d\.\d{6}/, "TIME")
    |> String.replace(~r/\d+(\.\d+)? (ns|µs|ms|s)\b/, "SPAN")
  end

  describe "a call" do
    test "is two lines: when, who, how long and where; what, and what came of it" do
      Process.register(self(), :elixir_scope_caller)
      Echo.pair(1, :two)
      [call] = ElixirScope.calls(&Echo.pair/2)

      assert timeless(inspect(call)) == """
             #ElixirScope.Call<#{call.id}  TIME, SPAN ago  :elixir_scope_caller  SPAN  test/support/traced.ex:9
               ElixirScope.Traced.Echo.pair(1, :two) -> {1, :two}>\
             """
    end

    test "says how it ended otherwise" do
      catch_error(Echo.fail("x"))
      catch_exit(Echo.leave(:bye))
      assert inspect(ElixirScope.calls(&Echo.fail/1)) =~ ~s|Echo.fail("x") ** (ArgumentError) failed: x>|
      assert inspect(ElixirScope.calls(&Echo.leave/1)) =~ "Echo.leave(:bye) ** (exit) :bye>"
      [call] = ElixirScope.calls(&Echo.fail/1)
      assert inspect(%{call | outcome: :open}) =~ "has not returned"
      assert inspect(%{call | outcome: :unknown, args: nil}) =~ "Echo.fail/1 -> unknown"
    end

    test "shortens what is long, also in lists of many, unless all of it is asked for" do
      for _ <- 1..60, do: Echo.echo(Enum.to_list(1..1_000))
      calls = ElixirScope.calls(&Echo.echo/1)
      text = inspect(calls, pretty: true)
      for line <- String.split(text, "\n"), do: assert(String.length(line) < 140, line)
      assert text =~ "Echo.echo([1, 2, 3, 4, 5, 6, 7, 8, ...])\n    -> [1, 2, 3, 4, 5, 6, 7, 8, ...]>"
      assert inspect(hd(calls), limit: :infinity) =~ "998, 999, 1000]) -> [1, 2"
    end

    test "of an opened recording names its processes", %{recording: recording} do
      {:ok, server} = Store.start_link(1, name: :elixir_scope_inspected)
      GenServer.call(server, :get)
      :ok = ElixirScope.stop()
      {:ok, opened} = ElixirScope.open(recording.path)
      {:ok, _} = ElixirScope.start(dir: recording.path <> "_next")
      [call] = ElixirScope.calls({Store, :handle_call}, in: opened)
      assert inspect(call) =~ "  :elixir_scope_inspected  "
      # Where no recording is known that it could come from, the pid is all there is.
      assert Task.await(Task.async(fn -> inspect(call) end)) =~ "  #{inspect(server)}  "
    end

    test "made by hand is shown as it is" do
      assert inspect(%Call{}) =~ "%ElixirScope.Call{"
      assert inspect(%Event{}) =~ "%ElixirScope.Event{"
      assert inspect(%Error{}) =~ "%ElixirScope.Error{"
      assert inspect(%Recording{handle: nil, path: "x"}) == "#ElixirScope.Recording<x>"
    end
  end

  describe "an event" do
    test "of each kind says what happened" do
      {:ok, server} = Store.start_link(1)
      :sys.replace_state(server, fn 1 -> 2 end)
      Store.put(server, 3)
      catch_error(Echo.fail("x"))
      ElixirScope.pause()
      ElixirScope.resume()

      told =
        for event <- ElixirScope.events(),
            do: {event.kind, event |> inspect() |> String.split("\n  ") |> List.last()}

      said = fn kind, text ->
        assert Enum.any?(told, fn {k, line} -> k == kind and line =~ text end), inspect(told)
      end

      said.(:call, "ElixirScope.Traced.Store.init(1)>")
      said.(:return, "ElixirScope.Traced.Store.init/1 -> {:ok, 1}>")
      said.(:state, "begins as 1>")
      said.(:state, "was changed from outside to 2>")
      said.(:state, "3>")
      said.(:raise, "Echo.fail/1 ** (ArgumentError) failed: x>")
      said.(:process, "initial_call: ElixirScope.Traced.Store.init/1, ancestors: [#{inspect(self())}")
      said.(:pause, "nothing is recorded from here on>")
      said.(:resume, "recording goes on>")
    end

    test "of a watched process says what it did, with the names of others" do
      {:ok, server} = Store.start_link(1, name: :elixir_scope_inspected)
      {:ok, _} = ElixirScope.watch(self(), kinds: [:life, :links, :names, :messages])
      send(server, {:put, 1})
      child = spawn_link(fn -> :ok end)
      Process.register(self(), :elixir_scope_caller)
      Process.unregister(:elixir_scope_caller)
      send(self(), {:b, 2})
      :ok = ElixirScope.unwatch(self())

      lines =
        for event <- ElixirScope.events(pid: self(), kind: [:send, :receive, :spawn, :link, :name]),
            do: event |> inspect() |> String.split("\n  ") |> List.last()

      for line <- [
            "sends {:put, 1} to :elixir_scope_inspected>",
            "links to #{inspect(child)}>",
            "takes the name :elixir_scope_caller>",
            "gives the name :elixir_scope_caller back>"
          ],
          do: assert(line in lines, inspect(lines))

      assert Enum.any?(
               lines,
               &(&1 =~ "makes #{inspect(child)}, which runs anonymous fn/0 in ElixirScope.InspectTest")
             )

      assert Enum.any?(lines, &(&1 =~ "is given {:b, 2}"))
    end

    test "of each kind that the VM tells says what happened" do
      Echo.echo(1)
      [event | _] = Enum.to_list(ElixirScope.events(kind: :call))
      me = self()
      port = hd(Port.list())
      alias = make_ref()
      insert = {:ets, :insert, 2}

      for {kind, data, said} <- [
            {:send, %{message: :a, to: :shop, exists: false}, "sends :a to :shop, which was not there"},
            {:send, %{message: :a, to: {:shop, :n@h}, exists: true}, "sends :a to :shop on n@h"},
            {:send, %{message: :a, to: alias, exists: true}, "sends :a to the alias #{inspect(alias)}"},
            {:receive, %{message: {:a, 1}, from: nil}, "is given {:a, 1}"},
            {:receive, %{message: {:a, 1}, from: :shop}, "is given {:a, 1} from :shop"},
            {:spawned, %{parent: :top, mfa: {:lists, :seq, [1, 2]}}, "is made by :top to run :lists.seq/2"},
            {:exit, %{reason: :normal}, "exits: :normal"},
            {:link, %{action: :unlink, other: port}, "unlinks from #{inspect(port)}"},
            {:link, %{action: :linked, other: port}, "is linked to by #{inspect(port)}"},
            {:link, %{action: :unlinked, other: port}, "is no longer linked to #{inspect(port)}"},
            {:label, %{label: {:till, 1}}, "is labelled {:till, 1}"},
            {:traced, %{action: :call, args: [:t, {1, 2}]}, "calls :ets.insert(:t, {1, 2})"},
            {:traced, %{action: :call, args: 2}, "calls :ets.insert/2"},
            {:traced, %{action: :return, value: true}, ":ets.insert/2 -> true"},
            {:traced, %{action: :raise, kind: :error, reason: :badarg},
             ":ets.insert/2 ** (ArgumentError) argument error"},
            {:schedule, %{action: :in, at: insert}, "begins to run in :ets.insert/2"},
            {:schedule, %{action: :out, at: nil}, "stops running"},
            {:schedule, %{action: :ended, at: nil}, "stops running, as it ends"},
            {:collect, %{action: :minor_start, sizes: [heap_size: 1_234]},
             "begins a minor garbage collection, heap_size: 1,234 words"},
            {:collect, %{action: :minor_end, sizes: []}, "ends a minor garbage collection"},
            {:collect, %{action: :major_start, sizes: []}, "begins a major garbage collection"},
            {:collect, %{action: :major_end, sizes: []}, "ends a major garbage collection"},
            {:port, %{action: :open, port: port, about: "cat"}, ~s|opens #{inspect(port)}: "cat"|},
            {:port, %{action: :closed, port: port, about: :normal}, "#{inspect(port)} is closed: :normal"},
            {:wait, %{}, "waits for a message"},
            {:take, %{message: :a}, "takes :a"},
            {:take, %{}, "stops waiting"}
          ] do
        text = inspect(%{event | kind: kind, mfa: insert, data: data, pid: me})
        assert String.ends_with?(text, "\n  #{said}>"), text
      end
    end

    test "whose bytes could not be read says so" do
      Echo.echo(1)
      [event | _] = Enum.to_list(ElixirScope.events(kind: :call))

      for kind <- Event.kinds(),
          do: assert(inspect(%{event | kind: kind, data: nil}) =~ "#ElixirScope.Event<")

      gap = %{cause: :full, count: 1_234, from: 0, to: 0xFFFFFFFFFFFFFFFF}
      text = inspect(%{event | kind: :gap, pid: nil, data: gap})
      assert text =~ "1,234 events are missing (full), 00:00:00.000000 to the end>"

      assert inspect(%{event | kind: :count, data: %{count: 12}}) =~
               "12 calls of ElixirScope.Traced.Echo.echo/1>"

      bindings = [cart: %{items: 1}, n: 2]
      assert inspect(%{event | kind: :binding, data: %{bindings: bindings}}) =~ "cart = %{items: 1}, n = 2>"
    end
  end

  defp kind_at(row),
    do:
      for(
        kind <- ["  call  ", "  return  "],
        [before, _] <- [String.split(row, kind)],
        do: String.length(before)
      )

  describe "events" do
    test "are counted and listed, aligned, the first of them" do
      for number <- 1..7, do: Echo.echo(number)
      text = inspect(ElixirScope.events(mfa: &Echo.echo/1))
      assert ["#ElixirScope.Events<14 events, from " <> _ | lines] = String.split(text, "\n")
      assert {rows, ["  and 4 more>"]} = Enum.split(lines, 10)

      assert [[column]] = rows |> Enum.map(&kind_at/1) |> Enum.uniq()
      assert column > 20
    end

    test "say why there are none" do
      assert inspect(ElixirScope.events()) =~ "#ElixirScope.Events<none: nothing was recorded"
    end
  end

  describe "a difference" do
    test "shows each part that differs, old and new under each other" do
      old = %{items: [:a, :b], sum: 1, gone: "x"}

      assert inspect(Difference.of(old, %{items: [:b], sum: 1_000, come: %{a: 1}})) == """
             #ElixirScope.Difference<4 parts differ
               + .come           -> %{a: 1}
               - .gone      "x"
               - .items[0]  :a
               ~ .sum       1    -> 1000>\
             """

      assert inspect(Difference.of(1, 1)) == "#ElixirScope.Difference<nothing differs>"
      assert inspect(Difference.of(1, 2)) =~ "1 part differs\n  ~ .  1  -> 2>"
    end

    test "is coloured as the shell is, old and new" do
      text = inspect(Difference.of(1, 2), syntax_colors: [number: :cyan])
      assert text =~ "\e[31m1\e[0m  -> \e[32m2\e[0m"
    end

    test "of many parts shows the first, unless all are asked for" do
      difference = Difference.of(%{}, Map.new(1..50, &{&1, String.duplicate("long ", 50)}))
      text = inspect(difference)
      assert text =~ "and 30 more>"
      for line <- String.split(text, "\n"), do: assert(String.length(line) < 100, line)
      assert inspect(difference, limit: :infinity) =~ "+ [50]"
    end
  end

  describe "a change" do
    test "says when, who, why and what" do
      Process.register(self(), :elixir_scope_changer)
      {:ok, server} = Store.start_link(%{a: 1}, name: :elixir_scope_changed)
      Store.put(server, %{a: 2})
      GenServer.cast(server, {:put, %{a: 3}})
      :sys.replace_state(server, fn _ -> %{a: 4} end)
      GenServer.call(server, :get)
      history = ElixirScope.state_history(server)
      [began, called, cast, outside] = Enum.map(history, &timeless(inspect(&1)))

      assert began =~
               ~r/\A#ElixirScope.Change<\d+  TIME, SPAN ago  :elixir_scope_changed  test.*traced.ex:\d+\n  init %{a: 1}\n  -> %{a: 1}>\z/

      assert called =~ "\n  call {:put, %{a: 2}} from :elixir_scope_changer\n  ~ .a  1  -> 2>"
      assert cast =~ "\n  cast {:put, %{a: 3}}\n  ~ .a  2  -> 3>"
      assert outside =~ "\n  from outside of the callbacks, after TIME\n  ~ .a  3  -> 4>"

      assert ["#ElixirScope.History<:elixir_scope_changed, 4 changes, from TIME, SPAN ago", began, called | _] =
               history |> inspect() |> timeless() |> String.split("\n")

      assert began =~ ~r/\A  TIME  init %{a: 1} +-> %{a: 1}\z/
      assert called =~ ~r/\A  TIME  call {:put, %{a: 2}} from :elixir_scope_changer +.a 1 -> 2\z/
    end
  end

  test "the variables of a call stand beside their lines" do
    ElixirScope.Doctest.Price.with_tax(100)
    [call] = ElixirScope.calls(&ElixirScope.Doctest.Price.with_tax/1)
    {:ok, locals} = ElixirScope.locals_at(call)

    assert ["#ElixirScope.Locals<ElixirScope.Doctest.Price.with_tax/1  " <> _, net, tax] =
             String.split(inspect(locals), "\n")

    assert net =~ ~r/\A  \d+  net = 100\z/
    assert tax =~ ~r/\A  \d+  tax = 19>\z/
    assert inspect(%{locals | complete?: false}) =~ "there may be more>"
  end

  describe "a chain" do
    test "is a story from the change back, and says why it ends" do
      Process.register(self(), :elixir_scope_chaining)
      {:ok, server} = Store.start_link(%{a: 1}, name: :elixir_scope_chained)
      Store.put(server, %{a: 2})
      {:ok, chain} = ElixirScope.who_set(server, [:a], ElixirScope.now())
      text = timeless(inspect(chain))

      assert [
               "#ElixirScope.Chain<.a of :elixir_scope_chained, 2 at TIME, SPAN ago",
               changed,
               by,
               called | why
             ] = String.split(text, "\n")

      assert changed =~ ~r/\A  TIME  .a 1 -> 2 +test.support.traced.ex:\d+\z/
      assert by =~ ~r/\A +by call {:put, %{a: 2}} from :elixir_scope_chaining\z/
      assert called =~ ~r/\A  TIME  in ElixirScope.Traced.Store.put\(#PID<[\d.]+>, %{a: 2}\) +test/
      assert hd(why) =~ "  #{inspect(chain.ends)}: "

      assert timeless(inspect(hd(chain.steps))) =~
               "#ElixirScope.Chain.Step<change\n  TIME  .a 1 -> 2 of :elixir_scope_chained"
    end

    test "made by hand is shown as it is" do
      for struct <- [
            %ElixirScope.Chain{},
            %ElixirScope.Chain.Step{},
            %ElixirScope.Change{},
            %Difference{entries: nil}
          ],
          do: assert(inspect(struct) =~ "%{" or inspect(struct) =~ "%ElixirScope.")
    end
  end

  test "what moves, replays and remembers names its process and its moment, and its parts on lines of their own" do
    {:ok, server} = Store.start_link(%{a: 1}, name: :elixir_scope_moving)
    Store.put(server, %{a: 2})
    cursor = ElixirScope.at({:ago, 0, :second}, pid: server)
    ElixirScope.mark("after")
    assert inspect(ElixirScope.at("after")) =~ ~s|  mark  "after">|

    assert timeless(inspect(cursor)) =~
             ~r/\A#ElixirScope.Cursor<TIME, SPAN ago\n  :elixir_scope_moving  .*  return  .*Store.handle_call.3 -> {:reply, :ok, %{a: 2}}>\z/

    where = cursor |> ElixirScope.prev(:message) |> ElixirScope.where()

    assert timeless(inspect(where)) =~
             ~r/\A#ElixirScope.Where<TIME, SPAN ago  :elixir_scope_moving\n.*\n  state +%{a: 1}\n  mailbox  .*>\z/s

    replay = ElixirScope.replay(server, cursor)

    assert timeless(inspect(replay)) =~
             ~r/\A#ElixirScope.Replay<TIME, SPAN ago  :elixir_scope_moving\n.*\n  then +{:reply, :ok, %{a: 2}}\n  now +{:reply, :ok, %{a: 2}}\n  the same>\z/s

    [mark] = ElixirScope.marks()
    assert timeless(inspect(mark)) =~ ~r/\A#ElixirScope.Mark<.*after.* at TIME, SPAN ago>\z/

    for struct <- [cursor, where, replay, mark],
        do: assert(inspect(struct, structs: false) =~ "__struct__: #{inspect(struct.__struct__)}")
  end

  test "structs without their fields, made by hand, are shown as they are" do
    for module <- ~w(Call Change Cursor Cut Event Events History Locals Mark Node Replay Where) do
      assert inspect(struct(Module.concat(ElixirScope, module))) =~ ~r/\A(%|#)ElixirScope\./
    end

    {:ok, recording} = ElixirScope.snapshot()
    assert inspect(struct(ElixirScope.Where, recording: recording)) =~ "%ElixirScope.Where{"
    assert inspect(struct(ElixirScope.Events, recording: recording)) =~ "ElixirScope.Events"
    assert inspect(struct(ElixirScope.History, recording: recording)) =~ "ElixirScope.History"
  end

  test "where the event is of no place, its process is told, and the call that was open" do
    {:ok, server} = Store.start_link(%{a: 1})
    :ok = ElixirScope.flush()

    of = fn pid ->
      [event] = Enum.to_list(ElixirScope.events(kind: :process, pid: pid))
      event |> ElixirScope.at() |> ElixirScope.where() |> inspect() |> String.split("\n")
    end

    assert [_first, "  process  initial_call: ElixirScope.Traced.Store.init/1" <> _ | more] = of.(server)
    assert Enum.any?(more, &(&1 =~ "ElixirScope.Traced.Store.init(%{a: 1})"))

    # Of no place, and within no call.
    :ok = ElixirScope.pause()
    :ok = ElixirScope.resume()
    [paused] = Enum.to_list(ElixirScope.events(kind: :pause))
    assert paused |> ElixirScope.at() |> ElixirScope.where() |> inspect() =~ "  source    no place"

    # Of one that says nothing about itself, or its label (newer ExUnit gives one to tests).
    assert [_first, "  process  " <> said | _] = of.(self())
    assert said =~ ~r/^(was seen for the first time|label: )/
  end

  test "a history of many changes says how to see all of them" do
    {:ok, server} = Store.start_link(0)
    for n <- 1..20, do: Store.put(server, n)
    assert inspect(ElixirScope.state_history(server)) =~ "\n  and 11 more: Enum.to_list/1 gives all of them"
  end

  test "an error is a text within the width", do: assert(inspect(error(), width: 70) =~ "\n  ")

  test "a recording says when it began" do
    {:ok, recording} = ElixirScope.snapshot()

    assert timeless(inspect(recording)) =~
             "#ElixirScope.Recording<of this VM, begun TIME, SPAN ago, goes on, /"
  end

  test "a node says what it is and where" do
    Echo.echo(1)
    [node] = ElixirScope.nodes(mfa: &Echo.echo/1)

    assert inspect(node) ==
             "#ElixirScope.Node<function  ElixirScope.Traced.Echo.echo/1  test/support/traced.ex:8>"
  end

  test "what was cut says how much of what" do
    assert inspect(%Cut{kind: :map, size: 40}) == "#ElixirScope.Cut<map of 40 keys>"
  end

  test "structs: false shows all of it" do
    Echo.echo(1)
    [call] = ElixirScope.calls(&Echo.echo/1)
    assert inspect(call, structs: false) =~ "__struct__: ElixirScope.Call"
    assert inspect(ElixirScope.events(), structs: false) =~ "__struct__: ElixirScope.Events"
  end

  test "colours are those of the shell, or none" do
    Echo.echo(1)
    [call] = ElixirScope.calls(&Echo.echo/1)
    assert inspect(call, syntax_colors: [number: :red]) =~ "Echo.echo(\e[31m1\e[0m)"
    refute inspect(call) =~ "\e["
  end

  defp error do
    {:error, error} = ElixirScope.get_state_at(self(), 0)
    assert inspect(error) =~ "#ElixirScope.Error<:before_recording\n  expected"
    error
  end
end
