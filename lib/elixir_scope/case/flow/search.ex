defmodule ElixirScope.Case.Flow.Search do
  @moduledoc false
  # Which candidate each step of a flow is, so that all fit together: an exact search, by backtracking.
  #
  # Steps are placed in the order of the source, since a later one may pin what an earlier one bound; when they have to have happened is
  # said by `after`. Of each the earliest candidate is tried first, so the answer is the first in that order of all that fit. A place
  # from which nothing fitted is remembered by all that matters from there on, so what is tried grows with the candidates, not with
  # their combinations, where steps do not depend on what others bound.
  #
  # A step that nothing matches, whatever others are, is where it ends: those before it are looked for, to say how far it came. Where steps may take
  # each other's only candidates, the search looks ahead: it goes nowhere from where later steps have none left. That changes no answer, but how far
  # a flow that is not there is said to have come; so it begins only where the first tries have not decided.
  #
  # It is bounded all the same, in number and in time: two flows may be as hard as any riddle.

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
  # So many of them without looking ahead.
  @first_looks 20_000
  # Milliseconds for all of them. The time is asked for after so many.
  @patience 3_000
  @between 64

  defstruct [:steps, :count, :linked, :lenient, :looks, :first_looks, :ends, :best] ++
              [rest: {}, ahead?: false, failed: %{}, links: %{}, doubtful: false]

  @doc """
  Looks for a candidate for each step. `linked` says whether one candidate led to another. Options: `lenient: true` takes an unknown
  cause for one, `looks:` is how many candidates are looked at before it is given up, `patience:` for how many milliseconds, and
  `first_looks:` how many are looked at without looking ahead.
  """
  @spec run([step], tuple, (candidate, candidate -> boolean | :unknown), keyword) :: answer
  def run(steps, bound, linked, options \\ []) do
    steps = Enum.map(steps, &sifted(&1, bound))
    looks = Keyword.get(options, :looks, @looks)

    search = %__MODULE__{
      linked: linked,
      lenient: Keyword.get(options, :lenient, false),
      first_looks: Keyword.get(options, :first_looks, @first_looks),
      ends: now() + 1_000 * Keyword.get(options, :patience, @patience),
      best: {0, [], bound}
    }

    case Enum.split_while(steps, &possible?/1) do
      {steps, []} -> search |> of(steps, looks) |> searched(bound)
      {steps, _none} -> search |> of(steps, looks) |> searched(bound) |> not_all()
    end
  end

  # What the search knows of the steps is the same at each place.
  defp of(search, steps, looks) do
    tuple = List.to_tuple(steps)
    count = length(steps)
    rest = for number <- 0..(count - 1)//1, do: rest(tuple, number, count)
    %{search | steps: tuple, count: count, looks: looks, rest: List.to_tuple(rest)}
  end

  defp possible?(%{uses: [], candidates: []}), do: false
  defp possible?(_perhaps), do: true

  # The steps before one that nothing matches.
  defp not_all(%{outcome: :found} = answer), do: %{answer | outcome: :none}
  defp not_all(answer), do: answer

  defp searched(%{looks: looks} = search, bound) do
    first = min(looks, search.first_looks)

    with {:gave_up, tried} <- tried(%{search | looks: first}, bound) do
      left = looks - first
      tried(looking_ahead(%{tried | looks: left}), bound)
    end
    |> case do
      {:found, matched, bound, search} -> answer(:found, matched, bound, search)
      {outcome, search} -> came_to(outcome, search)
    end
  end

  # From the last step on, as each has those of the next one too.
  defp looking_ahead(search) do
    {rest, _none} =
      for number <- (search.count - 1)..0//-1, reduce: {[], MapSet.new()} do
        {rest, keys} ->
          keys = for %{key: key} <- elem(search.steps, number).candidates, into: keys, do: key
          {[Map.put(elem(search.rest, number), :keys, keys) | rest], keys}
      end

    %{search | ahead?: true, rest: List.to_tuple(rest)}
  end

  defp tried(search, bound) do
    place(search, 0, [], bound)
  catch
    {__MODULE__, search} -> {:gave_up, search}
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

    if is_map_key(search.failed, key) or (search.ahead? and hopeless?(search, number, key)) do
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

  defp look(%{looks: looks} = search) do
    if rem(looks, @between) == 0 and now() >= search.ends,
      do: throw({__MODULE__, search}),
      else: %{search | looks: looks - 1}
  end

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

  defp now, do: System.monotonic_time(:microsecond)

  # To find out takes a search of its own.
  defp link(cause, candidate, search) do
    pair = {cause.key, candidate.key}

    case search.links do
      %{^pair => answer} ->
        {answer, search}

      links ->
        began = now()
        answer = search.linked.(cause, candidate)
        # It is asked once of each pair, however many ways there are: it is not of their time.
        {answer, %{search | links: Map.put(links, pair, answer), ends: search.ends + now() - began}}
    end
  end

  defp furthest(%{best: {count, _, _}} = search, number, matched, bound) when number > count,
    do: %{search | best: {number, matched, bound}}

  defp furthest(search, _number, _matched, _bound), do: search

  # What is to be known of the steps from a number on: the places before it that each of them is behind, what they look at, what must have led to
  # them, and those that are sifted: of these each candidate is one whatever others are.
  defp rest(steps, number, count) do
    places = Enum.to_list(number..(count - 1)//1)
    behind = behind(steps, places, number)
    of = fn field -> places |> Enum.flat_map(&Map.fetch!(elem(steps, &1), field)) |> Enum.uniq() end

    %{
      behind: Enum.map(places, &behind[&1]),
      uses: of.(:uses),
      causes: for(place <- of.(:causes), place < number, do: place),
      sifted:
        for(
          place <- places,
          %{uses: []} = step <- [elem(steps, place)],
          do: {place - number, step.candidates}
        )
    }
  end

  # A step that is behind one that has no place yet is behind all that this one is behind.
  defp behind(steps, places, number) do
    Enum.reduce(places, %{}, fn place, known ->
      before = Enum.flat_map(elem(steps, place).after, &if(&1 < number, do: [&1], else: known[&1]))
      Map.put(known, place, Enum.uniq(before))
    end)
  end

  # All that the rest of the steps can see of those before: since when each may be, what they look at, what must have led to them, and
  # which of their candidates are no more to be had.
  defp what_matters(%{rest: rests}, number, matched, bound) do
    rest = elem(rests, number)
    placed = matched |> Enum.reverse() |> List.to_tuple()

    since =
      for places <- rest.behind do
        Enum.reduce(places, {0, 0}, fn place, latest -> max(latest, elem(placed, place).at) end)
      end

    causes = for place <- rest.causes, do: elem(placed, place).key
    from = Enum.min(since)
    taken = for %{at: at, key: key} <- matched, at >= from, wanted?(rest, key), do: key
    {number, since, Enum.map(rest.uses, &elem(bound, &1)), causes, Enum.sort(taken)}
  end

  defp wanted?(%{keys: keys}, key), do: key in keys
  defp wanted?(_not_looking_ahead, _key), do: true

  # Whether there are not enough candidates left for the steps to come, whatever the others are. One with as many as there are steps has always one.
  defp hopeless?(%{rest: rests}, number, {_number, since, _uses, _causes, taken}) do
    sifted = elem(rests, number).sifted
    enough = length(sifted)

    few =
      for {place, candidates} <- sifted,
          free = free(candidates, Enum.at(since, place), taken, enough),
          length(free) < enough,
          do: free

    few = List.to_tuple(few)

    owners =
      Enum.reduce(0..(tuple_size(few) - 1)//1, %{}, fn one, owners ->
        {_given?, owners, _seen} = give(one, few, owners, MapSet.new())
        owners
      end)

    map_size(owners) < tuple_size(few)
  end

  defp free(candidates, earliest, taken, enough) do
    candidates
    |> Stream.filter(&(&1.at >= earliest and &1.key not in taken))
    |> Stream.map(& &1.key)
    |> Enum.take(enough)
  end

  # One of its candidates for a step, for which the steps that have them may take others (an augmenting path of a bipartite matching).
  defp give(one, few, owners, seen) do
    Enum.reduce_while(elem(few, one), {:none, owners, seen}, fn key, {:none, owners, seen} ->
      if key in seen do
        {:cont, {:none, owners, seen}}
      else
        case moved(owners[key], few, owners, MapSet.put(seen, key)) do
          {:given, owners, seen} -> {:halt, {:given, Map.put(owners, key, one), seen}}
          none -> {:cont, none}
        end
      end
    end)
  end

  defp moved(nil, _few, owners, seen), do: {:given, owners, seen}
  defp moved(owner, few, owners, seen), do: give(owner, few, owners, seen)

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
