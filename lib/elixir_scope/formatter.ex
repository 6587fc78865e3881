defmodule ElixirScope.Formatter do
  @moduledoc """
  Shows the trace of each failing test, also where the test asserts nothing about traces: what its processes called, what they raised, who
  they were, what they said to each other, and the command that opens the recording at the moment of the failure.

      mix test --formatter ElixirScope.Formatter

  For a project that always wants it, in `test/test_helper.exs`:

      ExUnit.start(formatters: [ElixirScope.Formatter])

  It shows all that `ExUnit.CLIFormatter` does, and the trace below each failure. Where that one is named too
  (`--formatter ExUnit.CLIFormatter --formatter ElixirScope.Formatter`), or any other, it adds the traces alone, each with the name of its test.

  A test needs no `use ElixirScope.Case`. Its process is known from what it says of itself when it first runs instrumented code. A
  test that ran none has no trace, and that is said. Traces are shown of the first ten tests that fail; of the others the recording
  has them too.
  """

  use GenServer

  alias ElixirScope.Case.Failure
  alias ElixirScope.{Event, Native, Query}
  alias ElixirScope.Query.{Processes, Server}

  @name :elixir_scope_formatter
  # Tests whose traces are shown.
  @shown 10
  @forever 0xFFFFFFFFFFFFFFFF
  # A millisecond.
  @tick 1_000_000
  # As far as ExUnit moves in what belongs to a failure.
  @indent "     "

  @impl true
  def init(options) do
    # What it asks and prints is no doing of the program.
    Native.own()
    # Under this name it is known that tests are asked about (`ElixirScope.Capture.test_of/1`).
    if Process.whereis(@name) == nil, do: Process.register(self(), @name)
    {:ok, %{inner: inner(options), since: Native.now(), failed: 0}}
  end

  # Beside others it has no say in what they print.
  defp inner(options) do
    if Enum.any?(Keyword.get(options, :formatters, []), &(&1 != __MODULE__)) do
      nil
    else
      {:ok, inner} = GenServer.start_link(ExUnit.CLIFormatter, options)
      inner
    end
  end

  @impl true
  def handle_cast(event, state) do
    if state.inner, do: GenServer.cast(state.inner, event)
    {:noreply, event(event, state)}
  end

  @impl true
  def handle_info(_message, state), do: {:noreply, state}

  @impl true
  def terminate(_reason, %{inner: nil}), do: :ok
  def terminate(_reason, %{inner: inner}), do: GenServer.stop(inner, :normal, :infinity)

  defp event({:test_finished, %ExUnit.Test{state: {:failed, failures}} = test}, %{failed: failed} = state) do
    # The trace stands behind the failure.
    if state.inner, do: :sys.get_state(state.inner, :infinity)
    if failed < @shown, do: print(test, trace(test, failures, state.since), state.inner)
    %{state | failed: failed + 1}
  end

  defp event({:suite_finished, _times}, %{failed: failed} = state) when failed > @shown do
    if state.inner, do: :sys.get_state(state.inner, :infinity)

    IO.puts(
      "\nTraces of #{failed - @shown} more failing tests are not shown; name one of them: mix test FILE:LINE"
    )

    state
  end

  defp event(_event, state), do: state

  # Our own failures end with an empty line.
  defp print(test, lines, inner) do
    lines = ["Trace of #{test.name} (#{inspect(test.module)}):", "" | lines]
    text = for line <- lines, do: [if(line == "", do: "", else: @indent), line, "\n"]
    IO.write(if inner, do: text, else: ["\n", text])
  end

  @doc false
  # The lines that are shown of a failing test.
  def trace(test, failures, since) do
    Failure.Parts.guarded("its trace", fn ->
      with {:ok, recording} <- Query.recording([]),
           {:ok, family} <- family(recording, test, since) do
        family
        |> parts(reported?(failures))
        |> Enum.reject(&(&1 == []))
        |> Enum.intersperse([""])
        |> Enum.concat()
      else
        {:error, error} ->
          ["There is none: #{error.message}"]

        :unknown ->
          [
            "There is none: its process is not in the recording, as it ran no instrumented code itself"
          ]
      end
    end)
  end

  # The failure of an assertion on the trace has shown the rest.
  defp parts(family, true), do: [calls(family), Failure.Parts.exceptions(family)]

  defp parts(family, false) do
    [
      calls(family),
      Failure.Parts.exceptions(family),
      Failure.Parts.processes(family, family.until),
      Failure.Parts.messages(family, family.until),
      Failure.Parts.missing(family),
      Failure.Parts.place(family, family.until)
    ]
  end

  defp calls(family) do
    with [] <- Failure.Parts.calls(family), do: ["Calls: none of its processes ran instrumented code"]
  end

  defp reported?(failures) do
    Enum.any?(failures, fn
      {:error, %ExUnit.AssertionError{message: message}, _stack} when is_binary(message) ->
        message =~ "mix scope.open"

      _other ->
        false
    end)
  end

  defp family(recording, %ExUnit.Test{} = test, since) do
    case processes(recording, test, since) do
      [%Event{pid: pid, data: about} | after_it] = found ->
        seeds = for %Event{pid: pid} <- found, {:ok, numbers} <- [Server.numbers(pid)], do: numbers
        seen = Native.seen(recording.handle, seeds)
        # Those that made the test have made others too.
        makers = for maker <- Map.get(about, :parents, []), {:ok, maker} <- [Server.numbers(maker)], do: maker
        since = Enum.max([begun(recording, seeds, seen), bound(recording, hd(seeds), test.time), since])
        members = family(recording, seeds, makers, since)
        pids = Enum.uniq(Enum.map(found, & &1.pid) ++ Enum.map(members, &elem(&1, 0)))
        last = seen |> Enum.map(&elem(&1, 1)) |> Enum.max()
        # With the process of the test the others end, but not what is done after it.
        ended = if after_it == [], do: ended(recording, hd(seeds))
        until = ended || max(last, last_done(recording, Enum.map(members, &elem(&1, 1)), since))
        {:ok, %{recording: recording, test: pid, since: since, until: until, pids: pids}}

      [] ->
        :unknown
    end
  end

  defp family(recording, seeds, makers, since) do
    asked = %{seeds: seeds, makers: makers, since: since}
    {_state, _until, {members, _born}, _gaps} = Native.family(recording.handle, asked)
    members
  end

  # Its own first event may come late: before it, those that it made may have done something. Links are left out, as which of them count
  # depends on what is asked here.
  defp begun(recording, seeds, seen) do
    members = family(recording, seeds, [], @forever)
    made = Native.seen(recording.handle, Enum.map(members, &elem(&1, 1)))
    for({first, _last, _count} <- seen ++ made, do: first) |> Enum.min()
  end

  # A server that lived before may count as made by the test, as it said so of itself when it worked for it; what it did for others is none of
  # the test's. What the test did is within the time that ExUnit has taken, so that began no earlier than this. Of a test that was killed no time
  # is known.
  defp bound(_recording, _process, time) when time in [nil, 0], do: 0

  defp bound(recording, process, time) do
    case last_done(recording, [process], 0) do
      0 -> 0
      # The clocks of both may differ by a little.
      last -> max(last - time * 1_000 - @tick, 0)
    end
  end

  # What its `on_exit` took, at most, in nanoseconds.
  @on_exit 120_000_000_000

  # The process of the test, and those that ran its `on_exit`, which are called as it is: the first is the test's. Tests are shown soon after
  # they ended, so the newest processes come first, and one that lived before the test could be is none of it.
  defp processes(recording, %ExUnit.Test{module: module, name: name, time: time}, since) do
    recording
    |> Processes.newest(["process", "label"], nil, since, @forever)
    |> Stream.transform(nil, fn event, last ->
      cond do
        last && event.time < last - (time || 0) * 1_000 - @on_exit -> {:halt, last}
        match?(%Event{data: %{label: {^module, ^name}}}, event) -> {[event], last || event.time}
        true -> {[], last}
      end
    end)
    |> Enum.reverse()
    |> Enum.uniq_by(& &1.pid)
  end

  # What happened before its process ended.
  defp ended(recording, process) do
    recording
    |> Processes.newest(["exit"], [process], 0, @forever)
    |> Enum.take(1)
    |> Enum.find_value(&(&1.time - 1))
  end

  # Its end need not be recorded. The others may have done something while it waited.
  defp last_done(_recording, [], since), do: since

  defp last_done(recording, processes, since) do
    filter = %{
      kinds: ["call", "return", "raise", "state"],
      processes: processes,
      sites: nil,
      since: since,
      until: @forever
    }

    {events, _next} = Native.events_before(recording.handle, filter, @forever, 1)
    events |> Enum.map(&elem(&1, 1)) |> Enum.max(fn -> since end)
  end
end
