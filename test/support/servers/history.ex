defmodule ElixirScope.Servers.History do
  @moduledoc false
  # Drives one supervised server through random changes, crashes and restarts, and keeps outside of the recording what
  # its state was when. Nothing here knows how states are recorded.
  #
  # Each step is `{began, ended, pid, answers, state}`: from `ended` until the next step begins, the state of `pid` is
  # `state` and nothing else; in between, what the server does is on its way, and each of `answers` may be right.

  alias ElixirScope.Servers.Change

  @type answer :: {:ok, term} | {:error, atom}
  @type t :: %{
          kind: module,
          name: atom,
          steps: tuple,
          until: integer,
          # What the processes before the last one had in the end: `{pid, time, answer}`.
          ended: [{pid, integer, answer}]
        }

  @doc "Runs a server of this kind through so many steps."
  def run(kind, name, count) do
    table = :ets.new(:initial_states, [:public])
    Change.forget()
    began = ElixirScope.now()
    supervisor = begin(kind, name, table)

    driven =
      started(%{kind: kind, name: name, table: table, supervisor: supervisor, steps: [], ended: []}, began)

    driven = Enum.reduce(1..count, driven, fn _, driven -> step(driven) end) |> settled()
    until = ElixirScope.now()
    Supervisor.stop(supervisor)

    %{
      kind: kind,
      name: name,
      steps: driven.steps |> Enum.reverse() |> List.to_tuple(),
      until: until,
      ended: driven.ended
    }
  end

  defp begin(kind, name, table) do
    begin_with(table, name, Change.state())
    child = %{id: name, start: {kind, :start_link, [name, table]}}
    {:ok, supervisor} = Supervisor.start_link([child], strategy: :one_for_one, max_restarts: 1_000_000)
    supervisor
  end

  defp begin_with(table, name, state), do: :ets.insert(table, {name, self(), state})

  # `driven.pending`: when the change began that no callback has noticed yet, and the answers that are right since.
  defp started(
         %{kind: kind, name: name, table: table} = driven,
         began,
         answers \\ [{:error, :no_state}, {:error, :unknown_process}]
       ) do
    pid = receive(do: ({:up, pid} -> pid))
    kind.sync(pid)
    [{^name, _owner, initial}] = :ets.lookup(table, name)
    state = if function_exported?(kind, :initial, 1), do: kind.initial(initial), else: initial
    step = {began, ElixirScope.now(), pid, [{:ok, state} | answers], state}
    Map.merge(driven, %{pid: pid, state: state, pending: nil, steps: [step | driven.steps]})
  end

  defp step(driven) do
    case :rand.uniform(100) do
      n when n <= 5 -> unseen(driven)
      n when n <= 8 -> restart(driven)
      _ -> change(driven)
    end
  end

  defp change(%{kind: kind} = driven) do
    way = Enum.random(kind.ways())
    change = change_for(driven)
    began = now()
    kind.perform(server(driven), way, change)
    passed = if function_exported?(kind, :passed, 2), do: kind.passed(way, driven.state), else: []
    seen(driven, began, kind.after_change(way, change, driven.state), passed)
  end

  # Of a state machine, what changes at random is the data.
  defp change_for(%{kind: kind, state: state}) do
    if function_exported?(kind, :initial, 1),
      do: state |> elem(1) |> Change.random(),
      else: Change.random(state)
  end

  defp server(driven), do: Enum.random([driven.pid, driven.name])

  # A callback has ended, and the state that it made is in.
  defp seen(driven, began, state, passed \\ []) do
    {began, answers} = driven.pending || {began, [{:ok, driven.state}]}
    answers = Enum.map([state | passed], &{:ok, &1}) ++ answers
    step = {began, ElixirScope.now(), driven.pid, answers, state}
    %{driven | state: state, pending: nil, steps: [step | driven.steps]}
  end

  defp unseen(%{kind: kind} = driven) do
    change = change_for(driven)
    way = Enum.random(kind.unseen_ways())
    {began, answers} = driven.pending || {now(), [{:ok, driven.state}]}
    kind.unseen(driven.pid, way, change)
    state = kind.after_change(way, change, driven.state)
    %{driven | state: state, pending: {began, [{:ok, state} | answers]}}
  end

  # Later than all before, also on a clock whose ticks are long.
  defp now, do: later(ElixirScope.now())
  defp later(time), do: if(ElixirScope.now() > time, do: ElixirScope.now(), else: later(time))

  defp settled(%{pending: nil} = driven), do: driven

  defp settled(%{kind: kind} = driven) do
    kind.sync(driven.pid)
    seen(driven, nil, driven.state)
  end

  defp restart(%{pid: pid, name: name, table: table} = driven) do
    begin_with(table, name, Change.state())
    {began, answers} = driven.pending || {now(), [{:ok, driven.state}]}
    monitor = Process.monitor(pid)
    last = ending(driven, Enum.random([:crash, :stop, :kill]))
    receive(do: ({:DOWN, ^monitor, :process, ^pid, _reason} -> :ok))
    Change.forget()
    answers = Enum.uniq([{:ok, last}, {:error, :no_state}] ++ answers)
    ended = {pid, ElixirScope.now(), {:ok, last}}
    started(%{driven | ended: [ended | driven.ended], pending: nil}, began, answers)
  end

  # Nobody notices any more what was changed before a process is killed.
  defp ending(driven, :kill) do
    driven = settled(driven)
    Process.exit(driven.pid, :kill)
    driven.state
  end

  defp ending(driven, :crash) do
    attempt(fn -> driven.kind.crash(driven.pid) end)
    driven.state
  end

  defp ending(%{kind: kind} = driven, :stop) do
    change = change_for(driven)
    attempt(fn -> kind.stop(driven.pid, change) end)
    kind.after_change(:stop, change, driven.state)
  end

  defp attempt(fun) do
    fun.()
  catch
    :exit, _reason -> :ok
  end

  @doc """
  A moment to ask about, with who to ask for and all answers that are right: mostly one.
  """
  def question(%{steps: steps} = history) do
    index = :rand.uniform(tuple_size(steps)) - 1
    {began, ended, pid, answers, state} = elem(steps, index)
    next = if index + 1 < tuple_size(steps), do: elem(elem(steps, index + 1), 0) - 1, else: history.until
    who = Enum.random([history.name, history.name, pid, inspect(pid)])

    case :rand.uniform(10) do
      1 -> {between(began, ended - 1), history.name, answers}
      2 -> past(history) || {ended, who, [{:ok, state}]}
      n when n <= 5 -> {ended, who, [{:ok, state}]}
      _ -> {between(ended, next), who, [{:ok, state}]}
    end
  end

  # A process that is gone, at any time since.
  defp past(%{ended: []}), do: nil

  defp past(history) do
    {pid, ended, answer} = Enum.random(history.ended)
    {between(ended, history.until), pid, [answer]}
  end

  defp between(from, to), do: from + :rand.uniform(max(to - from, 0) + 1) - 1
end
