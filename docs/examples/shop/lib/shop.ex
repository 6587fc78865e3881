defmodule Shop do
  @moduledoc """
  A small shop: customers fill carts and place orders, until somebody gets what is not there.
  """

  use ElixirScope

  alias Shop.{Cart, Checkout}

  @doc "Puts an article into the cart of a customer, and opens that cart if there is none."
  @spec add(String.t(), Shop.Catalog.article(), pos_integer) :: :ok
  def add(customer, article, count) do
    :ok = Cart.open(customer)
    Cart.put(customer, article, count)
  end

  @doc "Places an order for what is in the cart. The task that is returned answers as `Shop.Checkout.run/2` does."
  @spec order(String.t()) :: Task.t()
  def order(customer) do
    number = System.unique_integer([:positive, :monotonic])
    Task.Supervisor.async_nolink(Shop.Orders, Checkout, :run, [number, customer])
  end
end
