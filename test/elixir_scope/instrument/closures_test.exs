defmodule ElixirScope.Instrument.ClosuresTest do
  # What is recorded of anonymous functions.
  use ExUnit.Case, async: false
  doctest ElixirScope.Instrument.Closure
  doctest ElixirScope.Instrument.Pattern

  alias ElixirScope.{ErlangText, Golden}
  alias ElixirScope.Instrument.{Options, Transform}

  @source ~S'''
  defmodule Golden.Fns do
    # scope
    def map(list), do: Enum.map(list, fn x -> x + 1 end)
    def capture(list), do: Enum.map(list, &(&1 + 1))
    def named(list), do: Enum.map(list, &one/1)
    def tail(x), do: Enum.map([x], fn y -> one(y) end)
    defp one(x), do: {:one, x}
    def nested(x), do: fn y -> fn z -> {x, y, z} end end
    def last, do: (f = fn -> :last end; f.())
    def raises(x), do: Enum.map([x], fn 1 -> raise("one") end)
    def applied(x), do: (fn y -> one(y) end).(x)
    def list(list), do: for(x <- list, y <- [x], y > 0, do: y)
    def map_into(list), do: for(x <- list, into: %{}, do: {x, x})
    def reduce(list), do: (for x <- list, reduce: 0 do acc -> acc + x end)
    def bits(bits), do: for(<<b::4 <- bits>>, c <- [b], do: c)
    def inside(list), do: for(x <- list, do: Enum.map([x], fn y -> y end))
    def accumulate(list), do: Enum.reduce(list, 0, fn x, sum -> x + sum end)
    def accumulate_so(list), do: Enum.reduce(list, 0, &(&1 + &2 + 1))
    def otherwise(x) do
      with {:ok, y} <- x do
        y
      else
        {:error, why} -> Enum.map([why], fn z -> z end)
        _ -> :none
      end
    end
    def accumulate_not(list), do: Enum.reduce(list, 0, fn x, _sum -> x end)
  end
  '''

  defp events(expression), do: Golden.events_of(@source, expression)
  defp f(name, arity), do: {Elixir.Golden.Fns, name, arity}

  test "a call with its arguments, and its return" do
    assert events("Golden.Fns.map([1, 2])") == [
             {:call, f(:map, 1), [[1, 2]]},
             {:call, f(:"map/1-fn-1", 1), [1]},
             {:return, f(:"map/1-fn-1", 1), 2},
             {:call, f(:"map/1-fn-1", 1), [2]},
             {:return, f(:"map/1-fn-1", 1), 3},
             {:return, f(:map, 1), [2, 3]}
           ]

    assert events("Golden.Fns.capture([1])") == [
             {:call, f(:capture, 1), [[1]]},
             {:call, f(:"capture/1-fn-1", 1), [1]},
             {:return, f(:"capture/1-fn-1", 1), 2},
             {:return, f(:capture, 1), [2]}
           ]

    assert events("Golden.Fns.accumulate([3])") == [
             {:call, f(:accumulate, 1), [[3]]},
             {:call, f(:"accumulate/1-fn-1", 2), [3, 0]},
             {:return, f(:"accumulate/1-fn-1", 2), 3},
             {:return, f(:accumulate, 1), 3}
           ]

    assert [_, {:call, {_, :"accumulate_so/1-fn-1", 2}, [3, 0]}, {:return, _, 4}, _] =
             events("Golden.Fns.accumulate_so([3])")

    assert [_, {:call, {_, :"accumulate_not/1-fn-1", 2}, [3, 0]}, {:return, _, 3}, _] =
             events("Golden.Fns.accumulate_not([3])")
  end

  test "functions by name are those functions" do
    assert events("Golden.Fns.named([1])") == [
             {:call, f(:named, 1), [[1]]},
             {:call, f(:one, 1), [1]},
             {:return, f(:one, 1), {:one, 1}},
             {:return, f(:named, 1), [{:one, 1}]}
           ]
  end

  test "tail calls stay tail calls" do
    assert events("Golden.Fns.tail(1)") == [
             {:call, f(:tail, 1), [1]},
             {:call, f(:"tail/1-fn-1", 1), [1]},
             {:tail, f(:"tail/1-fn-1", 1)},
             {:call, f(:one, 1), [1]},
             {:return, f(:one, 1), {:one, 1}},
             {:return, f(:tail, 1), [{:one, 1}]}
           ]

    assert events("Golden.Fns.last()") == [
             {:call, f(:last, 0), []},
             {:call, f(:"last/0-fn-1", 0), []},
             {:return, f(:"last/0-fn-1", 0), :last},
             {:return, f(:last, 0), :last}
           ]
  end

  test "one in another counts on, and is recorded wherever it runs" do
    assert [
             _,
             _,
             {:call, {_, outer, 1}, [2]},
             {:return, _, _},
             {:call, {_, inner, 1}, [3]},
             {:return, _, value}
           ] = events("Golden.Fns.nested(1).(2).(3)")

    assert {outer, inner, value} == {:"nested/1-fn-1", :"nested/1-fn-2", {1, 2, 3}}
  end

  test "exceptions, also of a head that does not match" do
    assert [
             {:call, _, [1]},
             {:call, fun, [1]},
             {:raise, fun, :error, %RuntimeError{message: "one"}},
             {:raise, _, _, _}
           ] = events("try do Golden.Fns.raises(1) rescue _ -> 0 end")

    assert fun == f(:"raises/1-fn-1", 1)

    assert [{:call, _, [2]}, {:call, ^fun, [2]}, {:raise, ^fun, :error, :function_clause}, {:raise, _, _, _}] =
             events("try do Golden.Fns.raises(2) rescue _ -> 0 end")
  end

  test "a function that is applied where it stands is a part of what is around it" do
    assert events("Golden.Fns.applied(1)") == [
             {:call, f(:applied, 1), [1]},
             {:tail, f(:applied, 1)},
             {:call, f(:one, 1), [1]},
             {:return, f(:one, 1), {:one, 1}}
           ]
  end

  test "what the compiler makes of comprehensions is not recorded, what the user wrote in them is" do
    for {name, argument} <- [list: "[1, 2]", map_into: "[1]", reduce: "[1, 2]", bits: "<<1, 2>>"] do
      assert [{:call, {_, ^name, 1}, _}, {:return, {_, ^name, 1}, _}] =
               events("Golden.Fns.#{name}(#{argument})")
    end

    assert for({:call, {_, name, _}, _} <- events("Golden.Fns.inside([1])"), do: name) == [
             :inside,
             :"inside/1-fn-1"
           ]
  end

  # Elixir 1.18 makes a function of it.
  test "the else of a with is a part of its function" do
    assert [{:call, {_, :otherwise, 1}, _}, {:return, _, :none}] = events("Golden.Fns.otherwise(1)")

    assert [
             {:call, {_, :otherwise, 1}, _},
             {:call, {_, :"otherwise/1-fn-1", 1}, [2]},
             {:return, _, 2},
             {:return, {_, :otherwise, 1}, [2]}
           ] = events("Golden.Fns.otherwise({:error, 2})")
  end

  test "made while recording was off it is the function as written" do
    Golden.with_instrumented(@source, fn ->
      make = fn -> apply(Elixir.Golden.Fns, :nested, [1]) end
      off = Golden.off(make)
      assert Golden.events(fn -> off.(2) end) == []
      on = Golden.on(make)
      assert [{:call, {_, :"nested/1-fn-1", 1}, [2]}, {:return, _, _}] = Golden.events(fn -> on.(2) end)
      assert Golden.off(fn -> on.(2).(3) end) == {1, 2, 3}
    end)
  end

  test "ids stay when other functions of the file change" do
    source = "defmodule Golden.Ids do\n# scope\n# before\ndef a(x), do: Enum.map(x, fn y -> y end)\nend"
    changed = String.replace(source, "# before", "def b(x), do: Enum.each(x, fn y -> {:b, y} end)\n\n")

    node = fn source ->
      Golden.with_instrumented(source, fn ->
        Golden.on(fn ->
          since = ElixirScope.now()
          apply(Elixir.Golden.Ids, :a, [[1]])

          [event] =
            Enum.to_list(
              ElixirScope.events(
                since: since,
                pid: self(),
                kind: :call,
                mfa: {Elixir.Golden.Ids, :"a/1-fn-1"}
              )
            )

          {event.node, event.line}
        end)
      end)
    end

    assert {same, 4} = node.(source)
    assert {^same, 6} = node.(changed)
  end

  test "asked for by its name, it is unknown only if the function around it is" do
    alias ElixirScope.Traced.Echo
    assert Enum.to_list(ElixirScope.calls({Echo, :"echo/1-fn-9"})) == []

    assert_raise ElixirScope.Error, ~r/Echo.none\/1 does not exist/, fn ->
      ElixirScope.calls({Echo, :"none/1-fn-1"})
    end
  end

  # Erlang allows a head to hide a name, and the name of a recursive function; no Elixir looks so.
  test "names that heads hide" do
    text = """
    -module(scope_fns). -export([f/2]).
    f(X, Y) ->
      Hide = fun({X, Z}) -> {X, Z}; (X) -> [X] end,
      Read = fun(<<Y, R:Y/binary>>) -> {Y, R} end,
      Self = fun F(0) -> 0; F(N) -> F(N - 1) + X end,
      {Hide({5, 6}), Hide(7), catch Read(<<2, "ab">>), Self(3), X, Y}.
    """

    assert run(text, &Function.identity/1) == run(text, &(&1 |> Transform.run(%Options{}) |> elem(0)))
  end

  defp run(text, transform) do
    {:ok, :scope_fns, binary} = :compile.noenv_forms(text |> ErlangText.forms() |> transform.(), [:binary])
    {:module, _} = :code.load_binary(:scope_fns, ~c"nofile", binary)
    apply(:scope_fns, :f, [1, 2])
  after
    :code.purge(:scope_fns)
    :code.delete(:scope_fns)
  end
end
