defmodule ElixirScope.Case.Flow do
  @moduledoc false
  # Flows against the recording: `ElixirScope.Case.Flow.Parse` has made the steps, `Flow.Candidates` finds what each may be, `Flow.Search` which
  # of them fit together, and `Flow.Failure` says what did not.

  alias ElixirScope.Case.{Flow, Lost, Quiet, Scope, Seen}
  alias ElixirScope.Query.{Causality, Past}

  # What was read of messages while one assertion runs.
  @messages :"$elixir_scope_flow"

  @doc "Whether these are the processes that are asked for; `nil`: any. Called by the code of steps."
  @spec of?(tuple, [pid | nil]) :: boolean
  def of?(pids, asked) do
    pids |> Tuple.to_list() |> Enum.zip(asked) |> Enum.all?(fn {pid, asked} -> asked in [nil, pid] end)
  end

  @doc "What each step of a flow is, and its variables; waits for it, and fails where it is not so."
  @spec assert([map], non_neg_integer, keyword) :: {[term], tuple}
  def assert(steps, variables, options) do
    bound = Tuple.duplicate(nil, variables)

    case Quiet.last(fn -> ask(steps, bound) end, [also: also(steps)] ++ options) do
      {:ok, %{answer: answer}} -> {Enum.map(answer.matched, & &1.thing), answer.bound}
      {_why, {:error, message}} -> Flow.Failure.impossible(message)
      {_why, seen} -> Flow.Failure.not_found(seen.answer, seen.steps, seen.family, seen.linked)
    end
  after
    Process.delete(@messages)
  end

  @doc "Fails when there is such a flow, and when nobody can say that there is none; waits until the test's processes are quiet."
  @spec refute([map], non_neg_integer, String.t(), keyword) :: true
  def refute(steps, variables, what, options) do
    bound = Tuple.duplicate(nil, variables)

    case Quiet.settled(fn -> ask(steps, bound) end, [also: also(steps)] ++ options) do
      {:ok, seen} -> Flow.Failure.found(what, seen.answer, seen.steps, seen.family)
      {_why, {:error, message}} -> Flow.Failure.impossible(message)
      {why, seen} -> decided(seen, bound, Quiet.unsettled(why), what)
    end
  after
    Process.delete(@messages)
  end

  # Processes that are named are waited for, also where they are none of the test's.
  defp also(steps) do
    for %{processes: processes} <- steps,
        {:process, process} <- processes,
        pid = local(process),
        uniq: true,
        do: pid
  end

  defp local(pid) when is_pid(pid), do: if(node(pid) == node(), do: pid)

  defp local(name) when is_atom(name) and name not in [nil, true, false],
    do: local(Process.whereis(name) || "nobody")

  defp local(_other), do: nil

  defp decided(seen, bound, unsettled, what) do
    case doubt(seen, bound) || (unsettled && unsettled <> ".") do
      nil -> true
      reason -> Flow.Failure.undecided(what, seen.steps, seen.family, reason)
    end
  end

  defp doubt(%{answer: %{outcome: :gave_up}}, _bound), do: Flow.Failure.too_many()

  defp doubt(seen, bound) do
    Lost.text(Scope.gaps(seen.family)) || Enum.find_value(seen.steps, &uncalled(&1, seen.family)) ||
      Enum.find_value(seen.steps, &Flow.Candidates.unseen(&1, &1.candidates, seen.family, bound)) ||
      perhaps(seen, bound) || hidden(seen, bound)
  end

  defp uncalled(%{mfa: nil}, _family), do: nil

  defp uncalled(%{mfa: mfa}, family),
    do: Seen.doubt(mfa, Flow.Candidates.sites(mfa, family), family)

  # Whether it would be there if what an earlier step bound, and nobody knows, were what a later one asks for.
  defp hidden(seen, bound) do
    if Flow.Candidates.hidden_binds?(seen.steps) do
      lenient = Enum.map(seen.steps, &Flow.Candidates.lenient/1)

      case Flow.Search.run(lenient, bound, seen.linked, lenient: true) do
        %{outcome: :none} ->
          nil

        _found_or_gave_up ->
          "a step looks at what an earlier one bound, of which a part is not in the recording (limits:, redact:)."
      end
    end
  end

  # Whether it would be there if what is unknown were so.
  defp perhaps(%{answer: %{doubtful: false}}, _bound), do: nil

  defp perhaps(seen, bound) do
    case Flow.Search.run(seen.steps, bound, seen.linked, lenient: true) do
      %{outcome: :none} -> nil
      %{outcome: :gave_up} -> Flow.Failure.too_many()
      %{outcome: :found} = answer -> Flow.Failure.perhaps(answer, seen.steps, seen.family, seen.linked)
    end
  end

  defp ask(steps, bound) do
    with {:ok, family} <- Scope.family(),
         {:ok, steps} <- with_candidates(steps, family) do
      linked = linked(family)
      answer = Flow.Search.run(steps, bound, linked)
      seen = %{answer: answer, steps: steps, family: family, linked: linked}
      if answer.outcome == :found, do: {:ok, seen}, else: {:not_yet, seen}
    else
      {:error, %{message: message}} -> {:not_yet, {:error, message}}
      {:error, message} -> {:not_yet, {:error, message}}
    end
  end

  # Equal questions are asked once.
  defp with_candidates(steps, family) do
    steps
    |> Enum.map(&Flow.Candidates.judging/1)
    |> Enum.reduce_while({:ok, [], %{}}, fn step, {:ok, done, asked} ->
      question = {step.kind, step.mfa, step.processes}

      case Map.get_lazy(asked, question, fn -> Flow.Candidates.of(step, family) end) do
        {:ok, candidates} = answer ->
          {:cont, {:ok, [Map.put(step, :candidates, candidates) | done], Map.put(asked, question, answer)}}

        error ->
          {:halt, error}
      end
    end)
    |> case do
      {:ok, steps, _asked} -> {:ok, Enum.reverse(steps)}
      error -> error
    end
  end

  # Where nobody can be asked, nobody knows. All questions of one look at the recording are answered from the same messages, which
  # are read once.
  defp linked(family) do
    # All that steps are made of was in the test's time, and so was what one of them led to.
    past = %{Past.of(family.recording) | since: family.since}
    look = make_ref()
    past = %{past | messages: &read_once(look, past, &1)}

    fn cause, effect ->
      case Causality.before(past, cause.place, effect.place) do
        {:ok, answer} -> answer
        {:error, _unanswered} -> :unknown
      end
    end
  end

  defp read_once(look, past, options) do
    read =
      case Process.get(@messages) do
        {^look, read} -> read
        _of_another_look -> %{}
      end

    case read do
      %{^options => messages} ->
        messages

      _not_yet ->
        messages = past.messages.(options)
        Process.put(@messages, {look, Map.put(read, options, messages)})
        messages
    end
  end
end
