defmodule Demo.Supplier do
  @moduledoc """
  Comes by a few times a second and fills up what has run out.
  """

  use GenServer
  use ElixirScope

  @every_ms 100
  @low 40
  @full 160

  def start_link(_options), do: GenServer.start_link(__MODULE__, 0, name: __MODULE__)

  @impl true
  def init(visits) do
    schedule()
    {:ok, visits}
  end

  @impl true
  def handle_info(:visit, visits) do
    Shop.Stock.refill(@low, @full)
    schedule()
    {:noreply, visits + 1}
  end

  defp schedule, do: Process.send_after(self(), :visit, @every_ms)
end
