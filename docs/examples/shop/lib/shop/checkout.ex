defmodule Shop.Checkout do
  @moduledoc """
  Makes an order of a cart: asks the stock, charges the customer, takes the pieces. Runs in a task of its own.

  It looks right and passes its tests. It also sells what is not there, once in a while: `make demo` finds out how.
  """

  use ElixirScope

  alias Shop.{Cart, Catalog, Payment, Stock}

  @spec run(pos_integer, String.t()) :: {:ok, pos_integer} | {:error, :empty | :sold_out}
  def run(order, customer) do
    items = Cart.items(customer)

    cond do
      items == %{} ->
        {:error, :empty}

      Stock.in_stock?(items) ->
        :ok = Payment.charge(customer, Catalog.total(items))
        :ok = Stock.take(items)
        :ok = Cart.empty(customer)
        {:ok, order}

      true ->
        {:error, :sold_out}
    end
  end
end
