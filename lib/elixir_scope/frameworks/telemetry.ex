defmodule ElixirScope.Frameworks.Telemetry do
  @moduledoc false
  # Events that the configuration names, of which nothing else is known. Metadata is kept as it is, but for conns and sockets.

  @behaviour ElixirScope.Framework

  alias ElixirScope.Frameworks.View

  @impl true
  def events, do: []

  @impl true
  def keep(_name, measurements, metadata, _options) do
    kept = :maps.map(&view/2, metadata)
    {measurements, :maps.merge(kept, View.exception(metadata))}
  end

  defp view(_key, %{__struct__: Plug.Conn} = conn), do: View.conn(conn)
  defp view(_key, %{__struct__: Phoenix.LiveView.Socket} = socket), do: View.live_socket(socket)
  defp view(_key, %{__struct__: Phoenix.Socket} = socket), do: View.channel_socket(socket)
  defp view(_key, value), do: value

  @impl true
  # `Plug.Telemetry` under a name of one's own.
  def span(_name, %{conn: %{method: _} = conn}, _measurements), do: ElixirScope.Frameworks.Plug.request(conn)

  def span(name, metadata, measurements) do
    %{
      kind: :custom,
      name: Enum.map_join(name, ".", &Atom.to_string/1),
      attributes: pairs(metadata) ++ pairs(measurements)
    }
  end

  # What `:telemetry.span/3` adds says nothing to people.
  @internal [:telemetry_span_context, :kind, :reason, :stacktrace] ++
              [:duration, :system_time, :monotonic_time, :total_time]

  defp pairs(map),
    do: for({key, value} <- Enum.sort(map), key not in @internal, is_atom(key), do: {key, value})
end
