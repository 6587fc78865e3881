defmodule ElixirScope.Cursor do
  @moduledoc """
  A moment in a recording, which can be moved: see `ElixirScope.at/2`.

  | field | meaning |
  |---|---|
  | `event` | the `ElixirScope.Event` that it stands on: the last one that had happened by `time`; `nil` before the first |
  | `time` | the moment |
  | `pid` | the process that it keeps to, `nil` for all |
  | `ended` | why the last move found nothing and the cursor stayed: see below; `nil` when it moved |
  | `over` | what is missing between the last position and this one: intervals as in `ElixirScope.status/1` |

  | `ended` | the move found nothing because |
  |---|---|
  | `:beginning` | nothing of the kind comes earlier |
  | `:end` | nothing of the kind comes later: so far, when the recording goes on |
  | `{:gap, gap}` | nothing of the kind was recorded, but in this interval events are missing |
  | `:outermost` | no recorded call of the process is around the moment |
  """

  alias ElixirScope.{Event, Recording}

  @type gap :: %{cause: atom, count: non_neg_integer, from: non_neg_integer, to: non_neg_integer}

  @type t :: %__MODULE__{
          recording: Recording.t(),
          event: Event.t() | nil,
          time: non_neg_integer,
          pid: pid | nil,
          position: non_neg_integer,
          ended: nil | :beginning | :end | :outermost | {:gap, gap},
          over: [gap]
        }

  @enforce_keys [:recording, :time, :position]
  # `position`: the number of the event behind the moment.
  defstruct [:recording, :event, :time, :pid, :position, :ended, over: []]

  defimpl Inspect do
    alias ElixirScope.{Native, Recording, Text}
    alias ElixirScope.Text.Sentence

    def inspect(%{recording: %Recording{}, time: time} = cursor, opts) when is_integer(time) do
      lines = [
        moment(cursor),
        event(cursor, Text.options(opts)),
        kept(cursor),
        over(cursor),
        ended(cursor.ended)
      ]

      Text.view("Cursor", Enum.reject(lines, &(&1 == "")))
    end

    # Made by hand.
    def inspect(cursor, opts), do: Inspect.Any.inspect(cursor, opts)

    defp moment(cursor), do: Text.moment(cursor.time, Native.now())

    defp event(%{event: nil}, _options), do: "before the first event"

    defp event(%{event: event} = cursor, options) do
      who = if event.pid, do: Text.process(cursor.recording, event.pid), else: ""
      Text.columns([who, Sentence.place(event), Atom.to_string(event.kind), Sentence.of(event, options)])
    end

    defp kept(%{pid: nil}), do: ""
    defp kept(%{pid: pid, event: %{pid: pid}}), do: ""
    defp kept(%{pid: pid} = cursor), do: "keeps to #{Text.process(cursor.recording, pid)}"

    defp over(%{over: []}), do: ""
    defp over(%{over: gaps}), do: "moved over what is missing: " <> Enum.map_join(gaps, "; ", &gap/1)

    defp ended(nil), do: ""
    defp ended(:beginning), do: "stays: nothing of the kind comes earlier"
    defp ended(:end), do: "stays: nothing of the kind comes later"
    defp ended(:outermost), do: "stays: no recorded call is around this moment"
    defp ended({:gap, gap}), do: "stays: nothing of the kind was recorded, but #{gap(gap)}"

    defp gap(%{count: 0} = gap), do: "events are missing (#{gap.cause}) #{interval(gap)}"
    defp gap(gap), do: "#{Text.number(gap.count)} events are missing (#{gap.cause}) #{interval(gap)}"
    defp interval(gap), do: "from #{Text.clock(gap.from)} to #{Text.clock(gap.to)}"
  end
end
