defmodule ElixirScope.Query.Waiting do
  @moduledoc false
  # Processes that wait at the end of a recording, or now.

  alias ElixirScope.{Error, Native, Query, Waiting}
  alias ElixirScope.Query.{Deadlocks, Past}

  @latest 0x7FFFFFFFFFFFFFFF
  @longer_than 5_000

  @doc "See `ElixirScope.waiting/1`."
  @spec list(keyword) :: {:ok, [Waiting.t()]} | {:error, Error.t()}
  def list(options) do
    with :ok <- Query.check(options, [:longer_than, :in]),
         {:ok, longer_than} <- longer_than(options),
         {:ok, recording} <- Query.recording(options),
         past = Past.of(recording),
         :ok <- Deadlocks.watched(past, 0, @latest) do
      now = known_until(recording)
      {:ok, past |> waiting(now - longer_than * 1_000_000) |> confirmed(past) |> Enum.sort_by(& &1.since)}
    end
  end

  defp longer_than(options) do
    case Keyword.get(options, :longer_than, @longer_than) do
      number when is_integer(number) and number >= 0 ->
        {:ok, number}

      other ->
        Error.new(
          :bad_option,
          "expected longer_than: in milliseconds, as an integer from 0 on, got: #{inspect(other)}"
        )
    end
  end

  defp known_until(recording) do
    {state, started, last} = Native.bounds(recording.handle)
    if recording.live? and state == :running, do: Native.now(), else: max(last, started)
  end

  defp waiting(past, since) do
    for process <- Native.processes(past.recording.handle),
        waiting = Query.Waiting.At.at(past, elem(process, 0), {:at, @latest}),
        waiting.since <= since,
        Query.Waiting.At.ended(past, waiting) == nil,
        do: waiting
  end

  # The VM knows better, as long as it lives.
  defp confirmed(found, past) do
    if Deadlocks.Live.live?(past),
      do: for(waiting <- found, Deadlocks.Live.waits?(waiting), do: %{waiting | confirmed: true}),
      else: Enum.filter(found, & &1.evidence)
  end
end
