defmodule ElixirScope.Instrument.Golden.FunctionClauseTest do
  use ExUnit.Case, async: false

  alias ElixirScope.Golden

  @source ~S'''
  defmodule Golden.FunctionClause do
    # scope

    def one(:a), do: 1

    def head(x, y \\ 1)
    def head(:a, 1), do: 1

    def head(:b, y) when y > 2 do
      y
    end

    def multi(0) do
      :zero
    end

    def multi(n) when is_integer(n) and n > 0 do
      multi(n - 1)
    end

    defp private([]), do: []
    defp private([h | t]), do: [private(h) | private(t)]
    def through(x), do: [private(x)]
    def in_tail(x), do: private(x)
    def in_case(x) do
      case x do
        {:ok, y} -> one(y)
        y -> {one(y)}
      end
    end

    def in_fun(x), do: Enum.map([x], fn :a -> 1 end)
    def applied(x), do: (fn :a -> 1 end).(x)
    def in_then(x), do: x |> then(fn :a -> 1 end)
    def loop_in_then(x), do: x |> then(fn :a -> in_tail(x) end)
    def wide(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13), do: :ok
    def zero() when node() == :nowhere, do: :ok
  end
  '''

  test "FunctionClauseError: message, blame and line" do
    Golden.assert_same(@source, [
      ~S|Golden.FunctionClause.one(:b)|,
      ~S|Golden.FunctionClause.head(:c)|,
      ~S|Golden.FunctionClause.head(:b, 1)|,
      ~S|Golden.FunctionClause.multi(-1)|,
      ~S|Golden.FunctionClause.multi(:x)|,
      ~S|Golden.FunctionClause.multi(3)|,
      ~S|Golden.FunctionClause.through([[], :x])|,
      ~S|Golden.FunctionClause.in_tail(:x)|,
      ~S|Golden.FunctionClause.in_case({:ok, :z})|,
      ~S|Golden.FunctionClause.in_case(:z)|,
      ~S|Golden.FunctionClause.in_fun(:z)|,
      ~S|Golden.FunctionClause.applied(:z)|,
      ~S|Golden.FunctionClause.applied(:a)|,
      ~S|Golden.FunctionClause.in_then(:z)|,
      ~S|Golden.FunctionClause.loop_in_then(:z)|,
      ~S|Golden.FunctionClause.loop_in_then(:a)|,
      ~S|Golden.FunctionClause.wide(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0)|,
      ~S|Golden.FunctionClause.zero()|
    ])
  end
end
