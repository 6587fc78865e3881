defmodule ElixirScope.Case.Failure.Candidates do
  @moduledoc false
  # What was recorded and comes near to what was expected, the nearest first: two lines each, and one for each part that differs.

  alias ElixirScope.{Call, Change, Event, Message, Path, Text}
  alias ElixirScope.Case.{Failure, Said}

  @shown 5
  # So many are held against the pattern, the newest.
  @looked 1_000
  # Parts of one candidate that are named.
  @differences 3
  @width 100
  @indent "    "

  @doc "The lines of the nearest candidates, and how many more there are."
  @spec lines(list, map | nil, map | nil, non_neg_integer | nil) :: [String.t()]
  def lines(candidates, pattern, family, count \\ nil) do
    colors? = IO.ANSI.enabled?()

    ranked =
      candidates
      |> Enum.take(-@looked)
      |> Enum.map(&held(&1, pattern))
      |> Enum.sort_by(fn {_candidate, differences} -> distance(differences) end)

    shown = Enum.take(ranked, @shown)
    more = (count || length(candidates)) - length(shown)

    Enum.flat_map(shown, fn {candidate, differences} -> one(candidate, differences, family, colors?) end) ++
      if(more > 0, do: [@indent <> "and #{Text.number(more)} more"], else: [])
  end

  # How much of the pattern does not match.
  defp distance(differences), do: differences |> Enum.map(& &1.weight) |> Enum.sum()

  defp held({time, _value} = candidate, pattern) when is_integer(time), do: held(candidate, pattern, :value)
  defp held({candidate, pattern}, _of_all) when is_map(pattern), do: held(candidate, pattern, :own)
  defp held(candidate, pattern), do: held(candidate, pattern, :value)

  defp held(candidate, nil, _which), do: {candidate, []}

  # Of a message that is shown which comes nearer: without what OTP puts around it, or all of it.
  defp held(%Message{content: content} = message, %{value: _expected} = pattern, _which) do
    for(said <- Enum.reverse(Said.all(content)), do: %{message | content: said})
    |> Enum.map(&{&1, differences(&1, pattern)})
    |> Enum.min_by(fn {_message, differences} -> distance(differences) end)
  end

  defp held(candidate, pattern, _which), do: {candidate, differences(candidate, pattern)}

  # Of one that is refused though each of its parts is as it should be, the variables or the guard say why.
  defp differences(candidate, pattern) do
    with [] <- parts(candidate, pattern) do
      if Map.get(pattern, :refused?, fn _any -> true end).(candidate),
        do: together(candidate, pattern),
        else: []
    end
  end

  defp together(%Call{args: args} = call, pattern) do
    in_args = if pattern[:args] && args, do: numbered(pattern.args.patterns, args), else: []

    ending =
      with {expected, value, step} <- ended_with(call, pattern), do: [{hd(expected.patterns), value, [step]}]

    guards = for key <- [:args, :return, :raised], expected = pattern[key], do: expected.guard
    Failure.Bound.differences(in_args ++ List.wrap(ending), guards)
  end

  defp together(candidate, %{value: expected}) do
    case value(candidate) do
      {:ok, value} -> Failure.Bound.differences([{hd(expected.patterns), value, []}], [expected.guard])
      :none -> []
    end
  end

  defp together(_candidate, _pattern), do: []

  defp numbered(patterns, args) do
    for {{pattern, arg}, number} <- patterns |> Enum.zip(args) |> Enum.with_index(1),
        do: {pattern, arg, [{:arg, number}]}
  end

  defp ended_with(%{outcome: :returned} = call, %{return: expected}), do: {expected, call.return, :return}

  defp ended_with(%{outcome: :raised, exception: %{reason: reason}}, %{raised: expected}),
    do: {expected, reason, :raised}

  defp ended_with(_call, _pattern), do: nil

  defp parts(%Call{} = call, pattern) do
    in_args =
      if pattern[:args] && call.args, do: Failure.Mismatch.arguments(pattern.args, call.args), else: []

    in_args ++ ending(call, pattern)
  end

  defp parts(candidate, %{value: expected}) do
    case value(candidate) do
      {:ok, value} -> Failure.Mismatch.value(expected, value)
      :none -> []
    end
  end

  defp parts(_candidate, _pattern), do: []

  defp ending(%{outcome: :returned} = call, %{return: expected}),
    do: beneath(Failure.Mismatch.value(expected, call.return), :return)

  # An error of the VM is known by its reason and as an exception.
  defp ending(%{outcome: :raised, exception: %{kind: kind, reason: reason, stack: stack}}, %{raised: expected}) do
    [reason, Exception.normalize(kind, reason, stack || [])]
    |> Enum.map(&Failure.Mismatch.value(expected, &1))
    |> Enum.min_by(&distance/1)
    |> beneath(:raised)
  end

  defp ending(call, %{return: expected}), do: otherwise(call, expected, "to return")
  defp ending(call, %{raised: expected}), do: otherwise(call, expected, "to raise")
  defp ending(_call, _pattern), do: []

  defp beneath(differences, step), do: for(one <- differences, do: %{one | path: [step | one.path]})

  defp otherwise(_call, %{patterns: [pattern], pins: pins}, what),
    do: [
      %Failure.Mismatch{
        path: [:ending],
        expected: "#{what} #{Failure.Mismatch.text(pattern, pins)}",
        got: :none
      }
    ]

  defp value({_time, value}), do: {:ok, value}
  defp value(%Change{state: state}), do: {:ok, state}
  defp value(%Message{content: content}), do: {:ok, content}
  defp value(%Event{kind: :exit, data: %{reason: reason}}), do: {:ok, reason}
  defp value(%Event{kind: :state, data: %{state: state}}), do: {:ok, state}
  defp value(_other), do: :none

  defp one(text, _differences, _family, _colors?) when is_binary(text), do: [@indent <> text]

  defp one(candidate, differences, family, colors?) do
    [@indent <> Text.columns([clock(candidate), who(candidate, family)])] ++
      shown(candidate, differences, colors?) ++ Enum.map(named(differences), &difference(&1, colors?)) ++ [""]
  end

  defp named(differences) do
    {first, more} = Enum.split(differences, @differences)
    if more == [], do: first, else: first ++ [length(more)]
  end

  defp clock({time, _value}), do: Text.clock(time)
  defp clock(%Call{started: time}), do: Text.clock(time)
  defp clock(%Message{} = message), do: Text.clock(Message.time(message))
  defp clock(%{time: time}), do: Text.clock(time)

  defp who({_time, _value}, _family), do: ""

  defp who(%Message{to: nil} = message, family),
    do:
      "#{Failure.Parts.name(family, message.from, Message.time(message))} -> #{Text.Message.to(message, nil)}"

  defp who(%Message{} = message, family) do
    time = Message.time(message)
    "#{Failure.Parts.name(family, message.from, time)} -> #{Failure.Parts.name(family, message.to, time)}"
  end

  defp who(%Call{pid: pid, started: time}, family), do: Failure.Parts.name(family, pid, time)
  defp who(%{pid: pid, time: time}, family), do: Failure.Parts.name(family, pid, time)

  # The outcome goes on a line of its own where the call is long, or where a part of it is marked.
  defp shown(%Call{} = call, differences, colors?) do
    called = called(call, for(%{path: [{:arg, _} | _] = path} <- differences, do: path))
    ended = ended(call, differences)
    line = called ++ [{" ", false}] ++ ended

    if line |> Failure.Marked.plain() |> Text.width() <= @width,
      do: Failure.Marked.lines(line, @indent <> "  ", colors?),
      else:
        Failure.Marked.lines(called, @indent <> "  ", colors?) ++
          Failure.Marked.lines(ended, @indent <> "  ", colors?)
  end

  defp shown(candidate, differences, colors?) do
    case value(candidate) do
      {:ok, value} ->
        value
        |> Failure.Marked.value(Enum.map(differences, & &1.path), @width)
        |> Failure.Marked.lines(@indent <> "  ", colors?)

      :none ->
        [@indent <> "  " <> Text.short(candidate, width: @width)]
    end
  end

  defp called(%{args: nil, mfa: {module, function, _}}, _paths),
    do: [{"#{inspect(module)}.#{function}(arguments not recorded)", false}]

  defp called(%{args: args, mfa: mfa}, paths), do: Failure.Marked.call(mfa, args, paths, @width)

  defp ended(%{outcome: :returned, return: return}, differences),
    do: [{"-> ", false} | Failure.Marked.value(return, inner(differences, :return), div(@width, 2))]

  defp ended(%{outcome: :raised, exception: %{kind: kind, reason: reason, stack: stack}}, differences) do
    marked? = inner(differences, :raised) != [] or Enum.any?(differences, &(&1.path == [:ending]))
    [{Text.exception(kind, reason, stack: stack, width: @width), marked?}]
  end

  defp ended(%{outcome: :open}, _differences), do: [{"has not returned", false}]
  defp ended(_call, _differences), do: [{"-> unknown", false}]

  defp inner(differences, step), do: for(%{path: [^step | path]} <- differences, do: path)

  defp difference(more, _colors?) when is_integer(more),
    do: @indent <> "  and #{more} more that #{if more == 1, do: "differs", else: "differ"}"

  defp difference(%Failure.Mismatch{path: [:ending], expected: expected}, _colors?),
    do: @indent <> "  expected it #{expected}"

  defp difference(%Failure.Mismatch{path: [:guard], expected: guard}, _colors?),
    do: @indent <> "  expected the guard to be true: #{guard}"

  defp difference(%Failure.Mismatch{path: path, expected: expected, got: got}, colors?) do
    @indent <>
      "  #{place(path)}expected #{Text.paint(expected, :red, color: colors?)}#{got(got, colors?)}"
  end

  defp got(:none, _colors?), do: ", which is not there"

  defp got({:ok, value}, colors?),
    do: ", got #{Text.paint(Text.short(value, width: 60), :green, color: colors?)}"

  defp place([]), do: ""
  defp place([{:arg, number} | path]), do: "argument #{number}#{within(path)}: "
  defp place([:return | path]), do: "what it returned#{within(path)}: "
  defp place([:raised | path]), do: "what it raised#{within(path)}: "
  defp place(path), do: "at #{Path.format(path)}: "

  defp within([]), do: ""
  defp within(path), do: " at #{Path.format(path)}"
end
