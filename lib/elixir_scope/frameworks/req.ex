defmodule ElixirScope.Frameworks.Req do
  @moduledoc false
  # Req itself emits nothing: what it sends is told by Finch. Where its plugin `ReqTelemetry` is attached, the whole of a request
  # with its retries and redirects is told too, around those of Finch.

  @behaviour ElixirScope.Framework

  alias ElixirScope.Frameworks.{Shown, View}

  @impl true
  def events, do: for(suffix <- [:start, :stop, :error], do: [:req, :request, :pipeline, suffix])

  @impl true
  def keep(_name, measurements, metadata, _options) do
    kept =
      metadata
      |> View.some([:method, :status, :error])
      |> url(:maps.get(:url, metadata, nil))

    {native(measurements), kept}
  end

  defp url(kept, %{host: _, path: _} = url),
    do: :maps.merge(kept, View.some(url, [:scheme, :host, :port, :path, :query]))

  defp url(kept, _other), do: kept

  # It counts microseconds, all others in the unit of the VM.
  defp native(%{duration: duration} = measurements) when is_integer(duration),
    do: %{measurements | duration: :erlang.convert_time_unit(duration, :microsecond, :native)}

  defp native(measurements), do: measurements

  @impl true
  def span(_name, metadata, _measurements) do
    %{
      kind: :http,
      name: name(metadata),
      outcome: if(is_map_key(metadata, :error), do: {:error, metadata.error}, else: metadata[:status]),
      attributes: for(key <- [:scheme, :port, :query], value = metadata[key], do: {key, value})
    }
  end

  defp name(metadata) do
    method = metadata[:method] |> Shown.text() |> String.upcase()
    "#{method} #{Shown.text(metadata[:host])}#{Shown.text(metadata[:path])}"
  end
end
