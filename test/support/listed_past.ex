defmodule ElixirScope.ListedPast do
  @moduledoc false
  # What happened, from lists: events that a test has made up, or all of a recording, read once.

  alias ElixirScope.Query.Past

  @doc "A past of events and messages. `gaps:` are as in `ElixirScope.status/1`; `recording:` is the one that they are of."
  def of(events, messages, options \\ []) do
    by_pid = events |> Enum.sort_by(& &1.id) |> Enum.group_by(& &1.pid)
    everything = Enum.sort_by(events, & &1.id)
    gaps = Keyword.get(options, :gaps, [])

    %Past{
      recording: options[:recording],
      events: fn wanted ->
        wanted(if(wanted.pid, do: Map.get(by_pid, wanted.pid, []), else: everything), wanted)
      end,
      open_calls: fn pid, before -> open(Map.get(by_pid, pid, []), before) end,
      gaps: fn from, to -> Enum.filter(gaps, &(&1.from <= to and &1.to >= from)) end,
      named: fn _name, _time -> nil end,
      messages: fn options -> {:ok, Enum.filter(messages, &asked?(&1, options))} end
    }
  end

  defp wanted(events, wanted) do
    chosen =
      Enum.filter(events, fn event ->
        (wanted.kinds == [] or event.kind in wanted.kinds) and event.time >= wanted.since and
          event.time <= wanted.until
      end)

    case wanted.direction do
      :next -> Enum.filter(chosen, &(&1.id >= wanted.from))
      :prev -> chosen |> Enum.filter(&(&1.id < wanted.from)) |> Enum.reverse()
    end
  end

  # Without tail calls.
  defp open(events, before) do
    events
    |> Enum.take_while(&(&1.id < before))
    |> Enum.reduce([], fn
      %{kind: :call} = call, open -> [call | open]
      %{kind: kind}, [_ | open] when kind in [:return, :raise] -> open
      _event, open -> open
    end)
  end

  defp asked?(message, options), do: options[:to] == nil or message.to in options[:to]
end
