defmodule ElixirScope.Where do
  @moduledoc """
  What was true at the moment of a cursor: see `ElixirScope.where/2`.

  | field | meaning |
  |---|---|
  | `event`, `time`, `pid` | the event that the cursor stands on, its moment, and the process that the rest is about |
  | `file`, `line` | where in the source |
  | `source` | `{:ok, [{line, text}]}`: the lines around that one as they were compiled, or `{:error, error}` |
  | `values` | `[{line, [{name, value}]}]`: variables of the innermost call by the lines that bound them, as of this moment; recorded with `locals: true` |
  | `calls` | the open calls of the process, innermost first: maps of `mfa`, `args` (`nil`: not recorded), `file`, `line`, `started`, `id` |
  | `whole?` | whether these are all: nothing is missing since the outermost of them began |
  | `result` | `{:returned, value}`, `{:raised, exception}` or `:ended` when the event is the end of the innermost call, else `nil` |
  | `state` | `{:ok, state}` or `{:error, error}`, as `ElixirScope.get_state_at/3` answers; `nil` without a process |
  | `mailbox` | `:not_recorded`: messages that wait are not recorded yet |
  | `ended`, `over` | those of the cursor |
  """

  alias ElixirScope.{Cursor, Error, Event, Recording}

  @type call :: %{
          mfa: mfa,
          args: [term] | nil,
          file: String.t(),
          line: non_neg_integer,
          started: non_neg_integer,
          id: non_neg_integer
        }

  @type t :: %__MODULE__{
          recording: Recording.t(),
          event: Event.t() | nil,
          time: non_neg_integer,
          pid: pid | nil,
          file: String.t() | nil,
          line: non_neg_integer | nil,
          source: {:ok, [{pos_integer, String.t()}]} | {:error, Error.t()} | nil,
          values: [{non_neg_integer, keyword}],
          calls: [call],
          whole?: boolean,
          result: nil | :ended | {:returned, term} | {:raised, map},
          state: {:ok, term} | {:error, Error.t()} | nil,
          mailbox: :not_recorded,
          ended: term,
          over: [Cursor.gap()]
        }

  @enforce_keys [:recording, :time]
  defstruct [
              :recording,
              :event,
              :time,
              :pid,
              :file,
              :line,
              :source,
              :result,
              :state,
              :ended,
              values: [],
              calls: [],
              over: []
            ] ++ [whole?: true, mailbox: :not_recorded]

  defimpl Inspect do
    alias ElixirScope.{Native, Recording, Text}
    alias ElixirScope.Text.Sentence

    @column 56

    def inspect(%{recording: %Recording{}, time: time} = where, opts) when is_integer(time) do
      options = Text.options(opts)

      Text.view("Where", [
        head(where, options),
        place(where, options),
        calls(where, options),
        about("state", state(where.state, options)),
        about("mailbox", "not recorded: messages that wait in a mailbox are not recorded yet"),
        missing(where)
      ])
    end

    # Made by hand.
    def inspect(where, opts), do: Inspect.Any.inspect(where, opts)

    defp head(%{event: nil} = where, _options),
      do: Text.columns([Text.moment(where.time, Native.now()), who(where), "before the first event"])

    defp head(where, options) do
      what = Text.columns([Atom.to_string(where.event.kind), Sentence.of(where.event, options)])
      [Text.columns([Text.moment(where.time, Native.now()), who(where)]), what]
    end

    defp who(%{pid: nil}), do: ""
    defp who(where), do: Text.process(where.recording, where.pid)

    # Nothing stands between the lines of an event that is of no place.
    defp place(%{source: nil}, _options), do: about("source", "no place: not an event of a function")
    defp place(where, options), do: ["", source(where, options), ""]

    defp source(%{source: {:error, error}} = where, _options),
      do: "#{where.file}:#{where.line}  #{error.message}"

    defp source(%{source: {:ok, lines}} = where, options) do
      digits = lines |> List.last() |> elem(0) |> Integer.to_string() |> String.length()
      noted = notes(where, options)

      [
        "#{where.file}:#{where.line}"
        | for({number, text} <- lines, do: line(number, text, digits, number == where.line, noted[number]))
      ]
    end

    defp line(number, text, digits, here?, note) do
      mark = if here?, do: "-> ", else: "   "
      line = mark <> String.pad_leading(Integer.to_string(number), digits) <> "  " <> text
      if note, do: Text.pad(line, @column) <> "  # " <> note, else: String.trim_trailing(line)
    end

    # What the innermost call was given stands at its head, unless its variables do.
    defp notes(where, options) do
      options = Keyword.put(options, :width, 60)
      values = Map.new(where.values, fn {line, bindings} -> {line, Sentence.bindings(bindings, options)} end)

      case where.calls do
        [%{args: [_ | _] = args, line: line, file: file} | _]
        when file == where.file and not is_map_key(values, line) ->
          Map.put(values, line, "given " <> Enum.map_join(args, ", ", &Text.short(&1, options)))

        _none ->
          values
      end
    end

    defp calls(%{calls: []} = where, _options), do: about("calls", "none is open" <> whole(where))

    defp calls(where, options) do
      [first | rest] =
        Text.table(
          for call <- where.calls,
              do: ["#{call.file}:#{call.line}", Text.call(call.mfa, call.args, options)]
        )

      [about("calls", first) | Enum.map(rest, &about("", &1))] ++
        if(where.whole?, do: [], else: [about("", "others may be around them: events are missing before")])
    end

    defp whole(%{whole?: true}), do: ""
    defp whole(_where), do: ", as far as is known: events are missing before"

    defp state(nil, _options), do: "no process"
    defp state({:ok, state}, options), do: Text.short(state, Keyword.update!(options, :width, &narrow/1))
    defp state({:error, error}, _options), do: "unknown: #{error.message}"

    defp narrow(width) when is_integer(width), do: width - 10
    defp narrow(width), do: width

    defp about(name, text), do: String.pad_trailing(name, 8) <> "  " <> text

    defp missing(%{over: []}), do: []

    defp missing(%{over: gaps}) do
      for gap <- gaps do
        about(
          "missing",
          "events (#{gap.cause}) from #{Text.clock(gap.from)} to #{Text.clock(gap.to)}, which the cursor moved over"
        )
      end
    end
  end
end
