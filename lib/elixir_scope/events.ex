defmodule ElixirScope.Events do
  @moduledoc """
  The events that a question asks for, lazily: nothing is read before it is enumerated, and then in pages.

  Shown in IEx it counts them, and when there are none it says why.
  """

  alias ElixirScope.{Native, Recording}

  @enforce_keys [:recording, :filter, :limit]
  defstruct [:recording, :filter, :limit]

  @type t :: %__MODULE__{recording: Recording.t(), filter: map | :nothing, limit: pos_integer | :infinity}

  @page 1_000

  @doc false
  def stream(%__MODULE__{filter: :nothing}), do: []

  def stream(%__MODULE__{recording: recording, filter: filter, limit: limit}) do
    # An atom is greater than any number.
    page = min(limit, @page)

    all =
      Stream.resource(
        fn -> 0 end,
        fn
          nil ->
            {:halt, nil}

          from ->
            {events, next} = Native.events(recording.handle, filter, from, page)
            {Enum.map(events, &ElixirScope.Event.from_native/1), next}
        end,
        fn _ -> :ok end
      )

    if limit == :infinity, do: all, else: Stream.take(all, limit)
  end

  defimpl Enumerable do
    def reduce(events, acc, fun), do: Enumerable.reduce(ElixirScope.Events.stream(events), acc, fun)
    def count(_events), do: {:error, __MODULE__}
    def member?(_events, _event), do: {:error, __MODULE__}
    def slice(_events), do: {:error, __MODULE__}
  end

  defimpl Inspect do
    def inspect(events, _opts) do
      case Enum.take(events, 1_001) do
        [] -> "#ElixirScope.Events<none: #{ElixirScope.Query.why_none(events)}>"
        [_] -> "#ElixirScope.Events<1 event>"
        some when length(some) > 1_000 -> "#ElixirScope.Events<more than 1000 events>"
        some -> "#ElixirScope.Events<#{length(some)} events>"
      end
    end
  end
end
