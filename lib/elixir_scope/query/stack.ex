defmodule ElixirScope.Query.Stack do
  @moduledoc false
  # The calls around a moment, and the events at which a call begins and ends.

  alias ElixirScope.{Call, Event, Events, Native, Recording}
  alias ElixirScope.Query.Server

  @forever 0xFFFFFFFFFFFFFFFF

  # Events of one call that are looked at for its variables.
  @most 20_000

  @doc "The event of a number."
  @spec event(Recording.t(), non_neg_integer) :: Event.t() | nil
  def event(recording, id) do
    everything = %{kinds: [], processes: nil, sites: nil, since: 0, until: @forever}

    case Native.events(recording.handle, everything, id, 1) do
      {[event], _next} when elem(event, 0) == id -> Event.from_native(event)
      _none -> nil
    end
  end

  @doc "The events from one on, or those before it and newest first."
  @spec stream(Recording.t(), map, :next | :prev, non_neg_integer) :: Enumerable.t(Event.t())
  def stream(recording, filter, direction, id) do
    order = if direction == :next, do: :oldest, else: :newest
    Events.from(%Events{recording: recording, filter: filter, limit: :infinity, order: order}, id)
  end

  @doc """
  The events that began the calls which were open before the event of a number, innermost first, and whether these are all.
  """
  @spec open_calls(Recording.t(), Server.numbers(), non_neg_integer) :: {[Event.t()], boolean}
  def open_calls(recording, process, before) do
    {calls, whole?} = Native.open_calls(recording.handle, process, before)
    {Enum.map(calls, &Event.from_native/1), whole?}
  end

  @doc "The event that began the call which an event has ended: of a chain of tail calls the first."
  @spec began(Recording.t(), Server.numbers(), non_neg_integer) :: Event.t() | nil
  def began(recording, process, id) do
    case Native.began(recording.handle, process, id) do
      nil -> nil
      event -> Event.from_native(event)
    end
  end

  @doc "The events at which a call has bound variables up to an event, newest first."
  @spec bindings(Recording.t(), Server.numbers(), Event.t(), Event.t() | nil) :: [Event.t()]
  def bindings(_recording, _process, _event, nil), do: []

  def bindings(recording, process, event, call) do
    filter = %{
      kinds: ["call", "return", "raise", "tail", "binding"],
      processes: [process],
      sites: nil,
      since: 0,
      until: @forever
    }

    recording
    |> stream(filter, :prev, event.id + 1)
    |> Stream.take_while(&(&1.id > call.id))
    |> Stream.take(@most)
    |> own(event.id)
  end

  # Seen backward, the calls within come with their ends first.
  defp own(events, last) do
    {bindings, _depth} =
      Enum.flat_map_reduce(events, 0, fn
        %Event{kind: :call}, depth -> {[], max(depth - 1, 0)}
        %Event{kind: :binding, data: %{}} = event, 0 -> {[event], 0}
        %Event{kind: :binding}, depth -> {[], depth}
        # The end of the call itself.
        %Event{id: ^last}, depth -> {[], depth}
        _end, depth -> {[], depth + 1}
      end)

    bindings
  end

  @doc "The call that an event began."
  @spec call(Recording.t(), Server.numbers(), Event.t()) :: Call.t() | nil
  def call(recording, process, event),
    do: process |> calls(recording, event) |> Enum.find(&(elem(&1, 0) == event.id)) |> made()

  defp made(nil), do: nil
  defp made({_id, native}), do: Call.from_native(native)

  @doc "The event that ended the call that an event began; `nil` when it has not ended or nobody knows."
  @spec ending(Recording.t(), Server.numbers(), Event.t()) :: Event.t() | nil
  def ending(recording, process, event) do
    case Enum.find(calls(process, recording, event), &(elem(&1, 0) == event.id)) do
      {_id, {_begin, _parent, _chain, _tail, {outcome, native}}} when outcome in [:returned, :raised] ->
        Event.from_native(native)

      {_id, {_begin, _parent, _chain, true, :unknown}} ->
        given_up(recording, process, event)

      _open_or_unknown ->
        nil
    end
  end

  # Calls that began at that time; there may be several.
  defp calls(process, recording, %Event{time: time}) do
    filter = %{kinds: [], processes: [process], sites: nil, since: time, until: time}
    for call <- Native.calls(recording.handle, filter, 0xFFFFFFFF), do: {call |> elem(0) |> elem(0), call}
  end

  # It went on in code that is not instrumented: the last that is known is where it gave its frame up.
  defp given_up(recording, process, event) do
    filter = %{
      kinds: ["call", "return", "raise", "tail"],
      processes: [process],
      sites: nil,
      since: 0,
      until: @forever
    }

    recording
    |> stream(filter, :next, event.id + 1)
    |> Enum.reduce_while(1, fn
      %Event{kind: :call}, depth -> {:cont, depth + 1}
      last, 1 -> {:halt, last}
      _end, depth -> {:cont, depth - 1}
    end)
    |> case do
      %Event{kind: :tail} = last -> last
      _never -> nil
    end
  end
end
