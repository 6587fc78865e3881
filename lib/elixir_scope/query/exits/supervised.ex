defmodule ElixirScope.Query.Exits.Supervised do
  @moduledoc false
  # Ends that supervisors bring: of their children, and their own.

  import ElixirScope.Query.Exits.Steps, only: [add: 2, ends: 3, name: 3]

  alias ElixirScope.{Event, ExitChain, Life, Text}
  alias ElixirScope.ExitChain.Step

  alias ElixirScope.Query.{Exits, Processes, Server}

  # Children of a supervisor that are looked at for the one that could not be started.
  @children 100

  @doc """
  A supervisor whose children ended more often than it starts them again.
  """
  @spec gave_up(ExitChain.t(), {Exits.Steps.t(), Life.t(), Server.numbers()}, Event.t()) ::
          ExitChain.t() | nil
  def gave_up(
        chain,
        {about, %Life{kind: :supervisor} = life, _process},
        %Event{data: %{reason: :shutdown}} = exit
      ) do
    case Exits.Supervisor.limit(about.recording, life, exit) do
      nil ->
        nil

      {trigger, count, flags, certain?} ->
        chain
        |> add(%Step{
          kind: :limit,
          time: trigger.time,
          pid: exit.pid,
          other: trigger.pid,
          inferred?: not certain?,
          text: restarted(count, flags)
        })
        |> Exits.Chain.explain(about, trigger)
    end
  end

  def gave_up(_chain, _about, _exit), do: nil

  defp restarted(count, nil), do: "it had restarted children #{count} times; its limit is not recorded"

  defp restarted(count, %{intensity: intensity, period: period}),
    do: "it had restarted children #{count} times within #{period} s, and max_restarts is #{intensity}"

  @doc """
  A supervisor of which a child could not be started: that one ended in its `init` with the reason that the supervisor gives.
  """
  @spec not_begun(ExitChain.t(), {Exits.Steps.t(), Life.t(), Server.numbers()}, Event.t()) ::
          ExitChain.t() | nil
  def not_begun(
        chain,
        {about, life, process},
        %Event{data: %{reason: {:shutdown, {:failed_to_start_child, child, reason}}}} = exit
      ) do
    about.recording
    |> Processes.newest(["spawn"], [process], Exits.Steps.since(life), exit.time)
    |> Stream.take(@children)
    |> Enum.find_value(&ended_with(about, &1, reason, exit))
    |> case do
      nil ->
        ends(
          chain,
          :signal_unseen,
          "it could not start its child #{Text.short(child)}, for which no process that ended with that reason is recorded"
        )

      ended ->
        chain
        |> add(%Step{
          kind: :down,
          time: ended.time,
          pid: exit.pid,
          other: ended.pid,
          text: "it could not start its child #{Text.short(child)}"
        })
        |> Exits.Chain.explain(about, ended)
    end
  end

  def not_begun(_chain, _about, _exit), do: nil

  # It says that it fails before it ends, so its supervisor may be the first to end, and take it with it: what it was about to end with
  # is known all the same.
  defp ended_with(about, %Event{time: began, data: %{child: child}}, reason, exit) do
    with %Event{data: %{reason: own} = data} = ended <-
           Processes.exit_after(about.recording, child, began) do
      cond do
        Exits.Reason.same?(own, reason) -> ended
        ended.time > exit.time and own == exit.data.reason -> %{ended | data: %{data | reason: reason}}
        true -> nil
      end
    end
  end

  defp ended_with(_about, _unreadable, _reason, _exit), do: nil

  @doc """
  Its supervisor ended it: because a sibling had ended, because it ended itself, or because it was told to.
  """
  @spec shut_down(ExitChain.t(), {Exits.Steps.t(), Life.t(), Server.numbers()}, Event.t()) ::
          ExitChain.t() | nil
  def shut_down(chain, {about, life, _process}, exit), do: shut_down(chain, about, life, exit, true)

  @doc "The same; `inferred?`: the signal was not seen."
  @spec shut_down(ExitChain.t(), Exits.Steps.t(), Life.t(), Event.t(), boolean) :: ExitChain.t() | nil
  def shut_down(chain, about, life, %Event{data: %{reason: reason}} = exit, inferred?) do
    with true <- Exits.Reason.shutdown?(reason),
         %Life{kind: :supervisor} = supervisor <- Exits.Supervisor.of(about.recording, life, exit.time),
         why when why != nil <- Exits.Supervisor.why(about.recording, supervisor, exit) do
      step = %Step{
        kind: :shutdown,
        time: exit.time,
        pid: exit.pid,
        other: supervisor.pid,
        reason: reason,
        inferred?: inferred?
      }

      shut_down_for(chain, about, step, why)
    else
      _not_by_it -> nil
    end
  end

  defp shut_down_for(chain, about, step, {:sibling, trigger}) do
    chain |> add(%{step | text: "because a sibling had ended"}) |> Exits.Chain.explain(about, trigger)
  end

  defp shut_down_for(chain, about, step, {:ending, exit}) do
    explained = chain |> add(%{step | text: "which was ending itself"}) |> Exits.Chain.explain(about, exit)
    unless Enum.any?(explained.steps, &gave_up_for?(&1, step)), do: explained
  end

  defp shut_down_for(chain, about, step, {:asked, message, from, time, id}) do
    chain
    |> add(%{step | text: "which was told to"})
    |> add(%Step{kind: :message, time: time, id: id, pid: step.other, other: from, message: message})
    |> Exits.Begun.sender(about, from, {time, id})
    |> ends(:killed_by, "#{name(about, from, time)} told the supervisor to end it")
  end

  # A child for whose end the supervisor gave up was not ended by it.
  defp gave_up_for?(%Step{kind: :limit, pid: supervisor, other: child}, %Step{pid: child, other: supervisor}),
    do: true

  defp gave_up_for?(_step, _shutdown), do: false
end
