defmodule ElixirScope.Query.Stats do
  @moduledoc false
  # Figures of a range. The native library counts; what it names by numbers is named here.

  alias ElixirScope.{Error, Event, Native, Query, Stats}
  alias ElixirScope.Query.{Function, Range, Server, Supervision}

  @options [:in, :since, :until, :pid, :mfa, :limit, :sort]
  @sorts [:own, :total, :calls]
  @forever 0xFFFFFFFFFFFFFFFF

  # What only processes that are watched tell.
  @messages ["send", "receive"]
  @lives ["spawn", "spawned", "exit", "link"]

  @doc "See `ElixirScope.stats/1`."
  @spec stats(keyword) :: {:ok, Stats.t()} | {:error, Error.t()}
  def stats(options) do
    with :ok <- Query.check(options, @options),
         {:ok, sort} <- sort(options),
         {:ok, limit} <- Query.limit(options),
         {:ok, pattern} <- pattern(options),
         {:ok, recording, filter, reached} <- Range.filter(options),
         {range, functions, scheduled?, kinds, processes, exits, others, gaps, mailboxes} =
           Native.stats(recording.handle, filter, reached),
         functions =
           for(one <- functions, Function.match?(pattern, elem(one, 0)), do: figures(one, scheduled?)),
         {:ok, functions} <- seen(recording, options, functions) do
      {since, until} = range

      {:ok,
       %Stats{
         recording: recording,
         since: since,
         until: until,
         sort: sort,
         functions: functions |> Enum.sort_by(&order(&1, sort)) |> taken(limit),
         processes: processes |> Enum.sort_by(fn {_pid, count} -> -count end) |> taken(limit),
         events: events(kinds),
         exits: recording |> unless_unseen(@lives, fn -> reasons(exits, others) end) |> taken(limit),
         messages:
           recording |> unless_unseen(@messages, fn -> pairs(recording, filter, range) end) |> taken(limit),
         mailboxes: recording |> unless_unseen(@messages, fn -> mailboxes(mailboxes) end) |> taken(limit),
         restarts:
           recording |> unless_unseen(@lives, fn -> restarts(recording, filter, range) end) |> taken(limit),
         gaps: Range.gaps(gaps)
       }}
    end
  end

  defp sort(options) do
    case Keyword.get(options, :sort, :own) do
      sort when sort in @sorts ->
        {:ok, sort}

      other ->
        Error.new(:bad_option, "expected :sort to be :own, :total or :calls, got: #{inspect(other)}")
    end
  end

  defp pattern(options) do
    case Keyword.fetch(options, :mfa) do
      :error -> {:ok, {:_, :_, :_}}
      {:ok, function} -> Function.pattern(function)
    end
  end

  # A function that was never called is no mistake, one that could not have been seen is.
  defp seen(recording, options, []), do: Query.seen(recording, Keyword.take(options, [:mfa]), [])
  defp seen(_recording, _options, functions), do: {:ok, functions}

  defp figures({mfa, {calls, before, raised, open, unknown}, {total, own, running}, durations}, scheduled?) do
    %{mfa: mfa, calls: calls, before: before, raised: raised, open: open, unknown: unknown}
    |> Map.merge(%{total: total, own: own, running: if(scheduled?, do: running)})
    |> Map.merge(durations(durations))
  end

  defp durations({0, _, _, _, _, _}), do: %{min: nil, mean: nil, p50: nil, p99: nil, max: nil}

  defp durations({_count, min, mean, p50, p99, max}),
    do: %{min: min, mean: mean, p50: p50, p99: p99, max: max}

  defp order(figures, sort), do: {-Map.fetch!(figures, sort), -figures.own, figures.mfa}

  defp taken(:not_watched, _limit), do: :not_watched
  defp taken(rows, :infinity), do: rows
  defp taken(rows, limit), do: Enum.take(rows, limit)

  # States are told by three kinds in the files.
  defp events(kinds) do
    Enum.reduce(kinds, %{}, fn {kind, count}, events -> Map.update(events, kind, count, &(&1 + count)) end)
  end

  # Where nothing of the kind was ever recorded, none in the range is no answer.
  defp unless_unseen(recording, kinds, found) do
    filter = %{kinds: kinds, processes: nil, sites: nil, since: 0, until: @forever}
    if match?({[_], _next}, Native.events(recording.handle, filter, 0, 1)), do: found.(), else: :not_watched
  end

  defp pairs(recording, filter, {since, until}) do
    wanted = %{since: since, until: until, with: filter.processes, from: nil, to: nil, delivered: false}
    pairs = Native.message_pairs(recording.handle, Map.put(wanted, :limit, @forever))
    rows = for {from, to, count} <- pairs, do: %{from: from, to: to, count: count}
    Enum.sort_by(rows, &{-&1.count, &1.from, &1.to})
  end

  defp mailboxes(found), do: for({pid, most, at} <- found, do: %{pid: pid, most: most, at: at})

  defp restarts(recording, %{processes: processes}, {since, until}) do
    {:ok, found} = Supervision.restarts(in: recording, since: since, until: until)

    rows =
      for {{supervisor, child}, restarts} <- Enum.group_by(found, &{&1.supervisor, &1.child}),
          processes == nil or numbers(supervisor) in processes do
        last = restarts |> Enum.map(& &1.time) |> Enum.max()
        %{supervisor: supervisor, child: child, count: length(restarts), last: last}
      end

    Enum.sort_by(rows, &{-&1.count, &1.supervisor, &1.child})
  end

  defp numbers(pid) do
    {:ok, numbers} = Server.numbers(pid)
    numbers
  end

  defp reasons(exits, others) do
    exits
    |> Enum.reduce(%{}, fn {native, count}, reasons ->
      Map.update(reasons, reason(Event.from_native(native)), count, &(&1 + count))
    end)
    |> Enum.concat(if(others > 0, do: [others: others], else: []))
    |> Enum.sort_by(fn {_reason, count} -> -count end)
  end

  defp reason(%Event{data: %{reason: reason}}), do: without_stack(reason)
  defp reason(_unreadable), do: :unknown

  defp without_stack({reason, stack}) when is_list(stack) and stack != [] do
    if Enum.all?(stack, &frame?/1), do: without_stack(reason), else: {reason, stack}
  end

  defp without_stack(%module{__exception__: true}), do: module
  defp without_stack(reason), do: reason

  defp frame?({module, function, _arity, location})
       when is_atom(module) and is_atom(function) and is_list(location),
       do: true

  defp frame?(%ElixirScope.Cut{}), do: true
  defp frame?(_other), do: false
end
