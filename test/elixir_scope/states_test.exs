defmodule ElixirScope.StatesTest do
  # Servers of every kind go through random changes, with all their states kept outside of the recording. Then the
  # recording is asked about 100,000 random moments, and every answer must be what was kept, to `===`.
  #
  # A failure is printed with the seed; `mix test test/elixir_scope/states_test.exs --seed N` makes the same servers
  # and changes again (pids, references and ports are others each time).
  use ExUnit.Case, async: false

  alias ElixirScope.Servers.{EventMachine, History, Kept, Plain, StateMachine}

  @moduletag :tmp_dir
  @moduletag :capture_log

  @questions 100_000
  # Kinds of servers, how many of each, and the steps of each.
  @driven [{Plain, 10, 250}, {EventMachine, 6, 250}, {StateMachine, 6, 250}, {Kept, 6, 250}]

  setup %{tmp_dir: dir} do
    # An event that is dropped would be a state that is not known.
    {:ok, recording} = ElixirScope.start(dir: dir, overflow: {:block, 1_000_000})

    on_exit(fn ->
      # The first Agent of the recording had it instrumented.
      :ok = ElixirScope.uninstrument(Agent.Server)
      {:ok, _} = ElixirScope.start()
    end)

    %{recording: recording}
  end

  test "the state of every server at every moment is the one that it had", %{recording: recording} do
    histories = parallel(servers(), fn {number, kind, steps} -> History.run(kind, name(number), steps) end)
    assert {:ok, %{lost: 0}} = ElixirScope.status()
    histories = List.to_tuple(histories)

    # While it is recorded, from its files, and from its files when all is packed away.
    ask(histories, [], div(@questions, 2))
    :ok = ElixirScope.stop()
    {:ok, opened} = ElixirScope.open(recording.path)
    ask(histories, [in: opened], div(@questions, 2))
  end

  defp servers do
    kinds = for {kind, servers, steps} <- @driven, _ <- 1..servers, do: {kind, steps}
    for {{kind, steps}, number} <- Enum.with_index(kinds), do: {number, kind, steps}
  end

  defp name(number), do: :"elixir_scope_states_#{number}"

  defp ask(histories, options, count) do
    tasks = 2 * System.schedulers_online()

    parallel(for(number <- 1..tasks, do: {number}), fn _ ->
      for _ <- 1..div(count, tasks), do: ask(Enum.random(Tuple.to_list(histories)), options)
    end)
  end

  defp ask(history, options) do
    {time, who, right} = History.question(history)

    answer =
      case ElixirScope.get_state_at(who, time, options) do
        {:ok, state} -> {:ok, state}
        {:error, error} -> {:error, error.reason}
      end

    unless Enum.any?(right, &(&1 === answer)) do
      flunk("""
      #{inspect(history.kind)} #{inspect(history.name)}, asked as #{inspect(who)} about #{time}, seed #{seed()}
      right: #{Enum.map_join(right, "\n or:   ", &inspect(&1, limit: 200, printable_limit: 200))}
      got:   #{inspect(answer, limit: 200, printable_limit: 200)}
      """)
    end
  end

  # Each has its own numbers, whatever order they run in.
  defp parallel(jobs, fun) do
    jobs
    |> Task.async_stream(
      fn job ->
        :rand.seed(:exsss, {seed(), elem(job, 0), 5})
        fun.(job)
      end,
      ordered: true,
      timeout: :infinity
    )
    |> Enum.map(fn {:ok, result} -> result end)
  end

  defp seed, do: ExUnit.configuration()[:seed]
end
