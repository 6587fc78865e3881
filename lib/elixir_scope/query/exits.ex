defmodule ElixirScope.Query.Exits do
  @moduledoc false
  # Why a process ended: its exit, for which `Exits.Chain` looks for what led to it.

  alias ElixirScope.{Error, Event, ExitChain, Query}
  alias ElixirScope.Query.{Exits, Gaps, Moment, Processes, Server}

  @latest 0x7FFFFFFFFFFFFFFF
  @steps 100

  @doc "See `ElixirScope.why_exited/2`."
  @spec why(Server.t(), keyword) :: {:ok, ExitChain.t()} | {:error, Error.t()}
  def why(server, options) do
    with :ok <- Query.check(options, [:before, :limit, :in]),
         {:ok, limit} <- Query.steps(options, @steps),
         {:ok, recording} <- Query.recording(options),
         {:ok, before} <- before(recording, options),
         {:ok, gaps} <- Gaps.all(recording),
         {:ok, exit} <- ended(recording, server, before, gaps) do
      about = %Exits.Steps{recording: recording, gaps: gaps, limit: limit}
      chain = %ExitChain{pid: exit.pid, time: exit.time, reason: exit.data.reason}
      {:ok, chain |> Exits.Chain.explain(about, exit) |> Exits.Steps.in_order(limit)}
    end
  end

  defp before(recording, options) do
    case Keyword.fetch(options, :before) do
      :error ->
        {:ok, @latest}

      {:ok, time} ->
        with {:ok, time} <- Moment.find(recording, time),
             :ok <- Query.within(recording, time),
             do: {:ok, time}
    end
  end

  # A name may have gone on to another process, which lives.
  defp ended(recording, name, before, gaps) when is_atom(name) and name not in [nil, true, false] do
    case recording
         |> Processes.holders(name, before)
         |> Enum.find_value(&Processes.exit_of(recording, &1, before)) do
      nil -> ended_by_now(recording, name, before, gaps)
      exit -> {:ok, exit}
    end
  end

  defp ended(recording, server, before, gaps), do: ended_by_now(recording, server, before, gaps)

  defp ended_by_now(recording, server, before, gaps) do
    case Server.find(recording, server, before) do
      {:ok, process} -> ended_process(recording, server, process, before, gaps)
      # Of one of which nothing is recorded it is known that it lives.
      {:error, %Error{reason: :not_instrumented}} -> lives(server)
      error -> error
    end
  end

  defp lives(server) do
    Error.new(:not_exited, "expected a process that has ended, got: #{inspect(server)}, which lives")
  end

  defp ended_process(recording, server, process, before, gaps) do
    case Enum.take(Processes.newest(recording, ["exit"], [process], 0, before), 1) do
      [%Event{data: %{}} = exit] -> {:ok, exit}
      _none -> no_exit(recording, server, process, before, gaps)
    end
  end

  defp no_exit(recording, server, process, before, gaps) do
    {:ok, life} = Processes.life(recording, process, nil)
    {first, _last} = life.seen

    cond do
      life.status == :alive and before >= @latest ->
        lives(server)

      life.status == :alive ->
        Error.new(
          :not_exited,
          "expected a process that had ended by #{Moment.format(before)}, got: #{inspect(server)}, which lived then as far as is known"
        )

      Gaps.touching(gaps, first, @latest) != [] ->
        Error.new(
          :lost,
          "the end of #{inspect(server)} was not recorded: events are missing #{Gaps.text(Gaps.touching(gaps, first, @latest))}"
        )

      true ->
        Error.new(
          :not_watched,
          "the end of #{inspect(server)} was not recorded: processes tell it when they are watched. Watch it while it lives with " <>
            "ElixirScope.watch(pid), or all with ElixirScope.watch(:all, kinds: [:life, :links, :names])"
        )
    end
  end
end
