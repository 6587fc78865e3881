defmodule ElixirScope.Application do
  @moduledoc false
  # Recording begins before the application that depends on this one starts, and ends after it.

  use Application
  use Supervisor

  alias ElixirScope.Case.Looker
  alias ElixirScope.Instrument.Attach
  alias ElixirScope.{Native, Options, Recorder}

  @impl Application
  def start(_type, _args), do: Supervisor.start_link(__MODULE__, [], name: ElixirScope.Supervisor)

  # What the supervisor does is no doing of the program either.
  @impl Supervisor
  def init([]) do
    Native.own()
    Supervisor.init([{Recorder, Options.enabled?()}, Attach, Looker], strategy: :one_for_one)
  end
end
