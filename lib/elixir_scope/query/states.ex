defmodule ElixirScope.Query.States do
  @moduledoc false
  # The states of one process, as events of the kind `:state`: each has the whole state after the change.

  alias ElixirScope.{Event, Events, Recording}
  alias ElixirScope.Query.Server

  @doc "All of them in an interval, both ends included, lazily."
  @spec stream(Recording.t(), Server.numbers(), non_neg_integer, non_neg_integer, :oldest | :newest) ::
          Enumerable.t(Event.t())
  def stream(recording, process, since, until, :oldest) do
    filter = %{kinds: ["state"], processes: [process], sites: nil, since: since, until: until}
    Events.stream(%Events{recording: recording, filter: filter, limit: :infinity})
  end

  def stream(recording, process, since, until, :newest) do
    recording |> stream(process, since, until, :oldest) |> Enum.reverse()
  end

  @doc """
  Newest first, those after which the value at a path may be another than before. What is left out did not touch it, and
  no state was built to find that out.
  """
  @spec touching(Recording.t(), Server.numbers(), [term], non_neg_integer) :: Enumerable.t(Event.t())
  def touching(recording, process, _path, until), do: stream(recording, process, 0, until, :newest)
end
