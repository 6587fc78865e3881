defmodule ElixirScope.Frameworks.Finch do
  @moduledoc false
  # HTTP requests that the program makes, those of Req among them: Req hands them to Finch. Of a response its status and size, not
  # its body; of the headers none.

  @behaviour ElixirScope.Framework

  alias ElixirScope.Frameworks.{Shown, View}

  @impl true
  def events, do: for(suffix <- [:start, :stop, :exception], do: [:finch, :request, suffix])

  @impl true
  def keep(_name, measurements, metadata, _options) do
    kept =
      metadata
      |> View.some([:name])
      |> :maps.merge(request(:maps.get(:request, metadata, nil)))
      |> result(:maps.get(:result, metadata, nil))
      |> :maps.merge(View.exception(metadata))

    {measurements, kept}
  end

  # The query may hold keys of an API; its text goes through the redaction like any other.
  defp request(%{method: _, path: _} = request),
    do: View.some(request, [:scheme, :host, :port, :method, :path, :query])

  defp request(_other), do: %{}

  defp result(kept, {:ok, %{status: status, body: body}}) when is_binary(body),
    do: :maps.merge(kept, %{status: status, bytes: byte_size(body)})

  defp result(kept, {:ok, %{status: status}}), do: :maps.put(:status, status, kept)
  # What a stream has made of the answer, whose status comes first where it is kept.
  defp result(kept, {:ok, {status, _headers, _body}}) when is_integer(status),
    do: :maps.put(:status, status, kept)

  defp result(kept, {:ok, _streamed}), do: :maps.put(:status, :ok, kept)
  defp result(kept, {:error, error}), do: :maps.put(:error, error, kept)
  defp result(kept, {:error, error, _streamed}), do: :maps.put(:error, error, kept)
  defp result(kept, _none), do: kept

  @impl true
  def span(_name, metadata, _measurements) do
    %{
      kind: :http,
      name: name(metadata),
      outcome: outcome(metadata),
      attributes: for(key <- [:scheme, :port, :query, :bytes, :name], value = metadata[key], do: {key, value})
    }
  end

  defp name(%{method: method} = request),
    do: "#{Shown.text(method)} #{Shown.text(request[:host])}#{Shown.text(request[:path])}"

  defp name(_metadata), do: "request"

  defp outcome(%{error: error}), do: {:error, error}
  defp outcome(metadata), do: metadata[:status]
end
