defmodule ElixirScope.Case.Flow.Messages do
  @moduledoc false
  # Messages of the test's time between processes, one each: the event of its sending, or where that was not seen of its delivery. They are made of
  # the events of these processes and this time alone, so they cost no more after many tests.

  alias ElixirScope.Case.{Heard, Scope}
  alias ElixirScope.{Error, Event, Native}
  alias ElixirScope.Query.Server

  @forever 0xFFFFFFFFFFFFFFFF

  @typedoc "`to` is what the sender named where nobody knows which process that was."
  @type t :: %{event: Event.t(), from: pid | nil, to: term}

  @typedoc "Processes at one end."
  @type ends :: [pid] | :any

  @doc """
  The messages from some processes to others by time, of which one end is a process of the test, unless both are named; or why none could have
  been seen.
  """
  @spec between(Scope.t(), ends, ends) :: {:ok, [t]} | {:error, Error.t()}
  def between(family, from, to) do
    messages =
      for message <- family |> events(from, to) |> paired(),
          from == :any or message.from in from,
          to == :any or message.to in to,
          (from != :any and to != :any) or message.from in family.pids or message.to in family.pids,
          do: message

    if messages == [] and not may_be_seen?(family, from, to),
      do: not_watched(family, from, to),
      else: {:ok, messages}
  end

  defp may_be_seen?(family, from, to), do: Enum.any?(asked(family, from, to), &Heard.ever?(family, &1))

  defp asked(family, :any, :any), do: family.pids
  defp asked(_family, from, to), do: for(pids <- [from, to], pids != :any, pid <- pids, do: pid)

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
    named = numbers(for pids <- [from, to], pids != :any, pid <- pids, do: pid)

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

  @doc """
  Sendings and deliveries as messages: a delivery is that of a sending with the same digest to its process, and then is no message of its own. Which of
  several equal ones it is makes no difference here.
  """
  @spec paired([Event.t()]) :: [t]
  def paired(events) do
    events = Enum.filter(events, & &1.data)
    {sends, deliveries} = Enum.split_with(events, &(&1.kind == :send))
    takers = Map.new(Enum.reverse(deliveries), &{&1.data.digest, &1.pid})

    sent =
      for event <- sends,
          do: %{event: event, from: event.pid, to: target(event.data.to, takers[event.data.digest])}

    on_the_way = Enum.frequencies_by(sent, &{&1.event.data.digest, &1.to})

    {others, _left} =
      Enum.flat_map_reduce(deliveries, on_the_way, fn event, left ->
        key = {event.data.digest, event.pid}

        case left do
          %{^key => count} when count > 0 -> {[], %{left | key => count - 1}}
          _none -> {[%{event: event, from: sender(event.data.from), to: event.pid}], left}
        end
      end)

    Enum.sort_by(sent ++ others, & &1.event.id)
  end

  # Of a name or an alias the delivery says which process it was.
  defp target(pid, _taker) when is_pid(pid), do: pid
  defp target(_name, taker) when is_pid(taker), do: taker
  defp target({name, node}, nil) when node == node(), do: target(name, nil)
  defp target(name, nil) when is_atom(name), do: Process.whereis(name) || name
  defp target(other, nil), do: other

  defp sender(pid) when is_pid(pid), do: pid
  defp sender(_name_or_nobody), do: nil

  @doc "Why there may have been messages that were not recorded; `nil`: there were none."
  @spec unheard(Scope.t(), ends, ends) :: String.t() | nil
  def unheard(family, from, to) do
    case Heard.doubt(family, from, to) do
      nil ->
        nil

      {:late, text} ->
        text <> "."

      {:never, pids} ->
        "the messages of #{list(pids)} are not recorded. Watch them before: ElixirScope.watch([self(), server], spawned: true)."
    end
  end
end
