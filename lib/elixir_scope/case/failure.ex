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
  # | `:candidates_count` | how many there are, where only the newest are given |
  # | `:pattern` | what candidates are held against: `%{args:, return:, raised:, value:}`, each of `ElixirScope.Case.Failure.Expected`, or missing |
  # | `:server` | whose state was asked: its history is shown |
  # | `:at` | the moment of the failure; now, if it is not said |
  #
  # The report is bounded: a part that is long is cut, a part that fails says so, and none keeps the others from being shown.

  alias ElixirScope.Case.Failure
  alias ElixirScope.Native

  @spec fail(map) :: no_return
  def fail(%{expected: expected} = failure) do
    family = Map.get(failure, :family)
    # What the report itself does is no part of it.
    failure = Map.put(failure, :now, Native.now())

    parts = [
      expected,
      Map.get(failure, :found, ""),
      Failure.Parts.guarded("candidates", fn ->
        candidates = Map.get(failure, :candidates, [])
        count = Map.get(failure, :candidates_count, length(candidates))
        Failure.Candidates.lines(candidates, failure[:pattern], family, count)
      end)
      | around(family, failure)
    ]

    :erlang.raise(:error, ExUnit.AssertionError.exception(message: joined(parts)), stack())
  end

  # The failure is that of the line in the test: what stands above it is ours, and what we have called.
  defp stack do
    {:current_stacktrace, stack} = Process.info(self(), :current_stacktrace)

    case stack |> Enum.reverse() |> Enum.take_while(&(not ours?(&1))) |> Enum.reverse() do
      # A test far below what called us.
      [] -> stack
      of_the_test -> of_the_test
    end
  end

  defp ours?({module, _, _, _}),
    do: module |> Atom.to_string() |> String.starts_with?("Elixir.ElixirScope.Case.")

  defp around(nil, _failure), do: []

  defp around(family, failure) do
    [
      Failure.Parts.missing(family),
      if(failure[:server], do: Failure.Parts.states(family, failure.server), else: []),
      Failure.Parts.processes(family),
      Failure.Parts.messages(family, failure[:at] || failure.now),
      Failure.Parts.place(family, failure[:at] || failure.now)
    ]
  end

  # Between two parts stands an empty line.
  defp joined(parts) do
    parts
    |> Enum.map(&(&1 |> List.wrap() |> Enum.join("\n") |> String.trim_trailing()))
    |> Enum.reject(&(&1 == ""))
    |> Enum.join("\n\n")
  end

  @spec impossible(String.t()) :: no_return
  def impossible(message), do: fail(%{expected: "The question cannot be answered: #{message}"})
end
