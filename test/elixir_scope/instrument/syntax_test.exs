defmodule ElixirScope.Instrument.SyntaxTest do
  use ExUnit.Case, async: true
  doctest ElixirScope.Instrument.Syntax
  doctest ElixirScope.Instrument.Own
end
