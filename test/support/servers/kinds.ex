defmodule ElixirScope.Servers.Stage do
  @moduledoc false
  use GenStage
  use ElixirScope

  @impl true
  def init({:with_options, type, state}), do: {type, state, buffer_size: 10}
  def init({type, state}), do: {type, state}

  @impl true
  def handle_demand(demand, state), do: {:noreply, [], {:asked, demand, state}}

  @impl true
  def handle_events(events, _from, {:asleep, _}), do: {:noreply, [], {:woken, events}, :hibernate}
  def handle_events(events, _from, state), do: {:noreply, events, {:got, events, state}}

  @impl true
  def handle_call({:put, state}, _from, _old), do: {:reply, :ok, [], state}
  def handle_call({:sleep, state}, _from, _old), do: {:reply, :ok, [], {:asleep, state}, :hibernate}
  def handle_call(:get, _from, state), do: {:reply, state, [], state}
  def handle_call({:stop, state}, _from, _old), do: {:stop, :normal, :stopped, state}

  @impl true
  def handle_cast({:put, state}, _old), do: {:noreply, [], state}

  @impl true
  def handle_info({:put, state}, _old), do: {:noreply, [], state}
end

defmodule ElixirScope.Servers.View do
  @moduledoc false
  @behaviour Phoenix.LiveView
  use ElixirScope

  alias Phoenix.LiveView.Socket

  @impl true
  def mount(%{temporary: true}, _session, socket),
    do: {:ok, Socket.assign(socket, :count, 0), temporary_assigns: []}

  def mount(_params, _session, socket), do: {:ok, Socket.assign(socket, :count, 0)}

  @impl true
  def handle_params(_params, uri, socket), do: {:noreply, Socket.assign(socket, :uri, uri)}

  @impl true
  def handle_event("add", %{by: by}, socket), do: {:noreply, add(socket, by)}

  def handle_event("ask", %{by: by}, socket),
    do: {:reply, %{count: socket.assigns.count + by}, add(socket, by)}

  @impl true
  def handle_async(:later, {:ok, by}, socket), do: {:noreply, add(socket, by)}

  @impl true
  def handle_info({:add, by}, socket), do: {:noreply, add(socket, by)}

  defp add(socket, by), do: Socket.assign(socket, :count, socket.assigns.count + by)
end

defmodule ElixirScope.Servers.Component do
  @moduledoc false
  @behaviour Phoenix.LiveComponent
  use ElixirScope

  alias Phoenix.LiveView.Socket

  @impl true
  def update(_assigns, socket), do: {:ok, socket}

  # A callback of the view, called as a plain function in the view's process.
  @impl true
  def handle_event("of the view", _params, socket) do
    {:noreply, _} = ElixirScope.Servers.View.handle_info({:add, 1}, Socket.assign(socket, :count, 1000))
    {:noreply, socket}
  end

  def handle_event(_name, _params, socket), do: {:noreply, Socket.assign(socket, :mine, true)}
end

defmodule ElixirScope.Servers.Door do
  @moduledoc false
  # A state machine that does what it is told: a function of the state and the data is its transition.
  @behaviour :gen_statem
  use ElixirScope

  def start_link(begin, options \\ []), do: :gen_statem.start_link(__MODULE__, begin, options)
  def tell(door, transition), do: :gen_statem.call(door, transition)

  @impl true
  def callback_mode, do: [:handle_event_function, :state_enter]

  @impl true
  def init(begin), do: begin

  @impl true
  def handle_event(:enter, _old, :noted, data), do: {:keep_state, {:entered, data}}
  def handle_event(:enter, _old, _name, _data), do: :keep_state_and_data
  def handle_event({:call, from}, transition, name, data), do: transition.(name, data, {:reply, from, :ok})
  def handle_event(_type, transition, name, data), do: transition.(name, data)

  @impl true
  def code_change(_version, name, data, extra), do: {:ok, name, {extra, data}}

  # Of three arguments, and no state: the functions of this machine are not its states.
  def helper(_type, _content, data), do: {:keep_state, data}
end

defmodule ElixirScope.Servers.Hatch do
  @moduledoc false
  # The states of this one are functions.
  @behaviour :gen_statem
  use ElixirScope

  def start_link(name, data), do: :gen_statem.start_link(__MODULE__, {name, data}, [])
  def tell(hatch, transition), do: :gen_statem.call(hatch, transition)

  @impl true
  def callback_mode, do: [:state_functions, :state_enter]

  @impl true
  def init({name, data}), do: {:ok, name, data, []}

  def open(:enter, _old, data), do: {:keep_state, {:opened, data}}
  def open({:call, from}, transition, data), do: transition.(data, {:reply, from, :ok})

  def closed(:enter, _old, _data), do: :keep_state_and_data

  def closed({:call, from}, :helped, data) do
    {:keep_state, :other, :timeout} = helper(:event, :content, :other)
    {:keep_state, {:helped, data}, {:reply, from, :ok}}
  end

  def closed({:call, from}, transition, data), do: transition.(data, {:reply, from, :ok})

  # Looks like a state, and is called by one, and by its clients.
  def helper(_type, _content, data), do: {:keep_state, data, :timeout}
end
