# These stand for the modules of Phoenix of the same names, which is no dependency: a process that calls the callbacks from
# where it does, and changes the socket between them as rendering does.
defmodule Phoenix.LiveView do
  @moduledoc false
  @callback mount(term, term, term) :: tuple
  @callback handle_params(term, term, term) :: tuple
  @callback handle_event(term, term, term) :: tuple
  @callback handle_async(term, term, term) :: tuple
  @callback handle_info(term, term) :: tuple
  @optional_callbacks handle_params: 3, handle_event: 3, handle_async: 3, handle_info: 2
end

defmodule Phoenix.LiveComponent do
  @moduledoc false
  @callback update(term, term) :: tuple
  @callback handle_event(term, term, term) :: tuple
end

defmodule Phoenix.LiveView.Socket do
  @moduledoc false
  defstruct [:view, assigns: %{__changed__: %{}}]

  def assign(socket, key, value) do
    changed = Map.put(socket.assigns.__changed__, key, true)
    %{socket | assigns: socket.assigns |> Map.put(key, value) |> Map.put(:__changed__, changed)}
  end
end

defmodule Phoenix.LiveView.Utils do
  @moduledoc false
  def mount(socket, view, params, session) do
    span(fn ->
      case view.mount(params, session, socket) do
        {:ok, socket} -> socket
        {:ok, socket, _options} -> socket
      end
    end)
  end

  def handle_params(socket, view, params, uri) do
    span(fn ->
      {:noreply, socket} = view.handle_params(params, uri, socket)
      socket
    end)
  end

  # `:telemetry.span/3`
  def span(fun) do
    result = fun.()
    result
  end
end

defmodule Phoenix.LiveView.Async do
  @moduledoc false
  def handle_async(socket, view, name, result) do
    {:noreply, socket} = view.handle_async(name, result, socket)
    socket
  end
end

defmodule Phoenix.LiveView.Channel do
  @moduledoc false
  use GenServer

  alias Phoenix.LiveView.{Async, Socket, Utils}

  def start_link(view, params, options \\ []), do: GenServer.start_link(__MODULE__, {view, params}, options)
  def event(pid, name, params), do: GenServer.call(pid, {:event, name, params})
  def component_event(pid, component, name), do: GenServer.call(pid, {:component, component, name})
  def async(pid, name, result), do: GenServer.call(pid, {:async, name, result})
  def socket(pid), do: :sys.get_state(pid)

  @impl true
  def init({view, params}) do
    socket = %Socket{view: view} |> Utils.mount(view, params, %{})
    {:ok, socket |> Utils.handle_params(view, params, "http://localhost") |> rendered()}
  end

  @impl true
  def handle_call({:event, name, params}, _from, socket) do
    Utils.span(fn ->
      case socket.view.handle_event(name, params, socket) do
        {:noreply, socket} -> {:reply, :ok, rendered(socket)}
        {:reply, reply, socket} -> {:reply, reply, rendered(socket)}
      end
    end)
  end

  def handle_call({:component, component, name}, _from, socket) do
    {:noreply, _of_the_component} = component.handle_event(name, %{}, %Socket{view: component})
    {:reply, :ok, socket}
  end

  def handle_call({:async, name, result}, _from, socket),
    do: {:reply, :ok, socket |> Async.handle_async(socket.view, name, result) |> rendered()}

  @impl true
  def handle_info(message, socket), do: message |> view_handle_info(socket) |> handle_result()

  defp view_handle_info(message, socket), do: socket.view.handle_info(message, socket)
  defp handle_result({:noreply, socket}), do: {:noreply, rendered(socket)}

  defp rendered(socket), do: put_in(socket.assigns.__changed__, %{})
end
