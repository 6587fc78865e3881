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

  # Tests are shown soon after they ended, so the newest processes come first.
  defp family(recording, %ExUnit.Test{module: module, name: name}, since) do
    recording
    |> Processes.newest(["process", "label"], nil, since, @forever)
    |> Enum.find(&match?(%Event{data: %{label: {^module, ^name}}}, &1))
    |> case do
      %Event{pid: pid, data: about} ->
        {:ok, numbers} = Server.numbers(pid)
        [{first, last, _events}] = Native.seen(recording.handle, [numbers])
        # Those that made the test have made others too.
        makers = for maker <- Map.get(about, :parents, []), {:ok, maker} <- [Server.numbers(maker)], do: maker
        since = max(first, since)
        {members, _born} = Native.family(recording.handle, [numbers], makers, since)
        pids = Enum.uniq([pid | Enum.map(members, &elem(&1, 0))])

        until =
          ended(recording, numbers) || max(last, last_done(recording, Enum.map(members, &elem(&1, 1)), since))

        {:ok, %{recording: recording, test: pid, since: since, until: until, pids: pids}}

      nil ->
        :unknown
    end
  end

  # What happened before its process ended: with it the others end.
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
