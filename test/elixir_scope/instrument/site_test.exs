defmodule ElixirScope.Instrument.SiteTest do
  use ExUnit.Case, async: true
  doctest ElixirScope.Instrument.Site

  alias ElixirScope.Instrument.Site

  @origin {"lib/cart.ex", 0}

  test "ids are small integers" do
    site = Site.new({Cart, :add, 2}, :function, @origin, 12)
    for id <- [elem(site, 0), elem(site, 1)], do: assert(id >= 0 and :erts_debug.flat_size(id) == 0)
  end

  test "the key depends on everything, the node on the function only" do
    site = Site.new({Cart, :add, 2}, :function, @origin, 12)

    for same_node <- [
          Site.new({Cart, :add, 2}, :function, @origin, 13),
          Site.new({Cart, :add, 2}, :function, @origin, {12, 3}),
          Site.new({Cart, :add, 2}, :function, {"lib/cart.ex", 7}, 12),
          Site.new({Cart, :add, 2}, :counted, @origin, 12)
        ] do
      assert elem(site, 0) != elem(same_node, 0)
      assert elem(site, 1) == elem(same_node, 1)
    end

    assert elem(site, 1) != elem(Site.new({Cart, :add, 3}, :function, @origin, 12), 1)
  end
end
