defmodule ElixirScope.Case.Stated do
  @moduledoc false
  # `assert_state` when a test runs.

  alias ElixirScope.Case.{Failure, Known, Lost, Quiet, Scope, Silent}
  alias ElixirScope.{Call, Error, Event, Native, Query, Recording}
  alias ElixirScope.Query.{Processes, Server, States}

  @latest 0x7FFFFFFFFFFFFFFF
  # States that a failure shows, the newest.
  @shown 5
  # Of a process so many of its calls are looked at for that of its beginning.
  @first_calls 16

  @doc "The state that matches, the newest of all for `:always`, and what it binds."
  @spec assert(map) :: {term, tuple}
  def assert(%{when: :now} = asked) do
    case Quiet.last(fn -> now(asked) end, within: asked.within, also: local(asked.server)) do
      {:ok, found} -> found
      {_why, {:busy, found}} -> found
      {_why, seen} -> no_match(seen, asked, "Expected the state of a server to match")
    end
  end

  def assert(%{when: {:at, time}} = asked) do
    seen = held(Query.state_at(asked.server, time, []), asked)

    case told(seen, silent_at(asked.server, time)) do
      {:ok, found} -> found
      {:not_yet, seen} -> no_match(seen, asked, "Expected the state of a server at a moment to match")
    end
  end

  def assert(%{when: :ever} = asked) do
    case Quiet.last(fn -> ever(asked) end, within: asked.within, also: local(asked.server)) do
      {:ok, found} -> found
      {_why, {family, states}} -> never(family, states, asked)
    end
  end

  def assert(%{when: :always} = asked) do
    case Quiet.settled(fn -> broken(asked) end, within: asked.within, also: local(asked.server)) do
      {:ok, {family, event, states}} -> broken(family, event, states, asked)
      {why, {family, states}} -> always(family, states, Quiet.unsettled(why), asked)
    end
  end

  @doc "Whether any state of a process was recorded."
  @spec told?(Recording.t(), Server.numbers()) :: boolean
  def told?(recording, process), do: Native.state_at(recording.handle, process, 0) != :never

  @doc "Why no state of a process was recorded; `nil`: one was, or would have been, since its `init/1` was."
  @spec unseen(Recording.t(), pid) :: Error.t() | nil
  def unseen(_recording, pid) when node(pid) != node() do
    {:error, error} =
      Error.new(:no_state, "#{inspect(pid)} is a process of another node, whose states are not recorded here")

    error
  end

  def unseen(recording, pid) do
    {:ok, process} = Server.numbers(pid)

    with false <- told?(recording, process) or begun?(recording, process),
         {:error, error} <- Query.state_at(pid, Native.now(), in: recording) do
      error
    else
      _told -> nil
    end
  end

  # One that ends in its beginning never has a state.
  defp begun?(recording, process) do
    filter = %{kinds: [], processes: [process], sites: nil, since: 0, until: @latest}
    calls = Native.calls(recording.handle, filter, @first_calls)
    Enum.any?(calls, &match?({_module, :init, 1}, Call.from_native(&1).mfa))
  end

  @doc "Whose states are recorded."
  @spec whose() :: String.t()
  def whose, do: "states are those of servers whose module says `use ElixirScope`"

  # A server that is at work has not yet done all that it was told before, so its state is not that of now.
  defp now(asked) do
    # A name may be that of another process meanwhile.
    servers = local(asked.server)
    work = Quiet.work(servers)

    state = state(asked.server, if(work == :rest, do: servers, else: []))

    with {:ok, found} <- state |> held(asked) |> told(Silent.at(servers ++ written(asked.server), :now)),
         :lives <- if(work == :rest, do: :lives, else: lives(asked.server, found)) do
      if work == :busy, do: {:not_yet, {:busy, found}}, else: {:ok, found}
    end
  end

  defp state(server, [pid]) do
    case Scope.state(pid) do
      {:known, native} -> {:ok, Event.from_native(native).data.state}
      :unknown -> state(server, [])
    end
  end

  defp state(server, []), do: Query.state_at(server, Native.now(), [])

  # What has ended has no state now. Its last one is read before it is asked whether it lives.
  defp lives(server, {state, _bound}) do
    {:ok, recording} = Query.recording([])

    with {:ok, process} <- Server.find(recording, server, Native.now()) do
      cond do
        not recording.live? -> :lives
        Quiet.living([pid(process)]) == [] -> {:not_yet, {:ended, pid(process), state}}
        given_back?(server) -> {:not_yet, {:given_back, pid(process), state}}
        true -> :lives
      end
    else
      {:error, error} -> {:not_yet, {:error, error}}
    end
  end

  # Who had it last is believed to have it still, as not every process says that it gave it back.
  defp given_back?(name), do: is_atom(name) and Process.whereis(name) == nil

  # A state that is known is the last one until the server asked not to be looked at.
  defp told(seen, nil), do: seen
  defp told({:not_yet, {:error, _error}} = seen, _silent), do: seen
  defp told(_seen, silent), do: {:not_yet, {:silent, silent}}

  defp silent_at(server, time) do
    with true <- Silent.any?(),
         {:ok, recording} <- Query.recording([]),
         {:ok, time} <- Query.Moment.find(recording, time),
         {:ok, process} <- Server.find(recording, server, time),
         do: Silent.at([pid(process)], time),
         else: (_none_or_not_found -> nil)
  end

  # Those that can be waited for.
  defp local(server) do
    case whereis(server) do
      pid when is_pid(pid) and node(pid) == node() -> [pid]
      _other -> []
    end
  end

  defp whereis(server) when is_pid(server) or is_atom(server) or is_tuple(server),
    do: GenServer.whereis(server)

  defp whereis(_text), do: nil

  defp written(text) when is_binary(text),
    do: with({:ok, process} <- Server.numbers(text), do: [pid(process)], else: (:error -> []))

  defp written(_server), do: []

  defp held({:ok, state}, asked) do
    case verdict(state, asked) do
      {:ok, bound} -> {:ok, {state, bound}}
      _other_or_unknown -> {:not_yet, {:state, state}}
    end
  end

  defp held({:error, error}, _asked), do: {:not_yet, {:error, error}}

  defp verdict(state, asked), do: Known.value(asked.matcher.(state), asked.expected, state)

  # Mistakes are no reason to show a report of the test.
  defp no_match({:error, %Error{message: message}}, _asked, _expected), do: Failure.impossible(message)

  defp no_match({:ended, pid, state}, asked, expected) do
    family = Scope.family!()

    Failure.fail(%{
      expected: "#{expected}\n\n    #{asked.text}",
      found:
        "#{inspect(pid)} has ended#{ended(family, pid)}, so it has no state now. Its last one matches; `at: time` and `:ever` ask for what was:",
      family: family,
      server: pid,
      candidates: [{Native.now(), state}]
    })
  end

  defp no_match({:given_back, pid, state}, asked, expected) do
    {:ok, family} = Scope.family()

    Failure.fail(%{
      expected: "#{expected}\n\n    #{asked.text}",
      found:
        "Nobody has the name #{inspect(asked.server)} now. #{inspect(pid)} had it last, lives without it, and its state matches; ask with the pid:",
      family: family,
      server: pid,
      candidates: [{Native.now(), state}]
    })
  end

  defp no_match({:silent, text}, asked, expected) do
    {:ok, family} = Scope.family()

    Failure.fail(%{
      expected: "#{expected}\n\n    #{asked.text}#{moment(asked.when)}",
      found: "Undecided: #{text}.",
      family: family,
      server: pid(family, asked.server),
      candidates: []
    })
  end

  defp no_match({:state, state}, asked, expected) do
    family = Scope.family!()

    Failure.fail(%{
      expected: "#{expected}\n\n    #{asked.text}#{moment(asked.when)}",
      found: doubtful([state], asked, "It does not:"),
      family: family,
      server: pid(family, asked.server),
      candidates: [{time(asked.when), state}],
      pattern: %{value: asked.expected}
    })
  end

  defp ended(family, pid) do
    case Processes.exit_of(family.recording, pid, Native.now()) do
      %Event{time: time} -> " at #{ElixirScope.Text.clock(time)}"
      nil -> ""
    end
  end

  defp moment(:now), do: ""
  defp moment({:at, time}), do: ", at: #{ElixirScope.Text.clock(time({:at, time}))}"

  defp time({:at, time}) do
    {:ok, recording} = Query.recording([])

    case Query.Moment.find(recording, time) do
      {:ok, time} -> time
      {:error, _said_before} -> Native.now()
    end
  end

  defp time(_now), do: Native.now()

  # Whose states a failure shows.
  defp pid(family, server) do
    case Server.find(family.recording, server, @latest) do
      {:ok, process} -> pid(process)
      {:error, _} -> nil
    end
  end

  defp pid({id, serial}), do: :erlang.list_to_pid(String.to_charlist("<0.#{id}.#{serial}>"))

  defp ever(asked) do
    {family, states} = states(asked)

    Enum.find_value(states, {:not_yet, {family, states}}, fn %Event{data: %{state: state}} ->
      with {:ok, bound} <- verdict(state, asked), do: {:ok, {state, bound}}, else: (_other_or_unknown -> nil)
    end)
  end

  defp broken(asked) do
    {family, states} = states(asked)

    case Enum.find(states, &(verdict(&1.data.state, asked) == :error)) do
      nil -> {:not_yet, {family, states}}
      event -> {:ok, {family, event, states}}
    end
  end

  # The states since the test began, with the one that the server had then, the oldest first. Of a name those of all that had it in turn.
  defp states(asked) do
    with {:ok, family} <- Scope.family(),
         {:ok, process} <- Server.find(family.recording, asked.server, @latest) do
      states =
        case in_turn(family.recording, asked.server, process) do
          [process] -> before(family, process) ++ since(family, process)
          processes -> processes |> Enum.flat_map(&of_holder(family, &1)) |> Enum.sort_by(&{&1.time, &1.id})
        end

      {family, states}
    else
      {:error, error} -> Failure.impossible(error.message)
    end
  end

  defp in_turn(recording, name, process) when is_atom(name) do
    holders =
      for pid <- Processes.holders(recording, name, @latest),
          {:ok, holder} <- [Server.numbers(pid)],
          do: holder

    Enum.uniq([process | holders])
  end

  defp in_turn(_recording, _server, process), do: [process]

  @doc "Why nobody knows all states of these servers in the time of a test, in words; `nil`: they are known."
  @spec untold(Scope.t(), [pid]) :: String.t() | nil
  def untold(family, pids) do
    Enum.find_value(pids, fn pid ->
      with %Error{message: message} <- unseen(family.recording, pid), {:ok, process} = Server.numbers(pid) do
        if living?(family, process), do: message
      end
    end) || Silent.since(pids, family.since)
  end

  @doc "All that had a name in turn, as far as anybody knows, the one that has it now among them."
  @spec holders(Recording.t(), atom) :: [pid]
  def holders(recording, name) do
    now = for pid <- [Process.whereis(name)], recording.live?, is_pid(pid), do: pid
    Enum.uniq(now ++ Processes.holders(recording, name, @latest))
  end

  defp servers(family, name) when is_atom(name), do: holders(family.recording, name)
  defp servers(family, server), do: List.wrap(pid(family, server))

  defp of_holder(family, process), do: began_with(family, process) ++ since(family, process)

  @doc "The state that a server began the test with. What one had that ended before, or that nobody knows to have lived in it, is none."
  @spec began_with(Scope.t(), Server.numbers()) :: [Event.t()]
  def began_with(%{recording: recording, since: since} = family, process) do
    lived? = Enum.any?(States.stream(recording, process, since, @latest, :oldest)) or living?(family, process)
    if lived?, do: before(family, process), else: []
  end

  defp living?(%{recording: recording, since: since}, process) do
    Enum.any?(Processes.stream(recording, ["exit"], [process], since, @latest)) or
      Quiet.living([pid(process)]) != []
  end

  defp before(%{since: 0}, _process), do: []

  defp before(%{recording: recording, since: since}, process),
    do: recording |> States.stream(process, 0, since - 1, :newest) |> Enum.take(1)

  defp since(%{recording: recording, since: since}, process),
    do: recording |> States.stream(process, since, @latest, :oldest) |> Enum.to_list()

  defp never(family, [], asked), do: none(family, asked)

  defp never(family, states, asked) do
    Failure.fail(%{
      expected: "Expected a state of a server to match\n\n    #{asked.text}, :ever\n\nsince the test began.",
      found: doubtful(values(states), asked, "None of #{count(states)} does#{lost(family, asked)}"),
      family: family,
      server: pid(family, asked.server),
      candidates: recent(states),
      pattern: %{value: asked.expected}
    })
  end

  defp broken(family, event, states, asked) do
    Failure.fail(%{
      expected:
        "Expected all states of a server to match\n\n    #{asked.text}, :always\n\nsince the test began.",
      found: "Of #{count(states)} this one does not:",
      family: family,
      server: event.pid,
      candidates: [{event.time, event.data.state}],
      pattern: %{value: asked.expected},
      at: event.time
    })
  end

  defp always(family, [], _unsettled, asked), do: none(family, asked)

  defp always(family, states, unsettled, asked) do
    unknown = Enum.filter(states, &(verdict(&1.data.state, asked) == :unknown))

    case {Scope.gaps(family), unknown} do
      {[], []} ->
        if why = unsettled || untold(family, servers(family, asked.server)) do
          undecided("all of #{count(states)} that are known do, but #{why}.", family, asked, [])
        else
          state = List.last(states).data.state
          {:ok, bound} = verdict(state, asked)
          {state, bound}
        end

      {[], unknown} ->
        undecided(hidden("of #{count(unknown)} of #{length(states)}"), family, asked, recent(unknown))

      {gaps, _unknown} ->
        why = "all of #{count(states)} that are known do, but "
        undecided(why <> Lost.text(gaps), family, asked, [])
    end
  end

  defp undecided(why, family, asked, candidates) do
    Failure.fail(%{
      expected:
        "Expected all states of a server to match\n\n    #{asked.text}, :always\n\nsince the test began.",
      found: "Undecided: " <> why,
      family: family,
      server: pid(family, asked.server),
      candidates: candidates
    })
  end

  # Why none is known.
  defp none(_family, asked) do
    case Query.state_at(asked.server, Native.now(), []) do
      {:error, error} ->
        Failure.impossible(error.message)

      {:ok, _state} ->
        Failure.impossible("no state of #{inspect(asked.server)} was recorded since the test began")
    end
  end

  defp values(states), do: Enum.map(states, & &1.data.state)
  defp recent(states), do: states |> Enum.take(-@shown) |> Enum.map(&{&1.time, &1.data.state})

  defp count([_]), do: "1 state"
  defp count(states), do: "#{length(states)} states"

  # What the pattern looks at and is not in the recording decides nothing.
  defp doubtful(values, asked, otherwise) do
    case Enum.count(values, &(verdict(&1, asked) == :unknown)) do
      0 -> otherwise
      _some -> "Undecided: " <> hidden(if(match?([_], values), do: "of it", else: "of some of these"))
    end
  end

  defp hidden(of_what) do
    "#{of_what} nobody knows whether it matches: a part that the pattern looks at is not in the recording, since a limit or the redaction " <>
      "kept it out (limits:, redact:):"
  end

  defp lost(family, asked) do
    silent = Silent.since(servers(family, asked.server), family.since)

    case Scope.gaps(family) do
      [] ->
        if(silent, do: ", but one may have, as #{silent}:", else: ":")

      gaps ->
        ", but events are missing, so one may have:\n" <> Enum.join(Lost.lines(gaps), "\n")
    end
  end
end
