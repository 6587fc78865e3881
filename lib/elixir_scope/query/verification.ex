defmodule ElixirScope.Query.Verification do
  @moduledoc false
  # A recording read from end to end: see `mix scope.verify`.

  alias ElixirScope.{Native, Query, Recording}

  @doc """
  Reads every event. `progress` is called with how many segments of how many were read. The answer is the map of
  `ElixirScope.status/1` with `blocks`, `payload` (bytes) and `problems` (in the form of `damage`) beside it.
  """
  @spec run(Recording.t(), (non_neg_integer, pos_integer -> any)) ::
          {:ok, map} | {:error, ElixirScope.Error.t()}
  def run(recording, progress) do
    with {:ok, status} <- Query.status(in: recording) do
      # The events that are there, not those that were removed or cannot be read.
      none = %{blocks: 0, events: 0, payload: 0, problems: []}
      {:ok, status |> Map.merge(none) |> read(recording, 0, progress)}
    end
  end

  defp read(found, recording, segment, progress) do
    case Native.verify(recording.handle, segment) do
      nil ->
        found

      {blocks, events, payload, problems} ->
        progress.(segment + 1, max(found.segments, segment + 1))

        %{
          found
          | blocks: found.blocks + blocks,
            events: found.events + events,
            payload: found.payload + payload,
            problems: found.problems ++ Query.damages(problems)
        }
        |> read(recording, segment + 1, progress)
    end
  end
end
