defmodule Demo.Customer do
  @moduledoc """
  Looks around, fills a cart, orders, and comes back, for as long as the demo's traffic lasts.
  """

  use Task, restart: :permanent
  use ElixirScope

  alias Shop.{Cart, Catalog}

  def start_link(name), do: Task.start_link(__MODULE__, :shop, [name])

  def shop(name) do
    for article <- Enum.take_random(Catalog.articles(), 2),
        do: :ok = Shop.add(name, article, :rand.uniform(3))

    case name |> Shop.order() |> Task.await() do
      {:ok, _order} -> :ok
      {:error, :sold_out} -> Cart.empty(name)
    end

    Process.sleep(:rand.uniform(10))
    shop(name)
  end
end
