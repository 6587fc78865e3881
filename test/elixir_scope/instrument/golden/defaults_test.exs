defmodule ElixirScope.Instrument.Golden.DefaultsTest do
  use ExUnit.Case, async: false

  alias ElixirScope.Golden

  @source ~S'''
  defmodule Golden.Defaults do
    # scope
    def add(x, y \\ 1)

    def add(x, y) when is_integer(x), do: x + y
    def add(x, y), do: {x, y}

    def noisy(x \\ send(self(), :default), y \\ 2), do: {x, y}
    defp hidden(x, y \\ 10), do: x * y
    def use_hidden(x), do: {hidden(x), hidden(x, 2)}
    def guarded(x \\ 0) when x > 0, do: x
  end
  '''

  test "default arguments, heads without body, and calls of every arity" do
    Golden.assert_same(@source, [
      ~S|{Golden.Defaults.add(1), Golden.Defaults.add(1, 5), Golden.Defaults.add(:a)}|,
      ~S|{Golden.Defaults.noisy(), Golden.Defaults.noisy(1), Golden.Defaults.noisy(1, 3)}|,
      ~S|Golden.Defaults.use_hidden(3)|,
      ~S|Golden.Defaults.guarded()|,
      ~S|Golden.Defaults.guarded(1)|,
      ~S|Golden.Defaults.add(1, :b)|
    ])
  end
end
