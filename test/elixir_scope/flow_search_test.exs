defmodule ElixirScope.FlowSearchTest do
  # The search for the steps of a flow, against a model that tries every combination.
  use ExUnit.Case, async: true

  alias ElixirScope.Case.Flow

  # Variables of a flow in these tests.
  @variables 3

  defp candidate(number, subject), do: %{key: number, at: {number, number}, subject: subject}

  defp step(candidates, match, more \\ []) do
    Map.merge(
      %{candidates: candidates, match: match, uses: [], after: [], causes: []},
      Map.new(more)
    )
  end

  defp is(value), do: fn subject, bound -> if subject == value, do: {:ok, bound}, else: :error end

  # What is found does not depend on how fast this machine is; where it should, the test says so.
  defp run(steps, linked \\ fn _, _ -> true end, options \\ []),
    do: Flow.Search.run(steps, {nil, nil, nil}, linked, [patience: 3_600_000] |> Keyword.merge(options))

  defp keys(answer), do: Enum.map(answer.matched, & &1.key)

  test "steps are found in their order, the earliest of each, with others between" do
    all = for {subject, number} <- Enum.with_index([:b, :a, :x, :a, :b, :b]), do: candidate(number, subject)
    assert %{outcome: :found} = answer = run([step(all, is(:a)), step(all, is(:b), after: [0])])
    assert keys(answer) == [1, 4]

    assert %{outcome: :none} =
             answer = run([step(all, is(:x)), step(all, is(:b), after: [0]), step(all, is(:a), after: [1])])

    assert keys(answer) == [2, 4]
  end

  test "one thing that happened is one step" do
    all = [candidate(1, :a)]
    assert %{outcome: :none} = run([step(all, is(:a)), step(all, is(:a), after: [0])])
    assert %{outcome: :none} = run([step(all, is(:a)), step(all, is(:a))])
  end

  test "what seemed right at first is taken back" do
    all = for number <- 1..6, do: candidate(number, number)
    bind = fn subject, bound -> {:ok, put_elem(bound, 0, subject)} end
    double = fn subject, bound -> if subject == 3 * elem(bound, 0), do: {:ok, bound}, else: :error end
    more = fn subject, bound -> if subject < elem(bound, 0) + 3, do: :error, else: {:ok, bound} end

    steps = [
      step(all, bind),
      step(all, double, uses: [0], after: [0]),
      step(all, more, uses: [0], after: [0])
    ]

    assert %{outcome: :found, bound: {1, nil, nil}} = answer = run(steps)
    assert keys(answer) == [1, 3, 4]

    assert keys(run(List.update_at(steps, 2, &%{&1 | candidates: [candidate(5, 5)], after: [1]}))) == [
             1,
             3,
             5
           ]

    # 2 and 6, since behind 3 nothing is twice as far.
    six = fn subject, bound -> if subject == 6 and elem(bound, 0) == 2, do: {:ok, bound}, else: :error end
    assert keys(run([step(all, bind), step(all, six, uses: [0], after: [0])])) == [2, 6]
  end

  test "an unknown cause is none, but for one who asks leniently" do
    all = [candidate(1, :a), candidate(2, :b)]
    steps = [step(all, is(:a)), step(all, is(:b), after: [0], causes: [0])]
    assert %{outcome: :none, doubtful: true} = run(steps, fn _, _ -> :unknown end)
    assert %{outcome: :found, doubtful: true} = run(steps, fn _, _ -> :unknown end, lenient: true)
    assert %{outcome: :none, doubtful: false} = run(steps, fn _, _ -> false end, lenient: true)
    assert %{outcome: :found, doubtful: false} = run(steps)

    [a, b] = all

    assert Flow.Search.refusal(steps, 1, [a], {nil, nil, nil}, b, fn _, _ -> :unknown end) ==
             {:perhaps_caused, 0}

    assert Flow.Search.refusal(steps, 1, [a], {nil, nil, nil}, b, fn _, _ -> false end) == {:not_caused, 0}
    assert Flow.Search.refusal(steps, 1, [a], {nil, nil, nil}, a, fn _, _ -> true end) == :other
    assert Flow.Search.refusal(steps, 1, [a], {nil, nil, nil}, b, fn _, _ -> true end) == nil
  end

  test "steps that do not depend on each other take no time that grows with their combinations" do
    all = for number <- 1..200, do: candidate(number, rem(number, 2))

    steps =
      for place <- 0..11, do: step(all, is(rem(place, 2)), after: if(place == 0, do: [], else: [place - 1]))

    never = step([candidate(3, :z)], is(:z), after: [11])
    assert %{outcome: :none} = answer = run(steps ++ [never])
    assert length(answer.matched) == 12
  end

  test "it is bounded, and says so" do
    all = for number <- 1..30, do: candidate(number, number)
    bind = fn place -> fn subject, bound -> {:ok, put_elem(bound, place, subject)} end end
    never = fn _subject, bound -> if tuple_size(bound) == 0, do: {:ok, bound}, else: :error end
    steps = for(place <- 0..2, do: step(all, bind.(place))) ++ [step(all, never, uses: [0, 1, 2])]
    assert %{outcome: :gave_up} = answer = run(steps, fn _, _ -> true end, looks: 1_000)
    assert keys(answer) == [1, 2, 3]
    assert %{outcome: :none} = run(steps, fn _, _ -> true end, looks: 2_000_000)
  end

  describe "steps in any order that may be each other's" do
    # Each of the first five may be any of 300 things.
    defp any_of_these(last) do
      all = for number <- 1..300, do: candidate(number, number)
      for(_place <- 1..5, do: step(all, fn _subject, bound -> {:ok, bound} end)) ++ [step(all, last)]
    end

    test "one that nothing matches decides, and those before it are named" do
      assert %{outcome: :none} = answer = run(any_of_these(is(:none)), fn _, _ -> true end, looks: 100)
      assert keys(answer) == [1, 2, 3, 4, 5]
    end

    test "one whose only candidate others may take is found" do
      assert %{outcome: :found} = answer = run(any_of_these(is(3)))
      assert keys(answer) == [1, 2, 4, 5, 6, 3]
    end

    test "two of which each has the same candidate alone are not found, and the furthest try is named" do
      assert %{outcome: :none} = answer = run(any_of_these(is(300)) ++ [step([candidate(300, 300)], is(300))])
      assert keys(answer) == [1, 2, 3, 4, 5, 300]
    end

    test "where it is too hard the search ends in time" do
      odd = fn subject, bound -> if tuple_size(bound) == 0 and subject > 0, do: {:ok, bound}, else: :error end
      steps = List.update_at(any_of_these(odd), 5, &%{&1 | uses: [0]})
      # It is the time that ends it: so many looks take minutes at least.
      answer = run(steps, fn _, _ -> true end, patience: 50, looks: 1_000_000_000_000)
      assert answer.outcome == :gave_up
      assert keys(answer) == [1, 2, 3, 4, 5]
    end
  end

  describe "random flows" do
    test "are found as by trying everything" do
      for seed <- 1..3_000 do
        :rand.seed(:exsss, {seed, 1, 2})
        {steps, links} = flow()
        linked = fn cause, effect -> Map.fetch!(links, {cause.key, effect.key}) end
        bound = Tuple.duplicate(nil, @variables)

        for lenient <- [false, true] do
          expected = model(steps, bound, linked, lenient)

          # Looking ahead from the beginning, and only where there is much to try.
          for first <- [0, 20_000] do
            answer =
              Flow.Search.run(steps, bound, linked, lenient: lenient, first_looks: first, patience: 3_600_000)

            found =
              if answer.outcome == :found,
                do: {Enum.map(answer.matched, & &1.key), answer.bound},
                else: answer.outcome

            assert found == expected,
                   "seed #{seed}, lenient: #{lenient}, first: #{first}: #{inspect(found)} is not #{inspect(expected)}"
          end
        end
      end
    end

    # Few things, places and values, so that much fits almost.
    defp flow do
      things = for number <- 1..pick(2..7), do: %{key: number, at: {pick(1..5), number}, subject: pick(1..3)}
      things = Enum.sort_by(things, & &1.at)
      {tree, count} = tree(pick(1..4), 0)
      steps = for {step, place} <- Enum.with_index(orders(tree, count)), do: dressed(step, place, things)
      answers = [true, true, false, :unknown]
      {steps, for(a <- things, b <- things, into: %{}, do: {{a.key, b.key}, Enum.random(answers)})}
    end

    # Steps one behind the other, in any order, or led to by each other.
    defp tree(0, next), do: {[], next}

    defp tree(size, next) do
      taken = pick(1..size)
      kind = Enum.random([:step, :any, :causal])
      taken = if kind == :step, do: 1, else: taken
      places = Enum.to_list(next..(next + taken - 1))
      {rest, last} = tree(size - taken, next + taken)
      {[{kind, places} | rest], last}
    end

    defp orders(groups, count) do
      {_, steps} =
        Enum.reduce(groups, {[], []}, fn {kind, places}, {before, steps} ->
          new = for place <- places, do: {place, order(kind, place, places, before)}
          {places, steps ++ new}
        end)

      for place <- 0..(count - 1)//1, do: steps |> List.keyfind!(place, 0) |> elem(1)
    end

    # As `Flow.Parse` makes them: what was led to is not asked for its time.
    defp order(:causal, place, [first | _], before) when place > first, do: {before, [place - 1]}

    defp order(_kind, _place, _places, before), do: {before, []}

    defp dressed({before, causes}, place, things) do
      {match, uses} = matcher(Enum.random([:is, :is, :bind, :pin, :below]), place)
      some = Enum.filter(things, fn _ -> pick(1..4) > 1 end)
      step(some, match, uses: uses, after: before, causes: causes)
    end

    defp matcher(:is, _place) do
      value = pick(1..3)
      {is(value), []}
    end

    defp matcher(:bind, _place) do
      at = pick(0..(@variables - 1))
      {fn subject, bound -> {:ok, put_elem(bound, at, subject)} end, []}
    end

    defp matcher(:pin, _place) do
      at = pick(0..(@variables - 1))
      {fn subject, bound -> if elem(bound, at) in [nil, subject], do: {:ok, bound}, else: :error end, [at]}
    end

    # Looks at one variable and binds another.
    defp matcher(:below, _place) do
      [at, other] = Enum.take_random(0..(@variables - 1), 2)

      match = fn subject, bound ->
        if subject <= elem(bound, at), do: {:ok, put_elem(bound, other, subject)}, else: :error
      end

      {match, [at]}
    end

    defp pick(range), do: Enum.random(range)

    # Every combination, in the order of the candidates of the first step, then of the second, ...
    defp model(steps, bound, linked, lenient) do
      steps
      |> Enum.reduce([[]], fn step, chosen ->
        for some <- chosen, one <- step.candidates, do: some ++ [one]
      end)
      |> Enum.find_value(:none, fn chosen -> fits(steps, chosen, bound, linked, lenient) end)
    end

    defp fits(steps, chosen, bound, linked, lenient) do
      keys = Enum.map(chosen, & &1.key)
      at = fn place -> Enum.at(chosen, place) end
      pairs = Enum.zip(steps, chosen)

      with true <- Enum.uniq(keys) == keys,
           true <- Enum.all?(pairs, fn {step, one} -> Enum.all?(step.after, &(at.(&1).at <= one.at)) end),
           true <-
             Enum.all?(pairs, fn {step, one} ->
               Enum.all?(step.causes, &linked?(linked.(at.(&1), one), lenient))
             end),
           {:ok, bound} <- matched(pairs, bound) do
        {keys, bound}
      else
        _unfit -> nil
      end
    end

    defp linked?(:unknown, lenient), do: lenient
    defp linked?(linked, _lenient), do: linked

    defp matched(pairs, bound) do
      Enum.reduce_while(pairs, {:ok, bound}, fn {step, one}, {:ok, bound} ->
        case step.match.(one.subject, bound) do
          {:ok, bound} -> {:cont, {:ok, bound}}
          :error -> {:halt, :error}
        end
      end)
    end
  end
end
