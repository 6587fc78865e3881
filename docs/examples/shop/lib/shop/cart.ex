defmodule Shop.Cart do
  @moduledoc """
  What one customer is about to buy. Every customer has a cart of their own, registered by the customer's name.
  """

  use GenServer, restart: :temporary
  use ElixirScope

  def start_link(customer), do: GenServer.start_link(__MODULE__, customer, name: name(customer))

  @doc "Makes sure that the customer has a cart."
  @spec open(String.t()) :: :ok
  def open(customer) do
    with [] <- Registry.lookup(Shop.Names, customer),
         {:ok, _cart} <- DynamicSupervisor.start_child(Shop.Carts, {__MODULE__, customer}) do
      :ok
    else
      [{_cart, _}] -> :ok
      {:error, {:already_started, _cart}} -> :ok
    end
  end

  @spec put(String.t(), Shop.Catalog.article(), pos_integer) :: :ok
  def put(customer, article, count), do: GenServer.call(name(customer), {:put, article, count})

  @spec items(String.t()) :: Shop.Catalog.items()
  def items(customer), do: GenServer.call(name(customer), :items)

  @spec empty(String.t()) :: :ok
  def empty(customer), do: GenServer.call(name(customer), :empty)

  defp name(customer), do: {:via, Registry, {Shop.Names, customer}}

  @impl true
  def init(customer), do: {:ok, %{customer: customer, items: %{}}}

  @impl true
  def handle_call({:put, article, count}, _from, cart) do
    {:reply, :ok, %{cart | items: Map.update(cart.items, article, count, &(&1 + count))}}
  end

  def handle_call(:items, _from, cart), do: {:reply, cart.items, cart}
  def handle_call(:empty, _from, cart), do: {:reply, :ok, %{cart | items: %{}}}
end
