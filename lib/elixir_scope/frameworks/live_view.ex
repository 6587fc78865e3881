defmodule ElixirScope.Frameworks.LiveView do
  @moduledoc false
  # The callbacks of LiveViews and LiveComponents that are told; `handle_info` and `handle_async` are not. The assigns over time are the states of the process, which instrumentation
  # records (`capture/servers.ex`); here only the names of those that have changed are kept.

  @behaviour ElixirScope.Framework

  alias ElixirScope.Frameworks.View

  @callbacks [:mount, :handle_params, :handle_event, :render]

  @impl true
  def events do
    for(name <- @callbacks, suffix <- suffixes(), do: [:phoenix, :live_view, name, suffix]) ++
      for(
        name <- [:handle_event, :update],
        suffix <- suffixes(),
        do: [:phoenix, :live_component, name, suffix]
      ) ++
      [[:phoenix, :live_component, :destroyed]]
  end

  defp suffixes, do: [:start, :stop, :exception]

  @impl true
  def keep(_name, measurements, metadata, _options) do
    kept =
      metadata
      |> View.some([:event, :params, :uri, :component, :cid, :id, :force?, :changed?])
      |> address()
      |> :maps.merge(View.live_socket(:maps.get(:socket, metadata, nil)))
      |> updated(metadata)
      |> :maps.merge(View.exception(metadata))

    {measurements, kept}
  end

  defp address(%{uri: uri, params: params} = kept) when is_binary(uri),
    do: %{kept | uri: View.without(uri, params)}

  defp address(kept), do: kept

  # Several components of one kind may be updated at once.
  defp updated(kept, %{assigns_sockets: [_ | _] = updated}), do: :maps.put(:count, length(updated), kept)
  defp updated(kept, _metadata), do: kept

  @impl true
  def span([:phoenix, kind, callback], metadata, _measurements) do
    module = metadata[:component] || metadata[:view]

    %{
      kind: kind,
      name: name(module, callback, metadata[:event]),
      attributes:
        for(
          key <- [:view, :event, :params, :uri, :changed, :cid, :id, :count],
          value = metadata[key],
          not (key == :view and module == value),
          value not in [%{}, :not_mounted_at_router],
          do: {key, value}
        )
    }
  end

  defp name(nil, callback, event), do: "#{callback}#{named(event)}"
  defp name(module, callback, event), do: "#{inspect(module)}.#{callback}#{named(event)}"

  defp named(nil), do: ""
  defp named(event), do: " #{inspect(event)}"
end
