defmodule ElixirScope.Instrument.EventsTest do
  use ExUnit.Case, async: false

  alias ElixirScope.Golden

  @source ~S'''
  defmodule Golden.Events do
    # scope, except: [quiet: 1]
    def fact(0), do: 1
    def fact(n), do: n * fact(n - 1)

    def sum(list, acc \\ 0)
    def sum([], acc), do: acc
    def sum([h | t], acc), do: sum(t, acc + h)

    def upcase(x), do: String.upcase(x)
    def size(x), do: byte_size(x)
    def call(f), do: f.()
    def over(x), do: quiet(x)
    def quiet(x), do: one(x)
    defp one(x), do: {:one, x}

    def head(:a), do: 1
    def rescues(x) do
      head(x)
    rescue
      FunctionClauseError -> one(:rescued)
    end

    def thrower(x), do: throw(x)
    def wide(a, b, c, d, e, f, g, h, i, j, k, l, m), do: a + b + c + d + e + f + g + h + i + j + k + l + m
    def walk({a, b}), do: {walk(a), walk(b)}
    def walk(list) when is_list(list), do: Enum.map(list, &walk/1)
    def walk(x), do: x
    def order(x), do: List.wrap({one(x), one(x + 1)})
    def nothing, do: nil
  end
  '''

  defp events(expression), do: Golden.events_of(@source, expression)
  defp f(name, arity), do: {Elixir.Golden.Events, name, arity}

  test "a call and its return belong together, also when nested" do
    assert events("Golden.Events.fact(2)") == [
             {:call, f(:fact, 1), [2]},
             {:call, f(:fact, 1), [1]},
             {:call, f(:fact, 1), [0]},
             {:return, f(:fact, 1), 1},
             {:return, f(:fact, 1), 1},
             {:return, f(:fact, 1), 2}
           ]
  end

  test "behind the outermost wrapped tail call the process dictionary is as it was" do
    before = Process.get()
    ElixirScope.Capture.wrap(0)
    ElixirScope.Capture.wrap(1)
    ElixirScope.Capture.unwrap(1)
    assert ElixirScope.Capture.chain() == 1
    ElixirScope.Capture.unwrap(0)
    assert ElixirScope.Capture.chain() == 0
    assert Enum.sort(Process.get()) == Enum.sort(before)
  end

  test "a tail call ends its caller; the last callee returns for all" do
    assert events("Golden.Events.sum([1, 2])") == [
             {:call, f(:sum, 1), [[1, 2]]},
             {:tail, f(:sum, 1)},
             {:call, f(:sum, 2), [[1, 2], 0]},
             {:tail, f(:sum, 2)},
             {:call, f(:sum, 2), [[2], 1]},
             {:tail, f(:sum, 2)},
             {:call, f(:sum, 2), [[], 3]},
             {:return, f(:sum, 2), 3}
           ]
  end

  test "the return of a tail call into code that records nothing is not lost" do
    assert events(~S|Golden.Events.upcase("a")|) == [
             {:call, f(:upcase, 1), ["a"]},
             {:return, f(:upcase, 1), "A"}
           ]

    assert events(~S|Golden.Events.size("abc")|) == [{:call, f(:size, 1), ["abc"]}, {:return, f(:size, 1), 3}]
    assert [{:call, _, [_]}, {:return, _, 7}] = events("Golden.Events.call(fn -> 7 end)")

    assert events("Golden.Events.over(1)") == [
             {:call, f(:over, 1), [1]},
             {:call, f(:one, 1), [1]},
             {:return, f(:one, 1), {:one, 1}},
             {:return, f(:over, 1), {:one, 1}}
           ]
  end

  test "an exception ends every frame that it leaves" do
    assert events("Golden.Events.rescues(:b)") == [
             {:call, f(:rescues, 1), [:b]},
             {:call, f(:head, 1), [:b]},
             {:raise, f(:head, 1), :error, :function_clause},
             {:tail, f(:rescues, 1)},
             {:call, f(:one, 1), [:rescued]},
             {:return, f(:one, 1), {:one, :rescued}}
           ]

    assert events("Golden.Events.thrower(1)" |> catching()) == [
             {:call, f(:thrower, 1), [1]},
             {:raise, f(:thrower, 1), :throw, 1}
           ]

    assert events("Golden.Events.upcase(1)" |> catching()) == [
             {:call, f(:upcase, 1), [1]},
             {:raise, f(:upcase, 1), :error, :function_clause}
           ]
  end

  test "more arguments than the recorder has doors for" do
    assert events("Golden.Events.wide(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13)") == [
             {:call, f(:wide, 13), Enum.to_list(1..13)},
             {:return, f(:wide, 13), 91}
           ]
  end

  test "functions without arguments" do
    assert events("Golden.Events.nothing()") == [{:call, f(:nothing, 0), []}, {:return, f(:nothing, 0), nil}]
  end

  test "recursion through other modules returns at every level" do
    returns = for {:return, _, value} <- events("Golden.Events.walk([{1, [2]}])"), do: value
    assert returns == [1, 2, [2], {1, [2]}, [{1, [2]}]]
  end

  test "arguments of a wrapped call are evaluated once, in order" do
    assert for({:call, {_, :one, _}, [x]} <- events("Golden.Events.order(1)"), do: x) == [1, 2]
  end

  test "a loop through another module keeps the returns of as many frames as the limit allows" do
    source = ~S'''
    defmodule Golden.Long do
      # scope
      def go(0), do: :done
      def go(:raise), do: raise("deep")
      def go({:raise, 0}), do: Golden.Far.back(:raise)
      def go({:raise, n}), do: Golden.Far.back({:raise, n - 1})
      def go(n), do: Golden.Far.back(n - 1)
    end

    defmodule Golden.Far do
      def back(n), do: Golden.Long.go(n)
    end
    '''

    events = Golden.events_of(source, "Golden.Long.go(400)")
    assert Enum.count(events, &match?({:call, _, _}, &1)) == 401
    assert Enum.count(events, &match?({:tail, _}, &1)) == 400 - 256
    assert Enum.count(events, &match?({:return, _, :done}, &1)) == 257

    # The count of frames goes down with them, by return and by exception: the last run has the same room.
    expression = """
    Golden.Long.go(300)
    try do Golden.Long.go({:raise, 300}) rescue RuntimeError -> :ok end
    Golden.Long.go(300)
    """

    again = Golden.events_of(source, expression)
    assert Enum.count(again, &match?({:return, _, :done}, &1)) == 2 * 257
    assert Enum.count(again, &match?({:raise, _, :error, %RuntimeError{message: "deep"}}, &1)) == 257
  end

  describe "options" do
    test "args: false and returns: false" do
      source = ~S'''
      defmodule Golden.Short do
        # scope, args: false, returns: false
        def add(x, y), do: x + y
        def up(x), do: String.upcase(x)
      end
      '''

      mfa = {Elixir.Golden.Short, :add, 2}

      assert [{:call, ^mfa, []}, {:return, ^mfa, unknown}] =
               Golden.events_of(source, "Golden.Short.add(1, 2)")

      assert unknown != 3
    end

    test "only: and except:" do
      source = ~S'''
      defmodule Golden.Chosen do
        # scope, only: [:a, b: 1], except: [a: 2]
        def a(x), do: a(x, 1)
        def a(x, y), do: b(x + y)
        def b(x), do: b(x, 1)
        def b(x, y), do: x + y
      end
      '''

      assert Golden.events_of(source, "Golden.Chosen.a(1)") == [
               {:call, {Elixir.Golden.Chosen, :a, 1}, [1]},
               {:call, {Elixir.Golden.Chosen, :b, 1}, [2]},
               {:return, {Elixir.Golden.Chosen, :b, 1}, 3},
               {:return, {Elixir.Golden.Chosen, :a, 1}, 3}
             ]
    end
  end

  test "nothing is recorded while recording is off" do
    Golden.with_instrumented(@source, fn ->
      {fun, _} = Code.eval_string("fn -> Golden.Events.fact(2) end")
      assert Golden.events(fn -> Golden.off(fun) end) == []
    end)
  end

  defp catching(expression), do: "try do #{expression} catch _, _ -> :caught end"
end
