defmodule ElixirScope.Case.Invariant do
  @moduledoc false
  # What is to hold of all states of a server, or of all servers of a module among the test's processes.

  alias ElixirScope.Case.{Failure, Lost, Quiet, Scope}
  alias ElixirScope.{Cut, Error, Event, Text}
  alias ElixirScope.Query.{History, Messages, Processes, Search, Server, States}

  @forever 0xFFFFFFFFFFFFFFFF

  @doc "Fails unless a function is true of all states; waits until the test's processes are quiet."
  @spec assert(Server.t() | module, (term -> as_boolean(term)), String.t()) :: true
  def assert(server, fun, text) when is_function(fun, 1) do
    Quiet.settle(also: also(server))

    with {:ok, family} <- Scope.family(),
         {:ok, pids} <- pids(server, family) do
      about = %{server: server, fun: fun, text: text, family: family}
      looked_at = pids |> Enum.map(&holds(&1, about)) |> Enum.sum()
      decided(looked_at, about)
    else
      {:error, error} -> Failure.impossible(error.message)
    end
  end

  def assert(_server, other, _text) do
    raise ArgumentError,
          "assert_invariant expects a server or a module, and a function of one argument, which is given each state; got: #{inspect(other)}"
  end

  defp also(pid) when is_pid(pid), do: [pid]

  defp also(server) do
    for pid <- [GenServer.whereis(server)], is_pid(pid), node(pid) == node(), do: pid
  rescue
    # A text, or the name of a registry that is none.
    _error in [ArgumentError, FunctionClauseError, UndefinedFunctionError] -> []
  end

  # A module stands for its servers among the test's processes; who had a name, for all that had it in turn.
  defp pids(server, family) when is_atom(server) do
    named = Processes.holders(family.recording, server, @forever)

    case Enum.uniq(named ++ Search.servers_of(family.recording, server, family.pids)) do
      [] -> named(server, family)
      pids -> {:ok, pids}
    end
  end

  defp pids(server, family), do: Messages.pids(family.recording, server, @forever)

  defp named(server, family) do
    with {:error, error} <- Messages.pids(family.recording, server, @forever) do
      Error.new(
        error.reason,
        "no state of a server of the module #{inspect(server)} was recorded in this test's processes, nor is it the name of a server: " <>
          error.message
      )
    end
  end

  # How many states there are of one process: those of the test's time, and the one that it began with.
  defp holds(pid, about) do
    %{family: %{recording: recording, since: since}} = about

    case Server.numbers(pid) do
      {:ok, process} ->
        before =
          if since > 0,
            do: recording |> States.stream(process, 0, since - 1, :newest) |> Enum.take(1),
            else: []

        recording
        |> States.stream(process, since, @forever, :oldest)
        |> Stream.reject(&(&1.data.origin == :restated))
        |> then(&Stream.concat(before, &1))
        |> Enum.reduce(0, fn state, count ->
          check(state, process, about)
          count + 1
        end)

      :error ->
        0
    end
  end

  defp check(%Event{data: %{state: state}} = event, process, about) do
    cond do
      not ask(event, process, about) ->
        broken(event, process, about, "It was not so of this one:")

      cut = cut(state) ->
        broken(
          event,
          process,
          about,
          "Undecided: a limit kept out a part of it (#{inspect(cut)}); record with higher limits:."
        )

      true ->
        :ok
    end
  end

  defp ask(%Event{data: %{state: state}} = event, process, about) do
    if about.fun.(state), do: true, else: false
  catch
    kind, reason ->
      broken(
        event,
        process,
        about,
        "The function failed on this one: #{Exception.format_banner(kind, reason, __STACKTRACE__)}"
      )
  end

  # What is left out on purpose is not what the function is about.
  defp cut(%Cut{kind: kind} = cut), do: if(kind in [:redacted, :left_out], do: nil, else: cut)
  defp cut([part | rest]), do: cut(part) || cut(rest)
  defp cut(tuple) when is_tuple(tuple), do: tuple |> Tuple.to_list() |> Enum.find_value(&cut/1)

  defp cut(map) when is_map(map),
    do: map |> :maps.to_list() |> Enum.find_value(fn {key, value} -> cut(key) || cut(value) end)

  defp cut(_whole), do: nil

  defp broken(event, process, about, how) do
    {:ok, history} = History.about(about.family.recording, process)
    change = History.change(history, event, History.before(history, event))
    fail(about, how <> "\n\n" <> indented(inspect(change)), event.pid)
  end

  defp indented(text), do: text |> String.split("\n") |> Enum.map_join("\n", &("    " <> &1))

  defp decided(0, about) do
    {:ok, pids} = pids(about.server, about.family)
    reason = Enum.find_value(pids, "", &no_state(&1, about))
    fail(about, "There was no state to be asked about, which is no proof.#{reason}", nil)
  end

  defp decided(_some, about) do
    case Lost.text(about.family) do
      nil -> true
      text -> fail(about, "Undecided: it was so of all that are known, but " <> text, nil)
    end
  end

  defp no_state(pid, %{family: %{recording: recording}}) do
    with {:ok, process} <- Server.numbers(pid),
         {:error, error} <- History.pid(recording, process, pid) do
      " " <> error.message
    else
      _has_some -> nil
    end
  end

  defp fail(about, found, server) do
    Failure.fail(%{
      expected:
        "Expected of each state of #{Text.short(about.server)} in the time of this test:\n\n" <>
          indented(about.text),
      found: found,
      family: about.family,
      server: server,
      candidates: []
    })
  end
end
