defmodule ElixirScope.Query.States do
  @moduledoc false
  # The states of one process, as events of the kind `:state`: each has the whole state after the change. They are made of
  # each other, so neighbours share in memory what they have in common. States that cannot be told, because what they are made
  # of is missing, are left out: they lie behind a gap, up to the next state that was recorded whole.

  alias ElixirScope.{Event, Events, Native, Recording}
  alias ElixirScope.Query.Server

  @page 500

  @doc "All of them in an interval, both ends included, lazily."
  @spec stream(Recording.t(), Server.numbers(), non_neg_integer, non_neg_integer, :oldest | :newest) ::
          Enumerable.t()
  def stream(recording, process, since, until, :oldest) do
    filter = %{kinds: ["state"], processes: [process], sites: nil, since: since, until: until}

    %Events{recording: recording, filter: filter, limit: :infinity}
    |> Events.stream()
    |> Stream.filter(& &1.data)
  end

  def stream(recording, process, since, until, :newest) do
    newest_first(recording, process, [], {since, until})
  end

  @doc """
  Newest first, those after which the value at a path may be another than before. What is left out did not touch it, and
  no state was built to find that out.
  """
  @spec touching(Recording.t(), Server.numbers(), [term], non_neg_integer) :: Enumerable.t()
  def touching(recording, process, path, until), do: newest_first(recording, process, path, {0, until})

  # Few at first: often the newest is the one that is looked for.
  defp newest_first(recording, process, path, span) do
    Stream.unfold({nil, 8}, fn
      :end ->
        nil

      {before, limit} ->
        {events, next} = Native.states(recording.handle, process, path, span, before, limit)
        known = for event <- events, event = Event.from_native(event), event.data, do: event
        {known, if(next, do: {next, min(limit * 4, @page)}, else: :end)}
    end)
    |> Stream.flat_map(& &1)
  end
end
