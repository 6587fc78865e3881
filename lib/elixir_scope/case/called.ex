defmodule ElixirScope.Case.Called do
  @moduledoc false
  # `assert_called` and `refute_called` when a test runs.
  #
  # A call matches, or does not, or nobody knows: its arguments were not recorded, a limit or the redaction kept a part of them out, or the
  # event of its end is missing. What nobody knows is no match, and none that can be denied.

  alias ElixirScope.Case.{Failure, Known, Lost, Quiet, Scope, Seen}
  alias ElixirScope.{Call, Cut, Event, Native}

  @doc "The call, or with `times:` the calls, that match, and what the first of them binds."
  @spec assert(map) :: {Call.t() | [Call.t()], tuple}
  def assert(%{times: nil} = asked) do
    case Quiet.last(fn -> asked |> look() |> first() end, within: asked.within) do
      {:ok, found} -> found
      {_quiet_or_late, seen} -> none_matches(seen, asked)
    end
  end

  def assert(asked) do
    {least, most} = times(asked.times)
    Quiet.within(asked.within)

    # More than enough may come, so it is waited for in any case. Where none is enough, nothing else is there
    # to be waited for within a time.
    within = if least == 0, do: asked.within
    settled = Quiet.settled(fn -> asked |> look() |> more_than(most) end, within: within)
    counted(enough(settled, least, most, asked), least..most, asked)
  end

  defp enough({_why, seen} = settled, least, most, asked) do
    if least == 0 or asked.within == nil or length(matching(seen)) >= least do
      settled
    else
      Quiet.last(fn -> asked |> look() |> more_than(least - 1) end, within: asked.within)
      Quiet.settled(fn -> asked |> look() |> more_than(most) end)
    end
  end

  @doc "True where no call matches."
  @spec refute(map) :: true
  def refute(asked) do
    case Quiet.settled(fn -> asked |> look() |> first() end, within: asked.within) do
      {:ok, {call, _bound}} -> called(call, look(asked), asked)
      {why, seen} -> none(seen, why, asked)
    end
  end

  defp times(count) when is_integer(count) and count > 0, do: {count, count}

  # From none on: "at most".
  defp times(%Range{first: first, last: last, step: 1}) when first >= 0 and first <= last and last > 0,
    do: {first, last}

  defp times(other) do
    raise ArgumentError,
          "expected times: a number of calls such as 2, or a range such as 1..3, got: #{inspect(other)}; that there were at most 2 " <>
            "says 0..2, and that there was none refute_called"
  end

  # The calls of the function in the test's processes. Where none could have been seen, that is the failure.
  defp look(%{mfa: mfa} = asked) do
    case Scope.calls(mfa) do
      {:ok, family, sites, calls} ->
        reason = if calls == [], do: Seen.reason(mfa, sites)
        if reason, do: Failure.impossible(reason)
        %{family: family, sites: sites, calls: Enum.map(calls, &kept(&1, asked))}

      {:error, error} ->
        Failure.impossible(error.message)
    end
  end

  # There may be very many, and most are none that is asked for: those stay as they are.
  defp kept(native, asked) do
    case native |> Call.told() |> held(asked) do
      :error -> {native, :error}
      held -> {Call.from_native(native), held}
    end
  end

  # `{:ok, variables}`, `:error`, or `:unknown`.
  defp held({nil, ending}, asked),
    do: held({List.duplicate(%Cut{}, elem(asked.mfa, 2)), ending}, asked)

  defp held({args, ending}, asked) do
    case endings(ending) do
      [ending] -> held(args, ending, asked)
      endings -> endings |> Stream.map(&held(args, &1, asked)) |> Known.any()
    end
  end

  defp held(args, ending, asked) do
    pair = {asked.pattern.args, args}

    case ends(ending, asked.pattern) do
      :other -> :error
      # It may have ended in this way.
      :unknown -> if Known.compare([pair]) == :no, do: :error, else: :unknown
      pairs -> Known.verdict(asked.matcher.({args, ending}), [pair | pairs])
    end
  end

  # What is held against the pattern of the end, if there is one.
  defp ends({:returned, value}, %{return: expected}), do: [{expected, [value]}]
  defp ends({:raised, reason}, %{raised: expected}), do: [{expected, [reason]}]
  defp ends(:unknown, %{return: _expected}), do: :unknown
  defp ends(:unknown, %{raised: _expected}), do: :unknown
  defp ends(_ending, %{return: _expected}), do: :other
  defp ends(_ending, %{raised: _expected}), do: :other
  defp ends(_ending, _args_alone), do: []

  # An error of the VM is known by its reason and as an exception.
  defp endings({:raised, %{kind: :error, reason: reason, stack: stack}}) do
    case Exception.normalize(:error, reason, stack) do
      ^reason -> [{:raised, reason}]
      exception -> [{:raised, reason}, {:raised, exception}]
    end
  end

  defp endings({:raised, %{reason: reason}}), do: [{:raised, reason}]
  defp endings({:returned, %{value: value}}), do: [{:returned, value}]
  # What it returned was not recorded.
  defp endings({:returned, nil}), do: [:unknown]
  defp endings(open_or_unknown), do: [open_or_unknown]

  defp first(%{calls: calls} = seen) do
    Enum.find_value(calls, {:not_yet, seen}, fn
      {call, {:ok, bound}} -> {:ok, {call, bound}}
      _other -> nil
    end)
  end

  defp matching(%{calls: calls}), do: for({call, {:ok, bound}} <- calls, do: {call, bound})

  defp more_than(seen, count),
    do: if(length(matching(seen)) > count, do: {:ok, seen}, else: {:not_yet, seen})

  defp unknown(%{calls: calls}), do: for({call, :unknown} <- calls, do: call)

  defp none_matches(seen, asked) do
    undecided = if unknown(seen) == [], do: "", else: "Undecided. "

    Failure.fail(%{
      expected: "Expected a call that matches\n\n    #{asked.text}\n\nin this test's processes.",
      found: undecided <> recorded(seen, asked) <> undecidable(unknown(seen)),
      family: seen.family,
      candidates: newest(seen),
      candidates_count: length(seen.calls),
      pattern: pattern(asked)
    })
  end

  # The newest are enough for a failure.
  @looked 1_000

  defp newest(%{calls: calls}) do
    calls
    |> Enum.take(-@looked)
    |> Enum.map(fn
      {native, :error} -> Call.from_native(native)
      {call, _held} -> call
    end)
  end

  defp pattern(asked), do: Map.put(asked.pattern, :refused?, &(&1 |> told() |> held(asked) == :error))

  defp told(%Call{args: args, outcome: :returned, return: value}), do: {args, {:returned, %{value: value}}}
  defp told(%Call{args: args, outcome: :raised, exception: exception}), do: {args, {:raised, exception}}
  defp told(%Call{args: args, outcome: outcome}), do: {args, outcome}

  defp recorded(%{calls: [], family: %{gaps: []} = family}, asked),
    do: "#{name(asked)} was not called in this test's processes." <> elsewhere(family, asked)

  defp recorded(%{calls: []}, asked), do: "No call of #{name(asked)} is recorded, but not all is."
  defp recorded(%{calls: [_]}, asked), do: "There is 1 call of #{name(asked)} recorded:"
  defp recorded(%{calls: calls}, asked), do: "There are #{length(calls)} calls of #{name(asked)} recorded:"

  @forever 0xFFFFFFFFFFFFFFFF
  # So many calls in other processes are looked at, the newest, and so many of those are named.
  @others 100
  @named 3

  # Who did call it, since a process may be missing among the test's. Another test may have, so that is no more than a hint.
  defp elsewhere(family, %{mfa: {module, function, arity}}) do
    handle = family.recording.handle
    sites = Native.sites_of(handle, Atom.to_string(module), Atom.to_string(function), arity)
    keys = for {key, _counted?} <- sites, do: key
    filter = %{kinds: ["call"], processes: nil, sites: keys, since: family.since, until: @forever}

    case keys != [] and Native.events_before(handle, filter, @forever, @others) do
      {[_ | _] = events, _next} -> others(events, Native.count_events(handle, filter))
      _nobody -> ""
    end
  end

  defp others(events, count) do
    pids = events |> Enum.map(&Event.from_native(&1).pid) |> Enum.uniq()
    more = if length(pids) > @named, do: ", ...", else: ""
    were = if count == 1, do: "1 call of it was", else: "#{count} calls of it were"

    "\nSince the test began #{were} recorded in processes that are not known to be its own: " <>
      Enum.map_join(Enum.take(pids, @named), ", ", &inspect/1) <>
      more <> " (another test's perhaps; ElixirScope.Case.allow/1 adds a process to this one's)."
  end

  defp name(%{mfa: mfa}), do: ElixirScope.Text.mfa(mfa)

  defp undecidable([]), do: ""

  defp undecidable(calls) do
    "\nOf #{count(calls)} nobody knows whether it matches: arguments, a part of them, or how it ended, are not in the recording " <>
      "(limits:, redact:, args: or lost events)."
  end

  # More than enough was found, quiet or not.
  defp counted({:ok, seen}, expected, asked), do: counted({:quiet, seen}, expected, asked)

  defp counted({why, seen}, expected, asked) do
    matching = matching(seen)
    lost = seen.family.gaps
    unsettled = unsettled(why, seen, asked)
    certain? = unsettled == nil and unknown(seen) == [] and lost == []

    cond do
      length(matching) in expected and certain? ->
        {Enum.map(matching, &elem(&1, 0)), bound(matching, asked)}

      length(matching) > expected.last or certain? ->
        Failure.fail(%{
          expected: "Expected #{number(expected)}\n\n    #{asked.text}\n\nin this test's processes.",
          found: "There are #{length(matching)}. #{recorded(seen, asked)}",
          family: seen.family,
          candidates: newest(seen),
          candidates_count: length(seen.calls),
          pattern: pattern(asked)
        })

      true ->
        undecided(
          "Expected #{number(expected)}\n\n    #{asked.text}",
          if(length(matching) == 1, do: "1 was recorded", else: "#{length(matching)} were recorded"),
          seen,
          {unsettled, lost}
        )
    end
  end

  defp bound([{_call, bound} | _], _asked), do: bound
  # Variables that none has bound are `nil`.
  defp bound([], asked), do: Tuple.duplicate(nil, asked.variables)

  defp number(%Range{first: 0, last: 1}), do: "at most 1 call that matches"
  defp number(%Range{first: 0, last: most}), do: "at most #{most} calls that match"
  defp number(%Range{first: 1, last: 1}), do: "1 call that matches"
  defp number(%Range{first: same, last: same}), do: "#{same} calls that match"
  defp number(%Range{first: least, last: most}), do: "#{least} to #{most} calls that match"

  defp called(call, seen, asked) do
    Failure.fail(%{
      expected:
        "Expected no call that matches\n\n    #{asked.text}\n\nin this test's processes, but this one was recorded:",
      family: seen.family,
      candidates: [call]
    })
  end

  defp none(seen, why, asked) do
    lost = seen.family.gaps
    unsettled = unsettled(why, seen, asked)

    if unsettled == nil and lost == [] and unknown(seen) == [],
      do: true,
      else:
        undecided(
          "Expected no call that matches\n\n    #{asked.text}",
          "none was recorded",
          seen,
          {unsettled, lost}
        )
  end

  # Why there may be more calls than were recorded.
  defp unsettled(why, seen, asked),
    do: Quiet.unsettled(why) || Seen.doubt(asked.mfa, seen.sites, seen.family)

  defp undecided(expected, found, seen, {unsettled, lost}) do
    unknown = unknown(seen)

    Failure.fail(%{
      expected: expected,
      found: "Undecided: #{found}, but " <> doubt(unknown, lost, unsettled),
      family: seen.family,
      candidates: unknown
    })
  end

  defp doubt([], [], unsettled), do: unsettled

  defp doubt(unknown, [], _unsettled),
    do: "nobody knows of #{count(unknown)}." <> undecidable(unknown)

  defp doubt(_unknown, lost, _unsettled) do
    Lost.text(lost)
  end

  defp count([_]), do: "1 call"
  defp count(calls), do: "#{length(calls)} calls"
end
