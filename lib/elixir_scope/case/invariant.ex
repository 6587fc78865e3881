defmodule ElixirScope.Case.Invariant do
  @moduledoc false
  # What is to hold of all states of a server, or of all servers of a module among the test's processes.

  alias ElixirScope.Case.{Failure, Known, Lost, Quiet, Scope, Silent, Stated}
  alias ElixirScope.{Cut, Error, Event, Text}
  alias ElixirScope.Query.{FirstCut, History, Messages, Search, Server, States}

  @forever 0xFFFFFFFFFFFFFFFF

  @doc "Fails unless a function is true of all states; waits until the test's processes are quiet."
  @spec assert(Server.t() | module, (term -> as_boolean(term)), map) :: true
  # In searches it stands for any module.
  def assert(nil, _fun, _about) do
    raise ArgumentError, "assert_invariant expects a server or a module of servers, got: nil"
  end

  def assert(server, fun, %{text: text, clauses: clauses, ignoring: ignoring}) when is_function(fun, 1) do
    unsettled = [also: also(server)] |> Quiet.settle() |> Quiet.unsettled()

    with {:ok, family} <- Scope.family(),
         {:ok, pids} <- pids(server, family) do
      about = %{
        server: server,
        fun: fun,
        text: text,
        clauses: clauses,
        ignoring: ignoring,
        family: family,
        unsettled: unsettled
      }

      looked_at = pids |> Enum.map(&holds(&1, about)) |> Enum.sum()
      decided(looked_at, about)
    else
      {:error, error} -> Failure.impossible(error.message)
    end
  end

  def assert(_server, other, _about) do
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
    named = Stated.holders(family.recording, server)

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
    %{family: %{recording: recording, since: since} = family} = about

    case Server.numbers(pid) do
      {:ok, process} ->
        recording
        |> States.stream(process, since, @forever, :oldest)
        |> Stream.reject(&(&1.data.origin == :restated))
        |> then(&Stream.concat(Stated.began_with(family, process), &1))
        |> Enum.reduce(0, fn state, count ->
          check(state, process, about)
          count + 1
        end)

      :error ->
        0
    end
  end

  # What a limit or the redaction kept out decides nothing, so the function is not asked about it.
  defp check(%Event{data: %{state: state}} = event, process, about) do
    if hidden = hidden(state, about), do: broken(event, process, about, undecided(hidden))
    if not ask(event, process, about), do: broken(event, process, about, "It was not so of this one:")
  end

  # What the function may look at and nobody knows.
  defp hidden(state, %{clauses: nil} = about), do: unless_ignored(state, about)

  defp hidden(state, %{clauses: clauses} = about) do
    looks? =
      Enum.reduce_while(clauses, false, fn {expected, alone?}, _looks? ->
        case Known.compare([{expected, [state]}]) do
          :unknown -> {:halt, true}
          :perhaps when alone? -> {:halt, false}
          _perhaps_another -> {:cont, false}
        end
      end)

    if looks?, do: unless_ignored(state, about)
  end

  defp unless_ignored(state, %{ignoring: :redacted}) do
    with {_path, cut} <- FirstCut.by_limit(state), do: cut
  end

  defp unless_ignored(state, _about), do: Known.hidden(state)

  defp undecided(%Cut{} = cut),
    do: undecided(Cut.by(cut), inspect(cut), Cut.remedy(cut), cut.kind in [:redacted, :left_out])

  defp undecided(text),
    do: undecided("redaction", Text.short(text, width: 60), Cut.remedy(%Cut{kind: :redacted}), true)

  defp undecided(by, what, remedy, redacted?) do
    "Undecided: #{by} kept out a part of what the function may look at (#{what}). Say what it looks at with a pattern, such as " <>
      "fn %{left: left} -> left >= 0 end#{if redacted?, do: ", or that it looks at no secret: ignoring: :redacted"}; or #{remedy}. The state:"
  end

  defp ask(%Event{data: %{state: state}} = event, process, about) do
    if about.fun.(state), do: true, else: false
  catch
    kind, reason ->
      banner = Exception.format_banner(kind, reason, __STACKTRACE__)
      broken(event, process, about, failed(FirstCut.find(state), banner))
  end

  defp failed(nil, banner), do: "The function failed on this one: #{banner}"

  # It met what stands for the part, and not the part.
  defp failed({_path, cut}, banner) do
    "Undecided: a limit or the redaction kept out a part of it (#{inspect(cut)}; limits:, redact:), on which the function " <>
      "failed: #{banner}"
  end

  defp broken(event, process, about, how) do
    {:ok, history} = History.about(about.family.recording, process)
    change = History.change(history, event, History.before(history, event))
    fail(about, how <> "\n\n" <> indented(inspect(change)), event.pid)
  end

  defp indented(text), do: text |> String.split("\n") |> Enum.map_join("\n", &("    " <> &1))

  defp decided(0, about) do
    {:ok, pids} = pids(about.server, about.family)
    reason = Enum.find_value(pids, "", &no_state(&1, about))
    fail(about, "There was no state to be asked about, which is no proof#{reason}.", nil)
  end

  defp decided(_some, about) do
    case Lost.text(Scope.gaps(about.family)) || sentence(about.unsettled || untold(about)) do
      nil -> true
      text -> fail(about, "Undecided: it was so of all that are known, but " <> text, nil)
    end
  end

  defp sentence(nil), do: nil
  defp sentence(text), do: text <> "."

  defp untold(%{server: server, family: family}) do
    {:ok, pids} = pids(server, family)
    Stated.untold(family, pids) || if(module?(server), do: Silent.text(family))
  end

  # Of a module's servers one may be among those that are not recorded.
  defp module?(server), do: is_atom(server) and Code.ensure_loaded?(server)

  defp no_state(pid, %{family: %{recording: recording}}) do
    with {:ok, process} <- Server.numbers(pid),
         {:error, error} <- History.pid(recording, process, pid) do
      ": " <> error.message
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
