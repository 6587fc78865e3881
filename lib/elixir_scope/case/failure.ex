defmodule ElixirScope.Case.Failure do
  @moduledoc false
  # What a failed assertion says. `fail/1` takes
  #
  # | key | meaning |
  # |---|---|
  # | `:expected` | what was expected: a text that stands at the beginning as it is |
  # | `:found` | what was found instead: a text |
  # | `:family` | `%{recording:, pids:, since:, test:}` of `ElixirScope.Case.Scope`, or `nil` where nothing is recorded |
  # | `:candidates` | what comes near: calls, messages, changes, events, `{time, value}`, or texts; `{candidate, expected}` where each has its own |
  # | `:pattern` | what candidates are held against: `%{args:, return:, raised:, value:}`, each of `ElixirScope.Case.Expected`, or missing |
  # | `:server` | whose state was asked: its history is shown |
  # | `:at` | the moment of the failure; now, if it is not said |
  #
  # The report is bounded: a part that is long is cut, a part that fails says so, and none keeps the others from being shown.

  alias ElixirScope.Case.{Candidates, Parts, Scope}
  alias ElixirScope.{Native, Text}

  @spec fail(map) :: no_return
  def fail(%{expected: expected} = failure) do
    family = Map.get(failure, :family)
    # What the report itself does is no part of it.
    failure = Map.put(failure, :now, Native.now())

    parts = [
      expected,
      Map.get(failure, :found, ""),
      Parts.guarded("candidates", fn ->
        Candidates.lines(Map.get(failure, :candidates, []), failure[:pattern], family)
      end)
      | around(family, failure)
    ]

    raise ExUnit.AssertionError, message: joined(parts)
  end

  defp around(nil, _failure), do: []

  defp around(family, failure) do
    [
      Parts.missing(family),
      if(failure[:server], do: Parts.states(family, failure.server), else: []),
      Parts.processes(family),
      Parts.messages(family, failure[:at] || failure.now),
      Parts.place(family, failure[:at] || failure.now)
    ]
  end

  # Between two parts stands an empty line.
  defp joined(parts) do
    parts
    |> Enum.map(&(&1 |> List.wrap() |> Enum.join("\n") |> String.trim_trailing()))
    |> Enum.reject(&(&1 == ""))
    |> Enum.join("\n\n")
  end

  @doc "A call was expected and none matches."
  def not_called(mfa, text, calls, recording) do
    fail(%{
      expected: "Expected a call that matches\n\n    #{text}\n\nin this test's processes.",
      found: found(mfa, calls),
      family: family(recording),
      candidates: calls
    })
  end

  defp found(mfa, []), do: "#{Text.mfa(mfa)} was not called."
  defp found(mfa, [_]), do: "There is 1 call of #{Text.mfa(mfa)} recorded:"
  defp found(mfa, calls), do: "There are #{length(calls)} calls of #{Text.mfa(mfa)} recorded:"

  @doc "No call was expected and one matches."
  def called(text, call, recording) do
    fail(%{
      expected:
        "Expected no call that matches\n\n    #{text}\n\nin this test's processes, but this one was recorded:",
      family: family(recording),
      candidates: [call]
    })
  end

  @doc "No call was expected and none was recorded, but events are missing."
  def undecided(_mfa, text, gaps) do
    fail(%{
      expected: "Expected no call that matches\n\n    #{text}",
      found:
        "Undecided: none was recorded, but events are missing in the time of this test.\n" <>
          "#{Enum.map_join(gaps, "\n", &Parts.gap/1)}\n#{advice(gaps)}"
    })
  end

  defp advice(gaps) do
    if Enum.any?(gaps, &(&1.cause in [:full, :oversize])),
      do: "Raise limits: [ring_bytes: ...], or record fewer functions.",
      else: "ElixirScope.status() says more."
  end

  @spec impossible(String.t()) :: no_return
  def impossible(message), do: fail(%{expected: "The question cannot be answered: #{message}"})

  # Until the assertions give theirs.
  defp family(recording) do
    %{
      recording: recording,
      test: self(),
      since: Scope.since(),
      pids: recording |> Scope.pids(self()) |> Enum.to_list()
    }
  end
end
