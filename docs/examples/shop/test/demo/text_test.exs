defmodule Demo.TextTest do
  use ExUnit.Case, async: true

  doctest Demo.Text
  doctest Demo.Difference
end
