defmodule ElixirScope.Instrument.Golden.PrivatesTest do
  use ExUnit.Case, async: false

  alias ElixirScope.Golden

  @source ~S'''
  defmodule Golden.Privates do
    # scope
    @compile {:inline, tiny: 1}
    def fib(n) when n < 2, do: n
    def fib(n), do: fib(n - 1) + fib(n - 2)
    def len([]), do: 0
    def len([_ | t]), do: 1 + len(t)
    def even?(0), do: true
    def even?(n), do: odd?(n - 1)
    defp odd?(0), do: false
    defp odd?(n), do: even?(n - 1)
    defp tiny(x), do: x + 1
    def inlined(x), do: tiny(x) * 2
    def reverse(list), do: reverse(list, [])
    defp reverse([], acc), do: acc
    defp reverse([h | t], acc), do: reverse(t, [h | acc])
    def bad(x), do: 1 + deep(x, 3)
    defp deep(x, 0), do: x / 0
    defp deep(x, n), do: 1 + deep(x, n - 1)
  end
  '''

  test "private functions and recursion that is not in tail position" do
    Golden.assert_same(@source, [
      ~S|Golden.Privates.fib(12)|,
      ~S|Golden.Privates.len([1, 2, 3])|,
      ~S|{Golden.Privates.even?(10), Golden.Privates.even?(7)}|,
      ~S|Golden.Privates.inlined(1)|,
      ~S|Golden.Privates.inlined(:a)|,
      ~S|Golden.Privates.reverse([1, 2, 3])|,
      ~S|Golden.Privates.bad(1)|,
      ~S|Golden.Privates.len([1 , 2 , 3 , :x] ++ :improper)|,
      ~S|Golden.Privates.odd?(1)|
    ])
  end
end
