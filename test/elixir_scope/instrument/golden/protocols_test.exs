defmodule ElixirScope.Instrument.Golden.ProtocolsTest do
  use ExUnit.Case, async: false

  alias ElixirScope.Golden

  @source ~S'''
  defprotocol Golden.Size do
    # scope
    @fallback_to_any true
    @spec size(t) :: term
    def size(value)
    def other(value, x)
  end

  defimpl Golden.Size, for: [List, Map] do
    # scope
    def size(value), do: {:size, Enum.count(value)}
    def other(value, x), do: {value, x, helper(value)}
    defp helper(_), do: __MODULE__
  end

  defimpl Golden.Size, for: Any do
    # scope
    def size(_), do: :any
    def other(_, _), do: raise("no other")
  end

  defmodule Golden.Point do
    # scope
    @derive {Inspect, only: [:x]}
    @enforce_keys [:x]
    defstruct [:x, y: 2]
    def new(x), do: %__MODULE__{x: x}
    def move(%__MODULE__{x: x} = point, by), do: %{point | x: x + by}
    def y(%{y: y}), do: y
  end

  defimpl String.Chars, for: Golden.Point do
    # scope
    def to_string(%{x: x}), do: "point #{x}"
  end
  '''

  test "protocols, implementations, deriving and structs" do
    Golden.assert_same(@source, [
      ~S|{Golden.Size.size([1]), Golden.Size.size(%{}), Golden.Size.size(1)}|,
      ~S|Golden.Size.other([1], 2)|,
      ~S|Golden.Size.other(1, 2)|,
      ~S|Golden.Size.impl_for(1)|,
      ~S|Golden.Size.__protocol__(:functions)|,
      ~S|{Golden.Point.new(1), Golden.Point.move(Golden.Point.new(1), 2), Golden.Point.y(Golden.Point.new(3))}|,
      ~S|Golden.Point.move(1, 2)|,
      ~S|struct!(Golden.Point, [])|,
      ~S|to_string(Golden.Point.new(5))|,
      ~S|Golden.Point.__struct__()|,
      ~S|Golden.Point.__info__(:struct)|,
      ~S|inspect(Golden.Point.new(3))|
    ])
  end
end
