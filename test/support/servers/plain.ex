defmodule ElixirScope.Servers.Plain do
  @moduledoc false
  # A GenServer whose state is changed in every way that a callback has. Each way ends when the state is in.
  use GenServer
  use ElixirScope

  alias ElixirScope.Servers.Change

  def start_link(name, table), do: GenServer.start_link(__MODULE__, {name, table}, name: name)

  def ways, do: [:reply, :hibernate, :noreply, :throw, :continue, :cast, :upgrade]

  def perform(server, way, change) when way in [:reply, :hibernate, :noreply, :throw],
    do: GenServer.call(server, {way, change})

  def perform(server, way, change) do
    case way do
      :continue -> GenServer.call(server, {:continue, change})
      :cast -> GenServer.cast(server, change)
      :upgrade -> upgrade(server, change)
    end

    GenServer.call(server, :sync)
  end

  defp upgrade(server, change) do
    :ok = :sys.suspend(server)
    :ok = :sys.change_code(server, __MODULE__, nil, change)
    :ok = :sys.resume(server)
  end

  def unseen_ways, do: [:replace, :info]

  @doc "Ways that no callback records: the next one notices."
  def unseen(server, :replace, change), do: :sys.replace_state(server, &Change.run(change, &1))

  def unseen(server, :info, change) do
    send(server, change)
    :sys.get_state(server)
  end

  def sync(server), do: GenServer.call(server, :sync)
  def stop(server, change), do: GenServer.call(server, {:stop, change})
  def crash(server), do: GenServer.call(server, :crash)

  @doc "The state after a change."
  def after_change(_way, change, state), do: Change.run(change, state)

  @impl true
  def init({name, table}) do
    [{^name, owner, state}] = :ets.lookup(table, name)
    send(owner, {:up, self()})
    {:ok, state}
  end

  @impl true
  def handle_call(:sync, _from, state), do: {:reply, :ok, state}
  def handle_call(:crash, _from, state), do: raise("crashed with #{:erlang.phash2(state)}")
  def handle_call({:stop, change}, _from, state), do: {:stop, :boom, :ok, Change.run(change, state)}
  def handle_call({:reply, change}, _from, state), do: {:reply, :ok, Change.run(change, state)}

  def handle_call({:hibernate, change}, _from, state),
    do: {:reply, :ok, Change.run(change, state), :hibernate}

  def handle_call({:throw, change}, _from, state), do: throw({:reply, :ok, Change.run(change, state)})
  def handle_call({:continue, change}, _from, state), do: {:reply, :ok, state, {:continue, change}}

  def handle_call({:noreply, change}, from, state),
    do: {:noreply, Change.run(change, state), {:continue, {:answer, from}}}

  @impl true
  def handle_continue({:answer, from}, state) do
    GenServer.reply(from, :ok)
    {:noreply, state}
  end

  def handle_continue(change, state), do: {:noreply, Change.run(change, state)}

  @impl true
  def handle_cast(change, state), do: {:noreply, Change.run(change, state)}

  @impl true
  @scope false
  def handle_info(change, state), do: {:noreply, Change.run(change, state)}

  @impl true
  def code_change(_old, state, change), do: {:ok, Change.run(change, state)}
end
