defmodule ElixirScope.Case.Stated do
  @moduledoc false
  # `assert_state` when a test runs.

  alias ElixirScope.Case.{Failure, Living, Quiet, Scope}
  alias ElixirScope.{Error, Event, Native, Query}
  alias ElixirScope.Query.{FirstCut, Server, States}

  @latest 0x7FFFFFFFFFFFFFFF
  # States that a failure shows, the newest.
  @shown 5

  @doc "The state that matches, the newest of all for `:always`, and what it binds."
  @spec assert(map) :: {term, tuple}
  def assert(%{when: :now} = asked) do
    servers = local(asked.server)

    case Quiet.last(fn -> now(asked, servers) end, within: asked.within, also: servers) do
      {:ok, found} -> found
      {_why, {:busy, found}} -> found
      {_why, seen} -> no_match(seen, asked, "Expected the state of a server to match")
    end
  end

  def assert(%{when: {:at, time}} = asked) do
    case held(Query.state_at(asked.server, time, []), asked) do
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
      {_why, {family, states}} -> always(family, states, asked)
    end
  end

  # A server that is at work has not yet done all that it was told before, so its state is not that of now.
  defp now(asked, servers) do
    busy? = Enum.any?(servers, &(Living.rest(&1) == :busy))

    case held(Query.state_at(asked.server, Native.now(), []), asked) do
      {:ok, found} when busy? -> {:not_yet, {:busy, found}}
      answer -> answer
    end
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

  defp held({:ok, state}, asked) do
    case asked.matcher.(state) do
      {:ok, bound} -> {:ok, {state, bound}}
      :error -> {:not_yet, {:state, state}}
    end
  end

  defp held({:error, error}, _asked), do: {:not_yet, {:error, error}}

  # Mistakes are no reason to show a report of the test.
  defp no_match({:error, %Error{message: message}}, _asked, _expected), do: Failure.impossible(message)

  defp no_match({:state, state}, asked, expected) do
    {:ok, family} = Scope.family()

    Failure.fail(%{
      expected: "#{expected}\n\n    #{asked.text}#{moment(asked.when)}",
      found: "It does not#{doubt([state])}:",
      family: family,
      server: pid(family, asked.server),
      candidates: [{time(asked.when), state}],
      pattern: %{value: asked.expected}
    })
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

  defp pid(family, server) do
    case Server.find(family.recording, server, @latest) do
      {:ok, {id, serial}} -> :erlang.list_to_pid(String.to_charlist("<0.#{id}.#{serial}>"))
      {:error, _} -> nil
    end
  end

  defp ever(asked) do
    {family, states} = states(asked)

    Enum.find_value(states, {:not_yet, {family, states}}, fn %Event{data: %{state: state}} ->
      case asked.matcher.(state) do
        {:ok, bound} -> {:ok, {state, bound}}
        :error -> nil
      end
    end)
  end

  defp broken(asked) do
    {family, states} = states(asked)

    case Enum.find(states, &(asked.matcher.(&1.data.state) == :error)) do
      nil -> {:not_yet, {family, states}}
      event -> {:ok, {family, event, states}}
    end
  end

  # The states since the test began, with the one that the server had then, the oldest first.
  defp states(asked) do
    with {:ok, family} <- Scope.family(),
         {:ok, process} <- Server.find(family.recording, asked.server, @latest) do
      recording = family.recording

      before =
        if family.since > 0, do: Enum.take(States.stream(recording, process, 0, family.since - 1, :newest), 1)

      {family,
       List.wrap(before) ++ Enum.to_list(States.stream(recording, process, family.since, @latest, :oldest))}
    else
      {:error, error} -> Failure.impossible(error.message)
    end
  end

  defp never(family, [], asked), do: none(family, asked)

  defp never(family, states, asked) do
    Failure.fail(%{
      expected: "Expected a state of a server to match\n\n    #{asked.text}, :ever\n\nsince the test began.",
      found: "None of #{count(states)} does#{doubt(values(states))}#{lost(family)}",
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
      found: "Of #{count(states)} this one does not#{doubt([event.data.state])}:",
      family: family,
      server: pid(family, asked.server),
      candidates: [{event.time, event.data.state}],
      pattern: %{value: asked.expected},
      at: event.time
    })
  end

  defp always(family, [], asked), do: none(family, asked)

  defp always(family, states, asked) do
    case Scope.gaps(family) do
      [] ->
        state = List.last(states).data.state
        {:ok, bound} = asked.matcher.(state)
        {state, bound}

      gaps ->
        Failure.fail(%{
          expected:
            "Expected all states of a server to match\n\n    #{asked.text}, :always\n\nsince the test began.",
          found:
            "Undecided: all of #{count(states)} that are known do, but events are missing in the time of this test.\n" <>
              Enum.map_join(gaps, "\n", &Failure.Parts.gap/1),
          family: family,
          server: pid(family, asked.server)
        })
    end
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

  # What is not in the recording cannot match.
  defp doubt(values) do
    if Enum.any?(values, &(FirstCut.find(&1) != nil)),
      do: " as far as it was recorded: a limit or the redaction kept a part out (limits:, redact:)",
      else: ""
  end

  defp lost(family) do
    case Scope.gaps(family) do
      [] ->
        ":"

      gaps ->
        ", but events are missing, so one may have:\n" <> Enum.map_join(gaps, "\n", &Failure.Parts.gap/1)
    end
  end
end
