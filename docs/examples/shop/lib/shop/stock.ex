defmodule Shop.Stock do
  @moduledoc """
  How many pieces of every article are left.
  """

  use GenServer
  use ElixirScope

  @first_delivery 600

  def start_link(_options), do: GenServer.start_link(__MODULE__, [], name: __MODULE__)

  @doc "Whether all of these can be taken."
  @spec in_stock?(Shop.Catalog.items()) :: boolean
  def in_stock?(items), do: GenServer.call(__MODULE__, {:in_stock?, items})

  @doc "Takes pieces out. Ask `in_stock?/1` before."
  @spec take(Shop.Catalog.items()) :: :ok
  def take(items), do: GenServer.call(__MODULE__, {:take, items})

  @doc "Brings new pieces of articles that run out: as many as are missing to `full`, where fewer than `low` are left."
  @spec refill(integer, integer) :: :ok
  def refill(low, full), do: GenServer.call(__MODULE__, {:refill, low, full})

  @doc "The pieces of an article that are left."
  @spec left(Shop.Catalog.article()) :: integer
  def left(article), do: GenServer.call(__MODULE__, {:left, article})

  @impl true
  def init([]) do
    {:ok, %{pieces: Map.new(Shop.Catalog.articles(), &{&1, @first_delivery}), sold: 0, refills: 0}}
  end

  @impl true
  def handle_call({:in_stock?, items}, _from, stock) do
    {:reply, Enum.all?(items, fn {article, count} -> stock.pieces[article] >= count end), stock}
  end

  def handle_call({:take, items}, _from, stock) do
    pieces = Map.merge(stock.pieces, items, fn _article, left, count -> left - count end)
    {:reply, :ok, %{stock | pieces: pieces, sold: stock.sold + Enum.sum(Map.values(items))}}
  end

  def handle_call({:refill, low, full}, _from, stock) do
    pieces = Map.new(stock.pieces, fn {article, left} -> {article, if(left < low, do: full, else: left)} end)
    {:reply, :ok, %{stock | pieces: pieces, refills: stock.refills + 1}}
  end

  def handle_call({:left, article}, _from, stock) do
    {:reply, Map.fetch!(stock.pieces, article), stock}
  end
end
