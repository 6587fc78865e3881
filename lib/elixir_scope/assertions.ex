defmodule ElixirScope.Assertions do
  @moduledoc """
  Assertions on recorded calls; see `ElixirScope.Case`.
  """

  alias ElixirScope.Case.{Failure, FlowParse, Pattern, Scope}
  alias ElixirScope.{Error, Native, Query, Recorder}
  alias ElixirScope.Query.Unseen

  @doc """
  Asserts that a function was called in this test's processes with arguments that match, and returns the
  `ElixirScope.Call`.

  Arguments are patterns as in `ExUnit.Assertions.assert_receive/2`: variables are bound, pins compare, and a guard
  may follow.

      assert_called Cart.add(_, %{id: 1})
      assert_called Cart.add(^cart, %{id: id}) when id > 0

  It fails with the calls of that function that were recorded, or, when none could have been (the function does not
  exist, or is not instrumented), with that reason.
  """
  defmacro assert_called(call) do
    {mfa, matcher, variables} = parse(call, __CALLER__, "assert_called")

    quote do
      {elixir_scope_call, unquote(variables)} =
        ElixirScope.Assertions.__assert__(unquote(mfa), unquote(matcher), unquote(Macro.to_string(call)))

      elixir_scope_call
    end
  end

  @doc """
  Asserts that no call in this test's processes matches; see `assert_called/1` for patterns.

  It fails when events of the test's time are missing: then nobody knows.

      refute_called Cart.clear(_)
  """
  defmacro refute_called(call) do
    {mfa, matcher, _variables} = parse(call, __CALLER__, "refute_called")

    quote do
      ElixirScope.Assertions.__refute__(unquote(mfa), unquote(matcher), unquote(Macro.to_string(call)))
    end
  end

  @doc false
  def __assert__(mfa, matcher, text) do
    {recording, calls} = calls(mfa)

    case Enum.find_value(calls, &matched(&1, matcher)) do
      nil -> Failure.not_called(mfa, text, calls, recording)
      found -> found
    end
  end

  @doc false
  def __refute__(mfa, matcher, text) do
    {recording, calls} = calls(mfa)

    case Enum.find_value(calls, &matched(&1, matcher)) do
      nil -> undecided(mfa, text, recording)
      {call, _variables} -> Failure.called(text, call, recording)
    end
  end

  defp matched(%{args: nil}, _matcher), do: nil

  defp matched(call, matcher) do
    case matcher.(call.args) do
      {:ok, variables} -> {call, variables}
      :error -> nil
    end
  end

  defp undecided(mfa, text, recording) do
    {:ok, status} = Query.status(in: recording)

    case Enum.filter(status.gaps, &(&1.to >= Scope.since())) do
      [] -> true
      gaps -> Failure.undecided(mfa, text, gaps)
    end
  end

  # The calls of a function in this test's processes. Where none could have been seen, that is the failure.
  defp calls({module, function, arity} = mfa) do
    with {:ok, recording} <- Recorder.current(),
         {:ok, recording} <- Query.recording(in: recording),
         :ok <- records(recording) do
      pids = recording |> Scope.pids(self()) |> Enum.to_list()

      case Query.calls(mfa, in: recording, pid: pids, since: Scope.since()) do
        {:ok, []} -> seen(Unseen.reason(module, function, arity), recording)
        {:ok, calls} -> {recording, calls}
        {:error, error} -> Failure.impossible(error.message)
      end
    else
      {:error, error} -> Failure.impossible(error.message)
    end
  end

  # Of a test that began after the end nothing was recorded, whatever it did.
  defp records(recording) do
    case Native.bounds(recording.handle) do
      {state, _started, last} when state in [:stopped, :failed] ->
        if last < Scope.since(), do: ended(state, recording), else: :ok

      _goes_on ->
        :ok
    end
  end

  defp ended(state, recording) do
    Error.new(
      :not_recording,
      "the recording of this VM (#{recording.path}) has #{state} before this test began, so nothing of the test was " <>
        "recorded; a test that calls ElixirScope.stop/0 begins another with ElixirScope.start/1 before it ends"
    )
  end

  defp seen(nil, recording), do: {recording, []}
  defp seen(reason, _recording), do: Failure.impossible(reason)

  # {mfa, a function from arguments to {:ok, variables} | :error, the variables} of a call as it is written.
  defp parse({:when, _, [call, guard]}, caller, macro), do: parse(call, guard, caller, macro)
  defp parse(call, caller, macro), do: parse(call, true, caller, macro)

  defp parse({{:., _, [module, function]}, _, patterns}, guard, caller, _macro) when is_atom(function) do
    {matcher, variables} = Pattern.parse(patterns, guard, caller)
    {quote(do: {unquote(module), unquote(function), unquote(length(patterns))}), matcher, variables}
  end

  defp parse(other, _guard, caller, macro) do
    raise CompileError,
      file: caller.file,
      line: caller.line,
      description:
        "#{macro} expects a call with its module, such as `#{macro} Cart.add(_, %{id: 1})`, got: " <>
          Macro.to_string(other)
  end

  # Flows.

  @doc """
  Asserts that things happened in this test's processes in an order, with whatever else between them, and returns them as a list.

      assert_flow do
        Cart.add(_, %{id: id})
        message(_ ~> stock, {:take, ^id, count}) when count > 0
        state(stock, %{left: 0})
        returned(Cart.checkout(_), {:ok, total})
      end

  | step | what happens, and when |
  |---|---|
  | `Mod.fun(args)` | a call begins |
  | `returned(Mod.fun(args), pattern)` | it returns |
  | `raised(Mod.fun(args), pattern)` | it raises, throws or exits; the pattern is of the exception, or what was thrown |
  | `message(from ~> to, pattern)` | a message is sent. Of a call or cast the pattern is of the request, or of all of it |
  | `state(server, pattern)` | a server's state becomes another one |
  | `exited(process, pattern)` | a process ends with a reason |
  | `any_order do ... end` | the steps within come in any order, behind those before and before those behind |
  | `leads_to(cause, effect)`, `leads_to do ... end` | each step was led to by the one before it: see below |

  Each may have a guard: `when`. A process is a pid, a name or `_`. Variables that a step binds may be pinned in later ones, in patterns and as processes
  (`state(^pid, _)`), and are bound in the test afterwards. One thing that happened is one step: two equal steps are two calls.

  What is given is an `ElixirScope.Call`, `ElixirScope.Message` or `ElixirScope.Event` a step, in the order of the source: of all that fit those that
  come first. The search is exact; where it would take too long it fails and says so.

  `leads_to` asks whether the one could have had an influence on the other: as `ElixirScope.happened_before?/3` does, over
  calls in one process, messages, spawns and exits. Where that is unknown, since messages are not recorded or events are missing, the
  step is not found, and the failure says why.

  Messages and ends of processes are recorded of processes that are watched. Since OTP 27 those that run instrumented code are; before that say so in the
  test: `{:ok, _} = ElixirScope.watch([self(), server])`. Where none could have been seen the assertion fails with that reason.

  It waits until the flow is there, or the test's processes are quiet; `assert_flow within: 500 do` waits so many milliseconds in any case. A
  failure shows which steps were found with what, and what came nearest to the one that was not.
  """
  defmacro assert_flow(options \\ [], do: block) do
    {steps, variables} = FlowParse.parse(block, __CALLER__, "assert_flow")

    quote do
      {elixir_scope_flow, unquote({:{}, [], FlowParse.quiet(variables)})} =
        ElixirScope.Case.Flow.assert(unquote(steps), unquote(length(variables)), unquote(options))

      elixir_scope_flow
    end
  end

  @doc """
  Asserts that there is no such flow in this test's processes, once these are quiet: see `assert_flow/2`.

  It fails as undecided where events of the test's time are missing, where one of the steps could not have been seen (values or messages are not
  recorded), and where it is unknown whether one thing led to another.

      refute_flow do
        Cart.checkout(cart)
        Cart.add(^cart, _)
      end
  """
  defmacro refute_flow(do: block) do
    {steps, variables} = FlowParse.parse(block, __CALLER__, "refute_flow")

    quote do
      ElixirScope.Case.Flow.refute(unquote(steps), unquote(length(variables)), "no such flow")
    end
  end

  @doc """
  Asserts that something did not happen in this test's processes, once these are quiet. It is one step of those of `assert_flow/2`.

      assert_never state(_, %{left: left}) when left < 0
      assert_never raised(Stock.take(_, _), _)

  It fails as undecided as `refute_flow/1` does.
  """
  defmacro assert_never(step) do
    {steps, variables} = FlowParse.step(step, __CALLER__, "assert_never")

    quote do
      ElixirScope.Case.Flow.refute(unquote(steps), unquote(length(variables)), "that this never happens")
    end
  end

  @doc """
  Asserts that a function is true of all states that a server had in the time of this test, the one at its beginning included: of the server that is
  named, or of all servers of a module among the test's processes.

      assert_invariant Stock, fn stock -> stock.left >= 0 end

  It waits until the test's processes are quiet. The failure shows the first state of which it was not so, and what had caused it. No state at
  all fails too. It is undecided, which fails, where events of the test's time are missing, and where a limit kept out a part of a state.
  """
  defmacro assert_invariant(server, function) do
    quote do
      ElixirScope.Case.Invariant.assert(
        unquote(server),
        unquote(function),
        unquote(Macro.to_string(function))
      )
    end
  end

  @doc """
  Runs a function, waits until the test's processes are quiet, and gives what was recorded of them meanwhile, as `ElixirScope.Trace`: for all
  questions that no assertion asks. What the function gave is its field `result`.

      trace = record(fn -> Shop.checkout(cart) end)
      assert length(Trace.calls(trace, &Stock.take/2)) == 3
  """
  @spec record((() -> term)) :: ElixirScope.Trace.t()
  def record(function), do: ElixirScope.Case.Slice.record(function)

  @doc """
  Asserts that a trace of `record/1` is that of a file: `snapshots/NAME.trace` in the folder of the test ("golden trace").

      trace = record(fn -> Shop.checkout(cart) end)
      assert_snapshot trace, "checkout"

  `ELIXIR_SCOPE_UPDATE=1 mix test` writes the file, to be looked at and committed. Without it the test fails and shows what it would be; where the
  trace is another one, the failure shows what differs.

  In the file each process has a section, each before those that it made, with its calls, what they returned and its states, in its own order. So it does not
  show which of two processes was first. Times are not in it; pids, references and ports are numbered as they appear, functions are called after the function
  around them, and moments of the time of the trace (as numbers, too) are `#time`. What a server is sent by several processes at once it takes in an order that
  may be another one in the next run: then its section differs.

  The option `show:` is a list of `:calls`, `:states` (these two if nothing is said), `:messages` and `:exits`, which are recorded of processes that are watched alone.
  """
  defmacro assert_snapshot(trace, name, options \\ []) do
    quote do
      ElixirScope.Case.Snapshot.assert(unquote(trace), unquote(name), __ENV__.file, unquote(options))
    end
  end
end
