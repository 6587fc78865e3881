defmodule ElixirScope do
  @moduledoc """
  Total recall for Elixir: what was true at any moment of a program that ran.

  This is a tutorial. `ElixirScope.help()` lists the questions with the call that answers each, `h ElixirScope.who_set` says more of one.

  ## Record

  Put `use ElixirScope` into a module. From then on its functions, anonymous ones too, record their calls, returns and exceptions, and its
  GenServer callbacks the states before and after. Nothing else changes. The recording lies on disk, and is asked from
  IEx, from a test, or from another VM after this one is gone.

      defmodule Stock do
        use GenServer
        use ElixirScope

        def start_link(pieces), do: GenServer.start_link(__MODULE__, pieces)
        def take(stock, article, count), do: GenServer.call(stock, {:take, article, count})

        def init(pieces), do: {:ok, pieces}

        def handle_call({:take, article, count}, _from, pieces) do
          {:reply, :ok, Map.update!(pieces, article, fn left -> left - count end)}
        end
      end

  ## What was its state then?

  A time is what `now/0` gave, a `DateTime`, `{:ago, 5, :second}`, or a thing that happened: an event, a call, a change, a line of the log, a span.

      iex> alias ElixirScope.Doctest.Stock
      iex> {:ok, stock} = Stock.start_link(%{cup: 5, tea: 3})
      iex> before = ElixirScope.now()
      iex> for _ <- 1..2, do: Stock.take(stock, :tea, 2)
      iex> ElixirScope.get_state_at(stock, before)
      {:ok, %{cup: 5, tea: 3}}
      iex> ElixirScope.get_state_at(stock, ElixirScope.now())
      {:ok, %{cup: 5, tea: -1}}
      iex> {:ok, difference} = ElixirScope.diff_state(stock, before, ElixirScope.now())
      iex> difference.entries
      [{[:tea], :changed, 3, -1}]

  In IEx a difference is shown line by line, old and new in their colours: only what differs, with the path that leads there.

  ## When did it go wrong, and what did it?

  `first_change/3` and `last_change/3` search by what a state holds. A change knows the state before it, what differs, and the message or
  call that caused it; `state_history/2` gives all of them.

      iex> alias ElixirScope.Doctest.Stock
      iex> {:ok, stock} = Stock.start_link(%{cup: 5, tea: 3})
      iex> for _ <- 1..3, do: Stock.take(stock, :tea, 2)
      iex> {:ok, change} = ElixirScope.first_change(stock, fn pieces -> pieces.tea < 0 end)
      iex> {change.before, change.state}
      {{:ok, %{cup: 5, tea: 1}}, %{cup: 5, tea: -1}}
      iex> {change.cause.kind, change.cause.message, change.cause.from == self()}
      {:call, {:take, :tea, 2}, true}

  ## Who put that value there, and who asked for it?

  `who_set/4` goes back from a value at a path: the change, the message, its sender, the functions that the sender was in, and so on
  from server to server, as far as it is recorded. `ends` and `why` of the answer say why it goes no further.

      iex> alias ElixirScope.Doctest.Stock
      iex> {:ok, stock} = Stock.start_link(%{cup: 5, tea: 3})
      iex> Stock.take(stock, :tea, 2)
      iex> Stock.take(stock, :cup, 1)
      iex> {:ok, chain} = ElixirScope.who_set(stock, [:tea], ElixirScope.now())
      iex> [change, call] = chain.steps
      iex> {change.message, call.call.mfa}
      {{:take, :tea, 2}, {Stock, :take, 3}}
      iex> chain.ends
      :not_instrumented

  ## Move about

  `at/2` stands on a moment. `next/3` and `prev/3` move it by event, call, line, message or state, `step_into/1` and those beside it as a debugger
  does, in both directions. `where/2` shows what was true there: the source with its values, the open calls, the state.

      iex> alias ElixirScope.Doctest.Stock
      iex> {:ok, stock} = Stock.start_link(%{cup: 5, tea: 3})
      iex> Stock.take(stock, :tea, 2)
      iex> cursor = ElixirScope.now() |> ElixirScope.at(pid: stock) |> ElixirScope.prev(:message)
      iex> ElixirScope.where(cursor).state
      {:ok, %{cup: 5, tea: 3}}
      iex> ElixirScope.where(ElixirScope.step_out(cursor)).state
      {:ok, %{cup: 5, tea: 1}}

  ## Print after the fact

  As if the line had been in the function all along, for each of its past calls, with time and process.

      ElixirScope.print(&Stock.take/3, fn call -> tl(call.args) end)

  prints lines like

      13:04:05.123456  #PID<0.231.0>  [:tea, 2]

  ## Would my fix have worked?

  `replay/3` runs the code of today on the state and the message of a moment, in a process that is thrown away, and shows what it does
  beside what was done. `mix scope.gen.test` writes a test of the same moment.

  ## Calls

      iex> alias ElixirScope.Doctest.Stock
      iex> {:ok, stock} = Stock.start_link(%{cup: 5, tea: 3})
      iex> Stock.take(stock, :tea, 2)
      iex> [call] = ElixirScope.calls({Stock, :handle_call}, pid: stock)
      iex> {hd(call.args), call.return}
      {{:take, :tea, 2}, {:reply, :ok, %{cup: 5, tea: 1}}}

  A module without that line, of a dependency or of Elixir itself, can be instrumented while it runs: `instrument/2`.

  ## Tomorrow, in another VM

      {:ok, recording} = ElixirScope.open("_build/scope")
      ElixirScope.get_state_at(Stock, ~U[2026-11-21 13:04:05.123456Z], in: recording)

  Whatever a question cannot answer, because it was not recorded, was lost or kept out by a limit or by redaction, is an error or an
  `ElixirScope.Cut` that says so and what to do; never a guess.

  ## Options of `use ElixirScope`

  | option | default | meaning |
  |---|---|---|
  | `:only` | all | functions to instrument: `[add: 2, total: 1]`, or `[:add]` for every arity |
  | `:except` | none | functions to leave alone, in the same form |
  | `:count` | none | functions whose calls are only counted, in the same form: see `counts/1` |
  | `:args` | `true` | whether arguments are recorded |
  | `:returns` | `true` | whether returned values are recorded |
  | `:locals` | `false` | whether each variable that is bound is recorded, with its name, value and line (arguments too, also with `args: false`) |
  | `:receives` | `true` | whether each `receive` is recorded: that it waits, and which message it takes |
  | `:state` | `true` | whether the states of servers are recorded: GenServer, `:gen_statem`, GenStage, LiveView, Agent |
  | `:agents` | `true` | whether the states of Agents are recorded from when a function of this module runs that names `Agent` (not with `state: false`) |

  In such a module, `@scope` above a function says the same of that one, and goes before the options of the module: `@scope false` leaves
  it alone, `@scope true` records it, `@scope locals: true` records it with its variables, `@scope count: true` counts it.

  ## Questions

  Every question takes `in: recording`, for a recording that `open/1` opened; without it the recording of this VM is
  asked. Times are nanoseconds of system time as `now/0` gives them, a `DateTime`, an `ElixirScope.Event`, or
  `{:ago, 5, :second}`. A server is a pid, a registered name, `{:global, name}`, `{:via, module, name}`, or the text of
  a pid of an earlier run such as `"#PID<0.123.0>"`.
  """

  alias ElixirScope.Instrument.Attach
  alias ElixirScope.{Call, Cursor, Error, Events, Frameworks, Mark, Native, Query, Recorder, Recording, Watch}
  alias ElixirScope.Query.{Function, Moment, Program, Server}

  defmacro __using__(options) do
    if __CALLER__.module == nil or __CALLER__.function != nil do
      raise CompileError,
        file: __CALLER__.file,
        line: __CALLER__.line,
        description: "use ElixirScope stands in the body of a module, next to its other `use` lines"
    end

    ElixirScope.Instrument.Use.quoted(options)
  end

  @doc """
  Prints the questions that can be asked, with the call that answers each.
  """
  @spec help() :: :ok
  def help, do: [color: IO.ANSI.enabled?()] |> ElixirScope.Text.Help.text() |> IO.puts()

  @doc """
  Ends the recording that runs in this VM, begins a new one with the given options (see `ElixirScope.Options`), and
  returns it.

      iex> {:ok, recording} = ElixirScope.start(dir: ElixirScope.Doctest.dir())
      iex> File.dir?(recording.path)
      true
  """
  @spec start(keyword) :: {:ok, Recording.t()} | {:error, Error.t()}
  def start(options \\ []), do: Recorder.start(options)

  @doc """
  Ends the recording of this VM. Everything captured before is kept, and can still be asked.
  """
  @spec stop() :: :ok | {:error, Error.t()}
  defdelegate stop, to: Recorder

  @doc """
  Records nothing until `resume/0`. Questions about the time between say that it is unknown.
  """
  @spec pause() :: :ok | {:error, Error.t()}
  defdelegate pause, to: Recorder

  @doc """
  Goes on after `pause/0`.
  """
  @spec resume() :: :ok | {:error, Error.t()}
  defdelegate resume, to: Recorder

  @doc """
  The state of a recording, as a map: `state` (`:running`, `:paused`, `:stopped` or `:failed`), `ended` (`false` for one whose VM
  was killed, or records on), `path`, `events` (recorded, also those that were removed since),
  `processes`, `functions`, `segments` (and how many of them are `packed`), `bytes` on disk, `started`, `span` (first and last time of an event), `lost` (events known
  to be missing), `gaps` (when, why and how many), `damage` (what could not be read), `from_rings` (events that a VM
  that was killed had not written into the store yet), and who recorded: `node`, `vm`, `os_pid`. Of a recording of this VM
  also `overflow` as in `ElixirScope.Options`, and, while a flight recording runs, `flight`: a map of `snapshots` (how many were
  taken), `known_until` (the end of the last one) and `covers` (the span that a snapshot would show now without a gap).

      iex> {:ok, status} = ElixirScope.status()
      iex> {status.state, status.lost}
      {:running, 0}
  """
  @spec status(keyword) :: {:ok, map} | {:error, Error.t()}
  def status(options \\ []), do: Query.status(options)

  @doc """
  Waits until everything that was captured before this call can be asked for. Questions do that by themselves. Of a flight
  recording only `snapshot/1` does.
  """
  @spec flush() :: :ok | {:error, Error.t()}
  def flush do
    with {:ok, _recording} <- Query.any_recording([]), do: :ok
  end

  @doc """
  Writes down what a flight recording (`overflow: :overwrite`, see `ElixirScope.Options`) holds, and returns the recording, which
  goes on and can be asked about everything until now. How far back that reaches depends on how busy the program was and on
  `:ring_bytes`; what was overwritten before is a gap, with the number of events.

  Until a snapshot was taken questions are answered with an error of the reason `:no_snapshot`, and a time after the last one
  is `:after_recording`. A server that was not called within the snapshot's span has no state in it.

  A recording that is no flight recording writes everything down by itself; of one the snapshot is what `flush/0` does.

      iex> {:ok, counter} = GenServer.start_link(ElixirScope.Doctest.Counter, 7)
      iex> GenServer.call(counter, :next)
      iex> now = ElixirScope.now()
      iex> {:ok, recording} = ElixirScope.snapshot()
      iex> ElixirScope.get_state_at(counter, now, in: recording)
      {:ok, 8}
  """
  @spec snapshot(keyword) :: {:ok, Recording.t()} | {:error, Error.t()}
  def snapshot(options \\ []), do: Query.snapshot(options)

  @doc """
  The time, in nanoseconds of system time, on the clock that stamps events: it never goes back, and no later event
  has an earlier time.

      iex> ElixirScope.now() <= ElixirScope.now()
      true
  """
  @spec now() :: non_neg_integer
  defdelegate now, to: Native

  @doc """
  Instruments a module of this VM that is loaded already: of the application, of a dependency, of Elixir or OTP. The
  options are those of `use ElixirScope`. It is compiled anew from its debug information, in memory alone, which takes some
  seconds for a module like `Enum`; processes that run in it go on, those in a local loop with the code that they are in.

      iex> {:ok, report} = ElixirScope.instrument(ElixirScope.Doctest.Plain, only: [:double])
      iex> report.functions
      [double: 1]
      iex> ElixirScope.Doctest.Plain.double(21)
      iex> [call] = ElixirScope.calls(&ElixirScope.Doctest.Plain.double/1)
      iex> {call.args, call.return}
      {[21], 42}
      iex> ElixirScope.uninstrument(ElixirScope.Doctest.Plain)
      :ok
  """
  @spec instrument(module, keyword) :: {:ok, map} | {:error, Error.t()}
  def instrument(module, options \\ []), do: Attach.attach(module, options)

  @doc """
  Takes `instrument/2` back: exactly the code that ran before runs again, and costs nothing.
  """
  @spec uninstrument(module) :: :ok | {:error, Error.t()}
  def uninstrument(module), do: Attach.detach(module)

  @doc """
  The modules that `instrument/2` has instrumented.
  """
  @spec instrumented() :: [module]
  def instrumented, do: Attach.attached()

  @doc """
  The state that a server had at a time: the one after the last callback that had finished by then.

  A change from outside of the callbacks, such as `:sys.replace_state/2`, is seen when the next callback begins. A server
  that has ended keeps its last state.

  A part that a limit or redaction kept out is an `ElixirScope.Cut` in its place; a map of which keys were cut may have had others and more.
  Where events are missing since the last known state, the answer is an error with the reason `:lost`, never a guess. A state
  that differs from the one before in the sign of a zero alone is not a new one before OTP 27, where the VM holds `0.0 === -0.0`.
  """
  @spec get_state_at(Server.t(), Moment.t(), keyword) :: {:ok, term} | {:error, Error.t()}
  def get_state_at(server, time, options \\ []),
    do: server |> Query.state_at(time, options) |> Query.ModuleHint.add(server, options)

  @doc """
  As `get_state_at/3`, but gives the state itself and raises `ElixirScope.Error`.
  """
  @spec get_state_at!(Server.t(), Moment.t(), keyword) :: term
  def get_state_at!(server, time, options \\ []), do: bang(get_state_at(server, time, options))

  @doc """
  The changes of a server's state, as `ElixirScope.Change`, lazily: each with its time, what caused it, and the difference to the
  state before.

  | option | default | meaning |
  |---|---|---|
  | `:since`, `:until` | all | times, both included |
  | `:order` | `:oldest` | which comes first: `:oldest` or `:newest` |
  | `:limit` | all | how many at most |
  | `:path` | | only changes of what stands there (see `ElixirScope.Path`), with the difference there |
  | `:in` | | the recording |

      iex> {:ok, counter} = GenServer.start_link(ElixirScope.Doctest.Counter, 7)
      iex> GenServer.call(counter, :next)
      iex> [begin, next] = Enum.to_list(ElixirScope.state_history(counter))
      iex> {begin.cause.kind, begin.state}
      {:init, 7}
      iex> {next.cause.kind, next.cause.message, next.cause.from == self(), next.difference.entries}
      {:call, :next, true, [{[], :changed, 7, 8}]}

  A name stands for the process that had it at `:until`. Where events are missing, the changes around say so in `gaps`, and
  the history as a whole in its own `gaps`. Raises `ElixirScope.Error` for a server without states, and for options that are not of this form.
  """
  @spec state_history(Server.t(), keyword) :: ElixirScope.History.t()
  def state_history(server, options \\ []),
    do: server |> Query.History.history(options) |> Query.ModuleHint.add(server, options) |> bang()

  @doc """
  What differs between the states that a server had at two times, and nothing else: see `ElixirScope.Difference`. With `path:` only
  what stands there is compared.

      iex> {:ok, counter} = GenServer.start_link(ElixirScope.Doctest.Counter, 7)
      iex> before = ElixirScope.now()
      iex> GenServer.call(counter, :next)
      iex> {:ok, difference} = ElixirScope.diff_state(counter, before, ElixirScope.now())
      iex> difference.entries
      [{[], :changed, 7, 8}]

  Where one of the two is not known the error is that of `get_state_at/3`. What a limit or redaction kept out is `:unknown` in the difference, unless
  it cannot be equal.
  """
  @spec diff_state(Server.t(), Moment.t(), Moment.t(), keyword) ::
          {:ok, ElixirScope.Difference.t()} | {:error, Error.t()}
  def diff_state(server, from, to, options \\ []), do: Query.History.diff(server, from, to, options)

  @doc """
  Who put the value at a path of a server's state there, as it stood at a time: the change, what caused it, who sent that, and what
  had led to it, as far back as it is recorded. See `ElixirScope.Chain` for the steps, and for the reasons why they end.

      iex> {:ok, counter} = GenServer.start_link(ElixirScope.Doctest.Counter, 7)
      iex> GenServer.call(counter, :next)
      iex> {:ok, chain} = ElixirScope.who_set(counter, [], ElixirScope.now())
      iex> {chain.value, hd(chain.steps).message, hd(chain.steps).from == self()}
      {{:ok, 8}, :next, true}
      iex> chain.ends
      :not_instrumented

  A path is a list as for `get_in/2`, in which a number is a position in a list or tuple: see `ElixirScope.Path`. When nothing
  stands there, the change is the one that took it away. Where it cannot be said which change it was, because events are missing
  or a limit kept something out, there is none, and `ends` says so.

  The functions that were running in the sender are those at the time when its call was taken up, which is while it waited, unless it sent
  the message in another way (`:gen_server.send_request/2`) or had given up waiting.

  `limit:` is how many steps are made at most, 100 if it is not said.
  """
  @spec who_set(Server.t(), ElixirScope.Path.t(), Moment.t(), keyword) ::
          {:ok, ElixirScope.Chain.t()} | {:error, Error.t()}
  def who_set(server, path, time, options \\ []),
    do: server |> Query.Who.who_set(path, time, options) |> Query.ModuleHint.add(server, options)

  @doc """
  The newest change by which something became true of a server's state: it is true of the state after it, and was not of
  the one before, or there was none. `before:` is the latest time for it.

      iex> {:ok, counter} = GenServer.start_link(ElixirScope.Doctest.Counter, 7)
      iex> for _ <- 1..3, do: GenServer.call(counter, :next)
      iex> {:ok, change} = ElixirScope.last_change(counter, fn count -> count > 8 end, before: ElixirScope.now())
      iex> {change.before, change.state}
      {{:ok, 8}, 9}

  With a path in between, the function is given what stands there, and is not asked where nothing does: that is the faster way,
  because states between which nothing changed there are not looked at.

      ElixirScope.last_change(stock, [:items, "tea", :left], fn left -> left < 0 end, before: {:ago, 1, :minute})

  When there was no such change the error has the reason `:no_change`, where a limit kept out what the function is to be asked about `:cut`, and when
  the function itself fails `:bad_predicate`. In `gaps` of the change stand all in which a newer one may be hidden, and a
  `:no_change` names those in which it may have been. A change is an error `:cut` too where a limit kept out any part of what the
  function was given, of its state or the one before: ask with a path to the part that matters then. In `passed` of the change stands a
  state of which that is true and that was passed over; a `:no_change` names it as well.

  What redaction or the view of a struct kept out is not in any state: the function is given `#Redacted<>` (an `ElixirScope.Cut`) in
  its place, and is to be about other parts. What it says of that part is said of the stand-in. A path to the part itself is an
  error `:cut`.
  """
  @spec last_change(
          Server.t(),
          (term -> as_boolean(term)) | ElixirScope.Path.t(),
          keyword | (term -> as_boolean(term))
        ) ::
          {:ok, ElixirScope.Change.t()} | {:error, Error.t()}
  def last_change(server, path_or_function, function_or_options \\ [])

  def last_change(server, path, function) when is_function(function),
    do: last_change(server, path, function, [])

  def last_change(server, function, options), do: last_change(server, [], function, options)

  @doc "See `last_change/3`."
  @spec last_change(Server.t(), ElixirScope.Path.t(), (term -> as_boolean(term)), keyword) ::
          {:ok, ElixirScope.Change.t()} | {:error, Error.t()}
  def last_change(server, path, function, options),
    do: server |> Query.Search.last_change(path, function, options) |> Query.ModuleHint.add(server, options)

  @doc """
  The oldest change by which something became true of the state of any server of a module, or of any of a list of servers: "when did any cart's
  total become negative first?". `since:` and `until:` bound its time. Otherwise as `last_change/3`.

      iex> {:ok, counter} = GenServer.start_link(ElixirScope.Doctest.Counter, 990)
      iex> for _ <- 1..3, do: GenServer.call(counter, :next)
      iex> {:ok, change} = ElixirScope.first_change(ElixirScope.Doctest.Counter, fn count -> count == 992 end)
      iex> {change.pid == counter, change.before, change.state}
      {true, {:ok, 991}, 992}
  """
  @spec first_change(
          module | Server.t() | [Server.t()],
          (term -> as_boolean(term)) | ElixirScope.Path.t(),
          keyword | (term -> as_boolean(term))
        ) :: {:ok, ElixirScope.Change.t()} | {:error, Error.t()}
  def first_change(servers, path_or_function, function_or_options \\ [])

  def first_change(servers, path, function) when is_function(function),
    do: first_change(servers, path, function, [])

  def first_change(servers, function, options), do: first_change(servers, [], function, options)

  @doc "See `first_change/3`."
  @spec first_change(
          module | Server.t() | [Server.t()],
          ElixirScope.Path.t(),
          (term -> as_boolean(term)),
          keyword
        ) ::
          {:ok, ElixirScope.Change.t()} | {:error, Error.t()}
  def first_change(servers, path, function, options) do
    Query.Search.first_change(servers, path, function, options)
  end

  @doc """
  The variables of a call, line by line, or those up to an event within it, or up to the event that a cursor stands on, as
  `ElixirScope.Locals`. They are there of functions that are recorded with `locals: true`; of any other the error has the reason
  `:not_instrumented`.

      iex> ElixirScope.Doctest.Price.with_tax(100)
      119
      iex> [call] = ElixirScope.calls(&ElixirScope.Doctest.Price.with_tax/1)
      iex> {:ok, locals} = ElixirScope.locals_at(call)
      iex> locals.visible
      [net: 100, tax: 19]
      iex> for {_line, variables} <- locals.lines, do: variables
      [[net: 100], [tax: 19]]

  Scopes are not recorded: `visible` has the value that each name was bound to last, in a branch too. Names for which that
  may be another's are in `ambiguous`.
  """
  @spec locals_at(Call.t() | ElixirScope.Event.t() | Cursor.t(), keyword) ::
          {:ok, ElixirScope.Locals.t()} | {:error, Error.t()}
  def locals_at(event_or_call, options \\ [])

  def locals_at(%Cursor{event: %{} = event, recording: recording}, options) when is_list(options),
    do: locals_at(event, options ++ [in: recording])

  def locals_at(event_or_call, options), do: Query.Locals.locals_at(event_or_call, options)

  @doc """
  The events that match all of the filters, in the order of the recording, lazily.

  | filter | meaning |
  |---|---|
  | `:kind` | one kind of `ElixirScope.Event`, or a list |
  | `:pid` | one server, or a list |
  | `:mfa` | functions, as for `calls/2` |
  | `:since`, `:until` | times, both included |
  | `:limit` | how many at most |
  | `:order` | `:oldest` (the default) or `:newest` first |
  | `:in` | the recording |

      iex> {:ok, counter} = GenServer.start_link(ElixirScope.Doctest.Counter, 0)
      iex> GenServer.call(counter, :next)
      iex> for event <- ElixirScope.events(pid: counter, kind: :state), do: event.data.state
      [0, 1]

  Raises `ElixirScope.Error` for filters that are not of this form.
  """
  @spec events(keyword) :: Events.t()
  def events(filters \\ []), do: bang(Query.events(filters))

  @doc """
  The calls of a function, in the order in which they began: see `ElixirScope.Call`.

  `function` is `{module, function, arity}`, `{module, function}` for every arity, a module for all of its functions,
  or a capture such as `&Cart.add/2`. Filters are those of `events/1` without `:kind`, `:mfa` and `:order`.

      iex> {:ok, counter} = GenServer.start_link(ElixirScope.Doctest.Counter, 41)
      iex> GenServer.call(counter, :next)
      iex> [call] = ElixirScope.calls({ElixirScope.Doctest.Counter, :handle_call}, pid: counter)
      iex> {hd(call.args), call.outcome, call.return}
      {:next, :returned, {:reply, 41, 42}}

  No call is `[]`. When no call could have been seen, because the function does not exist or is not instrumented,
  `ElixirScope.Error` is raised with that reason; likewise when nothing of it is in a recording that was opened, and this VM does
  not have it instrumented either.
  """
  @spec calls(Function.t(), keyword) :: [Call.t()]
  def calls(function, options \\ []), do: bang(Query.calls(function, options))

  @doc """
  A moment in the recording as an `ElixirScope.Cursor`, to be moved with `next/3`, `prev/3` and `step_into/1` and those beside it,
  and looked at with `where/2`. It stands on the last event that had happened by then, or on the very event, call or mark that is given.

  | option | meaning |
  |---|---|
  | `:pid` | the server whose events it keeps to; without it, it moves through those of all processes |
  | `:in` | the recording |

  This and what moves a cursor return the cursor itself and raise `ElixirScope.Error`, so that they can be piped:

      iex> {:ok, counter} = GenServer.start_link(ElixirScope.Doctest.Counter, 7)
      iex> GenServer.call(counter, :next)
      iex> cursor = ElixirScope.at({:ago, 0, :second}, pid: counter) |> ElixirScope.prev(:call)
      iex> {cursor.event.mfa, hd(cursor.event.data.args)}
      {{ElixirScope.Doctest.Counter, :handle_call, 3}, :next}
      iex> cursor |> ElixirScope.step_out() |> ElixirScope.where() |> Map.fetch!(:result)
      {:returned, {:reply, 7, 8}}
  """
  @spec at(Moment.t(), keyword) :: Cursor.t()
  def at(time, options \\ []), do: bang(Query.Cursor.at(time, options))

  @doc """
  Moves a cursor forward, to the next event of a kind. Where there is none it stays, and its field `ended` says why; what is missing
  between its old and its new place stands in `over`: see `ElixirScope.Cursor`.

  | by | to |
  |---|---|
  | `:event` | the next event of any kind |
  | `:call`, `:return`, `:raise`, `:state` | the next of these, see `ElixirScope.Event` |
  | `:line` | the next line that is known to be reached: a call, or another line at which a variable is bound (`locals: true`), or at which a `receive` begins or ends |
  | `:message` | the next message that is taken: by a `receive`, or in a call of a callback that is given one (`handle_call/3`, `handle_cast/2`, `handle_info/2`, `handle_event/4`) |
  | `:mark` | the next bookmark, of any process unless the option `:pid` says whose |

  The option `:pid` names a server for this move alone, instead of the one that the cursor keeps to.

  The order is that of the recording: of each process the true one, also where two of its events have the same time. Of a recording
  that goes on, the end moves: the same move may find something later.

      iex> {:ok, counter} = GenServer.start_link(ElixirScope.Doctest.Counter, 7)
      iex> GenServer.call(counter, :next)
      iex> [first | _] = Enum.to_list(ElixirScope.events(pid: counter))
      iex> cursor = first |> ElixirScope.at(pid: counter) |> ElixirScope.next(:state) |> ElixirScope.next(:state)
      iex> {cursor.event.data.state, ElixirScope.next(cursor, :state).ended}
      {8, :end}
  """
  @spec next(Cursor.t(), atom, keyword) :: Cursor.t()
  def next(cursor, by \\ :event, options \\ []), do: bang(Query.Cursor.move(cursor, :next, by, options))

  @doc """
  Moves a cursor back, to the previous event of a kind: see `next/3`.
  """
  @spec prev(Cursor.t(), atom, keyword) :: Cursor.t()
  def prev(cursor, by \\ :event, options \\ []), do: bang(Query.Cursor.move(cursor, :prev, by, options))

  @doc """
  Moves a cursor to the next event of its process: into the call that is made next, if one is.

  The process is the one that the cursor keeps to, or else that of its event. These six move as a debugger does, on and back:

  | on | back | to |
  |---|---|---|
  | `step_into/1` | `back_into/1` | the next, or previous, event of the process |
  | `step_over/1` | `back_over/1` | likewise; but when a call begins (or, going back, ends) there, to the other end of it |
  | `step_out/1` | `back_out/1` | the end (or the beginning) of the innermost call around the moment |

  A function that ended with a tail call ends when the function does that it called.

      iex> {:ok, counter} = GenServer.start_link(ElixirScope.Doctest.Counter, 7)
      iex> GenServer.call(counter, :next)
      iex> [init, call] = ElixirScope.calls(ElixirScope.Doctest.Counter, pid: counter)
      iex> cursor = init |> ElixirScope.at() |> ElixirScope.step_out() |> ElixirScope.step_over()
      iex> {cursor.event.kind, cursor.event.time == call.finished}
      {:return, true}
      iex> ElixirScope.back_over(cursor).event.kind
      :state
      iex> ElixirScope.back_out(cursor).event.id == call.id
      true
  """
  @spec step_into(Cursor.t()) :: Cursor.t()
  def step_into(cursor), do: bang(Query.Cursor.step(cursor, :next, :into))

  @doc "Moves a cursor on, over the call that is made next: see `step_into/1`."
  @spec step_over(Cursor.t()) :: Cursor.t()
  def step_over(cursor), do: bang(Query.Cursor.step(cursor, :next, :over))

  @doc "Moves a cursor to the end of the call that it is in: see `step_into/1`."
  @spec step_out(Cursor.t()) :: Cursor.t()
  def step_out(cursor), do: bang(Query.Cursor.step(cursor, :next, :out))

  @doc "Moves a cursor to the previous event of its process: see `step_into/1`."
  @spec back_into(Cursor.t()) :: Cursor.t()
  def back_into(cursor), do: bang(Query.Cursor.step(cursor, :prev, :into))

  @doc "Moves a cursor back, over the call that ended last: see `step_into/1`."
  @spec back_over(Cursor.t()) :: Cursor.t()
  def back_over(cursor), do: bang(Query.Cursor.step(cursor, :prev, :over))

  @doc "Moves a cursor to the beginning of the call that it is in: see `step_into/1`."
  @spec back_out(Cursor.t()) :: Cursor.t()
  def back_out(cursor), do: bang(Query.Cursor.step(cursor, :prev, :out))

  @doc """
  What was true at the moment of a cursor, as `ElixirScope.Where`: the source around the line, with the values of that moment,
  the open calls, the state of the process. `lines:` says how many lines are shown before and behind.

      iex> {:ok, counter} = GenServer.start_link(ElixirScope.Doctest.Counter, 7)
      iex> GenServer.call(counter, :next)
      iex> where = {:ago, 0, :second} |> ElixirScope.at(pid: counter) |> ElixirScope.prev(:call) |> ElixirScope.where()
      iex> {:ok, lines} = where.source
      iex> lines |> List.keyfind(where.line, 0) |> elem(1) |> String.trim()
      "def handle_call(:next, _from, count), do: {:reply, count, count + 1}"
      iex> [%{args: [:next, _from, 7]}] = where.calls
      iex> where.state
      {:ok, 7}
  """
  @spec where(Cursor.t(), keyword) :: ElixirScope.Where.t()
  def where(cursor, options \\ []), do: bang(Query.Where.where(cursor, options))

  @doc """
  Sets a bookmark in the recording: a name, an atom or a string of at most 255 bytes, for this moment. Its label can be given wherever a
  time is expected, and stands for the newest mark with it; an atom and its text are the same label.

  | option | meaning |
  |---|---|
  | `:at` | the time that it is for, when that is not now |
  | `:in` | the recording, when it is not the one of this VM; `:at` is then needed |

  A mark that is set now is an event of the calling process. One for a moment of the past is kept in a file beside the recording. Both
  stay with it, and are there when it is opened again; of the oldest that retention removes the newest thousand stay.

      iex> {:ok, counter} = GenServer.start_link(ElixirScope.Doctest.Counter, 7)
      iex> ElixirScope.mark("before the call")
      :ok
      iex> GenServer.call(counter, :next)
      iex> ElixirScope.get_state_at(counter, "before the call")
      {:ok, 7}
  """
  @spec mark(Mark.label(), keyword) :: :ok | {:error, Error.t()}
  def mark(label, options \\ []), do: Query.Mark.set(label, options)

  @doc """
  The bookmarks of a recording, by time. The option is `:in`.

      iex> ElixirScope.mark(:here)
      iex> :here in Enum.map(ElixirScope.marks(), & &1.label)
      true
  """
  @spec marks(keyword) :: [Mark.t()]
  def marks(options \\ []), do: bang(Query.Mark.list(options))

  @doc """
  Prints after the fact, as if the program had had that line all along: for every recorded call of a function, in the order in which
  they began, the time, the process, and what `fun` gives for the `ElixirScope.Call`; without `fun` its arguments.

      ElixirScope.print(&Cart.add/2, fn call -> {call.args, call.return} end)

  prints lines like

      13:04:05.123456  Shop.Web  {[#PID<0.186.0>, %{count: 2, id: 1}], :ok}

  A place in the source can be given instead: `{file, line}` or `{module, line}`, where variables are recorded (`locals: true`). `fun` is
  then given a map of the variables of that call as they were when that line had bound its own, by their names. It is printed for each place on the line that binds any.

      ElixirScope.print({Cart, 14}, fn variables -> variables.item end)

  | option | default | meaning |
  |---|---|---|
  | `:limit` | 100 | how many lines at most; it is said how many more there are |
  | `:since`, `:until` | all | times, both included |
  | `:pid` | all | one server, or a list |
  | `:device` | `:stdio` | where to print, as for `IO.puts/2` |
  | `:in` | | the recording |

      iex> {:ok, counter} = GenServer.start_link(ElixirScope.Doctest.Counter, 41)
      iex> GenServer.call(counter, :next)
      iex> {:ok, device} = StringIO.open("")
      iex> ElixirScope.print({ElixirScope.Doctest.Counter, :handle_call}, & &1.return, pid: counter, device: device)
      :ok
      iex> {_input, printed} = StringIO.contents(device)
      iex> printed |> String.split("  ") |> List.last() |> String.trim()
      "{:reply, 41, 42}"

  When `fun` raises, the error is printed in its place. Raises `ElixirScope.Error` when nothing of the kind could have been recorded.
  """
  @spec print(
          Function.t() | {Path.t() | module, pos_integer},
          (Call.t() -> term) | (map -> term) | keyword,
          keyword
        ) :: :ok
  def print(function, fun \\ nil, options \\ [])

  def print(function, options, []) when is_list(options), do: print(function, nil, options)

  def print(function, fun, options) do
    with {:error, error} <- Query.Print.print(function, fun, options), do: raise(error)
  end

  @doc """
  Would my fix have worked? Takes the state and the message of a recorded callback, the last one of a server that had begun by a time, and
  runs the *current* code of the callback on them: see `ElixirScope.Replay`.

      iex> {:ok, counter} = GenServer.start_link(ElixirScope.Doctest.Counter, 7)
      iex> GenServer.call(counter, :next)
      iex> replay = ElixirScope.replay(counter, {:ago, 0, :second})
      iex> {replay.same?, replay.state, replay.replayed.return}
      {true, {:ok, 7}, {:reply, 7, 8}}

  | option | default | meaning |
  |---|---|---|
  | `:timeout` | 5000 | milliseconds after which it is ended |
  | `:in` | | the recording |

  It runs in a process of its own, which is ended afterwards, and of which nothing is recorded. What it raises, throws or exits with is
  shown as its outcome. But it is the true code that runs: messages that it sends, files and tables that it writes and processes that it
  starts are real, and what it asks of the world is answered by the world of today. `self()` and the process dictionary are not those of the
  server, and pids in the recorded state may be other processes now, most of all in a recording that was opened.

  Callbacks are those of GenServer, gen_statem, GenStage, LiveView and channels, `terminate` only when its call is given as the time; those of an Agent are functions of its callers. A state or a
  message of which a limit kept out a part is an error with the reason `:cut`. Raises `ElixirScope.Error`.

  `mix scope.gen.test` writes a test from the same moment.
  """
  @spec replay(Server.t(), Moment.t(), keyword) :: ElixirScope.Replay.t()
  def replay(server, time, options \\ []), do: bang(Query.Replay.replay(server, time, options))

  @doc """
  How often functions were called that are counted, not recorded (`count:` of `use ElixirScope`, or hot inner loops of a
  whole project), as a map. Filters are `:mfa`, `:since`, `:until` and `:in`. Counts are told every 10 ms, so one belongs
  to a time that is up to so much later than its call; of a VM that was killed the last are missing.

      iex> ElixirScope.Doctest.Sum.of([1, 2, 3])
      6
      iex> ElixirScope.counts(mfa: ElixirScope.Doctest.Sum)
      %{{ElixirScope.Doctest.Sum, :sum, 2} => 4}
  """
  @spec counts(keyword) :: %{mfa => pos_integer}
  def counts(filters \\ []), do: bang(Program.counts(filters))

  @doc """
  The places in the code that events came from, as `ElixirScope.Node`, in the order of the source. Filters are `:mfa` and
  `:in`.

      iex> {:ok, _counter} = GenServer.start_link(ElixirScope.Doctest.Counter, 0)
      iex> [node] = ElixirScope.nodes(mfa: {ElixirScope.Doctest.Counter, :init})
      iex> {node.kind, node.mfa, node.names}
      {:function, {ElixirScope.Doctest.Counter, :init, 1}, []}
  """
  @spec nodes(keyword) :: [ElixirScope.Node.t()]
  def nodes(filters \\ []), do: bang(Program.nodes(filters))

  @doc """
  The text of the file that an event, a call or a node comes from, as it was compiled, also when the file has been
  changed or is gone since. The error has the reason `:no_source` when the recording does not hold it: see
  `docs/instrumentation.md`.

      iex> {:ok, _counter} = GenServer.start_link(ElixirScope.Doctest.Counter, 0)
      iex> [call | _] = ElixirScope.calls({ElixirScope.Doctest.Counter, :init})
      iex> {:ok, text} = ElixirScope.source(call)
      iex> text |> String.split("\\n") |> Enum.at(call.line - 1) |> String.trim()
      "def init(count), do: {:ok, count}"
  """
  @spec source(ElixirScope.Event.t() | Call.t() | ElixirScope.Node.t(), keyword) ::
          {:ok, String.t()} | {:error, Error.t()}
  def source(event, options \\ []), do: Program.source(event, options)

  # Watching processes.

  @doc """
  Has the VM tell what processes do that instrumented code does not see: how they begin and end, their links, names, and the
  messages that they send and are given.

  `who` is a pid, a registered name, a list of these, `:all` for all processes, those that are made later among them, or
  `:instrumented` for those that run instrumented code (from their next instrumented call on).

  | option | default | meaning |
  |---|---|---|
  | `:kinds` | see below | what is told, a list |
  | `:calls` | `[]` | calls of functions that are not instrumented: `[{:ets, :insert, 2}, {Jason, :encode!}, :queue]`, or with a match specification as fourth element. OTP 27 |
  | `:returns` | `false` | their returns and exceptions as well, of those without a match specification. Meanwhile a tail call of such a function keeps a frame, so not for loops that never return |
  | `:spawned` | `false` | processes that these make are watched as well |

  | kind | events | default |
  |---|---|---|
  | `:life` | `:spawn`, `:spawned`, `:exit` | yes |
  | `:links` | `:link` | yes |
  | `:names` | `:name` | yes |
  | `:messages` | `:send`, `:receive`; whom a message is from since OTP 27 | yes |
  | `:labels` | `:label` (`Process.set_label/1`) | OTP 27 |
  | `:signals` | `:traced`: calls of `Process.exit/2` | OTP 27 |
  | `:waits` | `:traced`: calls that wait for an answer (`GenServer.call/3`, `Task.await/2` and the like) | OTP 27 |
  | `:monitors`, `:tables`, `:timers` | `:traced`: calls that make and end monitors, ETS tables and timers, with what they return | no; OTP 27 |
  | `:ports` | `:port` | no |
  | `:scheduling` | `:schedule`: two for each time that a process runs | no; OTP 25.3 |
  | `:garbage` | `:collect` | no; before OTP 27 alone, see `docs/watching.md` |

  Since OTP 27 this is a session of our own in the VM, and no other tool notices. There
  recordings begin with `watch: :instrumented`: messages and all else of the processes that run instrumented code, and of all others
  what happens seldom (`:life`, `:links`, `:names`, `:labels`, `:signals`, `:waits`). Before OTP 27 a process has one tracer; so nothing is watched
  until it is asked for, and a process that another tool traces is left alone: the error has the reason `:traced`, and among several
  such processes are listed in `held`.

  Functions are asked for once for all: a process that tells calls tells those of each function that any request named.

  Answers for how many processes, and of which kinds; `held` are those that others trace, with their tracers. What is asked for adds to what is
  watched already, until `unwatch/1` or the end of the recording.

      iex> {:ok, task} = Task.start(fn -> receive do: (:stop -> :ok) end)
      iex> {:ok, watched} = ElixirScope.watch(task, kinds: [:life, :messages])
      iex> {watched.processes, watched.held}
      {1, []}
      iex> ref = Process.monitor(task)
      iex> send(task, :stop)
      iex> receive do: ({:DOWN, ^ref, :process, ^task, _} -> :ok)
      iex> for event <- ElixirScope.events(pid: task, kind: [:receive, :exit]), do: event.kind
      [:receive, :exit]
  """
  @spec watch(:all | :instrumented | pid | atom | [pid | atom], keyword) ::
          {:ok, %{processes: non_neg_integer, kinds: [atom], held: [{pid | :new, term}]}}
          | {:error, Error.t()}
  def watch(who \\ :instrumented, options \\ []) do
    with {:ok, request} <- Watch.request({:who, who}, options), do: Recorder.watch(request)
  end

  @doc """
  Has the VM tell no more of what `who` stands for, as in `watch/2`.
  """
  @spec unwatch(:all | :instrumented | pid | atom | [pid | atom]) :: :ok | {:error, Error.t()}
  def unwatch(who \\ :all), do: Recorder.unwatch(who)

  @doc """
  What is watched: `%{processes: [pid | :all | :instrumented], kinds: [...], calls: [...]}`. Nothing is watched: `processes: []`.
  """
  @spec watched() :: {:ok, %{processes: list, kinds: [atom], calls: list}} | {:error, Error.t()}
  def watched do
    with {:ok, watch} <- Recorder.watched(), do: {:ok, Watch.summary(watch)}
  end

  # Messages.

  @doc """
  The messages that match all of the filters, as `ElixirScope.Message`, in the order of their sending: each with its delivery, and
  with what took it.

  | filter | meaning |
  |---|---|
  | `:since`, `:until` | times, both included: when it was sent, or delivered where its sending was not seen |
  | `:pid` | one server, or a list: at one end, whichever |
  | `:from`, `:to` | likewise, at that end |
  | `:between` | a list of two servers or more: both ends are among these |
  | `:kind` | one or some of `:call`, `:reply`, `:cast`, `:info`, `:down`, `:exit`, `:system` |
  | `:matching` | a function of what the message holds (its `content`, not the struct); one whose clauses match none says no |
  | `:outcome` | one or some of `:taken`, `:delivered`, `:pending`, `:nobody`, `:unwatched`, `:unknown` |
  | `:limit` | how many at most |
  | `:order` | `:oldest` (the default) or `:newest` first |
  | `:in` | the recording |

      # What a call holds is {:"$gen_call", from, request}, and what a cast holds {:"$gen_cast", request}.
      ElixirScope.messages(to: Stock, kind: :call, matching: fn {_, _, {:take, _, _}} -> true end)
      ElixirScope.messages(to: Stock, matching: fn {:order, _, _} -> true end)

  Messages are those of processes that are watched, see `ElixirScope.watch/2`; where none was recorded, `ElixirScope.Error` is raised with the
  reason `:not_watched`; so it is where no message of the processes that are asked for could have been seen. No pair is a guess: what cannot be known has the outcome `:unknown`. That is so where events are missing, until
  anything comes that can be told apart, and before OTP 27, where a delivery does not say whom it is from, for equal messages of several
  processes that were on the way to one at once. (There, what a timer brings can also be taken for the equal message of
  a process that is on the way.)

  Pairing begins with the recording, whatever the window is: about half a second for a million sendings and deliveries. The messages
  that are given cost more: 250,000 of them took two seconds and 440 MB, so say `:since`, or `:limit`. What took a message is
  looked for among all messages of its receiver, if anything is known to take them. Before OTP 27 equal messages of many processes
  that are on the way to one at once take time with the square of the processes: 30,000 of them took seven seconds.
  """
  @spec messages(keyword) :: [ElixirScope.Message.t()]
  def messages(filters \\ []), do: bang(Query.Messages.messages(filters))

  @doc """
  Who said what to whom, in which order, as `ElixirScope.Sequence`: shown in IEx it is a sequence diagram, and
  `ElixirScope.Sequence.mermaid/1` gives it as text for Mermaid.

  | option | default | meaning |
  |---|---|---|
  | `:pid` | the most active | the servers that have a column |
  | `:columns` | 6 | how many processes have one where `:pid` does not say which |
  | `:since`, `:until` | all | times, both included |
  | `:in` | | the recording |

      ElixirScope.sequence(pid: [Shop, Stock], since: {:ago, 1, :second})

  Messages between processes of which one has no column are not shown; `left_out` names those processes. What nobody is known to have
  sent (a timer, the VM, a process that is not watched) begins at its receiver, with `o`. An arrow that ends with `x` was not delivered, with `?`
  nobody knows. Raises `ElixirScope.Error`.
  """
  @spec sequence(keyword) :: ElixirScope.Sequence.t()
  def sequence(options \\ []), do: bang(Query.Sequence.sequence(options))

  @doc """
  The mailbox of a process as it was at a time, as `ElixirScope.Mailbox`: what had been sent to it by then and was not taken, the
  oldest first, with how long it had lain there.

      {:ok, mailbox} = ElixirScope.mailbox(Stock, {:ago, 1, :second})
      mailbox.length

  What takes messages is recorded of instrumented code. Of other processes, and where events are missing, the length is
  `:unknown`, and `why` says why. For a moment of the last tenth of a second `actual` is what the VM says now of a process that lives;
  where that is another number and nothing that came or went since explains it, the length is `:unknown` too. The error has the reason `:not_watched` when the messages of the process are not recorded.
  """
  @spec mailbox(Server.t(), Moment.t(), keyword) :: {:ok, ElixirScope.Mailbox.t()} | {:error, Error.t()}
  def mailbox(server, time, options \\ []), do: Query.Mailbox.mailbox(server, time, options)

  # Frameworks.

  @doc """
  What frameworks did, the oldest first, as `ElixirScope.Span`: requests, queries, jobs and whatever else is told through `:telemetry`, each with its
  name, how long it took, what came of it, and the innermost recorded call around it. `docs/frameworks.md` says what is known of each.

  | filter | meaning |
  |---|---|
  | `:kind` | one kind of `ElixirScope.Span`, or a list |
  | `:pid` | one server, or a list |
  | `:since`, `:until` | times between which it began, both included |
  | `:matching` | a text that its name holds, or a regular expression |
  | `:order` | `:oldest` (the default) or `:newest` first |
  | `:limit` | how many at most |
  | `:in` | the recording |

      ElixirScope.spans(kind: :query, matching: "orders", order: :newest, limit: 5)

  What began and did not end is told too: with the outcome `:exit` where its process has ended since, as far as that was recorded (`watch/2`), `:open`
  where nothing says so, and `:unknown` where events are missing since.

  Beginnings and ends are paired from `since:` on to the end of the recording, `until:` ends the answer alone, and without `since:` all events of
  frameworks are read. In a long recording give it.

  Raises `ElixirScope.Error` for filters that are not of this form, and with the reason `:no_telemetry` where nothing could have been
  recorded: the application `:telemetry` does not run, or the recording was begun with `telemetry: false`.
  """
  @spec spans(keyword) :: [ElixirScope.Span.t()]
  def spans(filters \\ []), do: bang(Query.Spans.spans(filters))

  @doc """
  The lines of the log, the oldest first, as `ElixirScope.Log`: each with its process and the innermost recorded call around it. A line
  can be given wherever a time is expected, so that it leads to its moment.

  | filter | meaning |
  |---|---|
  | `:level` | the mildest level that is wanted, such as `:warning` |
  | `:matching` | a text that the line holds, or a regular expression |
  | `:pid` | one server, or a list |
  | `:since`, `:until` | times, both included |
  | `:order` | `:oldest` (the default) or `:newest` first |
  | `:limit` | how many at most |
  | `:in` | the recording |

      iex> require Logger
      iex> Logger.error("the cup is empty")
      iex> [log] = ElixirScope.logs(pid: self(), matching: "the cup")
      iex> {log.level, log.message}
      {:error, "the cup is empty"}
      iex> ElixirScope.at(log).event.kind
      :log

  Reports of OTP (crashes, restarts) are lines too. What the level of Logger keeps out is not recorded, nor what the option `logs:` of
  `ElixirScope.Options` does. Raises `ElixirScope.Error`, with the reason `:no_logs` where no line could have been recorded.
  """
  @spec logs(keyword) :: [ElixirScope.Log.t()]
  def logs(filters \\ []), do: bang(Query.Logs.logs(filters))

  @doc """
  Records more events of `:telemetry` from now on, until the recording ends: a list in the form of the option `telemetry:` of
  `ElixirScope.Options`. Answers the names of all events that are recorded.

      ElixirScope.telemetry([[:shop, :order, :paid], {:span, [:shop, :import]}])

  Where the application `:telemetry` does not run, the error has the reason `:no_telemetry`.
  """
  @spec telemetry([term]) :: {:ok, [ElixirScope.Framework.name()]} | {:error, Error.t()}
  def telemetry(events \\ []) do
    with {:ok, sources} <- Frameworks.more(events),
         :ok <- Recorder.telemetry(sources),
         do: {:ok, Frameworks.attached()}
  end

  # Processes and their supervision.

  @doc """
  The processes that lived at a moment, as `ElixirScope.Lives`: an enumerable of `ElixirScope.Life`, which IEx shows as a table.

  Of processes whose life is watched (see `watch/2`) it is known when they began and ended. Others are known from when they ran
  instrumented code or were introduced; when nothing says whether they had ended by then their `status` is `:unknown`. The option is `:in`.

      iex> {:ok, counter} = GenServer.start_link(ElixirScope.Doctest.Counter, 7)
      iex> life = ElixirScope.now() |> ElixirScope.processes() |> Enum.find(&(&1.pid == counter))
      iex> {life.initial_call, life.kind, life.parent == self(), life.status}
      {{ElixirScope.Doctest.Counter, :init, 1}, :gen_server, true, :alive}

  The lives before the time are gone through: about a second for 100,000 processes.
  """
  @spec processes(Moment.t(), keyword) :: ElixirScope.Lives.t()
  def processes(time, options \\ []), do: bang(Query.Processes.processes(time, options))

  @doc """
  The life of a process as `ElixirScope.Life`: names, parent and children, links, how it began and by which call, how it ended.

  | option | default | meaning |
  |---|---|---|
  | `:at` | all that is known | the moment for which it is told; of processes that had the same pid one after the other, the one of that moment |
  | `:in` | | the recording |

      iex> {:ok, counter} = GenServer.start(ElixirScope.Doctest.Counter, 7)
      iex> {:ok, _watched} = ElixirScope.watch(counter, kinds: [:life, :links, :names])
      iex> GenServer.stop(counter, {:shutdown, :enough})
      iex> {:ok, life} = ElixirScope.process(counter)
      iex> {life.status, life.exited.reason, life.names}
      {:exited, {:shutdown, :enough}, []}
  """
  @spec process(Server.t(), keyword) :: {:ok, ElixirScope.Life.t()} | {:error, Error.t()}
  def process(server, options \\ []), do: Query.Processes.process(server, options)

  @doc """
  Supervisors and their children at a moment, as `ElixirScope.SupervisionTree`. IEx draws it, with what was restarted and why.

  Each child knows its restarts before that moment (`ElixirScope.SupervisionTree.Restart`), and each of these the exit that
  caused it: its own, or that of a sibling for which the supervisor ended it too. A child counts as restarted when its supervisor began it with the
  same first call after the end of the one before, and nobody had asked for it. Of children that are equal (those of a
  `DynamicSupervisor`) that is told only where the messages to the supervisor are recorded; where several of them ended at once it is not
  certain which one it was.

  | option | meaning |
  |---|---|
  | `:root` | one supervisor, by pid or name, instead of all |
  | `:app` | those of an application |
  | `:in` | the recording |

  The error has the reason `:not_watched` when the life of processes was not watched (see `watch/2`).

      iex> {:ok, _watched} = ElixirScope.watch(self(), kinds: [:life, :links, :names], spawned: true)
      iex> {:ok, top} = Supervisor.start_link([{Agent, fn -> 1 end}], strategy: :one_for_one)
      iex> {:ok, tree} = ElixirScope.supervision_tree_at(ElixirScope.now(), root: top)
      iex> [%{kind: :supervisor, children: [child]}] = tree.roots
      iex> {child.kind, child.restarts}
      {:agent, []}
  """
  @spec supervision_tree_at(Moment.t(), keyword) ::
          {:ok, ElixirScope.SupervisionTree.t()} | {:error, Error.t()}
  def supervision_tree_at(time, options \\ []), do: Query.Supervision.tree(time, options)

  @doc """
  What supervisors have restarted, as `ElixirScope.SupervisionTree.Restart`, the oldest first.

  | option | default | meaning |
  |---|---|---|
  | `:since`, `:until` | all | times, both included |
  | `:supervisor` | all | one, by pid or name |
  | `:limit` | all | how many at most |
  | `:in` | | the recording |

      iex> {:ok, _watched} = ElixirScope.watch(self(), kinds: [:life, :links, :names], spawned: true)
      iex> {:ok, top} = Supervisor.start_link([{Agent, fn -> 1 end}], strategy: :one_for_one)
      iex> [{_id, agent, _type, _modules}] = Supervisor.which_children(top)
      iex> Agent.stop(agent, :shutdown)
      iex> _waited = Supervisor.which_children(top)
      iex> [restart] = ElixirScope.restarts(supervisor: top)
      iex> {restart.from == agent, restart.exit.reason}
      {true, :shutdown}
  """
  @spec restarts(keyword) :: [ElixirScope.SupervisionTree.Restart.t()]
  def restarts(options \\ []), do: bang(Query.Supervision.restarts(options))

  @doc """
  Why a process ended, as `ElixirScope.ExitChain`: its exit, and from there backwards what led to it: what it raised in which call and which
  message it was handling, the linked process that had ended before it, the exit signal and who sent it, its supervisor, the server that
  did not answer. IEx shows it as a story. `ends` and `why` say why it goes no further.

  Exits are recorded of processes that are watched (see `watch/2`); of a name it is the last process that had it and has ended.

  | option | default | meaning |
  |---|---|---|
  | `:before` | now | its last exit by that time |
  | `:limit` | 100 | how many steps at most |
  | `:in` | | the recording |

  What could not be seen but follows from the order of events is marked in its step: `inferred?`. The error has the reason `:not_exited` when
  it lives, and `:not_watched` when its end was not recorded.

      iex> {:ok, _watched} = ElixirScope.watch(self(), spawned: true)
      iex> me = self()
      iex> parent = spawn(fn ->
      ...>   send(me, {:child, spawn_link(fn -> receive do: (:stop -> exit(:enough)) end)})
      ...>   receive do: (:never -> :ok)
      ...> end)
      iex> ref = Process.monitor(parent)
      iex> receive do: ({:child, child} -> send(child, :stop))
      iex> receive do: ({:DOWN, ^ref, :process, ^parent, _reason} -> :ok)
      iex> {:ok, chain} = ElixirScope.why_exited(parent)
      iex> for step <- chain.steps, do: step.kind
      [:exit, :link, :exit]
  """
  @spec why_exited(Server.t(), keyword) :: {:ok, ElixirScope.ExitChain.t()} | {:error, Error.t()}
  def why_exited(server, options \\ []), do: Query.Exits.why(server, options)

  # Causality.

  @doc """
  What led to an event directly, nearest first, as `ElixirScope.Causes`: the message that its process was working on and who sent it, the
  call around it, what the process did before, the spawn of the process, the exit that ended it.

  `event` is an `ElixirScope.Event`, a call, a change, a message, a line of the log, a span (its `:telemetry` event) or a cursor that stands on an event.

  | option | default | meaning |
  |---|---|---|
  | `:limit` | 100 | how many at most |
  | `:in` | | the recording |

  Messages must have been watched, see `watch/2`; else the error has the reason `:not_watched`.

      iex> {:ok, counter} = GenServer.start_link(ElixirScope.Doctest.Counter, 7)
      iex> {:ok, _} = ElixirScope.watch([self(), counter], kinds: [:messages])
      iex> GenServer.call(counter, :next)
      iex> :ok = ElixirScope.unwatch(self())
      iex> [change] = Enum.take(ElixirScope.state_history(counter, order: :newest), 1)
      iex> {:ok, causes} = ElixirScope.causes(change)
      iex> sent = Enum.find(causes.steps, &(&1.event.kind == :send))
      iex> {sent.why, sent.event.pid == self(), elem(sent.event.data.message, 2)}
      {:message, true, :next}
  """
  @spec causes(Query.Causality.place(), keyword) :: {:ok, ElixirScope.Causes.t()} | {:error, Error.t()}
  def causes(event, options \\ []), do: Query.Causality.around(event, :causes, options)

  @doc """
  What an event led to directly, by time, as `ElixirScope.Causes`: where a message was delivered and what took it, the process that was made, what was
  sent, made and changed within a call or until the next message was taken, who ended with a process or was told of its end, and what the
  process did next.

  Takes what `causes/2` takes.
  """
  @spec effects(Query.Causality.place(), keyword) :: {:ok, ElixirScope.Causes.t()} | {:error, Error.t()}
  def effects(event, options \\ []), do: Query.Causality.around(event, :effects, options)

  @doc """
  How one thing led to another, as `ElixirScope.Causes.Way`: the way with the fewest messages, spawns and exits in it.

  Happened before is: what a process did earlier; the sending of a message before what took it (where that is not recorded, before
  its delivery); the spawn of a process before all that it does; an exit before the `:DOWN` and `:EXIT` that tell of it and
  the exits that it causes; and so on from there. Timers and the registry are none.

  `from` and `to` are as in `causes/2`. The error has the reason `:not_before` when nothing leads from the one to the other, `:lost` when
  that is unknown: events are missing, or a message came from a process that was not watched.

      iex> {:ok, counter} = GenServer.start_link(ElixirScope.Doctest.Counter, 7)
      iex> {:ok, _} = ElixirScope.watch([self(), counter], kinds: [:messages])
      iex> GenServer.call(counter, :next)
      iex> :ok = ElixirScope.unwatch(self())
      iex> [change] = Enum.take(ElixirScope.state_history(counter, order: :newest), 1)
      iex> [asked] = ElixirScope.events(kind: :send, pid: self(), limit: 1, order: :newest) |> Enum.to_list()
      iex> {:ok, path} = ElixirScope.causal_path(asked, change)
      iex> Enum.map(path.steps, & &1.why)
      [:message, :same_process]
  """
  @spec causal_path(Query.Causality.place(), Query.Causality.place(), keyword) ::
          {:ok, ElixirScope.Causes.Way.t()} | {:error, Error.t()}
  def causal_path(from, to, options \\ []), do: Query.Causality.path(from, to, options)

  @doc """
  Whether one thing happened before another, in the sense of `causal_path/3`: could it have had an influence on it? `:unknown` where no way
  is recorded, and one may be among what is missing. Raises `ElixirScope.Error`.

      iex> {:ok, counter} = GenServer.start_link(ElixirScope.Doctest.Counter, 7)
      iex> GenServer.call(counter, :next)
      iex> [init, call] = ElixirScope.calls(ElixirScope.Doctest.Counter, pid: counter)
      iex> {ElixirScope.happened_before?(init, call), ElixirScope.happened_before?(call, init)}
      {true, false}
  """
  @spec happened_before?(Query.Causality.place(), Query.Causality.place(), keyword) :: boolean | :unknown
  def happened_before?(from, to, options \\ []), do: bang(Query.Causality.before?(from, to, options))

  @doc """
  Whether neither of two things happened before the other, in the sense of `causal_path/3`: they could have happened in the other order. `:unknown`
  as in `happened_before?/3`. Raises `ElixirScope.Error`.
  """
  @spec concurrent?(Query.Causality.place(), Query.Causality.place(), keyword) :: boolean | :unknown
  def concurrent?(one, other, options \\ []), do: bang(Query.Causality.concurrent?(one, other, options))

  @doc """
  Lost updates of a server, as `ElixirScope.Race`: a client read, another one changed the state, and the first, which could not know of that, wrote
  over it with what it had made of the older state.

  Nothing is lost, and nothing reported, when the second one knew of the write before (it was told, by whatever way, or has read again), when the two
  changed different parts of the state, and when the server made the new value of its own state (as for `{:add, 1}`).

  | option | default | meaning |
  |---|---|---|
  | `:since`, `:until` | all | times, both included |
  | `:limit` | all | how many at most |
  | `:stale` | `false` | also those where nothing is overwritten, but what a client had read, and then asked for, was no more so |
  | `:in` | | the recording |

  The server must be instrumented, and its messages watched, see `watch/2`. Where those of a client are not, it may have been told what the server did not
  see: then the kind is `:unknown`, and `lost` says whose. So it is where events are missing. Raises `ElixirScope.Error`.

      iex> {:ok, counter} = GenServer.start_link(ElixirScope.Doctest.Counter, 7)
      iex> {:ok, _} = ElixirScope.watch([self(), counter], kinds: [:messages])
      iex> for _ <- 1..3, do: GenServer.call(counter, :next)
      iex> :ok = ElixirScope.unwatch(self())
      iex> ElixirScope.races(counter)
      []
  """
  @spec races(Server.t(), keyword) :: [ElixirScope.Race.t()]
  def races(server, options \\ []), do: bang(Query.Races.list(server, options))

  # Waiting and deadlocks.

  @doc """
  Circles of processes that wait for each other's answers, as `ElixirScope.Deadlock`, by time: those of the past, and in the VM that
  records also those that are on now.

  Known are calls of GenServer, `:gen_statem` and all that calls as they do, `Task.await/2` and `Task.yield/2`, the start of a server, which waits for
  its `init`, and a message directly before an instrumented `receive` that names its sender. A server that answers later, a request that is sent
  without waiting for its answer, and a circle that ended with an answer are no deadlocks. One that a timeout ended, or will end, is.

  The verdict is `:unknown`, and `why` says why, where the circle may end by itself: a server has told another process whom to answer, or a `receive` may
  wait for something else than the answer. Of a message by hand that is not so when it has a reference of its own, that nobody else was given.
  What was handed on through a table is not seen. It is `:unknown` as well where nothing recorded says that a process waits: that of Agents, and others
  whose code is not instrumented, is certain while it is on, since the VM is asked, and before OTP 27 no more when it is over.

  Not known are circles through `Task.async_stream/3`, through `GenServer.multi_call/4` with a timeout, and through requests that are collected later
  (`:gen_server.receive_response/2` and its like), those of `Task.await_many/2` and `Task.yield_many/2` through another Task than the last one (where calls
  are traced: through any), and locks. The messages of all processes of a circle must have been watched, see `watch/2`: of others it is not
  known for whom they wait, and a circle with one of them is not found.

  | option | default | meaning |
  |---|---|---|
  | `:since`, `:until` | all | times within which they began to wait, both included |
  | `:in` | | the recording |

  Where events are missing there is an element with the verdict `:unknown`, which says when. Raises `ElixirScope.Error`, with the reason
  `:not_watched` when no message was recorded.

      iex> {:ok, counter} = GenServer.start_link(ElixirScope.Doctest.Counter, 7)
      iex> {:ok, _} = ElixirScope.watch(counter, kinds: [:messages])
      iex> GenServer.call(counter, :next)
      iex> ElixirScope.deadlocks(since: {:ago, 1, :second})
      []
  """
  @spec deadlocks(keyword) :: [ElixirScope.Deadlock.t()]
  def deadlocks(options \\ []), do: bang(Query.Deadlocks.list(options))

  @doc """
  Processes that wait for an answer or in a `receive` and have done so for long, as `ElixirScope.Waiting`, the longest first: until now, or until the
  end of a recording that is over.

  | option | default | meaning |
  |---|---|---|
  | `:longer_than` | 5000 | for so many milliseconds at least |
  | `:in` | | the recording |

  A server that waits for its next message is not among them: only a `receive` of instrumented code is known. Messages must have been watched, as
  for `deadlocks/1`. Raises `ElixirScope.Error`.

      iex> me = self()
      iex> {:ok, task} = Task.start(fn -> receive do: (:go -> send(me, GenServer.call(me, :never_answered, :infinity))) end)
      iex> {:ok, _} = ElixirScope.watch(task)
      iex> send(task, :go)
      iex> receive do: ({:"$gen_call", from, :never_answered} -> GenServer.reply(from, :answered))
      iex> receive do: (:answered -> ElixirScope.waiting())
      []
  """
  @spec waiting(keyword) :: [ElixirScope.Waiting.t()]
  def waiting(options \\ []), do: bang(Query.Waiting.list(options))

  @doc """
  Processes whose mailboxes have grown, the one that has grown most first, as maps: `pid`, how many messages lay there `from` the beginning `to`
  the end of the time, `by` how many it has grown, and `since` and `until` when. `from` is `nil` where it is not known; then it counts as none.

  | option | default | meaning |
  |---|---|---|
  | `:at_least` | 100 | by so many |
  | `:since`, `:until` | all | the time, both ends included |
  | `:in` | | the recording |

  What was taken is known of instrumented code, see `mailbox/3`. Of other processes it is what the VM says now; they are left out where that cannot be
  asked. Raises `ElixirScope.Error`.

      iex> hoarder = spawn(fn -> receive do: (:never -> :ok) end)
      iex> {:ok, _} = ElixirScope.watch(hoarder, kinds: [:messages])
      iex> for n <- 1..200, do: send(hoarder, n)
      iex> {:message_queue_len, 200} = Process.info(hoarder, :message_queue_len)
      iex> [grown] = Enum.filter(ElixirScope.growing_mailboxes(), &(&1.pid == hoarder))
      iex> {grown.to, grown.by >= 200}
      {200, true}
  """
  @spec growing_mailboxes(keyword) :: [
          %{
            pid: pid,
            from: non_neg_integer | nil,
            to: non_neg_integer,
            by: pos_integer,
            since: non_neg_integer,
            until: non_neg_integer
          }
        ]
  def growing_mailboxes(options \\ []), do: bang(Query.Waiting.Mailboxes.list(options))

  # Figures.

  @doc """
  Figures of a recording, or of a range of its time, as `ElixirScope.Stats`: calls, time and own time by function, messages by pair,
  the longest mailboxes, restarts, exits by reason, and how many events there are of each kind and process.

  | option | default | meaning |
  |---|---|---|
  | `:since`, `:until` | all | times, both included. Of a call that was open at either end, the time within the range counts |
  | `:pid` | all | one server, or a list: nothing else is looked at |
  | `:mfa` | all | functions, as for `calls/2`: no others are listed |
  | `:sort` | `:own` | what functions are sorted by: `:own` time, `:total` time, or `:calls` |
  | `:limit` | all | rows of each list at most |
  | `:in` | | the recording |

      iex> {:ok, counter} = GenServer.start_link(ElixirScope.Doctest.Counter, 0)
      iex> for _ <- 1..3, do: GenServer.call(counter, :next)
      iex> stats = ElixirScope.stats(pid: counter, sort: :calls)
      iex> for function <- stats.functions, do: {function.mfa, function.calls, function.raised, function.own <= function.total}
      [{{ElixirScope.Doctest.Counter, :handle_call, 3}, 3, 0, true}, {{ElixirScope.Doctest.Counter, :init, 1}, 1, 0, true}]

  Times are nanoseconds of the wall clock, between the beginning and the end of calls: a process that waits counts. What recording itself
  takes is within them. Where events are missing all figures are lower bounds, and `gaps` is not empty.

  In IEx the first rows of each list are shown; `inspect(stats, limit: :infinity)` shows all. Raises `ElixirScope.Error` for options that
  are not of this form, a range outside of the recording, and functions that are not instrumented.
  """
  @spec stats(keyword) :: ElixirScope.Stats.t()
  def stats(options \\ []), do: bang(Query.Stats.stats(options))

  @doc """
  Where the time of a range went, by stacks of instrumented calls, as `ElixirScope.FlameGraph`.

  | option | default | meaning |
  |---|---|---|
  | `:since`, `:until` | all | times, both included |
  | `:pid` | all | one server, or a list |
  | `:by` | `:function` | `:function`: equal stacks of all processes are one; `:process`: each process has its own |
  | `:in` | | the recording |

      iex> {:ok, stock} = ElixirScope.Doctest.Stock.start_link(%{tea: 3})
      iex> ElixirScope.Doctest.Stock.take(stock, :tea, 2)
      iex> graph = ElixirScope.flame_graph(pid: stock)
      iex> [call] = for tree <- graph.roots, tree.label == "ElixirScope.Doctest.Stock.handle_call/3", do: tree
      iex> for inner <- call.children, do: inner.label
      ["fn/1 in ElixirScope.Doctest.Stock.handle_call/3"]
      iex> call.total <= graph.total
      true

  In IEx it is shown as text. `ElixirScope.FlameGraph.svg/1` makes a picture of it, and `ElixirScope.FlameGraph.folded/1` the text that other
  flame graph tools read:

      File.write!("flame.svg", ElixirScope.FlameGraph.svg(ElixirScope.flame_graph(since: {:ago, 10, :second})))

  Times are of the wall clock. Raises `ElixirScope.Error` as `stats/1` does.
  """
  @spec flame_graph(keyword) :: ElixirScope.FlameGraph.t()
  def flame_graph(options \\ []), do: bang(Query.Flames.flame_graph(options))

  @doc """
  Opens a recording that was made before, by this VM or another, also by one that was killed or is still recording.
  `path` is a recording, or a folder of recordings and then the newest; that which this VM makes just now only where there is no other, since questions ask
  it anyway. (An `iex -S mix` of a project that records begins one.) No file is changed.

  What is opened is what was there then: of a recording that another VM still makes, open it again to see more. Of a
  VM that was killed, everything is known up to its last event. Its processes come back as pids of their numbers, which
  in this VM may be other processes: use them to ask, not to send.
  """
  @spec open(Path.t()) :: {:ok, Recording.t()} | {:error, Error.t()}
  defdelegate open(path), to: Query

  defp bang({:ok, answer}), do: answer
  defp bang({:error, error}), do: raise(error)
end
