defmodule ElixirScope.Case.Messaged do
  @moduledoc false
  # `assert_message` and `refute_message` when a test runs. The events of sending and delivering are asked themselves: which of them belong together
  # depends on all that was on the way since the recording began, which would cost more with each test. Of those of the test's time
  # `ElixirScope.Case.Pairs` says it.

  alias ElixirScope.Case.{Exited, Failure, Heard, Lost, Pairs, Quiet, Said, Scope, Silent}
  alias ElixirScope.{Event, Native}
  alias ElixirScope.Query.{Processes, Server}

  @forever 0xFFFFFFFFFFFFFFFF

  @doc "The event of the sending or the delivery, and what it binds."
  @spec assert(map) :: {Event.t(), tuple}
  def assert(asked) do
    check(asked)

    case Quiet.last(fn -> look(asked) end, within: asked.within, also: local(asked)) do
      {:ok, {message, bound}} -> {message.event, bound}
      {_why, seen} -> none(seen, asked)
    end
  end

  @doc "True where there was none."
  @spec refute(map) :: true
  def refute(asked) do
    check(asked)

    case Quiet.settled(fn -> look(asked) end, within: asked.within, also: local(asked)) do
      {:ok, {message, _bound}} -> there(message, asked)
      {why, seen} -> decided(seen, Quiet.unsettled(why), asked)
    end
  end

  defp check(%{from: from, to: to}), do: Enum.each([from, to], &known/1)

  defp known(end_) when is_pid(end_) or (is_atom(end_) and end_ not in [nil, true, false]), do: :ok

  defp known(other) do
    Failure.impossible(
      "expected both ends of a message as a pid, a registered name or _, got: #{inspect(other)}"
    )
  end

  # The processes that an end names; `:_` for any.
  defp named(:_, _recording), do: :_
  defp named(pid, _recording) when is_pid(pid), do: [pid]

  defp named(name, recording) do
    Enum.uniq(List.wrap(pid(name)) ++ Processes.holders(recording, name, Native.now()))
  end

  defp local(%{from: from, to: to}) do
    for end_ <- [from, to], end_ != :_, pid = pid(end_), node(pid) == node(), do: pid
  end

  defp pid(pid) when is_pid(pid), do: pid

  defp pid(name) do
    case Process.whereis(name) do
      pid when is_pid(pid) -> pid
      _port_or_nil -> nil
    end
  end

  defp look(asked) do
    with {:ok, family} <- Scope.family() do
      ends = %{from: named(asked.from, family.recording), to: named(asked.to, family.recording)}
      judged = messages(family, ends, asked)
      between = for {message, true} <- judged, do: message
      held = for message <- between, do: {message, held(message, asked)}
      unknown = for {message, :unknown} <- held, do: message
      astray = for {message, :perhaps} <- judged, do: message
      seen = %{family: family, ends: ends, messages: between, unknown: unknown, astray: astray}

      Enum.find_value(held, {:not_yet, seen}, fn
        {message, {:ok, bound}} -> {:ok, {message, bound}}
        _none -> nil
      end)
    else
      {:error, error} -> Failure.impossible(error.message)
    end
  end

  defp held(message, asked),
    do: message.event.data.message |> Said.all() |> Said.verdict(asked.matcher, asked.expected)

  # Messages from one end to the other of which one is a process of the test, each with whether that is known of it.
  defp messages(family, ends, asked) do
    [from, to] = [route(asked.from, ends.from), route(asked.to, ends.to)]

    for message <- Pairs.of(family, events(family, ends)),
        judged = Pairs.between(message, from, to, family),
        do: {message, judged}
  end

  # What was sent to a name was sent to it, whoever had it.
  defp route(_any, :_), do: :any
  defp route(name, pids) when is_atom(name), do: [name | pids]
  defp route(_pid, pids), do: pids

  # Those that may be what is asked for, if an end that nobody knows is one of these.
  defp astray(%{family: family, ends: ends, astray: astray}, asked) do
    [from, to] = [route(asked.from, ends.from), route(asked.to, ends.to)]
    astray |> Enum.reject(&(held(&1, asked) == :error)) |> Pairs.astray(from, to, family)
  end

  # What the test's processes and the ends that are named have sent and been given.
  defp events(family, ends) do
    named =
      for {_end, pids} <- ends, pids != :_, pid <- pids, {:ok, process} <- [Server.numbers(pid)], do: process

    filter = %{
      kinds: ["send", "receive"],
      processes: Enum.uniq(family.processes ++ named),
      sites: nil,
      since: family.since,
      until: @forever
    }

    if filter.processes == [] do
      []
    else
      {events, _next} = Native.events(family.recording.handle, filter, 0, 0xFFFFFFFF)
      for native <- events, event = Event.from_native(native), event.data, do: event
    end
  end

  defp none(%{family: family, ends: ends} = seen, asked) do
    case Heard.doubt(family, some(ends.from), some(ends.to)) do
      {:never, pids} ->
        not_watched(pids, seen)

      doubt ->
        Failure.fail(%{
          expected: "Expected a message that matches\n\n    #{asked.text}\n\nin this test's processes.",
          found:
            found(seen.messages) <> unknown(seen.unknown) <> lost_track(astray(seen, asked)) <> late(doubt),
          family: family,
          candidates: Enum.map(seen.messages, &Pairs.shown/1),
          pattern: %{value: asked.expected}
        })
    end
  end

  defp some(:_), do: :any
  defp some(pids), do: pids

  defp unknown([]), do: ""

  defp unknown(messages) do
    " Of #{count(messages)} nobody knows whether it matches: a part that the pattern looks at is not in the recording (limits:, redact:)."
  end

  defp count([_]), do: "1 of them"
  defp count(messages), do: "#{length(messages)} of them"

  defp lost_track([]), do: ""
  defp lost_track(astray), do: "\nUndecided: " <> Pairs.why(astray)

  defp late({:late, text}), do: "\nIt may have been there: #{text}."
  defp late(nil), do: ""

  defp found([]), do: "No message between these was recorded."
  defp found([_]), do: "There is 1 message between these:"
  defp found(messages), do: "There are #{length(messages)} messages between these:"

  defp there(message, asked) do
    {:ok, family} = Scope.family()

    Failure.fail(%{
      expected:
        "Expected no message that matches\n\n    #{asked.text}\n\nin this test's processes, but this one was recorded:",
      family: family,
      candidates: [Pairs.shown(message)]
    })
  end

  # A name that nobody has had may be a wrong one: that nothing was sent to it says nothing.
  defp decided(%{ends: ends} = seen, unsettled, asked) do
    case for({end_, []} <- ends, do: Map.fetch!(asked, end_)) do
      [] -> heard(seen, unsettled || Silent.between(seen.family, some(ends.from), some(ends.to)), asked)
      [name | _] -> Failure.impossible(Exited.nobody(name))
    end
  end

  defp heard(%{family: family, ends: ends} = seen, unsettled, asked) do
    case {Heard.doubt(family, some(ends.from), some(ends.to)), Scope.gaps(family)} do
      {nil, []} when seen.unknown == [] ->
        decided_by(astray(seen, asked), seen, unsettled, asked)

      {nil, []} ->
        undecided("there are messages between these." <> unknown(seen.unknown), seen, asked)

      {{:never, pids}, _gaps} ->
        not_watched(pids, seen)

      {{:late, text}, _gaps} ->
        undecided("none was recorded, but #{text}.", seen, asked)

      {nil, gaps} ->
        undecided("none was recorded, but " <> Lost.text(gaps), seen, asked)
    end
  end

  defp decided_by([], _seen, nil, _asked), do: true

  defp decided_by([], seen, unsettled, asked),
    do: undecided("none was recorded, but #{unsettled}.", seen, asked)

  defp decided_by(astray, seen, _unsettled, asked),
    do: undecided("none was recorded, but " <> Pairs.why(astray), %{seen | unknown: astray}, asked)

  defp undecided(why, seen, asked) do
    Failure.fail(%{
      expected: "Expected no message that matches\n\n    #{asked.text}",
      found: "Undecided: " <> why,
      family: seen.family,
      candidates: Enum.map(seen.unknown, &Pairs.shown/1)
    })
  end

  defp not_watched(pids, seen) do
    Failure.fail(%{
      expected:
        "The question cannot be answered: the messages of #{Enum.map_join(Enum.take(pids, 5), ", ", &inspect/1)} are not recorded. " <>
          "Say ElixirScope.watch(pid) for one of the two ends before what is asked for happens.",
      family: seen.family
    })
  end
end
