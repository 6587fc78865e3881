defmodule ElixirScope.Query.Spans do
  @moduledoc false
  # What frameworks did. Events of `:telemetry` that begin and end something are paired within their process, from the innermost
  # outward: by their name, and by the context that `:telemetry.span/3` adds where it was kept.
  #
  # What belongs to another span around it (`into` of `ElixirScope.Framework`) is added to that one. It may end later: the
  # response of a request is sent within the router's dispatch.

  alias ElixirScope.{Error, Event, Framework, Frameworks, Native, Query, Span, Text}
  alias ElixirScope.Query.{Around, Processes, Server}

  @filters [:in, :kind, :pid, :since, :until, :limit, :order, :matching]
  @ends [:stop, :exception, :error]
  @forever 0xFFFFFFFFFFFFFFFF

  # Something that has begun, and what has been added to it from within.
  defmodule Begun do
    @moduledoc false
    defstruct [:event, :name, :module, :kind, :into, added: [], given_away: false]
  end

  @doc "See `ElixirScope.spans/1`."
  @spec spans(keyword) :: {:ok, [Span.t()]} | {:error, Error.t()}
  def spans(filters) do
    with :ok <- Query.check(filters, @filters),
         {:ok, recording} <- Query.recording(filters),
         {:ok, limit} <- Query.limit(filters),
         {:ok, order} <- Query.order(filters),
         {:ok, kinds} <- kinds(Keyword.get(filters, :kind, [])),
         {:ok, matching} <- Around.matching(filters),
         # What began before may end within; what begins within may end later.
         {:ok, events} <- Around.events(recording, :telemetry, Keyword.drop(filters, [:order, :until])),
         {:ok, until} <- until(recording, filters) do
      since = if is_map(events.filter), do: events.filter.since, else: 0

      events
      |> Stream.filter(&Around.readable?/1)
      |> pair(until)
      |> Enum.filter(&(&1.started in since..until//1 and wanted?(&1, kinds) and matching.(&1.name)))
      |> Enum.sort_by(&{&1.started, &1.id}, if(order == :newest, do: :desc, else: :asc))
      |> Around.first(limit)
      |> Enum.map(&unended(&1, recording))
      |> Around.with_calls(recording)
      |> answer(recording)
    end
  end

  defp until(recording, filters) do
    with {:ok, filter} <- Query.filter(recording, Keyword.take(filters, [:until])), do: {:ok, filter.until}
  end

  defp kinds(given) do
    kinds = Query.several(given)

    if Enum.all?(kinds, &(is_atom(&1) and &1 != nil)),
      do: {:ok, kinds},
      else:
        Error.new(
          :bad_option,
          "expected :kind to be one or a list of kinds of spans such as :request and :query, got: #{inspect(given)}"
        )
  end

  defp wanted?(_span, []), do: true
  defp wanted?(span, kinds), do: span.kind in kinds

  # {open, done}: what has begun by process, innermost first.
  defp pair(events, until) do
    table = Frameworks.table()

    {open, done} =
      Enum.reduce_while(events, {%{}, []}, fn event, {open, done} ->
        if event.time > until and Enum.all?(open, fn {_pid, begun} -> begun == [] end),
          do: {:halt, {open, done}},
          else: {:cont, step(event, open, done, table)}
      end)

    Enum.reduce(open, done, fn {_pid, begun}, done -> never_ended(begun) ++ done end)
  end

  defp step(%Event{pid: pid, data: %{name: name}} = event, open, done, table) do
    begun = Map.get(open, pid, [])

    {begun, spans} =
      case is_list(name) and name != [] and List.last(name) do
        false -> {begun, []}
        :start -> start(begun, event, table)
        ending when ending in @ends -> stop(begun, event, table)
        _at_once -> at_once(begun, event, table)
      end

    {Map.put(open, pid, begun), spans ++ done}
  end

  defp begun(event, name, table) do
    metadata = map(event.data.metadata)
    module = table[event.data.name] || Frameworks.of(event.data.name, metadata)
    meaning = meaning(module, name, metadata, map(event.data.measurements))
    %Begun{event: event, name: name, module: module, kind: meaning.kind, into: meaning[:into]}
  end

  # A process answers one request after the other: the end of one before was not told.
  defp start(open, event, table) do
    begun = begun(event, prefix(event.data.name), table)

    case Enum.split_while(open, &(&1.name != begun.name)) do
      {inner, [left | outer]} when begun.kind == :request ->
        ended = never_ended(Enum.reverse([left | Enum.reverse(inner)]))
        {[begun | outer], Enum.map(ended, &%{&1 | outcome: :unknown})}

      _first ->
        {[begun | open], []}
    end
  end

  defp stop(open, event, table) do
    name = prefix(event.data.name)

    case Enum.split_while(open, &(not ends?(&1, name, event))) do
      {_inner, []} -> {open, without_start(event, name, table)}
      {inner, [begun | outer]} -> end_span(inner, begun, outer, event)
    end
  end

  defp ends?(%Begun{name: name, event: start}, name, event) do
    case {map(start.data.metadata), map(event.data.metadata)} do
      {%{telemetry_span_context: one}, %{telemetry_span_context: other}} -> one == other
      _unknown -> true
    end
  end

  defp ends?(_begun, _name, _event), do: false

  # What is within and belongs to it gives it what is known by now, and says no more when it ends.
  defp end_span(inner, begun, outer, event) do
    {parts, others} = Enum.split_with(inner, &(&1.into == begun.kind and not &1.given_away))
    begun = Enum.reduce(parts, begun, &added(&2, span(&1, nil)))
    inner = if parts == [], do: others, else: Enum.map(inner, &given_away(&1, parts))
    told(begun, span(begun, event), inner, outer)
  end

  defp given_away(begun, parts), do: if(begun in parts, do: %{begun | given_away: true}, else: begun)

  defp told(%Begun{given_away: true}, _span, inner, outer), do: {inner ++ outer, []}

  defp told(%Begun{into: kind}, span, inner, outer) when kind != nil do
    case Enum.split_while(outer, &(&1.kind != kind or &1.into != nil)) do
      {_between, []} -> {inner ++ outer, [span]}
      {between, [around | rest]} -> {inner ++ between ++ [added(around, span) | rest], []}
    end
  end

  defp told(_begun, span, inner, outer), do: {inner ++ outer, [span]}

  defp added(begun, span), do: %{begun | added: [span | begun.added]}

  # It began before what is asked, or before the recording.
  defp without_start(event, name, table) do
    begun = begun(event, name, table)
    span = span(begun, event)
    if span.duration, do: [%{span | started: max(event.time - span.duration, 0)}], else: []
  end

  defp at_once(open, event, table) do
    begun = begun(event, event.data.name, table)
    span = span(begun, event)
    lasted = span.duration || 0
    span = %{span | started: max(event.time - lasted, 0), finished: event.time, duration: lasted}
    told(begun, span, [], open)
  end

  defp never_ended([]), do: []

  defp never_ended([begun | outer]) do
    {outer, spans} = told(begun, span(begun, nil), [], outer)
    spans ++ never_ended(outer)
  end

  @spec span(%Begun{}, Event.t() | nil) :: Span.t()
  defp span(%Begun{event: start} = begun, ending) do
    metadata = Map.merge(map(start.data.metadata), map(ending && ending.data.metadata))
    measurements = Map.merge(map(start.data.measurements), map(ending && ending.data.measurements))
    meaning = meaning(begun.module, begun.name, metadata, measurements)
    # The stack of what raised is no exception unless the event says so.
    exception = if raised?(ending || start), do: exception(metadata)

    %Span{
      id: start.id,
      time: start.time,
      pid: start.pid,
      kind: meaning.kind,
      name: meaning.name || Enum.map_join(begun.name, ".", &Atom.to_string/1),
      started: start.time,
      finished: ending && ending.time,
      duration: duration(measurements, start, ending),
      exception: exception,
      outcome: outcome(meaning[:outcome], exception, ending),
      attributes: Map.get(meaning, :attributes, [])
    }
    |> add_all(Enum.reverse(begun.added), meaning)
  end

  # From the outermost inward: what is known already stays.
  defp add_all(span, added, meaning) do
    Enum.reduce(added, %{span | name: named(span, added, meaning)}, fn part, span ->
      %{
        span
        | attributes: Keyword.merge(part.attributes, span.attributes),
          exception: span.exception || part.exception,
          outcome:
            if(span.outcome == :ok and part.outcome not in [:open, nil], do: part.outcome, else: span.outcome)
      }
    end)
  end

  # A route says more than a path.
  defp named(span, added, _meaning) do
    case Enum.find(added, & &1.attributes[:route]) do
      nil -> span.name
      part -> part.name
    end
  end

  defp raised?(%Event{data: %{name: name}}), do: List.last(name) == :exception

  defp exception(metadata) do
    %{
      kind: Map.get(metadata, :kind, :error),
      reason: metadata[:reason],
      stack: List.wrap(metadata[:stacktrace])
    }
  end

  defp outcome(_known, nil, nil), do: :open
  # What a framework calls it goes before.
  defp outcome(nil, nil, _ending), do: :ok
  defp outcome(nil, _exception, _ending), do: :raised
  defp outcome(known, _exception, _ending), do: known

  # As the framework has measured it; else between its events.
  defp duration(measurements, start, ending) do
    case measurements do
      %{total_time: time} when is_integer(time) -> nanoseconds(time)
      %{duration: time} when is_integer(time) -> nanoseconds(time)
      _none when ending == nil or ending.id == start.id -> nil
      _none -> max(ending.time - start.time, 0)
    end
  end

  # One that is longer than time is, or less than nothing, is none that was measured.
  defp nanoseconds(time),
    do: time |> System.convert_time_unit(:native, :nanosecond) |> max(0) |> min(@forever)

  # One that is not known here, or expects what was not recorded, must not take the answer with it.
  @spec meaning(module, Framework.name(), map, map) :: Framework.meaning()
  defp meaning(module, name, metadata, measurements) do
    %{kind: :custom, name: nil, attributes: []}
    |> Map.merge(module.span(name, metadata, measurements))
    |> checked(metadata)
  rescue
    _any -> unknown(metadata)
  catch
    _kind, _reason -> unknown(metadata)
  end

  # What a framework of the program's own says may be anything.
  defp checked(%{kind: kind, name: name, attributes: attributes} = meaning, metadata) do
    cond do
      not is_atom(kind) or not Keyword.keyword?(attributes) -> unknown(metadata)
      is_nil(name) or (is_binary(name) and String.valid?(name)) -> meaning
      true -> %{meaning | name: Text.short(name, width: 80)}
    end
  end

  defp unknown(metadata),
    do: %{kind: :custom, name: nil, attributes: Enum.filter(metadata, fn {key, _value} -> is_atom(key) end)}

  defp prefix(name), do: Enum.drop(name, -1)

  defp map(%{} = map) when not is_struct(map), do: map
  # Not given, or a limit has cut it.
  defp map(_other), do: %{}

  # With its process it ended too. Where events are missing its end may be among them.
  defp unended(%Span{outcome: :open} = span, recording) do
    case {exit_of(span, recording), Native.gaps(recording.handle, span.started, @forever)} do
      {%Event{} = exit, []} -> exited(span, exit)
      {nil, []} -> span
      _missing -> %{span | outcome: :unknown}
    end
  end

  defp unended(span, _recording), do: span

  defp exited(span, %Event{time: time, data: data}) do
    exception = if data, do: %{kind: :exit, reason: data.reason, stack: []}
    %{span | outcome: :exit, finished: time, duration: max(time - span.started, 0), exception: exception}
  end

  # Of the process that began it: a pid may be given anew.
  defp exit_of(%Span{pid: pid, time: time}, recording) do
    with {:ok, process} <- Server.numbers(pid),
         [exit] <- recording |> Processes.stream(["exit"], [process], time, @forever) |> Enum.take(1),
         do: exit,
         else: (_none -> nil)
  end

  # None is an answer where spans could have been seen.
  defp answer([], recording) do
    cond do
      Around.any?(recording, :telemetry) -> {:ok, []}
      recording.live? and Frameworks.settings().telemetry and Around.missing(recording) == "" -> {:ok, []}
      true -> Error.new(:no_telemetry, none(recording) <> Around.missing(recording))
    end
  end

  defp answer(spans, _recording), do: {:ok, spans}

  defp none(%{live?: true}) do
    cond do
      not Frameworks.running?() ->
        "no event of :telemetry was recorded: its application does not run in this VM. Frameworks that emit events depend on it"

      Frameworks.settings().late ->
        "no event of :telemetry was recorded: its application was not there yet when the recording began. " <>
          "ElixirScope.telemetry(true) attaches to what is known from now on"

      true ->
        "no event of :telemetry was recorded: the recording was begun with `telemetry: false`"
    end
  end

  defp none(_opened) do
    "no event of :telemetry was recorded: no framework that is known emitted one, or the recording was begun with `telemetry: false`"
  end
end
