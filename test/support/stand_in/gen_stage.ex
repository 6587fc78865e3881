defmodule GenStage do
  @moduledoc false
  # Stands for the package of this name, which is no dependency: a process that calls the callbacks as it does, without
  # its subscriptions, buffers and dispatchers.
  use GenServer

  @callback init(term) :: tuple
  @callback handle_demand(pos_integer, term) :: tuple
  @callback handle_events([term], term, term) :: tuple
  @callback handle_call(term, term, term) :: tuple
  @callback handle_cast(term, term) :: tuple
  @callback handle_info(term, term) :: tuple
  @optional_callbacks handle_demand: 2, handle_events: 3, handle_call: 3, handle_cast: 2, handle_info: 2

  defmacro __using__(_options) do
    quote do
      @behaviour GenStage
    end
  end

  def start_link(module, args, options \\ []), do: GenServer.start_link(__MODULE__, {module, args}, options)
  def call(stage, request), do: GenServer.call(stage, request)
  def cast(stage, request), do: GenServer.cast(stage, request)
  def ask(stage, demand), do: send(stage, {:"$gen_producer", demand})
  def events(stage, events), do: send(stage, {:"$gen_consumer", self(), events})

  @impl true
  def init({module, args}) do
    case module.init(args) do
      {type, state} when is_atom(type) -> {:ok, %{module: module, type: type, state: state}}
      {type, state, _options} -> {:ok, %{module: module, type: type, state: state}}
    end
  end

  @impl true
  def handle_call(request, from, stage) do
    case stage.module.handle_call(request, from, stage.state) do
      {:reply, reply, _events, state} -> {:reply, reply, %{stage | state: state}}
      {:reply, reply, _events, state, :hibernate} -> {:reply, reply, %{stage | state: state}, :hibernate}
      {:stop, reason, reply, state} -> {:stop, reason, reply, %{stage | state: state}}
      return -> noreply(return, stage)
    end
  end

  @impl true
  def handle_cast(request, stage), do: noreply_callback(:handle_cast, [request, stage.state], stage)

  @impl true
  def handle_info({:"$gen_producer", demand}, stage),
    do: noreply_callback(:handle_demand, [demand, stage.state], stage)

  def handle_info({:"$gen_consumer", from, events}, stage),
    do: noreply_callback(:handle_events, [events, from, stage.state], stage)

  def handle_info(message, stage), do: noreply_callback(:handle_info, [message, stage.state], stage)

  defp noreply_callback(callback, args, stage), do: noreply(apply(stage.module, callback, args), stage)

  defp noreply({:noreply, _events, state}, stage), do: {:noreply, %{stage | state: state}}

  defp noreply({:noreply, _events, state, :hibernate}, stage),
    do: {:noreply, %{stage | state: state}, :hibernate}

  defp noreply({:stop, reason, state}, stage), do: {:stop, reason, %{stage | state: state}}
end
