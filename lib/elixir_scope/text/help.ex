defmodule ElixirScope.Text.Help do
  @moduledoc false
  # Questions, and the call that answers each. A test holds the calls against the functions that there are.

  alias ElixirScope.Text

  @groups [
    {"States",
     [
       {"What was the state of this server then?", "get_state_at(server, time)"},
       {"Every change of it, with its cause and what differs?",
        "state_history(server, since: {:ago, 5, :second})"},
       {"What differs between two moments?", "diff_state(server, time, later)"},
       {"What did the variables of this call hold, line by line?", "locals_at(call)"}
     ]},
    {"Who changed it",
     [
       {"Which change put this value there, and what led to it?", "who_set(server, [:pieces, :tea], time)"},
       {"When did it become so last, seen from a moment?",
        "last_change(server, fn state -> state.left < 0 end, before: time)"},
       {"When was it so for the first time, in any server of a module?",
        "first_change(Cart, fn cart -> cart.total < 0 end)"}
     ]},
    {"Moving",
     [
       {"Take me to a moment, of all or of one process", "at(time, pid: server)"},
       {"On or back to the next event, call, line, message or state",
        "next(cursor, :state), prev(cursor, :message)"},
       {"As a debugger steps", "step_into(cursor), step_over(cursor), step_out(cursor)"},
       {"The same, back in time", "back_into(cursor), back_over(cursor), back_out(cursor)"},
       {"What was true there: source, values, calls, state?", "where(cursor)"},
       {"Remember this moment; all that are remembered", ~s|mark("before the crash"), marks()|}
     ]},
    {"Print after the fact",
     [
       {"As if this line had been in the function all along", "print(&Cart.add/2, fn call -> call.args end)"},
       {"The same at a line, with its variables (locals: true)",
        "print({Cart, 14}, fn bound -> bound.item end)"}
     ]},
    {"Replay",
     [
       {"Would the code of today have done otherwise?", "replay(server, time)"},
       {"The same as a test", "mix scope.gen.test"}
     ]},
    {"Before and after",
     [
       {"What led to this directly, and what did it lead to?", "causes(event), effects(event)"},
       {"How did the one lead to the other?", "causal_path(event, later)"},
       {"Could the one have had an influence on the other?",
        "happened_before?(event, later), concurrent?(event, other)"},
       {"Who wrote over what another one had written meanwhile?", "races(server)"}
     ]},
    {"Waiting",
     [
       {"Which processes wait for each other?", "deadlocks(since: {:ago, 60, :second})"},
       {"Who has waited for long?", "waiting(longer_than: 10_000)"},
       {"Who is sent more than it takes?", "growing_mailboxes()"}
     ]},
    {"Search",
     [
       {"Who called this, with what, and what came back?", "calls(&Cart.add/2, limit: 10)"},
       {"What happened, of any kind?", "events(kind: :raise, since: {:ago, 1, :second})"},
       {"How often was a counted function called?", "counts()"},
       {"Where in the code do events come from; that source?", "nodes(mfa: Cart), source(call)"}
     ]},
    {"Processes",
     [
       {"Who lived then, and what did they run?", "processes(time)"},
       {"Whose child, linked to whom, begun by which call, ended how?", "process(pid)"},
       {"Who supervised whom then, and what was restarted?", "supervision_tree_at(time, app: :shop)"},
       {"Which restarts were there, and what caused each?", "restarts(since: {:ago, 1, :minute})"},
       {"Why did it end, and what began that?", "why_exited(pid)"}
     ]},
    {"Messages",
     [
       {"Who sent what to whom, was it delivered, what took it?", "messages(to: server, kind: :call)"},
       {"The same as a sequence diagram", "sequence(pid: [server, other], since: time)"},
       {"What lay in its mailbox then?", "mailbox(server, time)"}
     ]},
    {"Frameworks",
     [
       {"Which requests, queries and jobs were there?", "spans(kind: :request, since: {:ago, 1, :minute})"},
       {"What was logged; take me to that moment", "logs(level: :warning), at(log)"},
       {"What led to that line; what did that span lead to?", "causes(log), effects(span)"},
       {"Record more events of :telemetry", "telemetry([[:shop, :order, :paid]])"}
     ]},
    {"Figures",
     [
       {"What was called how often, and how long did it take?", "stats(since: {:ago, 10, :second})"},
       {"Where did the time go, by stacks of calls?", "flame_graph(since: {:ago, 10, :second})"}
     ]},
    {"Tests",
     [
       {"Assert what was called, sent, changed; golden traces", "use ElixirScope.Case"},
       {"What can be asserted?", "h ElixirScope.Assertions"},
       {"The trace of each test that fails", "mix test --formatter ElixirScope.Formatter"},
       {"Open a recording in IEx, also at the moment of a failure", "mix scope.open"}
     ]},
    {"Recording",
     [
       {"Is anything recorded, is anything missing?", "status()"},
       {"Begin anew, end, pause, go on", "start(), stop(), pause(), resume()"},
       {"Ask a recording of another run or VM", ~s|open("_build/scope")|},
       {"Write down a flight recording", "snapshot()"},
       {"Record a module that is loaded, as it is", "instrument(URI), uninstrument(URI), instrumented()"},
       {"Have the VM tell messages and lives of processes", "watch(server), unwatch(server), watched()"},
       {"What time is it, on the clock of events?", "now()"}
     ]}
  ]

  @title "Each call is a function of ElixirScope: ElixirScope.now(). h ElixirScope is a tutorial, h ElixirScope.who_set says more of one."

  @hints [
    "server   a pid, a registered name, {:via, module, name} or \"#PID<0.123.0>\"",
    "time     now(), {:ago, 5, :second}, a DateTime, an event, a call, a log, a span, a cursor, the label of a mark",
    "in:      every question takes in: recording, for one that open/1 opened"
  ]

  @doc "The groups: `{title, [{question, call}]}`."
  @spec groups() :: [{String.t(), [{String.t(), String.t()}]}]
  def groups, do: @groups

  @doc "The text, aligned. `color: true` colours it."
  @spec text(keyword) :: String.t()
  def text(options \\ []) do
    rows =
      for {_title, questions} <- @groups, {question, call} <- questions, do: [question, call(call, options)]

    {lines, []} = Enum.map_reduce(@groups, Text.table(rows, indent: 2), &group(&1, &2, options))
    Enum.join([@title | List.flatten(lines)] ++ [""] ++ @hints, "\n")
  end

  defp group({title, questions}, lines, options) do
    {own, rest} = Enum.split(lines, length(questions))
    {["", Text.paint(title, :bright, options) | own], rest}
  end

  defp call(call, options), do: Text.paint(call, :cyan, options)
end
