defmodule Shop.Application do
  @moduledoc false

  use Application

  @impl true
  def start(_type, _args) do
    children = [
      {Registry, keys: :unique, name: Shop.Names},
      Shop.Stock,
      {DynamicSupervisor, name: Shop.Carts},
      {Task.Supervisor, name: Shop.Orders}
    ]

    # When the stock restarts, nothing that was promised from the old one stays.
    Supervisor.start_link(children, strategy: :rest_for_one, name: Shop.Supervisor)
  end
end
