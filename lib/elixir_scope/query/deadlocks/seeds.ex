defmodule ElixirScope.Query.Deadlocks.Seeds do
  @moduledoc false
  # Where to look for circles: requests that nobody answered, and starts that did not come to their end, of which each circle that
  # was no ordinary conversation has one. They are found in one pass over the messages, which keeps nothing but what is open.

  alias ElixirScope.{Event, Query}
  alias ElixirScope.Query.{Past, Term}

  @typedoc "A process, and its last event before it waited: the request, or the beginning of the `receive` behind it."
  @type seed :: {pid, non_neg_integer}

  @kinds [:send, :receive, :wait, :take, :traced, :spawn]
  @named_within Query.Waiting.At.named_within()

  @doc "Seeds of what was asked in a span of time, oldest first."
  @spec of(Past.t(), non_neg_integer, non_neg_integer) :: [seed]
  def of(past, since, until) do
    state = %{open: %{}, last: %{}, asked: %{}, waits: %{}, starts: %{}, found: []}

    state = past |> Past.next(nil, @kinds, 0, since: since, until: until) |> Enum.reduce(state, &event/2)

    requests = for {_ref, {pid, id}} <- state.open, do: {pid, id}
    waits = for {pid, id} <- state.waits, do: {pid, id}
    starts = Map.values(state.starts)
    (state.found ++ requests ++ waits ++ starts) |> Enum.uniq() |> Enum.sort_by(&elem(&1, 1))
  end

  defp event(%Event{kind: :send, pid: pid, data: %{message: message}} = send, state) do
    case message do
      {:"$gen_call", {^pid, tag}, _request} ->
        state |> open(Term.reference(tag), send) |> asked(pid, nil)

      {^pid, ref, _reply_to, callers, {_m, _f, _a}} when is_reference(ref) and is_list(callers) ->
        state |> open(ref, send) |> asked(pid, nil)

      _other ->
        asked(state, pid, if(Term.mentions?(message, pid, @named_within), do: send.id))
    end
  end

  defp event(%Event{kind: :receive, pid: pid, data: %{message: message}}, state) do
    case message do
      # It gave up; what is answered later was not answered then.
      :timeout -> %{state | found: open_of(state, pid) ++ state.found}
      {tag, _reply} -> %{state | open: Map.delete(state.open, Term.reference(tag))}
      {:DOWN, ref, _type, _who, _reason} -> %{state | open: Map.delete(state.open, ref)}
      {done, child, _how} when done in [:ack, :nack] -> %{state | starts: Map.delete(state.starts, child)}
      _other -> state
    end
  end

  # The message that its answer is waited for comes directly before it.
  defp event(%Event{kind: :wait, pid: pid, id: id}, state) do
    if is_map_key(state.asked, pid), do: %{state | waits: Map.put(state.waits, pid, id)}, else: state
  end

  defp event(%Event{kind: :take, pid: pid, data: data}, state) do
    {waited, waits} = Map.pop(state.waits, pid)
    gave_up? = waited != nil and is_map(data) and not is_map_key(data, :message)
    found = if gave_up?, do: [{pid, waited} | state.found], else: state.found
    asked(%{state | waits: waits, found: found}, pid, nil)
  end

  defp event(%Event{kind: :traced, pid: pid, mfa: mfa, data: %{action: :call}} = call, state) do
    case mfa do
      # Of a Task that was asked before something else was done.
      {Task, function, _} when function in [:await, :yield] -> awaits(state, pid, call)
      _other -> state
    end
  end

  defp event(%Event{kind: :spawn, pid: pid, id: id} = spawn, state) do
    case Query.Waiting.At.started(spawn) do
      nil -> state
      child -> %{state | starts: Map.put(state.starts, child, {pid, id})}
    end
  end

  defp event(_event, state), do: state

  defp open(state, nil, _send), do: state
  defp open(state, ref, send), do: remember(state, ref, send.pid, send.id)

  defp awaits(state, pid, %Event{data: %{args: [%{ref: ref} | _]}, id: id}) do
    if is_map_key(state.open, ref), do: remember(state, ref, pid, id), else: state
  end

  defp awaits(state, _pid, _call), do: state

  defp remember(state, ref, pid, id),
    do: %{state | open: Map.put(state.open, ref, {pid, id}), last: Map.put(state.last, pid, ref)}

  defp open_of(%{open: open, last: last}, pid) do
    case last do
      %{^pid => ref} when is_map_key(open, ref) -> [Map.fetch!(open, ref)]
      _none -> []
    end
  end

  defp asked(state, pid, nil), do: %{state | asked: Map.delete(state.asked, pid)}
  defp asked(state, pid, id), do: %{state | asked: Map.put(state.asked, pid, id)}
end
