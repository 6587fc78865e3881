defmodule ElixirScope.Assertions do
  @moduledoc """
  Assertions on what was recorded of the processes of a test; see `ElixirScope.Case`.

  ## Waiting

  What was recorded is asked at once. Where that does not decide, an assertion waits until the processes of the test are quiet, and asks
  again whenever they may have gone on. They are quiet when each of them waits for a message that it has not got, and none of them waits for an answer
  (of `GenServer.call/3`, of a task, of the code server for a module that is loaded). Nobody has to sleep in a test. After 1,000 ms what was
  recorded by then counts (`config :elixir_scope, assert_timeout: milliseconds` sets another time). What must not be is undecided where processes are
  still at work then: `refute_*`, `times:`, `:always` and invariants fail, and name the processes.

  Quiet is also who waits in a `receive` for what somebody else works on: a port (a program that runs outside of the VM), or a process that is none of the
  test's and was asked by a plain message. Only functions of OTP and Elixir (`GenServer.call/3`, `Task.await/2`, `IO.puts/1`, `System.cmd/2`) tell that
  an answer is waited for. There say `within:`, or
  wait in the test for what is to come. Before OTP 27 a process whose maker had ended before it ran instrumented code is not known to
  be the test's, see `ElixirScope.Case`; it is not waited for.

  Processes that wait for a timer are quiet, as nobody knows for how long; but a server of OTP (a `GenServer`, an `Agent`, a `:gen_statem`) is not while it has
  messages that it has not read: it sleeps in the midst of a callback, or is suspended (`:sys.suspend/1`). With `within: milliseconds` an assertion waits that long for what it
  expects, also where all is quiet. A `refute_*` waits at least that long for what must not come, and then until all is quiet.

  ## Patterns

  Patterns are those of `ExUnit.Assertions.assert_receive/2`: variables are bound, pinned ones compare, and a guard may follow.

  ## Refusals

  A question that the recording cannot answer is a failure, never a success: about a function that does not exist, is not instrumented, is
  counted or was inlined. Where the test names the module, and that is compiled, this is an error when the test is compiled. Of a module that
  is instrumented only while the test runs (`ElixirScope.instrument/2`) say so with a variable: `module = Cart`, then
  `assert_called module.add(_, _)`; that is checked when it runs. Instrument it before the test begins, as in `setup_all`: where that changes in
  the midst of the test, `refute_called`, `times:` and flows that must not be are undecided, which fails.

  What is missing in the recording in the time of the test (`ElixirScope.status/1`; also where recording is paused or stopped, or began in the
  midst of the test) makes `refute_called`, `times:`, `refute_message`, `:always`, invariants and flows that must not be undecided, which
  fails and says why. So does for calls a process of the test that has set its flag `:sensitive`, where that was seen: in instrumented code, or
  before the first event of the process. Where the file of the test sets it later, or other code that is not instrumented, its calls are recorded
  as ever, and assertions are decided by them.

  What limits or the redaction kept out (`ElixirScope.Cut`, and texts with `[redacted]` in them) decides nothing, neither that something was nor that it
  was not: where a pattern or its guard looks at such a part, an assertion of any kind is undecided. `_` looks at nothing, nor does a variable that no guard
  looks at, which is bound to what stands there: `assert_called Accounts.login(user, password) when user == "ann"` is decided. The pattern
  `%ElixirScope.Cut{kind: :redacted}` asks whether a secret was kept out.
  """

  alias ElixirScope.Case.{Called, Exited, Flow, Form, Messaged, Stated}

  @doc """
  Asserts that a function was called in this test's processes with arguments that match, and returns the
  `ElixirScope.Call`. Private functions may be asked for as well.

      assert_called Cart.add(_, %{id: 1})
      assert_called Cart.add(^cart, %{id: id}) when id > 0
      assert_called Cart.total(_), returning: {:ok, sum}
      assert_called Cart.pay(_, _), raising: ArgumentError
      assert_called Stock.take(_, _), times: 2

  | option | meaning |
  |---|---|
  | `returning: pattern` | it must have returned, and the value matches |
  | `raising: pattern` | it must have ended with an exception, exit or throw whose reason matches. The name of an exception stands for any of its kind |
  | `times: count` | exactly so many calls match, or as many as a range says (`1..3`, and `0..3` for at most 3); the answer is the list of them, and variables are bound by the first; where there is none they are `nil` |
  | `within: milliseconds` | wait so long, see the head of this module. With `times:` until there are as many as that asks for at least; `times: 0..3` waits all that time for a fourth |

  Variables of all patterns are bound in the test, and the guard may use them all.

  It fails with the calls of that function that were recorded, or, when none could have been (the function does not
  exist, or is not instrumented), with that reason.
  """
  defmacro assert_called(call, options \\ []) do
    allowed = [:times, :within, :returning, :raising]
    {asked, variables} = Form.Call.parse(call, options, allowed, __CALLER__, "assert_called")

    quote do
      {elixir_scope_found, unquote(variables)} = unquote(Called).assert(unquote(asked))
      elixir_scope_found
    end
  end

  @doc """
  Asserts that no call in this test's processes matches; see `assert_called/2` for patterns and the options
  `returning:`, `raising:` and `within:`.

  It waits until the test's processes are quiet. It fails when events of the test's time are missing: then nobody knows; and when a call may
  match whose arguments are not wholly recorded.

      refute_called Cart.clear(_)
      refute_called Cart.total(_), returning: sum when sum < 0
  """
  defmacro refute_called(call, options \\ []) do
    allowed = [:within, :returning, :raising]
    {asked, _variables} = Form.Call.parse(call, options, allowed, __CALLER__, "refute_called")
    quote(do: unquote(Called).refute(unquote(asked)))
  end

  @doc """
  Asserts that the state of a server matches, and returns the state.

      assert_state cart, %{items: [_ | _]}
      assert_state Stock, %{count: count} when count > 0
      assert_state cart, %{items: []}, at: call
      assert_state cart, %{locked?: true}, :ever
      assert_state Stock, %{count: count} when count >= 0, :always

  Without more it is the state now, once the server has done what it was sent, and the assertion waits until it matches. A server that has
  ended has none now, whatever its last one was. `at: time` is the state at a moment: what
  `ElixirScope.get_state_at/3` takes, such as an event, a call or nanoseconds. `:ever` asks whether one state since the
  test began matches, `:always` whether all do; both count the state that the server had when the test began, and of a name the states of all that
  had it in turn. `:always` waits until the test's
  processes are quiet, and returns the newest state; where states are missing it is undecided, which fails.

  The server is a pid, a name, or what else `ElixirScope.get_state_at/3` takes. It need not be one of the test's processes. Only servers whose
  module is instrumented have states. `within: milliseconds` may be given as well.
  """
  defmacro assert_state(server, pattern, options \\ []) do
    {asked, variables} = Form.State.parse(server, pattern, options, __CALLER__)

    quote do
      {elixir_scope_state, unquote(variables)} = unquote(Stated).assert(unquote(asked))
      elixir_scope_state
    end
  end

  @doc """
  Asserts that a message was sent or delivered, and returns its event (`ElixirScope.Event`, `:send` or `:receive`).

      assert_message self() ~> cart, :clear
      assert_message _ ~> Stock, {:take, id, _} when id > 0
      assert_message _ ~> Stock, {:"$gen_call", _from, {:take, _, _}}

  The pattern is held against the message as it was sent, and, where that is a call or cast of a server or the answer to a call, against what was asked or
  answered: `{:take, id, _}` finds a plain message, a cast and a call. So it does in `message(...)` of `assert_flow/2`.

  Both ends are a pid, a registered name, or `_` for anybody; one of them must be a process of the test. A name of a registry (`{:via, _, _}`,
  `{:global, _}`) is refused, though `assert_state/3` takes one: say `GenServer.whereis(name)`. Messages are those that the VM tells
  of, so one of the two must be watched: `ElixirScope.watch(pid)`. Since OTP 27 processes that run instrumented code are.
  `within: milliseconds` may follow.

  Before OTP 27 a delivery does not say whom it is from: watch the sender as well, where that is asked for. What was sent to a name is for the process that
  had it then. Where that was not recorded (one took the name in the test that neither is watched nor runs instrumented code) no pid is known to have been
  sent it; ask with the name.
  """
  defmacro assert_message(route, pattern, options \\ []) do
    {asked, variables} = Form.Message.parse(route, pattern, options, __CALLER__, "assert_message")

    quote do
      {elixir_scope_message, unquote(variables)} = unquote(Messaged).assert(unquote(asked))
      elixir_scope_message
    end
  end

  @doc """
  Asserts that no such message was sent or delivered; see `assert_message/3`.

  It waits until the test's processes are quiet. It fails as undecided when events are missing in the time of the test, when such a message was seen
  of which nobody knows from whom or to whom it was, and when neither end is watched, or
  only from its midst on: when such a process was at work before that in the test, or nobody knows, since none of its calls is recorded. `ElixirScope.watch(self(), spawned: true)`
  as the first thing of a test watches its process and all that it makes.

      refute_message _ ~> cart, :clear
  """
  defmacro refute_message(route, pattern, options \\ []) do
    {asked, _variables} = Form.Message.parse(route, pattern, options, __CALLER__, "refute_message")
    quote(do: unquote(Messaged).refute(unquote(asked)))
  end

  @doc """
  Asserts that a process has ended with a reason that matches, and returns the event of its end.

      assert_exited worker, {:shutdown, _}
      assert_exited Stock, {%ArgumentError{}, _stack}

  The process is a pid or the registered name that it had; of a name it is the end of one that had it, in the time of the test. A name of a
  registry (`{:via, _, _}`, `{:global, _}`) leads nowhere once it has ended, and is refused: keep the pid, `pid = GenServer.whereis(name)`.
  Its end must have been watched: `ElixirScope.watch(pid)`; since OTP 27 the end of every
  process is, where the recording watches anything. `within: milliseconds` may follow.
  """
  defmacro assert_exited(process, pattern, options \\ []) do
    {asked, variables} = Form.Message.exited(process, pattern, options, __CALLER__)

    quote do
      {elixir_scope_exit, unquote(variables)} = unquote(Exited).assert(unquote(asked))
      elixir_scope_exit
    end
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
  | `raised(Mod.fun(args), pattern)` | it raises, throws or exits; the pattern is of the exception, or what was thrown. The name of an exception stands for any of its kind |
  | `message(from ~> to, pattern)` | a message is sent. The pattern is as in `assert_message/3`: of all of it, or of the request of a call or cast, or of the answer |
  | `state(server, pattern)` | a server's state becomes another one |
  | `exited(process, pattern)` | a process ends with a reason |
  | `any_order do ... end` | the steps within come in any order, behind those before and before those behind |
  | `leads_to(cause, effect)`, `leads_to do ... end` | each step was led to by the one before it: see below |

  Each may have a guard: `when`. A process is a pid, a name or `_`. Variables that a step binds may be pinned in later ones, in patterns and as processes
  (`state(^pid, _)`), and are bound in the test afterwards. One thing that happened is one step: two equal steps are two calls.

  What is given is an `ElixirScope.Call` or an `ElixirScope.Event` (of a state, an end, and the sending or else the delivery of a message) a step, in the order
  of the source: of all that fit those that come first. The search is exact; where it would take too long it fails and says so.

  `leads_to` asks whether the one could have had an influence on the other: as `ElixirScope.happened_before?/3` does, over
  calls in one process, messages, spawns and exits. Where that is unknown, since messages are not recorded or events are missing, the
  step is not found, and the failure says why.

  Messages and ends of processes are recorded of processes that are watched. Since OTP 27 those that run instrumented code are; before that say so in the
  test: `{:ok, _} = ElixirScope.watch([self(), server])`. Where none could have been seen the assertion fails with that reason.

  It waits until the flow is there, or the test's processes are quiet; `assert_flow within: 500 do` waits so many milliseconds in any case. A
  failure shows which steps were found with what, and what came nearest to the one that was not.
  """
  defmacro assert_flow(options \\ [], block) do
    {block, options} = Flow.Parse.block(options, block, __CALLER__, "assert_flow")
    {steps, variables} = Flow.Parse.parse(block, __CALLER__, "assert_flow")

    quote do
      {elixir_scope_flow, unquote({:{}, [], Flow.Parse.quiet(variables)})} =
        ElixirScope.Case.Flow.assert(unquote(steps), unquote(length(variables)), unquote(options))

      elixir_scope_flow
    end
  end

  @doc """
  Asserts that there is no such flow in this test's processes, once these are quiet: see `assert_flow/2`. `refute_flow within: 50 do` waits
  so many milliseconds for what must not come, also where all is quiet.

  It fails as undecided where events of the test's time are missing, where something may match of which a part is not recorded, or messages are not,
  and where it is unknown whether one thing led to another.

  A flow that is not there is refuted whatever the reason: `refute_flow do leads_to(A.a(_), B.b(_)) end` passes also where neither was called. That both
  happened is for `assert_called` to say.

      refute_flow do
        Cart.checkout(cart)
        Cart.add(^cart, _)
      end
  """
  defmacro refute_flow(options \\ [], block) do
    {block, options} = Flow.Parse.block(options, block, __CALLER__, "refute_flow")
    {steps, variables} = Flow.Parse.parse(block, __CALLER__, "refute_flow")

    quote do
      ElixirScope.Case.Flow.refute(
        unquote(steps),
        unquote(length(variables)),
        "no such flow",
        unquote(options)
      )
    end
  end

  @doc """
  Asserts that something did not happen in this test's processes, once these are quiet. It is one step of those of `assert_flow/2`.

      assert_never state(_, %{left: left}) when left < 0
      assert_never raised(Stock.take(_, _), _)

  It fails as undecided as `refute_flow/2` does, and takes `within:` as that does: `assert_never exited(worker, _), within: 50`.

  That no process has ended so (`assert_never exited(_, :boom)`) is known where the VM tells of all that the test makes: since OTP 27, where the
  recording watches anything, and before that where `{:ok, _} = ElixirScope.watch(self(), spawned: true)` is the first thing of the test. Of what it has made before
  that call nobody knows.
  """
  defmacro assert_never(step, options \\ []) do
    options = Form.options(options, [:within], __CALLER__, "assert_never")
    {steps, variables} = Flow.Parse.step(step, __CALLER__, "assert_never")

    quote do
      ElixirScope.Case.Flow.refute(
        unquote(steps),
        unquote(length(variables)),
        "that this never happens",
        unquote(options)
      )
    end
  end

  @doc """
  Asserts that a function is true of all states that a server had in the time of this test, the one at its beginning included: of the server that is
  named, of all that had the name in turn, or of all servers of a module among the test's processes.

      assert_invariant Stock, fn stock -> stock.left >= 0 end

  It waits until the test's processes are quiet. The failure shows the first state of which it was not so, and what had caused it. No state at
  all fails too. It is undecided, which fails, where events of the test's time are missing, and where one that had the name is known to have lived in it and its
  states are not recorded.

  It is undecided as well where the function may look at what the redaction or a limit kept out of a state. A pattern says what it looks at: of a state
  with a token in it, `fn stock -> stock.left >= 0 end` is undecided, as nobody knows what becomes of `stock`, and
  `fn %{left: left} -> left >= 0 end` is not. Where no pattern can say it,

      assert_invariant Orders, &Enum.all?(&1, fn order -> order.sum > 0 end), ignoring: :redacted

  says that the function looks at nothing that is redacted, or left out by the view of a struct. It is given an `ElixirScope.Cut` there. What a limit kept
  out is undecided all the same.
  """
  defmacro assert_invariant(server, function, options \\ []) do
    {options, clauses} = Form.Invariant.parse(function, options, __CALLER__)

    quote do
      ElixirScope.Case.Invariant.assert(unquote(server), unquote(function), %{
        text: unquote(Macro.to_string(function)),
        clauses: unquote(clauses),
        ignoring: unquote(options[:ignoring])
      })
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

  In the file each process has a section, each before those that it made, with its calls, what they returned and its states, in its own order; where a
  function ended with a tail call, what that one returned is what both did. So it does not
  show which of two processes was first. Times are not in it; pids, references and ports are numbered as they appear, functions are called after the function
  around them, and moments of the time of the trace (as numbers, too) are `#time`. What a server is sent by several processes at once it takes in an order that
  may be another one in the next run: then its section differs.

  What the program makes anew in each run, as ids that a database counts, or random ones, is made the same by `replace:`, a list of pairs that are
  replaced in the text, one after the other:

      assert_snapshot trace, "order", replace: [{~r/\\bid: \\d+/, "id: #id"}, {~r/phx-[\\w-]+/, "phx-#"}]

  A trace that ended while processes of the test were still at work is undecided, which fails: more was to come.

  The option `show:` is a list of `:calls`, `:states` (these two if nothing is said), `:messages` and `:exits`, which are recorded of processes that are watched alone.
  """
  defmacro assert_snapshot(trace, name, options \\ []) do
    quote do
      ElixirScope.Case.Snapshot.assert(unquote(trace), unquote(name), __ENV__.file, unquote(options))
    end
  end
end
