defmodule ElixirScope.Query.Logs do
  @moduledoc false
  # Lines of the log.

  alias ElixirScope.{Cut, Error, Event, Frameworks, Log, Query}
  alias ElixirScope.Query.Around

  @filters [:in, :pid, :since, :until, :limit, :order, :level, :matching]
  @levels [:debug, :info, :notice, :warning, :error, :critical, :alert, :emergency]

  @doc "See `ElixirScope.logs/1`."
  @spec logs(keyword) :: {:ok, [Log.t()]} | {:error, Error.t()}
  def logs(filters) do
    with :ok <- Query.check(filters, @filters),
         {:ok, recording} <- Query.recording(filters),
         {:ok, limit} <- Query.limit(filters),
         {:ok, levels} <- levels(Keyword.get(filters, :level, :debug)),
         {:ok, matching} <- Around.matching(filters),
         {:ok, events} <- Around.events(recording, :log, filters) do
      events
      |> Stream.filter(&Around.readable?/1)
      |> Stream.map(&log/1)
      |> Stream.filter(&(&1.level in levels and matching.(text(&1.message))))
      |> Around.first(limit)
      |> Enum.map(&Around.with_call(&1, recording))
      |> answer(recording)
    end
  end

  defp levels(level) when level in @levels, do: {:ok, Enum.drop_while(@levels, &(&1 != level))}

  defp levels(other) do
    Error.new(
      :bad_option,
      "expected :level to be the mildest level that is wanted, one of #{Enum.map_join(@levels, ", ", &inspect/1)}, got: #{inspect(other)}"
    )
  end

  defp log(%Event{data: data} = event) do
    metadata = if is_map(data.metadata), do: data.metadata, else: %{}
    {place, metadata} = Map.split(metadata, [:file, :line, :mfa])

    %Log{
      id: event.id,
      time: event.time,
      pid: event.pid,
      level: data.level,
      message: data.message,
      metadata: metadata,
      mfa: place[:mfa],
      file: place[:file],
      line: place[:line]
    }
  end

  defp text(text) when is_binary(text), do: text
  defp text(%Cut{kept: kept}) when is_binary(kept), do: kept
  defp text(other), do: inspect(other)

  # None is an answer where lines could have been seen.
  defp answer([], recording) do
    cond do
      Around.any?(recording, :log) -> {:ok, []}
      recording.live? and Frameworks.settings().logs != nil and Around.missing(recording) == "" -> {:ok, []}
      true -> none(recording)
    end
  end

  defp answer(logs, _recording), do: {:ok, logs}

  defp none(recording) do
    Error.new(
      :no_logs,
      "no line of the log was recorded: none was written that Logger's level lets through, or the recording was begun with " <>
        "`logs: false`. Begin one with ElixirScope.start(logs: true)" <> Around.missing(recording)
    )
  end
end
