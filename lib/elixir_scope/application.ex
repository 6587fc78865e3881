defmodule ElixirScope.Application do
  @moduledoc false
  # Recording begins before the application that depends on this one starts, and ends after it.

  use Application

  alias ElixirScope.Instrument.Attach
  alias ElixirScope.{Options, Recorder}

  @impl true
  def start(_type, _args) do
    Supervisor.start_link([{Recorder, Options.enabled?()}, Attach],
      strategy: :one_for_one,
      name: ElixirScope.Supervisor
    )
  end
end
