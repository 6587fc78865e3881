defmodule ElixirScope.Case.Called do
  @moduledoc false
  # `assert_called` and `refute_called` when a test runs.
  #
  # A call matches, or does not, or nobody knows: its arguments were not recorded, a limit or the redaction kept a part of them out, or the
  # event of its end is missing. What nobody knows is no match, and none that can be denied.

  alias ElixirScope.Case.{Failure, Quiet, Scope, Seen}
  alias ElixirScope.Call
  alias ElixirScope.Query.FirstCut

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
    # More than enough may come, so it is waited for in any case.
    {_why, seen} = Quiet.settled(fn -> asked |> look() |> more_than(most) end)
    counted(enough(seen, least, most, asked), least..most, asked)
  end

  defp enough(seen, least, most, asked) do
    if asked.within == nil or length(matching(seen)) >= least do
      seen
    else
      Quiet.last(fn -> asked |> look() |> more_than(least - 1) end, within: asked.within)
      {_why, seen} = Quiet.settled(fn -> asked |> look() |> more_than(most) end)
      seen
    end
  end

  @doc "True where no call matches."
  @spec refute(map) :: true
  def refute(asked) do
    case Quiet.settled(fn -> asked |> look() |> first() end, within: asked.within) do
      {:ok, {call, _bound}} -> called(call, look(asked), asked)
      {_quiet_or_late, seen} -> none(seen, asked)
    end
  end

  defp times(count) when is_integer(count) and count > 0, do: {count, count}

  defp times(%Range{first: first, last: last, step: 1}) when first > 0 and first <= last, do: {first, last}

  defp times(other) do
    raise ArgumentError,
          "expected times: a number of calls such as 2, or a range such as 1..3, got: #{inspect(other)}; that there was no " <>
            "call says refute_called"
  end

  # The calls of the function in the test's processes. Where none could have been seen, that is the failure.
  defp look(%{mfa: mfa} = asked) do
    case Scope.calls(mfa) do
      {:ok, family, sites, calls} ->
        reason = if calls == [], do: Seen.reason(mfa, sites)
        if reason, do: Failure.impossible(reason)
        calls = Enum.map(calls, &Call.from_native/1)
        %{family: family, calls: Enum.map(calls, &{&1, held(&1, asked)})}

      {:error, error} ->
        Failure.impossible(error.message)
    end
  end

  # `{:ok, variables}`, `:error`, or `:unknown`.
  defp held(%Call{args: nil} = call, %{bare?: true} = asked),
    do: held(%{call | args: List.duplicate(nil, elem(call.mfa, 2))}, asked)

  defp held(%Call{args: nil} = call, asked), do: if(ends?(call, asked), do: :unknown, else: :error)

  defp held(call, asked) do
    with :error <- matched(call, asked) do
      if doubtful?(call) and arguments?(call.args, asked.possible) and ends?(call, asked),
        do: :unknown,
        else: :error
    end
  end

  defp matched(call, asked) do
    Enum.find_value(endings(call), :error, fn ending ->
      with :error <- asked.matcher.({call.args, ending}), do: nil
    end)
  end

  # An error of the VM is known by its reason and as an exception.
  defp endings(%Call{outcome: :returned, return: return}), do: [{:returned, return}]

  defp endings(%Call{outcome: :raised, exception: %{kind: :error, reason: reason, stack: stack}}) do
    case Exception.normalize(:error, reason, stack) do
      ^reason -> [{:raised, reason}]
      exception -> [{:raised, reason}, {:raised, exception}]
    end
  end

  defp endings(%Call{outcome: :raised, exception: %{reason: reason}}), do: [{:raised, reason}]
  defp endings(%Call{outcome: outcome}), do: [outcome]

  # Whether a part of it is not known.
  defp doubtful?(call),
    do: call.outcome == :unknown or Enum.any?(call.args, &cut?/1) or Enum.any?(endings(call), &cut?/1)

  # Most values are small.
  defp cut?(value) when is_atom(value) or is_number(value) or is_binary(value) or is_pid(value), do: false
  defp cut?({kind, value}) when kind in [:returned, :raised], do: cut?(value)
  defp cut?(value), do: FirstCut.find(value) != nil

  # Whether it may match, taking whatever holds an unknown part for a match.
  defp arguments?(args, possible) do
    args
    |> Enum.zip(possible)
    |> Enum.all?(fn {arg, possible?} -> possible?.(arg) or cut?(arg) end)
  end

  defp ends?(%Call{outcome: :unknown}, _asked), do: true

  defp ends?(call, asked),
    do: Enum.any?(endings(call), &(asked.outcome.(&1) or cut?(&1)))

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
    Failure.fail(%{
      expected: "Expected a call that matches\n\n    #{asked.text}\n\nin this test's processes.",
      found: recorded(seen.calls, asked) <> undecidable(unknown(seen)),
      family: seen.family,
      candidates: all(seen),
      pattern: asked.pattern
    })
  end

  defp all(%{calls: calls}), do: Enum.map(calls, &elem(&1, 0))

  defp recorded([], asked), do: "#{name(asked)} was not called."
  defp recorded([_], asked), do: "There is 1 call of #{name(asked)} recorded:"
  defp recorded(calls, asked), do: "There are #{length(calls)} calls of #{name(asked)} recorded:"

  defp name(%{mfa: mfa}), do: ElixirScope.Text.mfa(mfa)

  defp undecidable([]), do: ""

  defp undecidable(calls) do
    "\nOf #{count(calls)} nobody knows whether it matches: arguments, a part of them, or how it ended, are not in the recording " <>
      "(limits:, redact:, args: or lost events)."
  end

  defp counted(seen, expected, asked) do
    matching = matching(seen)
    lost = Scope.gaps(seen.family)

    cond do
      length(matching) in expected and unknown(seen) == [] and lost == [] ->
        [{_call, bound} | _] = matching
        {Enum.map(matching, &elem(&1, 0)), bound}

      length(matching) > expected.last or (lost == [] and unknown(seen) == []) ->
        Failure.fail(%{
          expected:
            "Expected #{number(expected)} that match\n\n    #{asked.text}\n\nin this test's processes.",
          found: "There are #{length(matching)}. #{recorded(seen.calls, asked)}",
          family: seen.family,
          candidates: all(seen),
          pattern: asked.pattern
        })

      true ->
        undecided(
          "Expected #{number(expected)} that match\n\n    #{asked.text}",
          "#{length(matching)} were recorded",
          seen,
          lost
        )
    end
  end

  defp number(%Range{first: 1, last: 1}), do: "1 call"
  defp number(%Range{first: same, last: same}), do: "#{same} calls"
  defp number(%Range{first: least, last: most}), do: "#{least} to #{most} calls"

  defp called(call, seen, asked) do
    Failure.fail(%{
      expected:
        "Expected no call that matches\n\n    #{asked.text}\n\nin this test's processes, but this one was recorded:",
      family: seen.family,
      candidates: [call]
    })
  end

  defp none(seen, asked) do
    lost = Scope.gaps(seen.family)

    if lost == [] and unknown(seen) == [],
      do: true,
      else: undecided("Expected no call that matches\n\n    #{asked.text}", "none was recorded", seen, lost)
  end

  defp undecided(expected, found, seen, lost) do
    unknown = unknown(seen)

    Failure.fail(%{
      expected: expected,
      found: "Undecided: #{found}, but " <> doubt(unknown, lost),
      family: seen.family,
      candidates: unknown
    })
  end

  defp doubt(unknown, []), do: "nobody knows of #{count(unknown)}." <> undecidable(unknown)

  defp doubt(_unknown, lost) do
    "events are missing in the time of this test.\n" <>
      Enum.map_join(lost, "\n", &Failure.Parts.gap/1) <> "\n" <> advice(lost)
  end

  defp count([_]), do: "1 call"
  defp count(calls), do: "#{length(calls)} calls"

  defp advice(lost) do
    if Enum.any?(lost, &(&1.cause in [:full, :oversize])),
      do: "Raise limits: [ring_bytes: ...], or record fewer functions.",
      else: "ElixirScope.status() says more."
  end
end
