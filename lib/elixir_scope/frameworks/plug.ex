defmodule ElixirScope.Frameworks.Plug do
  @moduledoc false
  # `Plug.Router` tells each route that it dispatches to. `Plug.Telemetry` under a prefix of one's own is `{:span, prefix}` of the
  # option `telemetry:`, see `ElixirScope.Frameworks.Telemetry`.

  @behaviour ElixirScope.Framework

  alias ElixirScope.Frameworks.{Shown, View}

  @impl true
  def events do
    for suffix <- [:start, :stop, :exception], do: [:plug, :router_dispatch, suffix]
  end

  @impl true
  def keep(_name, measurements, metadata, _options), do: {measurements, kept(metadata)}

  @doc "What is kept of the metadata of an event that has a conn."
  def kept(metadata) do
    metadata
    |> View.some([:route, :router])
    |> :maps.merge(View.conn(:maps.get(:conn, metadata, nil)))
    |> :maps.merge(View.exception(metadata))
  end

  @impl true
  def span(_name, metadata, _measurements), do: :maps.put(:into, :request, request(metadata))

  @doc "A request, by what was kept of its conn."
  def request(metadata) do
    %{
      kind: :request,
      name: name(metadata),
      outcome: metadata[:status],
      attributes:
        for(
          key <- [:route, :path, :host, :router, :controller, :action, :pipe_through, :path_params, :params],
          value = metadata[key],
          value not in [%{}, []],
          do: {key, value}
        )
    }
  end

  # As the router has it, or else as it came.
  defp name(%{route: route, method: method}), do: "#{Shown.text(method)} #{Shown.text(route)}"
  defp name(%{path: path, method: method}), do: "#{Shown.text(method)} #{Shown.text(path)}"
  defp name(%{method: method}), do: Shown.text(method)
  defp name(_metadata), do: nil
end
