defmodule ElixirScope.Query.Exits.Chain do
  @moduledoc false
  # From an exit backwards. Where several things could explain it the one with the strongest evidence comes first.

  import ElixirScope.Query.Exits.Steps, only: [add: 2, ends: 3, limited: 2, since: 1]

  alias ElixirScope.{Event, ExitChain, Life, Text}
  alias ElixirScope.ExitChain.Step

  alias ElixirScope.Query.{Exits, Processes, Server}

  @doc "The chain with an exit, and with what led to it."
  @spec explain(ExitChain.t(), Exits.Steps.t(), Event.t()) :: ExitChain.t()
  def explain(%ExitChain{steps: steps} = chain, %Exits.Steps{limit: limit}, _exit)
      when length(steps) >= limit,
      do: limited(chain, limit)

  def explain(chain, about, %Event{kind: :exit} = exit) do
    if Enum.any?(chain.steps, &(&1.kind == :exit and &1.id == exit.id)),
      do:
        ends(
          chain,
          :signal_unseen,
          "each of these processes ended because another one did: which was the first is not recorded"
        ),
      else: chain |> add(exit_step(exit)) |> reasons(about, exit)
  end

  defp exit_step(exit) do
    %Step{kind: :exit, time: exit.time, id: exit.id, pid: exit.pid, reason: exit.data.reason}
  end

  defp reasons(chain, about, exit) do
    {:ok, process} = Server.numbers(exit.pid)
    {:ok, life} = Processes.life(about.recording, process, exit.time)
    about = {about, life, process}

    Enum.find_value(explanations(), & &1.(chain, about, exit)) || Exits.Signal.unseen(chain, about, exit)
  end

  @spec explanations() :: [Exits.Steps.reason()]
  defp explanations do
    [
      &own/3,
      &Exits.Begun.told_to_stop/3,
      &Exits.Signal.signal/3,
      &Exits.Signal.link/3,
      &Exits.Calls.failed/3,
      &Exits.Supervised.gave_up/3,
      &Exits.Supervised.not_begun/3,
      &Exits.Supervised.shut_down/3,
      &crash/3,
      &Exits.Signal.told/3,
      &normally/3
    ]
  end

  # What its own instrumented code did.
  defp own(chain, {about, life, process}, exit) do
    case Exits.Own.find(about.recording, process, since(life), exit) do
      nil ->
        nil

      {:raised, event, call, outer} ->
        chain
        |> add(%Step{
          kind: :raised,
          time: event.time,
          id: event.id,
          pid: exit.pid,
          reason: event.data.reason,
          exception: event.data.kind,
          call: call
        })
        |> Exits.Begun.led_by(about, exit, outer, life, :raised)

      {:stopped, event, call} ->
        chain
        |> add(%Step{
          kind: :stopped,
          time: event.time,
          id: event.id,
          pid: exit.pid,
          reason: exit.data.reason,
          call: call
        })
        |> Exits.Begun.led_by(about, exit, call, life, :stopped)
    end
  end

  # What is left is the exception itself.
  defp crash(chain, {about, life, _process}, exit) do
    with {raised, stack} <- Exits.Reason.crash(exit.data.reason) do
      unwatched? = Enum.any?(life.links, &Exits.Signal.unwatched?(about.recording, &1))

      chain
      |> add(%Step{
        kind: :raised,
        time: exit.time,
        pid: exit.pid,
        reason: raised,
        exception: :error,
        inferred?: unwatched?,
        text: "in #{Exits.Reason.place(stack)}"
      })
      |> ends(
        :raised,
        "the code that raised is not instrumented; its stack says where" <>
          if(unwatched?,
            do: ". A process that it was linked to is not watched, and may have been the one that raised",
            else: ""
          )
      )
    end
  end

  defp normally(chain, {_about, life, _process}, %Event{data: %{reason: :normal}}) do
    ends(
      chain,
      :returned_normally,
      "its function#{function(life)} came to its end, or it ended itself with :normal"
    )
  end

  defp normally(_chain, _about, _exit), do: nil

  defp function(%Life{initial_call: {_, _, _} = mfa}), do: ", #{Text.mfa(mfa)},"
  defp function(_life), do: ""
end
