defmodule ElixirScope.Paired do
  @moduledoc false
  # A `case` of two values, of which one is not used: without its SSA passes the compiler gives both the same register.

  def first(x) do
    {first, _second} =
      case x do
        1 -> {:one, self()}
        2 -> {:two, x}
        _ -> {:other, []}
      end

    same(first)
  end

  def thrown(x) do
    [first | _rest] =
      case x do
        <<_::bits>> -> [:bits]
      end

    throw(first)
  catch
    kind, value -> {kind, value}
  end

  def same(x), do: x
end
