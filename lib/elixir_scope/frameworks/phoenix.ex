defmodule ElixirScope.Frameworks.Phoenix do
  @moduledoc false
  # A request is what the endpoint tells (`Plug.Telemetry`); the router's dispatch belongs to it, and gives it its route. The endpoint's
  # ends when the response is sent, which is within the dispatch. Where the endpoint tells nothing, the dispatch is the request.

  @behaviour ElixirScope.Framework

  alias ElixirScope.Frameworks.{Plug, View}

  @impl true
  def events do
    [[:phoenix, :endpoint, :start], [:phoenix, :endpoint, :stop], [:phoenix, :error_rendered]] ++
      for(suffix <- [:start, :stop, :exception], do: [:phoenix, :router_dispatch, suffix]) ++
      for suffix <- [:start, :stop, :exception], do: [:phoenix, :controller, :render, suffix]
  end

  @impl true
  def keep([:phoenix, :controller, :render, _suffix], measurements, metadata, _options) do
    kept = View.some(metadata, [:view, :template, :format])
    {measurements, :maps.merge(kept, View.exception(metadata))}
  end

  def keep([:phoenix, :error_rendered], measurements, metadata, _options) do
    {measurements, metadata |> View.some([:status]) |> :maps.merge(View.exception(metadata))}
  end

  def keep([:phoenix, :router_dispatch, _suffix], measurements, metadata, _options) do
    routed =
      metadata
      |> View.some([:route, :path_params, :pipe_through])
      |> View.put(:controller, metadata, :plug)
      |> View.put(:action, metadata, :plug_opts)

    # The route's own, where the conn has none.
    {measurements, :maps.merge(routed, Plug.kept(metadata))}
  end

  def keep(_endpoint, measurements, metadata, _options), do: {measurements, Plug.kept(metadata)}

  @impl true
  def span([:phoenix, :controller, :render], metadata, _measurements) do
    parts = for key <- [:view, :template, :format], value = metadata[key], do: text(value)
    %{kind: :template, name: Enum.join(parts, " "), attributes: []}
  end

  def span([:phoenix, :error_rendered], metadata, _measurements) do
    %{kind: :template, name: nil, outcome: metadata[:status], attributes: [], into: :request}
  end

  def span([:phoenix, :router_dispatch], metadata, _measurements),
    do: metadata |> Plug.request() |> Map.put(:into, :request)

  def span(_endpoint, metadata, _measurements), do: Plug.request(metadata)

  defp text(module) when is_atom(module), do: inspect(module)
  defp text(text), do: to_string(text)
end
