defmodule ShopTest do
  use ElixirScope.Case

  alias Shop.{Cart, Stock}

  setup do
    :ok = Supervisor.terminate_child(Shop.Supervisor, Stock)
    {:ok, _stock} = Supervisor.restart_child(Shop.Supervisor, Stock)
    :ok
  end

  test "an order takes the pieces of the cart out of the stock, and empties the cart" do
    before = {Stock.left(:tea), Stock.left(:cup)}
    Shop.add("ann", :tea, 2)
    Shop.add("ann", :cup, 1)
    Shop.add("ann", :tea, 1)
    assert Cart.items("ann") == %{tea: 3, cup: 1}

    assert {:ok, number} = "ann" |> Shop.order() |> Task.await()

    assert is_integer(number)
    assert {Stock.left(:tea) + 3, Stock.left(:cup) + 1} == before
    assert Cart.items("ann") == %{}
    assert_called(Shop.Payment.charge("ann", 3_450))
  end

  test "an order for more than there is takes nothing, and leaves the cart as it is" do
    before = Stock.left(:jam)
    Shop.add("bob", :jam, before + 1)

    assert {:error, :sold_out} = "bob" |> Shop.order() |> Task.await()

    assert Stock.left(:jam) == before
    assert Cart.items("bob") == %{jam: before + 1}
    refute_called(Shop.Payment.charge(_, _))
  end

  test "there is nothing to order in an empty cart" do
    :ok = Cart.open("cem")
    assert {:error, :empty} = "cem" |> Shop.order() |> Task.await()
  end

  test "a refill brings what has run out, and only that" do
    Stock.take(%{pot: Stock.left(:pot) - 4})
    tea = Stock.left(:tea)

    Stock.refill(5, 60)

    assert {Stock.left(:pot), Stock.left(:tea)} == {60, tea}
  end
end
