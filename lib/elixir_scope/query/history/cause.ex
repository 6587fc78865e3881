defmodule ElixirScope.Query.History.Cause do
  @moduledoc false
  # What made a change, and which calls were open in a process at a moment. Both look backwards from an event, in windows
  # that grow: what is looked for lies mostly a few events before.

  alias ElixirScope.{Call, Cut, Event, Native, Recording}
  alias ElixirScope.Query.{Gaps, Server, Stack}

  @frames ["call", "return", "raise", "tail"]
  @ends [:return, :raise, :tail]
  # The first window, in events of the recording, and how much larger the next one is.
  @window 64
  @growth 16
  # So many events of a process are made at most, to find the calls that were open in it.
  @budget 20_000

  @typedoc "The keys of the sites that calls come from, by the functions."
  @type sites :: %{mfa => [non_neg_integer]}

  @doc "The sites of functions in a recording."
  @spec sites(Recording.t()) :: sites
  def sites(recording) do
    for {key, {mfa, _place, {_node, kind, _clause, _names}}} <- Native.sites(recording.handle),
        kind in [:function, :fn],
        reduce: %{} do
      sites -> Map.update(sites, mfa, [key], &[key | &1])
    end
  end

  @doc """
  The causes of changes, in the form of `ElixirScope.Change`: of pairs of a state event and the one before it, or `nil`, in the order of
  time. Where the changes lie close together, the calls of all are read at once.
  """
  @spec causes(Recording.t(), Server.numbers(), [{Event.t(), Event.t() | nil}], sites, list) :: [
          ElixirScope.Change.cause()
        ]
  def causes(recording, process, pairs, sites, gaps) do
    {causes, _events} =
      Enum.map_reduce(pairs, together(recording, process, pairs, sites), fn {state, before}, events ->
        {begin, ending, events} = own(events, state, before)
        {cause(recording, process, {state, before}, {begin, ending}, sites, gaps), events}
      end)

    causes
  end

  # Of how many events for each change it is cheaper to read all than to look for those of each.
  @close 200

  defp together(recording, process, [{first, before} | _] = pairs, sites) do
    {last, _} = List.last(pairs)
    since = if before, do: before.id, else: first.id

    keys =
      pairs
      |> Enum.map(fn {state, _} -> state.mfa end)
      |> Enum.uniq()
      |> Enum.flat_map(&Map.get(sites, &1, []))

    if length(pairs) > 1 and keys != [] and last.id - since < @close * length(pairs) do
      filter = filter(process, keys, if(before, do: before.time, else: 0), last.time)
      recording |> page(filter, since, last.id)
    else
      []
    end
  end

  # From the events of several changes: the call of one, and its end, `:none` where they are not among them.
  defp own(events, state, before) do
    since = if before, do: before.id, else: 0

    {inside, behind} =
      events |> Enum.drop_while(&(elem(&1, 0) <= since)) |> Enum.split_while(&(elem(&1, 0) < state.id))

    begin = inside |> open() |> Enum.find(:none, &(mfa(&1) == state.mfa))

    ending =
      Enum.find(Enum.take(behind, 1), :none, &(elem(&1, 2) in [:return, :raise] and mfa(&1) == state.mfa))

    {begin, ending, behind}
  end

  defp cause(_recording, _process, {%Event{data: %{origin: :noticed}}, before}, _known, _sites, _gaps) do
    %{
      kind: :outside,
      message: nil,
      from: nil,
      call: nil,
      since: before && before.time,
      event: nil,
      unknown: nil
    }
  end

  defp cause(recording, process, {state, before}, {begin, ending}, sites, gaps) do
    since = {before && before.id, before && before.time}

    call =
      with {:ok, begin} <- begun(begin, recording, process, state, since, sites),
           [] <- Gaps.touching(gaps, event(begin).time, state.time) do
        ended(ending, recording, process, begin, state, sites)
      else
        _none_or_lost -> nil
      end

    state.mfa
    |> message(call && call.args, state.data.origin)
    |> Map.merge(%{call: call, since: nil, event: event_type(call), unknown: unknown(call)})
  end

  # The type of a state machine's event that is no message of a process.
  defp event_type(%Call{mfa: {_, :handle_event, 4}, args: [type, _, _, _]}), do: own_type(type)
  defp event_type(%Call{mfa: {_, _, 3}, args: [type, _, _]}), do: own_type(type)
  defp event_type(_call), do: nil

  defp own_type(type) when type in [:enter, :internal, :timeout, :state_timeout], do: type
  defp own_type({:timeout, _name} = type), do: type
  defp own_type(_type), do: nil

  # Why there is no message, or no sender of a call.
  defp unknown(nil), do: :lost
  defp unknown(%Call{args: nil}), do: :not_recorded
  defp unknown(call), do: if(sender_cut?(call), do: :limit)

  @doc "Whether a limit kept out who had sent the message of a call."
  @spec sender_cut?(Call.t()) :: boolean
  def sender_cut?(%Call{mfa: {_, :handle_call, 3}, args: args}), do: cut_from?(args, 1)
  def sender_cut?(%Call{mfa: {_, :handle_event, 4}, args: args}), do: cut_type?(args)
  def sender_cut?(%Call{mfa: {_, _, 3}, args: [{:call, _} | _] = args}), do: cut_type?(args)
  def sender_cut?(_call), do: false

  defp cut_from?(%Cut{}, _at), do: true
  defp cut_from?([from | _], 0), do: match?(%Cut{}, from) or match?({%Cut{}, _tag}, from)
  defp cut_from?([_ | rest], at), do: cut_from?(rest, at - 1)
  defp cut_from?(_args, _at), do: false

  defp cut_type?([{:call, from} | _]), do: cut_from?([from], 0)
  defp cut_type?([type | _]), do: match?(%Cut{}, type)
  defp cut_type?(args), do: match?(%Cut{}, args)

  defp begun(:none, recording, process, state, since, sites),
    do: callback(recording, process, state, since, sites)

  defp begun(begin, _recording, _process, _state, _since, _sites), do: {:ok, begin}

  # The callback began behind the state before, because the callbacks of a process follow each other.
  defp callback(recording, process, state, {since, time}, sites) do
    keys = Map.get(sites, state.mfa, [])
    window(recording, filter(process, keys, time || 0, state.time), since || 0, state.id, @window)
  end

  defp filter(process, keys, since, until) do
    %{kinds: @frames, processes: [process], sites: keys, since: since, until: until}
  end

  defp window(_recording, %{sites: []}, _first, _id, _size), do: :none

  defp window(recording, filter, first, id, size) do
    from = max(first, id - size)

    case recording |> page(filter, from, id) |> open() do
      [innermost | _] -> {:ok, innermost}
      [] when from == first -> :none
      [] -> window(recording, filter, first, id, size * @growth)
    end
  end

  # The events of a window in their order, as they come from the native library.
  defp page(recording, filter, from, id) do
    {events, next} = Native.events(recording.handle, filter, from, 1_000)
    {inside, behind} = Enum.split_while(events, &(elem(&1, 0) < id))

    if next == nil or next >= id or behind != [],
      do: inside,
      else: inside ++ page(recording, filter, next, id)
  end

  @doc "The call events, innermost first, of calls that began among some events and did not end among them."
  def open(events) do
    Enum.reduce(events, [], fn native, stack ->
      if elem(native, 2) == :call, do: [native | stack], else: leave(stack, mfa(native))
    end)
  end

  # Those within the one that ends have ended unseen. Of one that began before the events nothing is known here.
  defp leave(stack, mfa) do
    case Enum.split_while(stack, &(mfa(&1) != mfa)) do
      {_within, [_ended | rest]} -> rest
      {_all, []} -> stack
    end
  end

  defp mfa({_id, _time, _kind, _pid, nil, _number, _values}), do: nil
  defp mfa({_id, _time, _kind, _pid, {mfa, _place, _node}, _number, _values}), do: mfa

  defp event(native), do: Event.from_native(native)

  # The state is recorded when the callback ends, so its end is the next one of its function.
  defp ended(:none, recording, process, begin, state, sites) do
    filter = filter(process, Map.get(sites, state.mfa, []), state.time, 0xFFFFFFFFFFFFFFFF)

    case Native.events(recording.handle, %{filter | kinds: ["return", "raise"]}, state.id, 1) do
      {[native], _next} -> ended(native, recording, process, begin, state, sites)
      {[], _next} -> Call.from_native({begin, nil, nil, false, :unknown})
    end
  end

  defp ended(native, _recording, _process, begin, _state, _sites) do
    outcome = if elem(native, 2) == :return, do: :returned, else: :raised
    Call.from_native({begin, nil, nil, false, {outcome, native}})
  end

  @doc "What a callback was given, by its function and arguments: `kind`, `message` and `from`."
  def message(mfa, args, origin \\ :callback)

  def message(_mfa, args, :init), do: said(:init, first(args))
  def message({_, :handle_call, 3}, [message, from, _], _), do: said(:call, message, from)
  def message({_, :handle_call, 3}, args, _), do: said(:call, first(args))
  def message({_, :handle_cast, 2}, args, _), do: said(:cast, first(args))
  def message({_, :handle_info, 2}, args, _), do: said(:info, first(args))

  # A state machine: `handle_event(type, content, state, data)`, or `state_name(type, content, data)`.
  def message({_, :handle_event, 4}, [type, content, _, _], _), do: machine(type, content)
  def message({_, _, 3}, [{:call, {_, _}} = type, content, _], _), do: machine(type, content)
  def message({_, _, 3}, [type, content, _], _) when type in [:cast, :info], do: machine(type, content)
  def message({_, :handle_event, 3}, [event, params, _], _), do: said(:callback, {event, params})
  def message({_, _, 3}, [_type, content, _], _), do: said(:callback, content)
  def message({_, _, _}, [message | _], _), do: said(:callback, message)
  def message(_mfa, _args, _), do: said(:callback, nil)

  # All of them, or those behind the first, may have been kept out by a limit.
  defp first([first | _]), do: first
  defp first(%Cut{} = cut), do: cut
  defp first(_none), do: nil

  defp machine({:call, from}, content), do: said(:call, content, from)
  defp machine(type, content) when type in [:cast, :info], do: said(type, content)
  defp machine(_type, content), do: said(:callback, content)

  defp said(kind, message, from \\ nil), do: %{kind: kind, message: message, from: sender(from)}

  defp sender({pid, _tag}) when is_pid(pid), do: pid
  defp sender(_from), do: nil

  @doc """
  The calls that were open in a process at a time, before the event of a number, innermost first, and whether these are all:
  `{:all | :limit, events}`. With `stop?` the search ends at the first that it says yes to.
  """
  @spec stack(Recording.t(), Server.numbers(), non_neg_integer, non_neg_integer, (Event.t() -> boolean)) ::
          {:all | :stopped | :limit, [Event.t()]}
  def stack(recording, process, time, id, stop?) do
    filter = %{kinds: @frames, processes: [process], sites: nil, since: 0, until: time}
    stack_in(recording, filter, id, @window, stop?)
  end

  defp stack_in(recording, filter, id, size, stop?) do
    from = max(0, id - size)
    {events, next} = Native.events(recording.handle, filter, from, @budget)

    if next != nil do
      # A process that did much within its calls: no event of those that have ended is made then.
      {calls, whole?} = Stack.open_calls(recording, hd(filter.processes), id)
      stopped(calls, stop?, if(whole?, do: :all, else: :limit))
    else
      # Those of another process may have higher numbers than what they came before.
      open =
        events
        |> Enum.filter(&(elem(&1, 1) < filter.until or elem(&1, 0) < id))
        |> open()
        |> Enum.map(&event/1)

      case stopped(open, stop?, :all) do
        {:all, _some} when from > 0 -> stack_in(recording, filter, id, size * @growth, stop?)
        answer -> answer
      end
    end
  end

  defp stopped(open, stop?, complete) do
    case Enum.split_while(open, &(not stop?.(&1))) do
      {within, [last | _]} -> {:stopped, within ++ [last]}
      {all, []} -> {complete, all}
    end
  end

  @doc "The end of a call that a process made last before the event of a number: the event, and that of its beginning."
  def ended_last(recording, process, time, id), do: ended_last(recording, process, time, id, @window)

  defp ended_last(recording, process, time, id, size) do
    from = max(0, id - size)
    filter = %{kinds: @frames, processes: [process], sites: nil, since: 0, until: time}
    {events, next} = Native.events(recording.handle, filter, from, @budget)
    {before, _behind} = Enum.split_while(events, &(elem(&1, 0) < id))
    last = List.last(before)

    with true <- next == nil and last != nil and elem(last, 2) in @ends,
         [begin | _] <- before |> List.delete_at(-1) |> open() |> Enum.filter(&(mfa(&1) == mfa(last))) do
      {:ok, event(begin), event(last)}
    else
      _not_in_window when from == 0 or next != nil -> :none
      _not_in_window -> ended_last(recording, process, time, id, size * @growth)
    end
  end

  @doc "A call as of a moment at which it was open."
  @spec call(Event.t(), non_neg_integer | nil) :: Call.t()
  def call(%Event{} = begin, parent) do
    %Call{
      id: begin.id,
      mfa: begin.mfa,
      args: begin.data && begin.data.args,
      outcome: :open,
      pid: begin.pid,
      started: begin.time,
      parent: parent,
      file: begin.file,
      line: begin.line,
      column: begin.column,
      node: begin.node,
      source: begin.source
    }
  end
end
