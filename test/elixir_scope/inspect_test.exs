defmodule ElixirScope.InspectTest do
  # What people see of the structs in IEx.
  use ExUnit.Case, async: false

  alias ElixirScope.{Call, Cut, Error, Event, Recording}
  alias ElixirScope.Traced.{Echo, Store}

  @moduletag :tmp_dir

  setup %{tmp_dir: dir} do
    {:ok, recording} = ElixirScope.start(dir: dir)
    on_exit(fn -> {:ok, _} = ElixirScope.start() end)
    %{recording: recording}
  end

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
      for line <- String.split(text, "\n"), do: assert(String.length(line) < 120, line)
      assert text =~ "Echo.echo([1, 2, 3, 4, 5, 6, 7, ...])\n    -> [1, 2, 3, 4, 5, 6, 7, 8, ...]>"
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

  describe "events" do
    test "are counted and listed, aligned, the first of them" do
      for number <- 1..7, do: Echo.echo(number)
      text = inspect(ElixirScope.events(mfa: &Echo.echo/1))
      assert ["#ElixirScope.Events<14 events, from " <> _ | lines] = String.split(text, "\n")
      assert {rows, ["  and 4 more>"]} = Enum.split(lines, 10)

      assert [column] =
               rows
               |> Enum.map(&(&1 |> String.split("ElixirScope") |> hd() |> String.length()))
               |> Enum.uniq()

      assert column > 20
    end

    test "say why there are none" do
      assert inspect(ElixirScope.events()) =~ "#ElixirScope.Events<none: nothing was recorded"
    end
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
