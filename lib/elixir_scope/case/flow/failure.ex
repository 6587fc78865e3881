defmodule ElixirScope.Case.Flow.Failure do
  @moduledoc false
  # What a flow that was not as expected says: how far it came, which step was not found, and what came nearest to that one.

  alias ElixirScope.Case.{Failure, Flow}
  alias ElixirScope.{Call, Event, Message, Query, Text}
  alias ElixirScope.Text.Sentence

  @shown 8
  @looked 200
  @width 60

  @spec not_found(Flow.Search.answer(), [map], map, function) :: no_return
  def not_found(answer, steps, family, linked) do
    number = length(answer.matched)
    refused = refused(steps, number, answer, linked)
    step = Enum.at(steps, number)
    hidden = Flow.Candidates.hidden(step, step.candidates, answer.bound)

    found = [
      if(answer.outcome == :gave_up, do: "Undecided: " <> too_many()),
      if(hidden, do: "Undecided: " <> hidden),
      came_to(number, length(steps)),
      "",
      listed(steps, answer.matched, family),
      bound(steps, answer, number),
      "",
      unfit(refused, number, answer, family),
      others(Enum.at(steps, number), refused)
    ]

    near =
      {for({candidate, :other} <- refused, do: near(candidate)),
       Enum.at(steps, number).expected.(answer.bound)}

    fail("Expected this flow in the processes of this test:", steps, found, family, near)
  end

  defp came_to(0, _count), do: "Its first step was not found."
  defp came_to(1, _count), do: "Step 1 was found, step 2 behind it was not."
  defp came_to(number, _count), do: "Steps 1 to #{number} were found, step #{number + 1} with them was not."

  @spec found(String.t(), Flow.Search.answer(), [map], map) :: no_return
  def found(what, answer, steps, family) do
    found = ["It was recorded:", "", listed(steps, answer.matched, family)]
    fail("Expected #{what} in the processes of this test:", steps, found, family)
  end

  @spec undecided(String.t(), [map], map, String.t()) :: no_return
  def undecided(what, steps, family, reason),
    do:
      fail(
        "Expected #{what} in the processes of this test:",
        steps,
        ["Undecided: none was recorded, but " <> reason],
        family
      )

  @spec impossible(String.t()) :: no_return
  def impossible(message), do: Failure.impossible(message)

  @doc "Why the search was given up."
  @spec too_many() :: String.t()
  def too_many,
    do:
      "there are too many ways in which the steps could fit together, and none of those that were tried did. Say more in the patterns: " <>
        "pin what is known, and put steps with few matches first."

  @doc "Of a flow that is there if something unknown is so."
  @spec perhaps(Flow.Search.answer(), [map], map, function) :: String.t()
  def perhaps(answer, steps, family, linked) do
    by_place = List.to_tuple(answer.matched)

    doubts =
      for {step, candidate} <- Enum.zip(steps, answer.matched),
          place <- step.causes,
          linked.(elem(by_place, place), candidate) == :unknown,
          do:
            "whether step #{place + 1} led to step #{step.number + 1} is unknown: " <>
              why(elem(by_place, place), candidate, family)

    Enum.join(doubts ++ ["", listed(steps, answer.matched, family)], "\n")
  end

  defp fail(expected, steps, found, family, candidates \\ {[], nil}) do
    {candidates, pattern} = candidates

    Failure.fail(%{
      expected: expected <> "\n\n" <> flow(steps),
      found: found |> List.flatten() |> Enum.reject(&is_nil/1) |> Enum.join("\n") |> String.trim_trailing(),
      family: family,
      server: nil,
      candidates: candidates,
      pattern: pattern
    })
  end

  defp flow(steps),
    do: steps |> Enum.map(&["    #{&1.number + 1}", &1.text, group(&1)]) |> Text.table() |> Enum.join("\n")

  defp group(%{causes: [place]}), do: "led to by step #{place + 1}"
  defp group(%{group: :any_order}), do: "in any order"
  defp group(_step), do: ""

  # Each step with what it was.
  defp listed(steps, matched, family) do
    rows =
      for step <- steps do
        case Enum.at(matched, step.number) do
          nil ->
            [
              "    #{step.number + 1}",
              if(step.number == length(matched), do: "not found", else: ""),
              "",
              step.text
            ]

          candidate ->
            ["    #{step.number + 1}" | row(candidate, family)]
        end
      end

    Text.table(rows)
  end

  defp row(candidate, family) do
    {time, _id} = candidate.at
    [Text.clock(time), who(candidate, family), what(candidate, family)]
  end

  defp who(%{subject: {{from, _to}, _values}}, family), do: process(from, family)
  defp who(%{thing: %{pid: pid}}, family), do: process(pid, family)

  defp process(nil, _family), do: "somebody"
  defp process(pid, %{test: pid}), do: "the test"
  defp process(pid, family) when is_pid(pid), do: Text.process(family.recording, pid)
  defp process(name, _family), do: inspect(name)

  defp what(%{subject: {{_from, to}, values}}, family),
    do: "sends #{process(to, family)} #{short(List.last(values))}"

  defp what(%{thing: %Event{kind: :state, data: nil}}, _family), do: "a state that cannot be told"
  defp what(%{thing: %Event{kind: :state, data: data}}, _family), do: "state #{short(data.state)}"

  defp what(%{thing: %Event{} = event}, family),
    do: Sentence.of(event, width: @width, recording: family.recording)

  defp what(%{thing: %Call{} = call}, _family),
    do: "#{Text.call(call.mfa, call.args, width: @width)} #{Sentence.ending(call, width: 40)}"

  defp short(term), do: Text.short(term, width: @width)

  # The variables that the step which was not found looks at.
  defp bound(steps, answer, number) do
    case Enum.at(steps, number) do
      %{uses: [_ | _] = uses, names: names} ->
        values =
          for {place, name} <- Enum.zip(uses, names), do: "#{name} = #{short(elem(answer.bound, place))}"

        ["", "From the steps before: #{Enum.join(values, ", ")}"]

      _looks_at_none ->
        []
    end
  end

  # The newest candidates of the step that was not found, and why each is none.
  defp refused(steps, number, answer, linked) do
    for candidate <- Enum.take(Enum.at(steps, number).candidates, -@looked),
        refusal = Flow.Search.refusal(steps, number, answer.matched, answer.bound, candidate, linked),
        do: {candidate, refusal}
  end

  # Those that match, but not here.
  defp unfit(refused, number, answer, family) do
    case for({candidate, refusal} <- refused, refusal != :other, do: {candidate, refusal}) do
      [] ->
        []

      unfit ->
        shown = unfit |> Enum.sort_by(fn {_candidate, refusal} -> far(refusal) end) |> Enum.take(@shown)
        rows = for {candidate, refusal} <- shown, do: ["  " | row(candidate, family)] ++ [reason(refusal)]

        doubts =
          for {candidate, {:perhaps_caused, place}} <- Enum.take(shown, 1),
              do: doubt(place, candidate, answer, family)

        [
          "These match step #{number + 1} and do not fit:",
          "",
          Text.table(rows),
          more(length(unfit) - length(shown)),
          doubts,
          ""
        ]
    end
  end

  # Candidates that do not match are shown behind it, with what differs.
  defp others(step, refused) do
    cond do
      Enum.any?(refused, &match?({_candidate, :other}, &1)) ->
        "What comes nearest to step #{step.number + 1}:"

      refused == [] ->
        "#{none(step)} was recorded."

      true ->
        nil
    end
  end

  defp near(%{subject: {{from, to}, values}, at: {time, id}}) do
    %Message{
      from: from,
      to: if(is_pid(to), do: to),
      target: to,
      content: List.first(values),
      sent: %{id: id, time: time}
    }
  end

  defp near(%{thing: thing}), do: thing

  defp none(%{kind: :call, mfa: mfa}), do: "No call of #{Text.mfa(mfa)}"
  defp none(%{kind: :returned, mfa: mfa}), do: "No return of #{Text.mfa(mfa)}"
  defp none(%{kind: :raised, mfa: mfa}), do: "No exception of #{Text.mfa(mfa)}"
  defp none(%{kind: :message}), do: "No message between these processes"
  defp none(%{kind: :state}), do: "No new state"
  defp none(%{kind: :exited}), do: "No end of it"

  defp far({:perhaps_caused, _place}), do: 0
  defp far({:not_caused, _place}), do: 1
  defp far(:taken), do: 2
  defp far(:too_early), do: 3

  defp reason(:too_early), do: "matches, but comes too early"
  defp reason(:taken), do: "matches, but is another step already"
  defp reason({:not_caused, place}), do: "matches, but step #{place + 1} did not lead to it"

  defp reason({:perhaps_caused, place}),
    do: "matches, but nobody knows whether step #{place + 1} led to it"

  defp doubt(place, candidate, answer, family),
    do: ["", "Undecided: " <> why(Enum.at(answer.matched, place), candidate, family)]

  defp why(cause, effect, family) do
    case Query.Causality.path(cause.place, effect.place, in: family.recording) do
      {:error, error} -> error.message
      # It became known since.
      {:ok, _way} -> "it was not when it was asked"
    end
  end

  defp more(0), do: []
  defp more(count), do: "    and #{Text.number(count)} more"
end
