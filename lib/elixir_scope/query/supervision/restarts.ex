defmodule ElixirScope.Query.Supervision.Restarts do
  @moduledoc false
  # Which child of a supervisor took the place of which, from the events of processes' lives in order.
  #
  # A child is a restart of an earlier one when the same supervisor made it with the same first call after that one's end, and nothing
  # else explains it. A supervisor ends and starts its children in turns: exits, then starts. Of a turn the first exit of a child that
  # was started again is what began it; those that the supervisor then ended by itself died of it.

  alias ElixirScope.{Cut, Event, Life}
  alias ElixirScope.Query.Processes
  alias ElixirScope.SupervisionTree.Restart
  alias ElixirScope.Text.FirstCall

  # Of equal children those that ended within that time of a start may be what it is for.
  @at_once 1_000_000_000

  # Of each supervisor: who supervises what, who ended and was not replaced yet, and the turn that goes on.
  defstruct living: %{}, ended: %{}, turns: %{}, restarts: [], facts: nil

  @typedoc """
  What the events of lives do not say: the strategy of a supervisor by its life (or `nil`), and whether a child was started because
  somebody asked for it, between an exit and a start: `:asked`, `:not_asked`, or `:unseen` where messages to the supervisor are not recorded.
  """
  @type facts :: %{
          strategy: (Life.t() -> atom | nil),
          asked: (Life.t(), Restart.ended(), Life.t() -> :asked | :not_asked | :unseen)
        }

  @type t :: %__MODULE__{}

  @doc "At the beginning of the events."
  @spec new(facts) :: t
  def new(facts), do: %__MODULE__{facts: facts}

  @doc "After all events: those that live, and the restarts, the oldest first."
  @spec all(Enumerable.t(Event.t()), facts) :: {Processes.Fold.living(), [Restart.t()]}
  def all(events, facts) do
    state = Enum.reduce(events, new(facts), &add(&2, &1))
    state = state.turns |> Map.keys() |> Enum.reduce(state, &close(&2, &1))
    {state.living, Enum.reverse(state.restarts)}
  end

  @doc "After one event."
  @spec add(t, Event.t()) :: t
  def add(state, event) do
    {living, ended} = Processes.Fold.add(state.living, event)
    state = %{state | living: living}

    case event do
      %Event{kind: :spawned, data: %{}} -> started(state, Map.fetch!(living, event.pid))
      %Event{kind: :exit, data: %{}} -> state |> exited(ended) |> forget(ended)
      _other -> state
    end
  end

  defp supervisor(state, %Life{parent: parent}) do
    case parent(state.living, parent) do
      %Life{kind: :supervisor} = supervisor -> supervisor
      _other -> nil
    end
  end

  # Of a process that lived before it was watched the name of its parent may be all that is known.
  defp parent(living, parent) when is_pid(parent), do: Map.get(living, parent)
  defp parent(_living, nil), do: nil

  defp parent(living, name) do
    Enum.find_value(living, fn {_pid, life} -> if life.name == name, do: life end)
  end

  # What is needed of a child that ended. Of children that may be equal and are not started again there may be very many.
  defp exited(state, %Life{} = life) do
    with %Life{pid: parent} = supervisor <- supervisor(state, life),
         false <- dynamic?(supervisor) == true and usual?(life.exited.reason) do
      state = if in_starts?(state, parent), do: close(state, parent), else: state
      ended = Map.put(life.exited, :pid, life.pid)
      {began, call} = if life.spawned, do: {life.spawned.id, life.spawned.mfa}, else: {0, nil}
      child = %{call: call, initial_call: life.initial_call, began: began, exit: ended}
      %{state | ended: Map.update(state.ended, parent, [child], &[child | &1])}
    else
      _not_supervised -> state
    end
  end

  defp usual?(reason), do: reason in [:normal, :shutdown] or match?({:shutdown, _}, reason)

  defp in_starts?(state, parent), do: Map.get(state.turns, parent, []) != []

  # A supervisor that ends starts nothing again.
  defp forget(state, %Life{kind: :supervisor, pid: pid}) do
    state = close(state, pid)
    %{state | ended: Map.delete(state.ended, pid)}
  end

  defp forget(state, _life), do: state

  defp started(state, life) do
    with %Life{pid: parent} = supervisor <- supervisor(state, life),
         [_ | _] = same <- same(state, parent, life),
         {child, certain?} <- one_of(state, supervisor, same, life) do
      state = replaced(state, parent, child)
      if certain? == :asked, do: state, else: turn(state, parent, {child, life, certain?})
    else
      _first_start -> state
    end
  end

  defp replaced(state, parent, child),
    do: %{state | ended: Map.update!(state.ended, parent, &List.delete(&1, child))}

  # Of equal children that ended at once the last is as little certain as the others.
  defp turn(state, parent, {child, life, certain?}) do
    turn = Map.get(state.turns, parent, [])
    other? = Enum.any?(turn, fn {before, _life, sure?} -> sure? == false and before.call == child.call end)

    %{
      state
      | turns: Map.put(state.turns, parent, [{child, life, if(other?, do: false, else: certain?)} | turn])
    }
  end

  # The oldest first: they are started again in the order in which they began. Of a process of which only its supervisor told the end
  # nothing says what it ran.
  defp same(state, parent, life) do
    ended = Map.get(state.ended, parent, [])

    case first_of(ended, [&same?(&1, life), &like?(&1.call, life.spawned.mfa)]) do
      [] -> Enum.filter(ended, &(&1.call == nil and &1.initial_call == nil))
      same -> Enum.sort_by(same, & &1.began)
    end
  end

  defp first_of(ended, rules) do
    Enum.find_value(rules, [], fn rule ->
      with [] <- Enum.filter(ended, rule), do: nil
    end)
  end

  # Of one whose birth was not seen the first call is not known, only what it runs.
  defp same?(%{call: nil, initial_call: nil}, _life), do: false
  defp same?(%{call: nil, initial_call: initial}, life), do: initial == life.initial_call
  defp same?(%{call: call}, life), do: call == life.spawned.mfa

  # Redaction leaves out the argument of an `init/1` that was not called yet, and shows it from then on; what names keep out it shows
  # before the function was called.
  defp like?(%Cut{kind: :redacted}, _shown), do: true
  defp like?(_shown, %Cut{kind: :redacted}), do: true
  defp like?([one | ones], [other | others]), do: like?(one, other) and like?(ones, others)

  defp like?(one, other) when is_tuple(one) and is_tuple(other),
    do: like?(Tuple.to_list(one), Tuple.to_list(other))

  defp like?(one, other), do: one === other

  defp one_of(state, supervisor, same, life) do
    dynamic? = dynamic?(supervisor)
    child = if dynamic? == true, do: of_equals(same, life), else: hd(same)
    sure? = length(same) == 1 and child.call != nil

    case {dynamic?, state.facts.asked.(supervisor, child.exit, life)} do
      # Of equal ones somebody may have wanted one more, which is in the place of none.
      {true, :asked} -> nil
      {_any, :asked} -> {child, :asked}
      {true, :not_asked} -> {child, sure?}
      {true, :unseen} -> nil
      {:unknown, :unseen} -> {child, false}
      {false, :unseen} -> {child, if(sure?, do: :unless_asked, else: false)}
      {_not_or_unknown, :not_asked} -> {child, sure?}
    end
  end

  # Its messages are taken in their order, so that of those that ended at once the first is started first. Others ended long
  # before, and were not to be started again.
  defp of_equals(same, life) do
    same = Enum.sort_by(same, & &1.exit.id)
    Enum.find(same, List.last(same), &(life.spawned.time - &1.exit.time < @at_once))
  end

  defp dynamic?(%Life{spawned: spawned, initial_call: initial}),
    do: FirstCall.dynamic?(spawned && spawned.mfa, initial)

  # The end of a turn: now it is known who was started again, and so which exit began it.
  defp close(state, parent) do
    case Map.pop(state.turns, parent) do
      {nil, _turns} ->
        state

      {turn, turns} ->
        first =
          turn |> Enum.map(fn {child, _life, _certain?} -> child.exit end) |> Enum.min_by(&{&1.time, &1.id})

        supervisor = Map.get(state.living, parent) || %Life{pid: parent, kind: :supervisor}

        restarts =
          for {child, life, certain?} <- turn, do: restart(state, supervisor, child, life, certain?, first)

        %{state | turns: turns, restarts: restarts ++ state.restarts}
    end
  end

  defp restart(state, supervisor, child, life, certain?, first) do
    {cause, sure?} = cause(state, supervisor, child.exit, first)

    %Restart{
      supervisor: supervisor.pid,
      name: supervisor.name,
      child: life.initial_call || child.initial_call,
      from: child.exit.pid,
      to: life.pid,
      time: life.spawned.time,
      took: max(life.spawned.time - child.exit.time, 0),
      exit: child.exit,
      cause: cause,
      certain?: sure? and certain?(certain?, child.exit, cause)
    }
  end

  # Whoever tells a supervisor to end a child may tell it to start that again; not so one that ended for another's sake or by a fault.
  defp certain?(:unless_asked, exit, exit), do: not (usual?(exit.reason) or exit.reason == :killed)
  defp certain?(:unless_asked, _exit, _cause), do: true
  defp certain?(certain?, _exit, _cause), do: certain?

  # A supervisor ends children by `:shutdown`, and kills those that do not end.
  defp cause(state, supervisor, %{reason: reason} = exit, first) when reason in [:shutdown, :killed] do
    case {exit, if(dynamic?(supervisor) == true, do: :one_for_one, else: state.facts.strategy.(supervisor))} do
      {^first, _strategy} -> {exit, true}
      {_later, strategy} when strategy in [:one_for_all, :rest_for_one] -> {first, true}
      {_later, nil} -> {first, false}
      {_later, _each_alone} -> {exit, true}
    end
  end

  defp cause(_state, _supervisor, exit, _first), do: {exit, true}
end
