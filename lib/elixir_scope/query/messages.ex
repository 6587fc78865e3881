defmodule ElixirScope.Query.Messages do
  @moduledoc false
  # Messages by filters. The native library pairs sends with deliveries (`native/query/src/messages.rs`); what took them is
  # found in `ElixirScope.Query.Takes`.

  alias ElixirScope.{Error, Message, Native, Query, Recording}
  alias ElixirScope.Query.{Server, Takes}

  @forever 0xFFFFFFFFFFFFFFFF

  @doc """
  The messages that were sent, or delivered where the sending was not seen, between two times, in that order.

  `:from` and `:to` are pids, `:between` those that both ends must be of, `:pid` those of which one end must be. With `delivered: true` also those that
  were sent before and delivered within.
  """
  @spec list(Recording.t(), keyword) :: {:ok, [Message.t()]} | {:error, Error.t()}
  def list(recording, options \\ []) do
    with :ok <- watched(recording) do
      wanted = wanted(options)
      messages = recording.handle |> Native.messages(wanted) |> Enum.map(&Message.from_native/1)
      {:ok, Takes.mark(recording, messages)}
    end
  end

  defp wanted(options) do
    between = Keyword.get(options, :between)
    limit = Keyword.get(options, :limit, :infinity)

    %{
      since: Keyword.get(options, :since, 0),
      until: Keyword.get(options, :until, @forever),
      delivered: Keyword.get(options, :delivered, false),
      from: options |> Keyword.get(:from) |> numbers() |> both(numbers(between)),
      to: options |> Keyword.get(:to) |> numbers() |> both(numbers(between)),
      with: options |> Keyword.get(:pid) |> numbers(),
      limit: if(limit == :infinity, do: @forever, else: limit)
    }
  end

  # A process of another node makes no events.
  defp numbers(nil), do: nil

  defp numbers(pids) do
    for pid <- List.wrap(pids), {:ok, numbers} <- [Server.numbers(pid)], do: numbers
  end

  defp both(nil, others), do: others
  defp both(some, nil), do: some
  defp both(some, others), do: Enum.filter(some, &(&1 in others))

  @doc "An error where no message was recorded at all."
  @spec watched(Recording.t()) :: :ok | {:error, Error.t()}
  def watched(recording) do
    filter = %{kinds: ["send", "receive"], processes: nil, sites: nil, since: 0, until: @forever}

    case Native.events(recording.handle, filter, 0, 1) do
      {[_event], _next} -> :ok
      {[], _next} -> not_watched(recording)
    end
  end

  defp not_watched(recording) do
    gaps = Native.summary(recording.handle).gaps

    Error.new(
      :not_watched,
      "no message was recorded: the messages of no process were watched, or none was sent. Say ElixirScope.watch(server), " <>
        "or ElixirScope.watch(:all), and ask about what happens from then on" <>
        if(gaps == [], do: "", else: "; events are missing too, see ElixirScope.status()")
    )
  end

  @doc "See `ElixirScope.messages/1`."
  def messages(_filters), do: Query.limit([])
end
