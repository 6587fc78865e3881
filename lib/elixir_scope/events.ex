defmodule ElixirScope.Events do
  @moduledoc """
  The events that a question asks for, lazily: nothing is read before it is enumerated, and then in pages.

  Shown in IEx it counts them and shows the first, one a line, and when there are none it says why. `Enum.take(events, 3)`
  gives them one by one.
  """

  alias ElixirScope.{Native, Recording}

  @enforce_keys [:recording, :filter, :limit]
  defstruct [:recording, :filter, :limit, order: :oldest]

  @type t :: %__MODULE__{
          recording: Recording.t(),
          filter: map | :nothing,
          limit: pos_integer | :infinity,
          order: :oldest | :newest
        }

  @forever 0xFFFFFFFFFFFFFFFF

  @page 1_000

  @doc false
  def stream(%__MODULE__{filter: :nothing}), do: []

  def stream(%__MODULE__{order: order} = events),
    do: from(events, if(order == :oldest, do: 0, else: @forever))

  @doc false
  # Those from the event of a number on; newest first: those with a lower number.
  def from(%__MODULE__{recording: recording, filter: filter, limit: limit, order: order}, number) do
    # An atom is greater than any number.
    page = min(limit, @page)

    all =
      Stream.resource(
        fn -> number end,
        fn
          nil ->
            {:halt, nil}

          from ->
            {events, next} = page(order, recording.handle, filter, from, page)
            {Enum.map(events, &ElixirScope.Event.from_native/1), next}
        end,
        fn _ -> :ok end
      )

    if limit == :infinity, do: all, else: Stream.take(all, limit)
  end

  defp page(:oldest, handle, filter, from, limit), do: Native.events(handle, filter, from, limit)
  defp page(:newest, handle, filter, before, limit), do: Native.events_before(handle, filter, before, limit)

  defimpl Enumerable do
    def reduce(events, acc, fun), do: Enumerable.reduce(ElixirScope.Events.stream(events), acc, fun)
    def count(_events), do: {:error, __MODULE__}
    def member?(_events, _event), do: {:error, __MODULE__}
    def slice(_events), do: {:error, __MODULE__}
  end

  defimpl Inspect do
    alias ElixirScope.{Recording, Text}
    alias ElixirScope.Text.Sentence

    @counted 1_000
    @shown 10

    def inspect(%{recording: %Recording{}} = events, opts) do
      case Enum.take(events, @counted + 1) do
        [] -> Text.view("Events", ["none: #{ElixirScope.Query.why_none(events)}"])
        some -> Text.view("Events", [count(some), rows(events.recording, some, opts), more(some)])
      end
    end

    # Made by hand.
    def inspect(events, opts), do: Inspect.Any.inspect(events, opts)

    defp count([first | _] = some) do
      "#{many(some)}, from #{Text.moment(first.time, ElixirScope.Native.now())}"
    end

    defp many([_]), do: "1 event"
    defp many(some) when length(some) > @counted, do: "more than #{Text.number(@counted)} events"
    defp many(some), do: "#{Text.number(length(some))} events"

    # What happened may take what the other columns leave of the line.
    defp rows(recording, some, opts) do
      some = Enum.take(some, @shown)
      rows = for event <- some, do: columns(recording, event)
      used = rows |> Text.table() |> Enum.map(&Text.width/1) |> Enum.max()
      options = Text.options(opts)
      options = Keyword.update!(options, :width, &room(&1, used))
      Text.table(for {event, row} <- Enum.zip(some, rows), do: row ++ [Sentence.of(event, options)])
    end

    defp room(:infinity, _used), do: :infinity
    defp room(width, used), do: max(width - used - 2, 50)

    defp columns(recording, event) do
      who = if event.pid, do: Text.process(recording, event.pid, event.time), else: ""
      [Text.clock(event.time), who, Sentence.place(event), Atom.to_string(event.kind)]
    end

    defp more(some) when length(some) <= @shown, do: []
    defp more(some) when length(some) > @counted, do: ["and more"]
    defp more(some), do: ["and #{Text.number(length(some) - @shown)} more"]
  end
end
