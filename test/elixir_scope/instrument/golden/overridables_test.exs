defmodule ElixirScope.Instrument.Golden.OverridablesTest do
  use ExUnit.Case, async: false

  alias ElixirScope.Golden

  @source ~S'''
  defmodule Golden.Base do
    defmacro __using__(_) do
      quote do
        def over(x), do: {:base, x}
        def kept(x), do: over(x)
        defoverridable over: 1
      end
    end
  end

  defmodule Golden.Overridables do
    use Golden.Base
    # scope
    def over(x) when is_atom(x), do: {:own, super(x)}
    def over(x), do: [super(x), super(x)]
  end
  '''

  test "defoverridable, super and functions that other macros bring" do
    Golden.assert_same(@source, [
      ~S|Golden.Overridables.over(:a)|,
      ~S|Golden.Overridables.over(1)|,
      ~S|Golden.Overridables.kept(1)|,
      ~S|Golden.Overridables.__info__(:functions)|
    ])
  end
end
