defmodule ElixirScope.Query.Supervision do
  @moduledoc false
  # Supervisors, their children, and what they started again.

  alias ElixirScope.{Error, Event, Life, Query, Recording, SupervisionTree}
  alias ElixirScope.Query.{Gaps, Moment, Processes, Range, Server, Supervision}
  alias ElixirScope.SupervisionTree.{Node, Restart}
  alias ElixirScope.Text.FirstCall

  @forever 0xFFFFFFFFFFFFFFFF
  @latest 0x7FFFFFFFFFFFFFFF
  # Nested deeper than any tree of supervisors is.
  @deepest 200
  # Children of a supervisor that are looked at around a time.
  @children 1_000
  @later 100
  # Messages to a supervisor that are looked at between an exit and a start.
  @messages 10_000
  # What a supervisor sends after a start, among which its answer is when it was asked for that.
  @answers 100

  @life ["spawned", "exit", "process", "name", "label"]

  @doc "See `ElixirScope.supervision_tree_at/2`."
  @spec tree(Moment.t(), keyword) :: {:ok, SupervisionTree.t()} | {:error, Error.t()}
  def tree(time, options) do
    with :ok <- Query.check(options, [:root, :app, :in]),
         {:ok, recording} <- Query.recording(options),
         {:ok, time} <- Moment.find(recording, time),
         :ok <- Query.within(recording, time),
         {:ok, gaps} <- Gaps.all(recording),
         :ok <- watched(recording, "supervisors"),
         {living, restarts} = lives(recording, time),
         {:ok, roots} <- roots(recording, living, restarts, time, options) do
      {:ok, %SupervisionTree{time: time, roots: roots, gaps: Gaps.touching(gaps, 0, time)}}
    end
  end

  @doc "Whether the life of processes is recorded, so that something can be said of what is asked."
  @spec watched(Recording.t(), String.t()) :: :ok | {:error, Error.t()}
  def watched(recording, what) do
    if Processes.watched?(recording) do
      :ok
    else
      Error.new(
        :not_watched,
        "nothing is known of #{what}: the life of processes was not watched in this recording; " <>
          "begin with ElixirScope.watch(:all, kinds: [:life, :links, :names]), or start with the option watch: :all"
      )
    end
  end

  defp lives(recording, until) do
    events = Processes.stream(recording, @life, nil, 0, until)
    {living, restarts} = Supervision.Restarts.all(events, facts(recording))
    living = Processes.without_ghosts(living, recording, until)

    case told_ends(recording, living, until) do
      [] ->
        {living, restarts}

      ends ->
        {living, restarts} = events |> with_ends(ends) |> Supervision.Restarts.all(facts(recording))
        {Processes.without_ghosts(living, recording, until), restarts}
    end
  end

  # A process that is not watched does not tell its end. Its supervisor, when that one is watched, was told of it. A process can send
  # what looks like that, so nothing may be recorded of it later.
  defp told_ends(recording, living, until) do
    names = for {pid, %Life{name: name}} <- living, name != nil, into: %{}, do: {name, pid}

    known =
      for {_pid, %Life{spawned: nil} = life} <- living,
          above = parent(life, names),
          match?(%{^above => %Life{kind: :supervisor}}, living),
          do: {life.pid, above}

    linked =
      for {above, %Life{kind: :supervisor, spawned: nil, links: links, parent: parent}} <- living,
          pid <- links,
          is_pid(pid) and not is_map_key(living, pid) and pid != parent and Map.get(names, parent) != pid,
          do: {pid, above}

    children = for {pid, above} <- known ++ linked, not lives?(recording, pid), into: %{}, do: {pid, above}

    supervisors =
      for {:ok, numbers} <- children |> Map.values() |> Enum.uniq() |> Enum.map(&Server.numbers/1),
          do: numbers

    if supervisors == [], do: [], else: told_ends(recording, supervisors, children, until)
  end

  defp told_ends(recording, supervisors, children, until) do
    for %Event{} = event <- Processes.stream(recording, ["receive"], supervisors, 0, until),
        {pid, reason} = event |> message() |> told_end(),
        pid != nil and Map.get(children, pid) == event.pid and silent_since?(recording, pid, event.time) do
      exit = %Event{id: event.id, time: event.time, pid: pid, kind: :exit, data: %{reason: reason}}
      # Of a child that was never seen it is known from its supervisor alone that it is one.
      {pid, [%{exit | kind: :process, data: %{parents: [event.pid]}}, exit]}
    end
    |> Enum.uniq_by(&elem(&1, 0))
    |> Enum.flat_map(&elem(&1, 1))
  end

  defp lives?(%Recording{live?: true}, pid) when node(pid) == node(), do: Process.alive?(pid)
  defp lives?(_recording, _pid), do: false

  defp silent_since?(recording, pid, time) do
    {:ok, process} = Server.numbers(pid)
    Enum.take(Processes.stream(recording, [], [process], time + 1, @forever), 1) == []
  end

  # Events in their order with ends that are known from others.
  defp with_ends(events, ends) do
    events
    |> Stream.concat([:end])
    |> Stream.transform(ends, fn
      :end, ends ->
        {ends, []}

      event, ends ->
        {before, later} = Enum.split_while(ends, &(&1.id < event.id))
        {before ++ [event], later}
    end)
  end

  @doc """
  The restarts of one supervisor around a time, the oldest first: read of it and of the last and next of its children alone.
  """
  @spec family(Recording.t(), Life.t(), non_neg_integer) :: [Restart.t()]
  def family(recording, supervisor, time) do
    {:ok, process} = Server.numbers(supervisor.pid)
    since = Life.since(supervisor) || 0
    before = recording |> Processes.newest(["spawn"], [process], since, time) |> Enum.take(@children)
    later = recording |> Processes.stream(["spawn"], [process], time + 1, @forever) |> Enum.take(@later)
    made = for %Event{data: %{child: child}} <- before ++ later, do: child
    links = for pid <- supervisor.links, is_pid(pid) and node(pid) == node(), do: pid

    processes =
      for pid <- Enum.uniq([supervisor.pid | made] ++ links),
          {:ok, numbers} <- [Server.numbers(pid)],
          do: numbers

    {_living, restarts} =
      recording
      |> Processes.stream(@life, processes, 0, @forever)
      |> Supervision.Restarts.all(facts(recording))

    Enum.filter(restarts, &(&1.supervisor == supervisor.pid))
  end

  defp facts(recording) do
    %{
      strategy: fn supervisor -> (flags(recording, supervisor) || %{})[:strategy] end,
      asked: fn supervisor, exit, started -> asked(recording, supervisor, exit, started) end
    }
  end

  @doc "How a supervisor restarts its children: its strategy, and its limit; `nil` where neither its first call nor its `init/1` tells."
  @spec flags(Recording.t(), Life.t()) :: map | nil
  def flags(recording, %Life{} = supervisor) do
    FirstCall.supervises(supervisor.spawned && supervisor.spawned.mfa) || told(recording, supervisor)
  end

  defp told(_recording, %Life{initial_call: nil}), do: nil

  defp told(recording, %Life{pid: pid, initial_call: {module, :init, 1}} = supervisor) do
    {:ok, process} = Server.numbers(pid)

    recording
    |> Processes.stream(["return"], [process], Life.since(supervisor) || 0, @forever)
    |> Stream.take(100)
    |> Enum.find_value(fn
      %Event{mfa: {^module, :init, 1}, data: %{value: value}} -> FirstCall.flags(value)
      _other -> nil
    end)
  end

  defp told(_recording, _supervisor), do: nil

  # A supervisor of which messages are recorded was told of the end of its child; and whom it began for somebody it says in its answer.
  defp asked(recording, supervisor, exit, started) do
    {:ok, process} = Server.numbers(supervisor.pid)
    born = started.spawned.time

    messages =
      recording
      |> Processes.stream(["receive"], [process], exit.time, born)
      |> Stream.take(@messages)
      |> Enum.map(&message/1)

    sent =
      recording
      |> Processes.stream(["send"], [process], born, @forever)
      |> Stream.take(@answers)
      |> Enum.map(&message/1)

    cond do
      Enum.any?(sent, &began?(&1, started.pid)) -> :asked
      sent == [] and Enum.any?(messages, &begins?/1) -> :asked
      Enum.any?(messages, &(elem(told_end(&1), 0) == exit.pid)) -> :not_asked
      true -> :unseen
    end
  end

  defp message(%Event{data: %{message: message}}), do: message
  defp message(_unreadable), do: nil

  defp began?({_tag, {:ok, pid}}, pid), do: true
  defp began?({_tag, {:ok, pid, _about}}, pid), do: true
  defp began?(_message, _pid), do: false

  defp begins?({:"$gen_call", _from, request}) when is_tuple(request) and tuple_size(request) > 0,
    do: elem(request, 0) in [:start_child, :start_task, :restart_child]

  defp begins?(_message), do: false

  # Whose end a message tells, and why it ended.
  defp told_end({:EXIT, pid, reason}) when is_pid(pid), do: {pid, reason}
  defp told_end({:DOWN, _ref, :process, pid, reason}) when is_pid(pid), do: {pid, reason}
  defp told_end(_message), do: {nil, nil}

  defp roots(recording, living, restarts, time, options) do
    supervised = supervised(living)
    restarts = Enum.group_by(restarts, & &1.to) |> chains()
    node = &node(&1, living, supervised, restarts, 0)

    case Keyword.take(options, [:root, :app]) do
      [] -> {:ok, living |> tops() |> Enum.map(&(&1 |> node.() |> app(recording, living)))}
      [root: root] -> root(recording, living, root, time, node)
      [app: app] -> of_app(living |> tops() |> Enum.map(&(&1 |> node.() |> app(recording, living))), app)
      _both -> Error.new(:bad_option, "expected root: or app:, not both, got: #{inspect(options)}")
    end
  end

  # All restarts of a child, also those of the processes that had its place before.
  defp chains(by_new) do
    Map.new(by_new, fn {pid, [restart | _]} -> {pid, chain(restart, by_new, [], MapSet.new())} end)
  end

  defp chain(%Restart{from: from} = restart, by_new, later, seen) do
    case by_new do
      %{^from => [before | _]} ->
        if MapSet.member?(seen, from),
          do: [restart | later],
          else: chain(before, by_new, [restart | later], MapSet.put(seen, from))

      _first ->
        [restart | later]
    end
  end

  defp supervised(living) do
    names = for {pid, %Life{name: name}} <- living, name != nil, into: %{}, do: {name, pid}

    for {_pid, life} <- living,
        parent = parent(life, names),
        match?(%{^parent => %Life{kind: :supervisor}}, living),
        reduce: %{} do
      all -> Map.update(all, parent, [life], &[life | &1])
    end
  end

  defp parent(%Life{parent: parent}, _names) when is_pid(parent), do: parent
  defp parent(%Life{parent: name}, names) when is_atom(name), do: Map.get(names, name)
  defp parent(_life, _names), do: nil

  defp tops(living) do
    names = for {pid, %Life{name: name}} <- living, name != nil, into: %{}, do: {name, pid}

    living
    |> Map.values()
    |> Enum.filter(fn life ->
      life.kind == :supervisor and not match?(%Life{kind: :supervisor}, living[parent(life, names)])
    end)
    |> Enum.sort_by(&{Life.since(&1), &1.pid})
  end

  defp node(life, living, supervised, restarts, depth) do
    children = if depth < @deepest, do: Map.get(supervised, life.pid, []), else: []

    %Node{
      pid: life.pid,
      name: life.name,
      label: life.label,
      module: life.initial_call && elem(life.initial_call, 0),
      initial_call: life.initial_call,
      kind: life.kind,
      since: Life.since(life),
      began?: life.spawned != nil,
      restarts: Map.get(restarts, life.pid, []),
      children:
        children
        |> Enum.sort_by(&{Life.since(&1), &1.pid})
        |> Enum.map(&node(&1, living, supervised, restarts, depth + 1))
    }
  end

  defp root(recording, living, root, time, node) do
    with {:ok, process} <- Server.find(recording, root, time) do
      case Enum.find(living, fn {pid, _life} -> Server.numbers(pid) == {:ok, process} end) do
        {_pid, %Life{kind: :supervisor} = life} ->
          {:ok, [node.(life)]}

        {pid, _life} ->
          Error.new(
            :bad_option,
            "expected root: a supervisor, got: #{inspect(root)}#{if pid != root, do: " (#{inspect(pid)})"}, which is none as far as is known"
          )

        nil ->
          Error.new(
            :unknown_process,
            "expected root: a supervisor that lived at #{Moment.format(time)}, got: #{inspect(root)}, which had ended or is not known to have begun"
          )
      end
    end
  end

  # The process above a top supervisor began the application: its first call, or the VM, says which.
  defp app(%Node{} = root, recording, living), do: %{root | app: app_of(recording, living, root)}

  defp app_of(recording, living, root) do
    with nil <- alive(recording, root.pid), nil <- of_module(root.module), do: above(living, root)
  end

  defp alive(%Recording{live?: true}, pid) when node(pid) == node() do
    case if(Process.alive?(pid), do: :application.get_application(pid)) do
      {:ok, app} -> app
      _none -> nil
    end
  end

  defp alive(_recording, _pid), do: nil

  defp of_module(module) when module in [nil, Supervisor.Default], do: nil

  defp of_module(module) do
    case :application.get_application(module) do
      # A supervisor of the language, in whatever application.
      {:ok, app} when app not in [:elixir, :stdlib] -> app
      _none -> nil
    end
  end

  defp above(living, root) do
    with %Life{parent: parent} <- living[root.pid],
         %Life{spawned: %{mfa: {:application_master, :start_it, [_state, _type, module, _args]}}} <-
           living[parent] do
      of_module(module)
    else
      _unseen -> nil
    end
  end

  defp of_app(roots, app) do
    case Enum.filter(roots, &(&1.app == app)) do
      [] ->
        known = roots |> Enum.map(& &1.app) |> Enum.reject(&is_nil/1) |> Enum.uniq() |> Enum.sort()

        Error.new(
          :bad_option,
          "expected app: an application with a supervisor at that time, got: #{inspect(app)}; known are: #{inspect(known)}. " <>
            "Supervisors are known when they are watched: ElixirScope.watch(:all, kinds: [:life, :links, :names])"
        )

      some ->
        {:ok, some}
    end
  end

  @doc "See `ElixirScope.restarts/1`."
  @spec restarts(keyword) :: {:ok, [Restart.t()]} | {:error, Error.t()}
  def restarts(options) do
    with :ok <- Query.check(options, [:since, :until, :supervisor, :limit, :in]),
         {:ok, limit} <- Query.limit(options),
         {:ok, recording} <- Query.recording(options),
         {:ok, since} <- bound(recording, options, :since, 0),
         {:ok, until} <- bound(recording, options, :until, @latest),
         :ok <- Range.within(recording, %{since: since, until: until}),
         {:ok, supervisor} <- supervisor(recording, options, until),
         :ok <- watched(recording, "restarts") do
      {_living, restarts} = lives(recording, until)

      found =
        for restart <- restarts,
            restart.time >= since,
            supervisor == nil or Server.numbers(restart.supervisor) == {:ok, supervisor},
            do: restart

      {:ok, found |> Enum.sort_by(& &1.time) |> limited(limit)}
    end
  end

  defp limited(found, :infinity), do: found
  defp limited(found, limit), do: Enum.take(found, limit)

  defp bound(recording, options, key, default) do
    case Keyword.fetch(options, key) do
      :error -> {:ok, default}
      {:ok, time} -> Moment.find(recording, time)
    end
  end

  defp supervisor(recording, options, until) do
    case Keyword.fetch(options, :supervisor) do
      :error -> {:ok, nil}
      {:ok, server} -> Server.find(recording, server, until)
    end
  end
end
