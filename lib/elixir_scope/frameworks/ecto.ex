defmodule ElixirScope.Frameworks.Ecto do
  @moduledoc false
  # Queries. Each repo has events of its own name: those that run already are asked, others tell when they begin. The values of
  # parameters are kept with `params: true` alone.

  @behaviour ElixirScope.Framework

  alias ElixirScope.Frameworks.{Shown, View}

  @times [:queue_time, :query_time, :decode_time, :idle_time]

  @impl true
  def events, do: [[:ecto, :repo, :init] | running()]

  # Calls by name: where Ecto is there, Mix warns of a call of an application that this one does not depend on.
  defp running do
    if Code.ensure_loaded?(Ecto.Repo) and function_exported?(Ecto.Repo, :all_running, 0),
      do: Enum.flat_map(apply(Ecto.Repo, :all_running, []), &event/1),
      else: []
  rescue
    # Ecto is there, and does not run.
    _any -> []
  catch
    :exit, _reason -> []
  end

  defp event(repo) do
    case apply(Ecto.Adapter, :lookup_meta, [repo]) do
      %{telemetry: {_repo, _log, [_ | _] = name}} -> [name]
      %{repo: repo} when is_atom(repo) -> [by_name(repo)]
      {_adapter, %{telemetry: {_repo, _log, [_ | _] = name}}} -> [name]
      _unknown when is_atom(repo) -> [by_name(repo)]
      _unknown -> []
    end
  end

  # As Ecto names them where the configuration does not.
  defp by_name(repo), do: prefix(repo) ++ [:query]

  defp prefix(repo), do: for(part <- Module.split(repo), do: part |> Macro.underscore() |> String.to_atom())

  @impl true
  def keep([:ecto, :repo, :init], _measurements, %{repo: repo, opts: options}, _options) do
    prefix = if is_list(options), do: Keyword.get(options, :telemetry_prefix)
    {:attach, [(prefix || prefix(repo)) ++ [:query]]}
  end

  def keep(_name, measurements, metadata, options) do
    kept =
      metadata
      |> View.some([:type, :repo, :source, :query])
      |> result(:maps.get(:result, metadata, nil))
      |> parameters(metadata, options)

    {measurements, kept}
  end

  defp result(kept, {:ok, %{num_rows: rows}}) when is_integer(rows), do: :maps.put(:rows, rows, kept)
  defp result(kept, {:error, error}), do: :maps.put(:error, error, kept)
  defp result(kept, _other), do: kept

  defp parameters(kept, metadata, [{:params, true} | _]) do
    case metadata do
      %{cast_params: [_ | _] = params} -> :maps.put(:params, params, kept)
      %{params: [_ | _] = params} -> :maps.put(:params, params, kept)
      _none -> kept
    end
  end

  defp parameters(kept, metadata, [_other | options]), do: parameters(kept, metadata, options)
  defp parameters(kept, _metadata, []), do: kept

  @doc "Whether an event was a query of Ecto, by what was kept of it: its name is that of the repo."
  def query?(metadata), do: is_map_key(metadata, :repo) and is_map_key(metadata, :query)

  @impl true
  def span(_name, metadata, measurements) do
    %{
      kind: :query,
      name: name(metadata),
      outcome: outcome(metadata),
      attributes:
        for(key <- [:rows, :repo, :query, :params], value = metadata[key], do: {key, value}) ++
          for(key <- @times, time = measurements[key], do: {key, nanoseconds(time)})
    }
  end

  defp name(%{query: query} = metadata) when is_binary(query) do
    verb = query |> String.split([" ", "\n"], parts: 2, trim: true) |> List.first() |> to_string()
    String.trim("#{verb} #{Shown.text(metadata[:source])}")
  end

  defp name(metadata), do: Shown.text(metadata[:source] || "query")

  defp outcome(%{error: error}), do: {:error, error}
  defp outcome(_metadata), do: :ok

  defp nanoseconds(time), do: System.convert_time_unit(time, :native, :nanosecond)
end
