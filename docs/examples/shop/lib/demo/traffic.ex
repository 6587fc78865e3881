defmodule Demo.Traffic do
  @moduledoc """
  The load of the demo: customers who shop at the same time, and a supplier.
  """

  use Supervisor

  @customers ~w(ann bob cem dia eli fay gus hal)

  def start_link(_options \\ []), do: Supervisor.start_link(__MODULE__, [], name: __MODULE__)

  @spec customers() :: [String.t()]
  def customers, do: @customers

  @impl true
  def init([]) do
    customers = for name <- @customers, do: Supervisor.child_spec({Demo.Customer, name}, id: name)
    Supervisor.init([Demo.Supplier | customers], strategy: :one_for_one)
  end
end
