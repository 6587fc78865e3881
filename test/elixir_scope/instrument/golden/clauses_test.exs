defmodule ElixirScope.Instrument.Golden.ClausesTest do
  use ExUnit.Case, async: false

  alias ElixirScope.Golden

  @source ~S'''
  defmodule Golden.Clauses do
    # scope
    def kind(0), do: :zero
    def kind(n) when is_integer(n) and n > 0, do: :positive
    def kind(n) when is_float(n) when is_atom(n), do: {:other, n}
    def kind([h | t]), do: {:list, h, t}
    def kind(%{a: a} = map), do: {:map, a, map_size(map)}

    def same(x, x), do: :same
    def same(x, {x, _}), do: :nested
    def same(_, _), do: :different

    def pin(x, list) do
      case list do
        [^x | _] -> :first
        [_, ^x] -> :second
        _ -> :none
      end
    end

    def none, do: :none
    def underscores(_a, _, _b = 1), do: :one
    def many(a, b, c, d, e, f, g, h, i, j, k, l, m), do: [m, l, k, j, i, h, g, f, e, d, c, b, a]
    def only_guard(_x) when node() == :nowhere, do: 1
    def no_argument() when node() == :nowhere, do: 1
    def raising_guard(x) when hd(x) == 1, do: x
    def raising_guard(_), do: :guard_failed
    def unicode_été(x), do: x
    def unquote(:"odd name")(x), do: x
    def scope(scope, scopeA1), do: {scope, scopeA1}
  end
  '''

  test "several clauses, guards, repeated variables, pins and destructuring" do
    Golden.assert_same(@source, [
      ~S|Enum.map([0, 3, 1.5, :a, [1, 2], %{a: 1}], &Golden.Clauses.kind/1)|,
      ~S|Golden.Clauses.kind(-1)|,
      ~S|Golden.Clauses.kind("text")|,
      ~S|{Golden.Clauses.same(1, 1), Golden.Clauses.same(1, {1, 2}), Golden.Clauses.same(1, 2), Golden.Clauses.same(1, 1.0)}|,
      ~S|{Golden.Clauses.pin(1, [1]), Golden.Clauses.pin(1, [0, 1]), Golden.Clauses.pin(1, [])}|,
      ~S|Golden.Clauses.none()|,
      ~S|Golden.Clauses.underscores(1, 2, 1)|,
      ~S|Golden.Clauses.underscores(1, 2, 3)|,
      ~S|Golden.Clauses.many(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13)|,
      ~S|Golden.Clauses.only_guard(1)|,
      ~S|Golden.Clauses.no_argument()|,
      ~S|Golden.Clauses.raising_guard(5)|,
      ~S|Golden.Clauses.unicode_été(1)|,
      ~S|Golden.Clauses."odd name"(2)|,
      ~S|Golden.Clauses.scope(1, 2)|,
      ~S|Golden.Clauses.nowhere(1)|,
      ~S|Golden.Clauses.none(1)|
    ])
  end

  # These warnings come from passes of the compiler that run behind the rewriter, over code that has every clause twice.
  test "the compiler warns once of a clause that cannot match" do
    source = ~S'''
    defmodule Golden.Unreachable do
      # scope
      def heads({:ok, x}), do: x
      def heads({:ok, y}), do: [y]
      def all(x), do: x
      def all(_), do: :other
      def cases(x) do
        case x do
          {:ok, y} -> y
          {:ok, z} -> [z]
        end
      end
      def receives do
        receive do
          {:ok, y} -> y
          {:ok, z} -> [z]
        after
          0 -> :late
        end
      end
      def fns(list) do
        Enum.map(list, fn
          {:ok, x} -> x
          {:ok, y} -> [y]
        end)
      end
    end
    '''

    {_modules, warnings} = Golden.build(source)
    assert warnings =~ "cannot match"
    Golden.assert_same(source, ["Golden.Unreachable.heads({:ok, 1})", "Golden.Unreachable.fns([1])"])
  end
end
