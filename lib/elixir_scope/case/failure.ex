defmodule ElixirScope.Case.Failure do
  @moduledoc false
  # What a failed assertion says.

  alias ElixirScope.{Query, Text}

  @shown 10

  def not_called(mfa, text, calls, recording) do
    fail("""
    Expected a call that matches

        #{text}

    in this test's processes. #{nearest(mfa, calls)}#{missing(recording)}
    The recording is #{recording.path}
    """)
  end

  def called(text, call, recording) do
    fail("""
    Expected no call that matches

        #{text}

    in this test's processes, but this one was recorded:

    #{line(call)}
    The recording is #{recording.path}
    """)
  end

  def undecided(_mfa, text, gaps) do
    fail("""
    Expected no call that matches

        #{text}

    Undecided: none was recorded, but events are missing in the time of this test.
    #{Enum.map_join(gaps, "\n", &gap/1)}
    #{advice(gaps)}
    """)
  end

  defp advice(gaps) do
    if Enum.any?(gaps, &(&1.cause in [:full, :oversize])),
      do: "Raise limits: [ring_bytes: ...], or record fewer functions.",
      else: "ElixirScope.status() says more."
  end

  def impossible(message), do: fail("The question cannot be answered: #{message}")

  defp nearest(mfa, []), do: "#{name(mfa)} was not called."

  defp nearest(mfa, calls) do
    shown = Enum.take(calls, @shown)
    more = length(calls) - length(shown)
    rest = if more > 0, do: "\n    and #{more} more", else: ""

    "#{count(length(calls))} of #{name(mfa)} recorded:\n\n" <>
      Enum.map_join(shown, "\n", &line/1) <> rest <> "\n"
  end

  defp count(1), do: "There is 1 call"
  defp count(many), do: "There are #{many} calls"

  defp missing(recording) do
    case Query.status(in: recording) do
      {:ok, %{gaps: [_ | _] = gaps}} -> "\nEvents are missing:\n#{Enum.map_join(gaps, "\n", &gap/1)}"
      _ -> ""
    end
  end

  defp gap(gap),
    do: "    #{gap.count} lost (#{gap.cause}) from #{Text.clock(gap.from)} to #{Text.clock(gap.to)}"

  defp line(call) do
    "    #{Text.clock(call.started)}  #{inspect(call.pid)}  #{called(call)} #{ending(call)}"
  end

  defp called(%{args: nil, mfa: {module, function, _}}),
    do: "#{inspect(module)}.#{function}(arguments not recorded)"

  defp called(call), do: Text.call(call.mfa, call.args)

  defp ending(%{outcome: :returned} = call), do: "-> #{Text.short(call.return)}"

  defp ending(%{outcome: :raised, exception: %{kind: kind, reason: reason}}),
    do: "#{kind} #{Text.short(reason)}"

  defp ending(%{outcome: :open}), do: "has not returned"
  defp ending(_call), do: "-> unknown"

  defp name(mfa), do: Text.mfa(mfa)

  def fail(%{expected: expected, found: found}), do: fail(expected <> "\n\n" <> found)
  def fail(message), do: raise(ExUnit.AssertionError, message: String.trim_trailing(message))
end
