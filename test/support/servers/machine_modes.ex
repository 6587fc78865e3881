defmodule ElixirScope.Servers.EventMachine do
  @moduledoc false
  # One function handles the events of all states, of any name.
  @behaviour :gen_statem
  use ElixirScope, except: [:after_change]

  alias ElixirScope.Servers.{Change, Machine}

  def start_link(name, table), do: :gen_statem.start_link({:local, name}, __MODULE__, {name, table}, [])

  def ways, do: Machine.ways([:red, {:green, 1}, %{"blue" => 2}])
  def initial(data), do: {:red, data}

  defdelegate perform(server, way, change), to: Machine
  defdelegate unseen_ways, to: Machine
  defdelegate unseen(server, way, change), to: Machine
  defdelegate sync(server), to: Machine
  defdelegate stop(server, change), to: Machine
  defdelegate crash(server), to: Machine
  defdelegate after_change(way, change, state), to: Machine
  defdelegate passed(way, state), to: Machine

  @impl true
  def callback_mode, do: [:handle_event_function, :state_enter]

  @impl true
  def init({name, table}) do
    [{^name, owner, data}] = :ets.lookup(table, name)
    send(owner, {:up, self()})
    {:ok, :red, data, [{:next_event, :internal, :begun}]}
  end

  @impl true
  def handle_event(:enter, _before, _name, data), do: {:keep_state, data}
  def handle_event(type, content, name, data), do: Machine.handle(type, content, name, data)

  @impl true
  def code_change(_version, _name, data, {name, change}), do: {:ok, name, Change.run(change, data)}
end

defmodule ElixirScope.Servers.StateMachine do
  @moduledoc false
  # Each state is a function.
  @behaviour :gen_statem
  use ElixirScope, except: [:after_change]

  alias ElixirScope.Servers.{Change, Machine}

  def start_link(name, table), do: :gen_statem.start_link({:local, name}, __MODULE__, {name, table}, [])

  def ways, do: Machine.ways([:red, :green, :blue])
  def initial(data), do: {:red, data}

  # Of three arguments, and no state.
  def perform(server, way, change), do: Machine.perform(server, way, change)
  def unseen(server, way, change), do: Machine.unseen(server, way, change)
  def after_change(way, change, state), do: Machine.after_change(way, change, state)

  defdelegate passed(way, state), to: Machine
  defdelegate unseen_ways, to: Machine
  defdelegate sync(server), to: Machine
  defdelegate stop(server, change), to: Machine
  defdelegate crash(server), to: Machine

  @impl true
  def callback_mode, do: :state_functions

  @impl true
  def init({name, table}) do
    [{^name, owner, data}] = :ets.lookup(table, name)
    send(owner, {:up, self()})
    {:ok, :red, data}
  end

  def red(type, content, data), do: Machine.handle(type, content, :red, data)
  def green(type, content, data), do: Machine.handle(type, content, :green, data)
  def blue(type, content, data), do: Machine.handle(type, content, :blue, data)
  def other(type, content, data), do: Machine.handle(type, content, :other, data)

  @impl true
  def code_change(_version, _name, data, {name, change}), do: {:ok, name, Change.run(change, data)}
end
