defmodule ElixirScope.Instrument.SiteTest do
  use ExUnit.Case, async: true
  doctest ElixirScope.Instrument.Site

  alias ElixirScope.Instrument.Site

  test "ids are small integers" do
    {key, node, _, _, _, _, _} = Site.new({Cart, :add, 2}, "lib/cart.ex", 12)
    for id <- [key, node], do: assert(id >= 0 and :erts_debug.flat_size(id) == 0)
  end

  test "the key depends on everything, the node on the function only" do
    site = Site.new({Cart, :add, 2}, "lib/cart.ex", 12)
    moved = Site.new({Cart, :add, 2}, "lib/cart.ex", 13)
    renamed = Site.new({Cart, :add, 3}, "lib/cart.ex", 12)

    assert elem(site, 0) != elem(moved, 0)
    assert elem(site, 1) == elem(moved, 1)
    assert elem(site, 1) != elem(renamed, 1)
  end
end
