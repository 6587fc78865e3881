defmodule ElixirScope.Case.Flow do
  @moduledoc false
  # Flows against the recording: `ElixirScope.Case.FlowParse` has made the steps, `FlowCandidates` finds what each may be, `FlowSearch` which
  # of them fit together, and `FlowFailure` says what did not.

  alias ElixirScope.Case.{FlowCandidates, FlowFailure, FlowSearch, Lost, Quiet, Scope}
  alias ElixirScope.Query.Causality

  @doc "Whether these are the processes that are asked for; `nil`: any. Called by the code of steps."
  @spec of?(tuple, [pid | nil]) :: boolean
  def of?(pids, asked) do
    pids |> Tuple.to_list() |> Enum.zip(asked) |> Enum.all?(fn {pid, asked} -> asked in [nil, pid] end)
  end

  @doc "What each step of a flow is, and its variables; waits for it, and fails where it is not so."
  @spec assert([map], non_neg_integer, keyword) :: {[term], tuple}
  def assert(steps, variables, options) do
    bound = Tuple.duplicate(nil, variables)

    case Quiet.last(fn -> found(ask(steps, bound)) end, [also: also(steps)] ++ options) do
      {:ok, answer} -> {Enum.map(answer.matched, & &1.thing), answer.bound}
      {_why, {:answer, answer, steps, family}} -> FlowFailure.not_found(answer, steps, family, linked(family))
      {_why, {:error, message}} -> FlowFailure.impossible(message)
    end
  end

  defp found({:answer, %{outcome: :found} = answer, _steps, _family}), do: {:ok, answer}
  defp found(not_yet), do: {:not_yet, not_yet}

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

  @doc "Fails when there is such a flow, and when nobody can say that there is none; waits until the test's processes are quiet."
  @spec refute([map], non_neg_integer, String.t(), keyword) :: true
  def refute(steps, variables, what, options) do
    bound = Tuple.duplicate(nil, variables)

    case Quiet.last(fn -> steps |> ask(bound) |> there() end, [also: also(steps)] ++ options) do
      {:ok, {answer, steps, family}} -> FlowFailure.found(what, answer, steps, family)
      {_why, {:answer, answer, steps, family}} -> decided(answer, steps, family, bound, what)
      {_why, {:error, message}} -> FlowFailure.impossible(message)
    end
  end

  defp there({:answer, %{outcome: :found} = answer, steps, family}), do: {:ok, {answer, steps, family}}
  defp there(not_yet), do: {:not_yet, not_yet}

  defp decided(answer, steps, family, bound, what) do
    case doubt(answer, steps, family, bound) do
      nil -> true
      reason -> FlowFailure.undecided(what, steps, family, reason)
    end
  end

  defp doubt(%{outcome: :gave_up}, _steps, _family, _bound), do: FlowFailure.too_many()

  defp doubt(answer, steps, family, bound) do
    Lost.text(family) || Enum.find_value(steps, &FlowCandidates.unseen(&1, &1.candidates, family, bound)) ||
      perhaps(answer, steps, family, bound)
  end

  # Whether it would be there if what is unknown were so.
  defp perhaps(%{doubtful: false}, _steps, _family, _bound), do: nil

  defp perhaps(_answer, steps, family, bound) do
    case FlowSearch.run(steps, bound, linked(family), lenient: true) do
      %{outcome: :none} -> nil
      %{outcome: :gave_up} -> FlowFailure.too_many()
      %{outcome: :found} = answer -> FlowFailure.perhaps(answer, steps, family, linked(family))
    end
  end

  defp ask(steps, bound) do
    with {:ok, family} <- Scope.family(),
         {:ok, steps} <- with_candidates(steps, family) do
      {:answer, FlowSearch.run(steps, bound, linked(family)), steps, family}
    else
      {:error, %{message: message}} -> {:error, message}
      {:error, message} -> {:error, message}
    end
  end

  # Equal questions are asked once.
  defp with_candidates(steps, family) do
    Enum.reduce_while(steps, {:ok, [], %{}}, fn step, {:ok, done, asked} ->
      question = {step.kind, step.mfa, step.processes}

      case Map.get_lazy(asked, question, fn -> FlowCandidates.of(step, family) end) do
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

  # Where nobody can be asked, nobody knows.
  defp linked(family) do
    fn cause, effect ->
      case Causality.before?(cause.place, effect.place, in: family.recording) do
        {:ok, answer} -> answer
        {:error, _unanswered} -> :unknown
      end
    end
  end
end
