defmodule ElixirScope.Case.Flow.Search do
  @moduledoc false
  # Which candidate each step of a flow is, so that all fit together: an exact search, by backtracking.
  #
  # Steps are placed in the order of the source, since a later one may pin what an earlier one bound; when they have to have happened is
  # said by `after`. Of each the earliest candidate is tried first, so the answer is the first in that order of all that fit. A place
  # from which nothing fitted is remembered by all that matters from there on, so what is tried grows with the candidates, not with
  # their combinations, where steps do not depend on what others bound. It is bounded all the same: two flows may be as hard as any riddle.

  @typedoc "Something that happened. No two have the same `key`, and `at` is its place in the order of the recording."
  @type candidate :: %{
          :key => term,
          :at => {non_neg_integer, non_neg_integer},
          :subject => term,
          optional(atom) => term
        }

  @typedoc """
  `match` is given what happened and the variables of the flow, and gives these with those that it binds. `uses` are the places in `bound` that it
  looks at, `after` the earlier steps (by their places) that it must not be before, `causes` those that must have led to it.
  """
  @type step :: %{
          :candidates => [candidate],
          :match => (term, tuple -> {:ok, tuple} | :error),
          :uses => [non_neg_integer],
          :after => [non_neg_integer],
          :causes => [non_neg_integer],
          optional(atom) => term
        }

  @typedoc "Why a candidate is not what a step asks for."
  @type refusal ::
          :other
          | :too_early
          | :taken
          | {:not_caused, non_neg_integer}
          | {:perhaps_caused, non_neg_integer}

  @typedoc """
  `matched` are the candidates of the first steps. Where not all were found they are the first so many that came furthest, and the step behind them
  is the one that was not found. `doubtful` says whether an unknown cause stood in the way.
  """
  @type answer :: %{
          outcome: :found | :none | :gave_up,
          matched: [candidate],
          bound: tuple,
          doubtful: boolean
        }

  @looks 2_000_000

  defstruct [:steps, :count, :linked, :lenient, :looks, :best, failed: %{}, links: %{}, doubtful: false]

  @doc """
  Looks for a candidate for each step. `linked` says whether one candidate led to another. Options: `lenient: true` takes an unknown
  cause for one, `looks:` is how many candidates are looked at before it is given up.
  """
  @spec run([step], tuple, (candidate, candidate -> boolean | :unknown), keyword) :: answer
  def run(steps, bound, linked, options \\ []) do
    search = %__MODULE__{
      steps: steps |> Enum.map(&sifted(&1, bound)) |> List.to_tuple(),
      count: length(steps),
      linked: linked,
      lenient: Keyword.get(options, :lenient, false),
      looks: Keyword.get(options, :looks, @looks),
      best: {0, [], bound}
    }

    case place(search, 0, [], bound) do
      {:found, matched, bound, search} -> answer(:found, matched, bound, search)
      {:none, search} -> came_to(:none, search)
    end
  catch
    {__MODULE__, search} -> came_to(:gave_up, search)
  end

  defp came_to(outcome, %{best: {_count, matched, bound}} = search),
    do: answer(outcome, matched, bound, search)

  defp answer(outcome, matched, bound, search),
    do: %{outcome: outcome, matched: Enum.reverse(matched), bound: bound, doubtful: search.doubtful}

  # What a step says is the same whatever others bound, unless it looks at it.
  defp sifted(%{uses: []} = step, bound),
    do: %{step | candidates: Enum.filter(step.candidates, &(step.match.(&1.subject, bound) != :error))}

  defp sifted(step, _bound), do: step

  # `matched` are the candidates of the steps before, the last one first.
  defp place(%{count: count} = search, count, matched, bound), do: {:found, matched, bound, search}

  defp place(search, number, matched, bound) do
    search = furthest(search, number, matched, bound)
    key = what_matters(search, number, matched, bound)

    if is_map_key(search.failed, key) do
      {:none, search}
    else
      step = elem(search.steps, number)
      earliest = earliest(step, matched, number)

      case try_each(step.candidates, search, {step, number, earliest}, matched, bound) do
        {:none, search} -> {:none, %{search | failed: Map.put(search.failed, key, true)}}
        found -> found
      end
    end
  end

  defp try_each([], search, _about, _matched, _bound), do: {:none, search}

  defp try_each([%{at: at} | more], search, {_step, _number, earliest} = about, matched, bound)
       when at < earliest,
       do: try_each(more, search, about, matched, bound)

  defp try_each([candidate | more], search, {step, number, _earliest} = about, matched, bound) do
    search = look(search)

    with false <- taken?(candidate, matched),
         {:ok, bound_now} <- step.match.(candidate.subject, bound),
         {true, search} <- caused(step.causes, candidate, matched, number, search) do
      case place(search, number + 1, [candidate | matched], bound_now) do
        {:none, search} -> try_each(more, search, about, matched, bound)
        found -> found
      end
    else
      {false, search} -> try_each(more, search, about, matched, bound)
      # Taken, or it does not match.
      _not_this_one -> try_each(more, search, about, matched, bound)
    end
  end

  defp look(%{looks: 0} = search), do: throw({__MODULE__, search})
  defp look(search), do: %{search | looks: search.looks - 1}

  defp taken?(candidate, matched), do: Enum.any?(matched, &(&1.key == candidate.key))

  # Of the steps before `number`, which stand in `matched` turned round.
  defp matched_at(matched, number, place), do: Enum.at(matched, number - 1 - place)

  defp earliest(step, matched, number) do
    for place <- step.after, place < number, reduce: {0, 0} do
      latest -> max(latest, matched_at(matched, number, place).at)
    end
  end

  defp caused([], _candidate, _matched, _number, search), do: {true, search}

  defp caused([place | more], candidate, matched, number, search) do
    cause = matched_at(matched, number, place)

    case link(cause, candidate, search) do
      {true, search} ->
        caused(more, candidate, matched, number, search)

      {:unknown, %{lenient: true} = search} ->
        caused(more, candidate, matched, number, %{search | doubtful: true})

      {:unknown, search} ->
        {false, %{search | doubtful: true}}

      {false, search} ->
        {false, search}
    end
  end

  # To find out takes a search of its own.
  defp link(cause, candidate, search) do
    pair = {cause.key, candidate.key}

    case search.links do
      %{^pair => answer} ->
        {answer, search}

      links ->
        answer = search.linked.(cause, candidate)
        {answer, %{search | links: Map.put(links, pair, answer)}}
    end
  end

  defp furthest(%{best: {count, _, _}} = search, number, matched, bound) when number > count,
    do: %{search | best: {number, matched, bound}}

  defp furthest(search, _number, _matched, _bound), do: search

  # All that the rest of the steps can see of those before: since when each may be, what they look at, what must have led to them, and
  # which candidates are no more to be had.
  defp what_matters(search, number, matched, bound) do
    rest = for place <- number..(search.count - 1)//1, do: elem(search.steps, place)
    since = since(rest, number, matched |> Enum.map(& &1.at) |> Enum.reverse())
    uses = rest |> Enum.flat_map(& &1.uses) |> Enum.uniq()

    causes =
      for step <- rest, place <- step.causes, place < number, do: matched_at(matched, number, place).key

    from = Enum.min(since)
    taken = for candidate <- matched, candidate.at >= from, do: candidate.key
    {number, since, Enum.map(uses, &elem(bound, &1)), causes, Enum.sort(taken)}
  end

  # A step that is behind one that has no place yet is behind all that this one is behind.
  defp since(rest, number, placed) do
    rest
    |> Enum.reduce(placed, fn step, times ->
      times ++ [step.after |> Enum.map(&Enum.at(times, &1)) |> Enum.max(fn -> {0, 0} end)]
    end)
    |> Enum.drop(number)
  end

  @doc "Why a candidate is none of the step of a number, behind what was matched before; `nil`: it is."
  @spec refusal(
          [step],
          non_neg_integer,
          [candidate],
          tuple,
          candidate,
          (candidate, candidate ->
             boolean | :unknown)
        ) ::
          refusal | nil
  def refusal(steps, number, matched, bound, candidate, linked) do
    step = Enum.at(steps, number)
    matched = Enum.reverse(matched)

    cond do
      step.match.(candidate.subject, bound) == :error -> :other
      taken?(candidate, matched) -> :taken
      candidate.at < earliest(step, matched, number) -> :too_early
      true -> Enum.find_value(step.causes, &unlinked(&1, candidate, matched, number, linked))
    end
  end

  defp unlinked(place, candidate, matched, number, linked) do
    case linked.(matched_at(matched, number, place), candidate) do
      true -> nil
      false -> {:not_caused, place}
      :unknown -> {:perhaps_caused, place}
    end
  end
end
