defmodule ElixirScope.Walked do
  @moduledoc false
  # A server whose every step is known, for what moves through a recording.

  use GenServer
  use ElixirScope, locals: true

  def start_link(stock, options \\ []), do: GenServer.start_link(__MODULE__, stock, options)
  def take(shop, item, count), do: GenServer.call(shop, {:take, item, count})

  @impl true
  def init(stock), do: {:ok, stock}

  @impl true
  def handle_call({:take, item, count}, _from, stock) do
    left = left(stock, item, count)
    stock = Map.put(stock, item, left)
    {:reply, left, stock}
  end

  def handle_call({:fail, why}, _from, _stock), do: raise(ArgumentError, why)
  def handle_call({:run, fun}, _from, stock), do: {:reply, fun.(), stock}
  def handle_call(:flag, _from, stock), do: {:reply, :persistent_term.get(__MODULE__, :old), stock}

  @impl true
  def handle_cast({:put, item, count}, stock), do: {:noreply, Map.put(stock, item, count)}

  @impl true
  def handle_info({:put, item, count}, stock),
    do: {:noreply, Map.put(stock, item, count), {:continue, :noted}}

  @impl true
  def handle_continue(:noted, stock), do: {:noreply, Map.put(stock, :noted, true)}

  defp left(stock, item, count) do
    have = Map.get(stock, item, 0)
    check(have, count)
    have - count
  end

  defp check(have, count) when have >= count, do: :enough
  defp check(_have, _count), do: :short

  def down(0), do: :done
  def down(count), do: down(count - 1)

  @doc "The line of this file that holds a text."
  def line(text) do
    lines = __ENV__.file |> File.read!() |> String.split("\n")
    Enum.find_index(lines, &(&1 =~ text)) + 1
  end
end
