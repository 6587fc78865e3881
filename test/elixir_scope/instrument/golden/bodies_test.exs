defmodule ElixirScope.Instrument.Golden.BodiesTest do
  use ExUnit.Case, async: false

  alias ElixirScope.Golden

  @source ~S'''
  defmodule Golden.Bodies do
    # scope
    require Integer
    defguard is_small(x) when is_integer(x) and x < 10
    defmacro twice(x), do: quote(do: unquote(x) * 2)
    defmacrop plus(x, y), do: quote(do: unquote(x) + unquote(y))

    def parse(<<size::8, data::binary-size(size), rest::bits>>), do: [data | parse(rest)]
    def parse(<<>>), do: []
    def skip(<<?\s, rest::binary>>), do: skip(rest)
    def skip(<<c::utf8, rest::binary>>) when c in ?a..?z, do: {c, rest}
    def skip(other), do: {:other, other}
    def for_list(list), do: for(x <- list, is_small(x), y <- [1, 2], do: {x, y})
    def for_into(list), do: for({k, v} <- list, into: %{}, do: {k, v * 2})
    def for_reduce(list), do: (for x <- list, reduce: 0 do acc -> acc + x end)
    def for_bits(bits), do: for(<<b::4 <- bits>>, do: b)
    def with_ok(x) do
      with {:ok, a} <- x,
           b = a + 1,
           true <- b > 1 || {:error, b} do
        done(b)
      else
        {:error, e} -> done({:failed, e})
        other -> other
      end
    end
    defp done(x), do: {:done, x}
    def cond_do(x) do
      cond do
        x == 1 -> done(1)
        is_small(x) -> :small
        true -> String.duplicate("x", x)
      end
    end
    def rebind(x) do
      x = x + 1
      x = x * 2
      y = if x > 5, do: (x = 0; x), else: x
      {x, y}
    end
    def strings(x), do: "a#{x}b" <> "c"
    def sigils(x), do: x =~ ~r/a+/
    def maps(m), do: %{m | a: m.a + 1} |> Map.put(:b, Integer.is_odd(m.a))
    def pipes(x), do: x |> done() |> elem(1) |> plus(1)
    def closures(x) do
      f = fn y -> x + y end
      g = fn z when z > 0 -> f.(z); z -> {:neg, z} end
      {f.(1), g.(2), g.(-1)}
    end
    def returns_fun(x), do: fn y -> {x, y} end
    def last_match(x), do: y = done(x)
    def bound_match(x, list), do: (^x = hd(list))
    def and_or(a, b), do: (a && done(b)) || done(:no)
    def strict(a, b), do: a and truth(b) or truth(a)
    defp truth(x), do: x
    def unless_(x), do: unless(x, do: done(x))
    def nested_case(x, y) do
      case x do
        1 -> (case y do 1 -> done(:a); 2 -> :b end)
        2 -> (if y, do: done(:c))
        z -> (_ = done(z))
      end
    end
    def unquoted(x), do: quote(do: unquote(x) + y)
    for {name, value} <- [alpha: 1, beta: 2] do
      def unquote(name)(), do: unquote(value)
    end
    def value_of(unquote(Macro.escape(%{a: 1}))), do: :escaped
    def value_of(_), do: :not_escaped
    def big, do: unquote(Macro.escape(Enum.to_list(1..50)))
  end
  '''

  test "binaries, comprehensions, with, cond, maps and macros in bodies" do
    Golden.assert_same(@source, [
      ~S|Golden.Bodies.parse(<<2, "ab", 1, "c">>)|,
      ~S|Golden.Bodies.parse(<<2, "a">>)|,
      ~S|Golden.Bodies.skip("   abc")|,
      ~S|Golden.Bodies.skip("  1")|,
      ~S|Golden.Bodies.for_list([1, 20, 3])|,
      ~S|Golden.Bodies.for_into([a: 1])|,
      ~S|Golden.Bodies.for_into([{:a, :b}])|,
      ~S|Golden.Bodies.for_reduce([1, 2])|,
      ~S|Golden.Bodies.for_bits(<<0x12, 0x34>>)|,
      ~S|Enum.map([{:ok, 1}, {:ok, -1}, {:error, 2}, 3], &Golden.Bodies.with_ok/1)|,
      ~S|Enum.map([1, 5, 12], &Golden.Bodies.cond_do/1)|,
      ~S|{Golden.Bodies.rebind(1), Golden.Bodies.rebind(5)}|,
      ~S|Golden.Bodies.strings(1)|,
      ~S|Golden.Bodies.sigils("caat")|,
      ~S|Golden.Bodies.maps(%{a: 1})|,
      ~S|Golden.Bodies.maps(%{})|,
      ~S|Golden.Bodies.pipes(1)|,
      ~S|Golden.Bodies.closures(1)|,
      ~S|Golden.Bodies.closures(:a)|,
      ~S|Golden.Bodies.returns_fun(1).(2)|,
      ~S|Golden.Bodies.last_match(1)|,
      ~S|Golden.Bodies.bound_match(1, [1])|,
      ~S|Golden.Bodies.bound_match(1, [2])|,
      ~S|{Golden.Bodies.and_or(1, 2), Golden.Bodies.and_or(nil, 2)}|,
      ~S|Golden.Bodies.strict(true, false)|,
      ~S|Golden.Bodies.strict(false, 1)|,
      ~S|Golden.Bodies.strict(true, 1)|,
      ~S|Golden.Bodies.strict(1, 1)|,
      ~S|{Golden.Bodies.unless_(nil), Golden.Bodies.unless_(1)}|,
      ~S|for(x <- 1..3, y <- [1, 2], do: Golden.Bodies.nested_case(x, y))|,
      ~S|Golden.Bodies.nested_case(1, 3)|,
      ~S|Golden.Bodies.unquoted(1)|,
      ~S|Golden.Bodies.alpha() + Golden.Bodies.beta()|,
      ~S|{Golden.Bodies.value_of(%{a: 1}), Golden.Bodies.value_of(1)}|,
      ~S|Golden.Bodies.big()|,
      ~S|(fn -> require Golden.Bodies; Golden.Bodies.twice(4) end).()|
    ])
  end
end
