defmodule ElixirScope.Case.Flow.Messages do
  @moduledoc false
  # Messages of the test's time between processes. They are made of the events of these processes and this time alone, so they cost no more
  # after many tests.

  alias ElixirScope.Case.{Heard, Pairs, Scope}
  alias ElixirScope.{Error, Event, Native}
  alias ElixirScope.Query.Server

  @forever 0xFFFFFFFFFFFFFFFF

  @doc """
  The messages from some processes to others by time, of which one end is a process of the test, unless both are named, and those of
  which nobody knows whether they are; or why none could have been seen.
  """
  @spec between(Scope.t(), Pairs.ends(), Pairs.ends()) ::
          {:ok, [Pairs.t()], [Pairs.t()]} | {:error, Error.t()}
  def between(family, from, to) do
    judged =
      for message <- Pairs.of(family, events(family, from, to)),
          judged = judged(message, from, to, family),
          do: {message, judged}

    case {for({message, true} <- judged, do: message), for({message, :perhaps} <- judged, do: message)} do
      {[], perhaps} ->
        if may_be_seen?(family, from, to), do: {:ok, [], perhaps}, else: not_watched(family, from, to)

      {sure, perhaps} ->
        {:ok, sure, perhaps}
    end
  end

  defp judged(message, from, to, _family) when from != :any and to != :any,
    do: Pairs.between(message, from, to)

  defp judged(message, from, to, family), do: Pairs.between(message, from, to, family)

  defp may_be_seen?(family, from, to), do: Enum.any?(asked(family, from, to), &Heard.ever?(family, &1))

  defp asked(family, :any, :any), do: family.pids
  defp asked(_family, from, to), do: for(pids <- [from, to], pids != :any, pid <- pids, is_pid(pid), do: pid)

  defp not_watched(family, from, to) do
    Error.new(
      :not_watched,
      "the messages of #{list(asked(family, from, to))} are not recorded. Say {:ok, _} = ElixirScope.watch([self(), server]) in the test before " <>
        "they are sent; since OTP 27 `config :elixir_scope, watch: :instrumented` does so for all processes that run instrumented code"
    )
  end

  defp list(pids) do
    more = length(pids) - 5
    Enum.map_join(Enum.take(pids, 5), ", ", &inspect/1) <> if(more > 0, do: " and #{more} more", else: "")
  end

  defp events(family, from, to) do
    named = numbers(for pids <- [from, to], pids != :any, pid <- pids, is_pid(pid), do: pid)

    case Enum.uniq(family.processes ++ named) do
      [] ->
        []

      processes ->
        filter = %{
          kinds: ["send", "receive"],
          processes: processes,
          sites: nil,
          since: family.since,
          until: @forever
        }

        {events, _next} = Native.events(family.recording.handle, filter, 0, 0xFFFFFFFF)
        Enum.map(events, &Event.from_native/1)
    end
  end

  @doc "The numbers of local processes."
  @spec numbers([pid]) :: [Server.numbers()]
  def numbers(pids), do: for(pid <- pids, {:ok, numbers} <- [Server.numbers(pid)], do: numbers)

  @doc "Why there may have been messages that were not recorded; `nil`: there were none."
  @spec unheard(Scope.t(), Pairs.ends(), Pairs.ends()) :: String.t() | nil
  def unheard(family, from, to) do
    case Heard.doubt(family, pids(from), pids(to)) do
      nil ->
        nil

      {:late, text} ->
        text <> "."

      {:never, pids} ->
        "the messages of #{list(pids)} are not recorded. Watch them before: ElixirScope.watch([self(), server], spawned: true)."
    end
  end

  defp pids(:any), do: :any
  defp pids(ends), do: Enum.filter(ends, &is_pid/1)
end
