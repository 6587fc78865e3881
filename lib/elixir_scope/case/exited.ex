defmodule ElixirScope.Case.Exited do
  @moduledoc false
  # `assert_exited` when a test runs.

  alias ElixirScope.Case.{Failure, Known, Quiet, Scope}
  alias ElixirScope.{Event, Native, Query}
  alias ElixirScope.Query.{Processes, Server}

  @advice "Say ElixirScope.watch(pid) before it ends"

  @doc "The event of the end, and what it binds."
  @spec assert(map) :: {Event.t(), tuple}
  def assert(asked) do
    pids = pids(asked.process)

    case Quiet.last(fn -> look(pids, asked) end, within: asked.within, also: Enum.filter(pids, &local?/1)) do
      {:ok, found} -> found
      {_why, seen} -> failed(seen, pids, asked)
    end
  end

  defp local?(pid), do: node(pid) == node()

  # Of a name those that had it, the last first.
  defp pids(pid) when is_pid(pid), do: [pid]

  defp pids(name) when is_atom(name) and name not in [nil, true, false] do
    {:ok, recording} = recording()
    Enum.uniq(List.wrap(Process.whereis(name)) ++ known(recording, name))
  end

  defp pids(other),
    do: Failure.impossible("expected the process as a pid or the name that it had, got: #{inspect(other)}")

  defp recording do
    with {:error, error} <- Query.recording([]), do: Failure.impossible(error.message)
  end

  defp look(pids, asked) do
    {:ok, recording} = recording()
    since = since(asked.process)

    exits =
      for pid <- pids, event = Processes.exit_of(recording, pid, Native.now()), event.time >= since, do: event

    Enum.find_value(exits, {:not_yet, exits}, fn event ->
      with {:ok, bound} <- held(event, asked), do: {:ok, {event, bound}}, else: (_other_or_unknown -> nil)
    end)
  end

  # In turn a name is that of processes of other tests.
  defp since(pid) when is_pid(pid), do: 0
  defp since(_name), do: Scope.since()

  defp held(%Event{data: %{reason: reason}}, asked),
    do: Known.value(asked.matcher.(reason), asked.expected, reason)

  @doc """
  Why nobody can say that none of these processes has ended; `nil`: their ends are known, or they live. `process` is what the test
  named, these are the processes that it stands for.
  """
  @spec unseen(pid | atom, [pid]) :: String.t() | nil
  def unseen(process, pids) do
    {:ok, recording} = recording()

    cond do
      elsewhere = Enum.find(pids, &(not local?(&1))) ->
        "#{inspect(elsewhere)} is a process of another node, whose end is not recorded here"

      # Another one may have had the name before.
      is_atom(process) and Process.whereis(process) not in [nil | known(recording, process)] ->
        nobody(process)

      true ->
        untold(pids -- Quiet.living(pids))
    end
  end

  # An end is captured before anybody can see that the process is gone; so it is looked for behind that, in what is recorded by then.
  defp untold([]), do: nil

  defp untold(ended) do
    {:ok, recording} = recording()

    case Enum.reject(ended, &Processes.exit_of(recording, &1, Native.now())) do
      [] -> nil
      [pid | _] -> "#{inspect(pid)} has ended, but its end was not recorded: it was not watched. " <> @advice
    end
  end

  defp known(recording, name), do: Processes.holders(recording, name, Native.now())

  @doc "That nobody had a name, as far as anybody knows."
  @spec nobody(atom) :: String.t()
  def nobody(name) do
    "nobody is known to have had the name #{inspect(name)}; ask with the pid, or watch the process: ElixirScope.watch(pid)"
  end

  defp failed([], [], asked), do: Failure.impossible(nobody(asked.process))

  defp failed(exits, pids, asked) do
    family = Scope.family!()

    Failure.fail(%{
      expected: "Expected a process to have ended with a reason that matches\n\n    #{asked.text}",
      found:
        if(Enum.any?(exits, &(held(&1, asked) == :unknown)),
          do: unknown(),
          else: found(exits, pids, asked, family)
        ),
      family: family,
      candidates: exits,
      pattern: %{value: asked.expected}
    })
  end

  defp unknown do
    "Undecided: whether it did nobody knows, since a part of the reason that the pattern looks at is not in the recording (limits:, redact:):"
  end

  defp found([_ | _], _pids, _asked, _family), do: "It ended with another reason:"

  defp found([], pids, asked, family) do
    alive = Quiet.living(pids)
    {told, untold} = Enum.split_with(pids -- alive, &Processes.exit_of(family.recording, &1, Native.now()))

    case {alive, told, untold} do
      {[], [pid | _], []} ->
        ended(pid, asked, family)

      {[], _told, _untold} ->
        "It has ended, but its end was not recorded: it was not watched. #{@advice}."

      {alive, _told, untold} ->
        "#{names(alive)} is alive." <> untold_text(Enum.filter(untold, &seen?(family, &1)))
    end
  end

  # Too early for a name, or later than was waited for.
  defp ended(pid, asked, family) do
    if Processes.exit_of(family.recording, pid, Native.now()).time < since(asked.process),
      do: "#{inspect(pid)} had the name last and has ended, before this test began. Ask with the pid.",
      else: "#{inspect(pid)} was alive, and has ended just now. Wait longer: within: milliseconds."
  end

  defp untold_text([]), do: ""

  defp untold_text(pids) do
    "\n#{names(pids)} had the name before in this test and has ended, but its end was not recorded: it was not watched. #{@advice}."
  end

  defp names(pids), do: Enum.map_join(pids, ", ", &inspect/1)

  # Whether anything was recorded of it in the time of the test.
  defp seen?(%{recording: recording, since: since}, pid) do
    {:ok, process} = Server.numbers(pid)
    match?([{_first, last, _events}] when last >= since, Native.seen(recording.handle, [process]))
  end
end
