defmodule ElixirScope.Frameworks.Channel do
  @moduledoc false
  # Sockets that connect, channels that are joined and sent something. Each is told once, when it is over.

  @behaviour ElixirScope.Framework

  alias ElixirScope.Frameworks.{Shown, View}

  @impl true
  def events do
    [[:phoenix, :socket_connected], [:phoenix, :channel_joined], [:phoenix, :channel_handled_in]]
  end

  @impl true
  def keep([:phoenix, :socket_connected], measurements, metadata, _options),
    do: {measurements, View.some(metadata, [:endpoint, :transport, :params, :user_socket, :vsn, :result])}

  def keep(_name, measurements, metadata, _options) do
    kept = View.some(metadata, [:event, :params, :result])
    {measurements, :maps.merge(kept, View.channel_socket(:maps.get(:socket, metadata, nil)))}
  end

  @impl true
  def span([:phoenix, :socket_connected], metadata, _measurements) do
    %{
      kind: :socket,
      name: "connect #{inspect(metadata[:user_socket])}",
      outcome: metadata[:result],
      attributes: attributes(metadata, [:transport, :endpoint, :vsn, :params])
    }
  end

  def span([:phoenix, :channel_joined], metadata, _measurements) do
    %{
      kind: :channel,
      name: "join #{Shown.text(metadata[:topic])}",
      outcome: metadata[:result],
      attributes: attributes(metadata, [:channel, :handler, :params])
    }
  end

  def span(_handled_in, metadata, _measurements) do
    %{
      kind: :channel,
      name: "#{Shown.text(metadata[:event])} in #{Shown.text(metadata[:topic])}",
      attributes: attributes(metadata, [:channel, :params])
    }
  end

  defp attributes(metadata, keys),
    do: for(key <- keys, value = metadata[key], value != %{}, do: {key, value})
end
