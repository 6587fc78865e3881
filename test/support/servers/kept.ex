defmodule ElixirScope.Servers.Kept do
  @moduledoc false
  # An Agent, changed in every way that there is.
  use Agent
  use ElixirScope

  alias ElixirScope.Servers.Change

  def start_link(name, table), do: Agent.start_link(fn -> initial(name, table) end, name: name)

  def ways, do: [:update, :update_mfa, :get_and_update, :cast, :cast_mfa]

  def perform(server, way, change) do
    case way do
      :update -> Agent.update(server, &Change.run(change, &1))
      :update_mfa -> Agent.update(server, __MODULE__, :changed, [change])
      :get_and_update -> Agent.get_and_update(server, &{:ok, Change.run(change, &1)})
      :cast -> Agent.cast(server, &Change.run(change, &1))
      :cast_mfa -> Agent.cast(server, __MODULE__, :changed, [change])
    end

    sync(server)
  end

  def changed(state, change), do: Change.run(change, state)

  def unseen_ways, do: [:replace]
  def unseen(server, :replace, change), do: :sys.replace_state(server, &Change.run(change, &1))

  def sync(server), do: Agent.get(server, fn _state -> :ok end)

  # An Agent does not end with a state of its own.
  def stop(server, change) do
    perform(server, :update, change)
    crash(server)
  end

  def crash(server), do: Agent.update(server, fn state -> raise "crashed with #{:erlang.phash2(state)}" end)

  def after_change(_way, change, state), do: Change.run(change, state)

  defp initial(name, table) do
    [{^name, owner, state}] = :ets.lookup(table, name)
    send(owner, {:up, self()})
    state
  end
end
