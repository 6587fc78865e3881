defmodule ElixirScope.Trace do
  @moduledoc """
  A slice of a recording: what some processes did in a time. `ElixirScope.Assertions.record/1` makes it of what a function did in a test; then all
  questions can be put to it, each about these processes and this time alone.

  | field | meaning |
  |---|---|
  | `recording` | the recording |
  | `pids` | the processes that made events in that time: the test's process and those that belong to it |
  | `since`, `until` | the time, both included, in nanoseconds of system time |
  | `test` | the process of the test |
  | `result` | what the function gave |
  | `unsettled` | why there may be more to come, in words: processes of the test were still at work when the time-out was over; `nil`: all were quiet |

      trace = record(fn -> Shop.checkout(cart) end)
      assert [call] = Trace.calls(trace, &Stock.take/2)
      assert Trace.messages(trace, kind: :call) == []

  Filters are those of the question of the same name in `ElixirScope`; they narrow the slice, and `since:`, `until:` and `pid:` of one's own stand in the place
  of those of the slice. All raise `ElixirScope.Error` as these do.
  """

  alias ElixirScope.{Call, Error, Event, Events, History, Message, Query, Recording, Sequence, Stats}
  alias ElixirScope.Query.Server

  @enforce_keys [:recording, :pids, :since, :until, :test]
  defstruct [:recording, :pids, :since, :until, :test, :result, :unsettled]

  @type t :: %__MODULE__{
          recording: Recording.t(),
          pids: [pid],
          since: non_neg_integer,
          until: non_neg_integer,
          test: pid,
          result: term,
          unsettled: String.t() | nil
        }

  @typedoc "A process, and those that it made."
  @type tree :: %{pid: pid, name: String.t(), children: [tree]}

  @doc """
  The calls of a function, or of all functions: see `ElixirScope.calls/2`.
  """
  @spec calls(t, Query.Function.t(), keyword) :: [Call.t()]
  def calls(%__MODULE__{} = trace, function \\ :_, filters \\ []),
    do: function |> Query.calls(within(trace, filters)) |> bang()

  @doc "The events, lazily: see `ElixirScope.events/1`."
  @spec events(t, keyword) :: Events.t()
  def events(%__MODULE__{} = trace, filters \\ []), do: trace |> within(filters) |> Query.events() |> bang()

  @doc "The messages of which one end is a process of the slice: see `ElixirScope.messages/1`."
  @spec messages(t, keyword) :: [Message.t()]
  def messages(%__MODULE__{} = trace, filters \\ []),
    do: trace |> within(filters) |> Query.Messages.messages() |> bang()

  @doc "The changes of a server's state: see `ElixirScope.state_history/2`."
  @spec states(t, Server.t(), keyword) :: History.t()
  def states(%__MODULE__{} = trace, server, options \\ []),
    do: server |> Query.History.history(Keyword.delete(within(trace, options), :pid)) |> bang()

  @doc """
  The processes that ended, as events of the kind `:exit`, by time. Raises `ElixirScope.Error` with the reason `:not_watched` where no end
  could have been recorded.
  """
  @spec exits(t) :: [Event.t()]
  def exits(%__MODULE__{recording: recording} = trace) do
    case Enum.to_list(events(trace, kind: :exit)) do
      [] -> if Query.Processes.watched?(recording), do: [], else: bang(unwatched())
      exits -> exits
    end
  end

  defp unwatched do
    Error.new(
      :not_watched,
      "no end of a process was recorded: processes tell it when they are watched; say ElixirScope.watch(self(), spawned: true) before they are made"
    )
  end

  @doc "What frameworks did: see `ElixirScope.spans/1`."
  @spec spans(t, keyword) :: [ElixirScope.Span.t()]
  def spans(%__MODULE__{} = trace, filters \\ []),
    do: trace |> within(filters) |> Query.Spans.spans() |> bang()

  @doc "Lines of the log: see `ElixirScope.logs/1`."
  @spec logs(t, keyword) :: [ElixirScope.Log.t()]
  def logs(%__MODULE__{} = trace, filters \\ []), do: trace |> within(filters) |> Query.Logs.logs() |> bang()

  @doc "Who said what to whom, as a diagram: see `ElixirScope.sequence/1`."
  @spec sequence(t, keyword) :: Sequence.t()
  def sequence(%__MODULE__{} = trace, options \\ []),
    do: trace |> within(options) |> without_silent(options) |> Query.Sequence.sequence() |> bang()

  # Who said nothing has no column, unless it is asked for.
  defp without_silent(filters, options) do
    if Keyword.has_key?(options, :pid) do
      filters
    else
      {:ok, messages} =
        with {:error, _} <- Query.Messages.messages(Keyword.delete(filters, :columns)), do: {:ok, []}

      ends = MapSet.new(Enum.flat_map(messages, &[&1.from, &1.to]))

      case Enum.filter(filters[:pid], &(&1 in ends)) do
        [] -> filters
        some -> Keyword.put(filters, :pid, some)
      end
    end
  end

  @doc "Figures: see `ElixirScope.stats/1`."
  @spec stats(t, keyword) :: Stats.t()
  def stats(%__MODULE__{} = trace, options \\ []),
    do: trace |> within(options) |> Query.Stats.stats() |> bang()

  @doc "Where the time went: see `ElixirScope.flame_graph/1`."
  @spec flame_graph(t, keyword) :: ElixirScope.FlameGraph.t()
  def flame_graph(%__MODULE__{} = trace, options \\ []),
    do: trace |> within(options) |> Query.Flames.flame_graph() |> bang()

  @doc """
  The processes of the slice by who made whom: a list of maps of `pid`, `name` and `children`, which are such maps. The test's process comes
  first. Who made a process that is none of the slice is not shown.
  """
  @spec tree(t) :: [tree]
  def tree(%__MODULE__{recording: recording} = trace) do
    parents = ElixirScope.Trace.Lineage.parents(recording, trace.pids)
    branches(ElixirScope.Trace.Lineage.roots(parents, trace.test), parents, trace)
  end

  defp branches(pids, parents, trace) do
    for pid <- pids do
      children = ElixirScope.Trace.Lineage.children(parents, pid)
      %{pid: pid, name: name(trace, pid), children: branches(children, parents, trace)}
    end
  end

  defp name(%{test: pid}, pid), do: "the test #{inspect(pid)}"
  defp name(trace, pid), do: ElixirScope.Text.process(trace.recording, pid, trace.until)

  defp within(trace, filters) do
    Keyword.merge([in: trace.recording, pid: trace.pids, since: trace.since, until: trace.until], filters)
  end

  defp bang({:ok, answer}), do: answer
  defp bang({:error, error}), do: raise(error)

  defimpl Inspect do
    alias ElixirScope.{Recording, Text, Trace}

    @shown 20

    def inspect(%{recording: %Recording{}} = trace, _opts) do
      {shown, more} = trace |> Trace.tree() |> lines(0) |> Enum.split(@shown)
      Text.view("Trace", [head(trace), shown, if(more == [], do: [], else: ["and #{length(more)} more"])])
    end

    # Made by hand.
    def inspect(trace, opts), do: Inspect.Any.inspect(trace, opts)

    defp head(trace) do
      count = trace |> Trace.events() |> Enum.count()

      "#{many(length(trace.pids), "process", "processes")}, #{many(count, "event", "events")} in #{Text.duration(trace.until - trace.since)}"
    end

    defp many(1, one, _some), do: "1 #{one}"
    defp many(count, _one, some), do: "#{Text.number(count)} #{some}"

    defp lines(tree, depth) do
      Enum.flat_map(tree, fn %{name: name, children: children} ->
        [String.duplicate("  ", depth) <> name | lines(children, depth + 1)]
      end)
    end
  end
end
