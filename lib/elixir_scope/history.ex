defmodule ElixirScope.History do
  @moduledoc """
  The changes of one process's state, lazily: an enumerable of `ElixirScope.Change`. See `ElixirScope.state_history/2`.

  `gaps` are the intervals that it touches in which events are missing, as in `ElixirScope.status/1`: changes may be missing there. `pid` is the
  process, and `order` that of the changes.
  """

  alias ElixirScope.{Change, Path, Recording}

  @enforce_keys [:recording, :process, :pid, :since, :until, :order, :limit, :path, :gaps]
  defstruct @enforce_keys

  @type t :: %__MODULE__{
          recording: Recording.t(),
          process: {non_neg_integer, non_neg_integer},
          pid: pid,
          since: non_neg_integer,
          until: non_neg_integer,
          order: :oldest | :newest,
          limit: pos_integer | :infinity,
          path: Path.t() | nil,
          gaps: [Change.gap()]
        }

  defimpl Enumerable do
    def reduce(history, acc, fun) do
      Enumerable.reduce(ElixirScope.Query.History.stream(history), acc, fun)
    end

    def count(_history), do: {:error, __MODULE__}
    def member?(_history, _change), do: {:error, __MODULE__}
    def slice(_history), do: {:error, __MODULE__}
  end

  defimpl Inspect do
    # As `ElixirScope.Events`: a line for each of the first.
    alias ElixirScope.{Native, Recording, Text}

    @counted 100
    @shown 10
    @more "Enum.to_list/1 gives all of them, limit: the first so many"

    def inspect(%{recording: %Recording{}} = history, opts) do
      some = Enum.take(history, @counted + 1)
      options = Text.options(opts)
      who = Text.process(history.recording, history.pid, if(some != [], do: hd(some).time))
      rows = for change <- Enum.take(some, @shown), do: row(history, change, options)
      Text.view("History", [head(who, some), Text.table(rows), more(some), missing(history.gaps)])
    end

    # Made by hand.
    def inspect(history, opts), do: Inspect.Any.inspect(history, opts)

    defp head(who, []), do: "#{who}, no change"

    defp head(who, [first | _] = some),
      do: "#{who}, #{count(some)}, from #{Text.moment(first.time, Native.now())}"

    defp count([_]), do: "1 change"
    defp count(some) when length(some) > @counted, do: "more than #{@counted} changes"
    defp count(some), do: "#{length(some)} changes"

    defp row(history, change, options) do
      [
        Text.clock(change.time),
        Text.Change.cause(change, history.recording, Keyword.put(options, :width, 40)),
        what(change, Keyword.put(options, :width, 30))
      ]
    end

    defp what(%{before: :none} = change, options),
      do: "-> " <> Text.short(change.state, Keyword.put(options, :width, 60))

    defp what(change, options), do: Text.Difference.line(change.difference, options)

    defp more(some) when length(some) <= @shown, do: []
    defp more(some) when length(some) > @counted, do: ["and more: #{@more}"]
    defp more(some), do: ["and #{length(some) - @shown} more: #{@more}"]

    defp missing([]), do: []
    defp missing(gaps), do: ["events are missing in #{length(gaps)} of its intervals, see its gaps"]
  end
end
