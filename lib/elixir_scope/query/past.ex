defmodule ElixirScope.Query.Past do
  @moduledoc false
  # What verdicts are made of: the events of one process on from a moment or back from it, the calls that were open in it, and
  # what is missing. Behind functions, so that verdicts can be held against events that a test has made up.
  #
  # The numbers of events are the true order within a process; between processes only times say something.

  alias ElixirScope.{Change, Event, Message, Native, Query, Recording}
  alias ElixirScope.Query.{Server, Stack}

  @forever 0xFFFFFFFFFFFFFFFF

  @enforce_keys [:events, :open_calls, :gaps, :named, :messages]
  defstruct [:recording, :events, :open_calls, :gaps, :named, :messages, :since]

  @typedoc "Whose events, of which kinds (none: all), within which times; in which direction, and from which number."
  @type wanted :: %{
          pid: pid | nil,
          kinds: [Event.kind()],
          since: non_neg_integer,
          until: non_neg_integer,
          direction: :next | :prev,
          from: non_neg_integer
        }

  @type t :: %__MODULE__{
          recording: Recording.t() | nil,
          # Who asks many questions about the time from a moment on says so: then all need the same messages. `nil`: each its own.
          since: non_neg_integer | nil,
          events: (wanted -> Enumerable.t(Event.t())),
          open_calls: (pid, non_neg_integer -> [Event.t()]),
          gaps: (non_neg_integer, non_neg_integer -> [Change.gap()]),
          named: (atom, non_neg_integer -> pid | nil),
          messages: (keyword -> {:ok, [Message.t()]} | {:error, ElixirScope.Error.t()})
        }

  @doc "That of a recording."
  @spec of(Recording.t()) :: t
  def of(recording) do
    %__MODULE__{
      recording: recording,
      events: &events(recording, &1),
      open_calls: &open_calls(recording, &1, &2),
      gaps: &Query.Cursor.gaps(recording, &1, &2),
      named: &named(recording, &1, &2),
      messages: &Query.Messages.list(recording, &1)
    }
  end

  @doc "The events from a number on, oldest first."
  @spec next(t, pid | nil, [Event.kind()], non_neg_integer, keyword) :: Enumerable.t(Event.t())
  def next(past, pid, kinds, from, span \\ []), do: past.events.(wanted(pid, kinds, :next, from, span))

  @doc "The events before a number, newest first."
  @spec prev(t, pid | nil, [Event.kind()], non_neg_integer, keyword) :: Enumerable.t(Event.t())
  def prev(past, pid, kinds, before, span \\ []), do: past.events.(wanted(pid, kinds, :prev, before, span))

  defp wanted(pid, kinds, direction, from, span) do
    %{
      pid: pid,
      kinds: kinds,
      since: Keyword.get(span, :since, 0),
      until: Keyword.get(span, :until, @forever),
      direction: direction,
      from: from
    }
  end

  @doc "Behind every event."
  @spec forever() :: non_neg_integer
  def forever, do: @forever

  defp events(recording, wanted) do
    case processes(wanted.pid) do
      :none -> []
      processes -> paged(recording.handle, filter(wanted, processes), wanted.direction, wanted.from)
    end
  end

  defp processes(nil), do: nil

  defp processes(pid) do
    case node(pid) == node() and Server.numbers(pid) do
      {:ok, numbers} -> [numbers]
      _of_another_node -> :none
    end
  end

  defp filter(wanted, processes) do
    %{
      kinds: Enum.map(wanted.kinds, &Atom.to_string/1),
      processes: processes,
      sites: nil,
      since: wanted.since,
      until: wanted.until
    }
  end

  # Few at first: mostly what is looked for is near.
  @first 8
  @most 2_000

  defp paged(handle, filter, direction, from) do
    Stream.unfold({from, @first}, fn
      {nil, _size} ->
        nil

      {from, size} ->
        {events, next} = page(direction, handle, filter, from, size)
        {Enum.map(events, &Event.from_native/1), {next, min(size * 4, @most)}}
    end)
    |> Stream.flat_map(& &1)
  end

  defp page(:next, handle, filter, from, size), do: Native.events(handle, filter, from, size)
  defp page(:prev, handle, filter, before, size), do: Native.events_before(handle, filter, before, size)

  defp open_calls(recording, pid, before) do
    case processes(pid) do
      [process] -> recording |> Stack.open_calls(process, before) |> elem(0)
      :none -> []
    end
  end

  defp named(recording, name, time) do
    with {:ok, {id, serial}} <- Server.find(recording, name, time) do
      :erlang.list_to_pid(~c"<0.#{id}.#{serial}>")
    else
      _unknown -> nil
    end
  end
end
