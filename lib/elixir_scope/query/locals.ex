defmodule ElixirScope.Query.Locals do
  @moduledoc false
  # The variables of one call: those of calls within it, also of the same function, are left out by counting calls and their ends.

  alias ElixirScope.{Call, Error, Event, Events, Locals, Native, Query}
  alias ElixirScope.Query.{Function, Gaps, Server}

  @forever 0xFFFFFFFFFFFFFFFF

  @doc "See `ElixirScope.locals_at/2`."
  def locals_at(event_or_call, options) do
    with :ok <- Query.check(options, [:in]),
         {:ok, recording} <- Query.recording(options),
         {:ok, mfa} <- function(event_or_call),
         {:ok, process} <- process(recording, event_or_call.pid),
         :ok <- recorded(recording, mfa),
         {:ok, begin, until} <- call(recording, process, event_or_call, mfa),
         {:ok, gaps} <- Gaps.all(recording) do
      {bindings, ended} = bindings(recording, process, begin, until, mfa)
      missing = Gaps.touching(gaps, begin.time, ended || List.last(bindings, begin).time)

      {:ok,
       %Locals{
         call: begin.id,
         mfa: mfa,
         pid: begin.pid,
         file: begin.file,
         lines: for(event <- bindings, do: {event.line, event.data.bindings}),
         visible: visible(bindings),
         ambiguous: ambiguous(bindings),
         complete?: missing == []
       }}
    end
  end

  defp function(%Call{mfa: mfa}), do: {:ok, mfa}
  defp function(%Event{mfa: {_, _, _} = mfa, pid: pid}) when is_pid(pid), do: {:ok, mfa}

  defp function(other) do
    Error.new(
      :bad_option,
      "expected a call, or an event that has a function, of ElixirScope.calls/2 or events/1, got: #{inspect(other)}"
    )
  end

  defp process(recording, pid) do
    {:ok, process} = Server.numbers(pid)

    if Native.has_process(recording.handle, process) do
      {:ok, process}
    else
      Error.new(
        :unknown_process,
        "expected a call or an event of #{inspect(recording)}, got one of #{inspect(pid)}, of which no event was recorded; " <>
          "give the recording that it is of with in:"
      )
    end
  end

  defp recorded(recording, mfa) do
    named? =
      Enum.any?(Native.sites(recording.handle), fn {_key, {of, _place, {_node, _kind, _clause, names}}} ->
        of == mfa and names != []
      end)

    if named? do
      :ok
    else
      Error.new(
        :not_instrumented,
        "no variable of #{Function.label(mfa)} is recorded: put `use ElixirScope, locals: true` into its module, or " <>
          "`@scope locals: true` above it, and let it run again. (A function that binds none has none.)"
      )
    end
  end

  # The event of the call's beginning, and how far to look.
  defp call(recording, process, %Call{id: id} = call, mfa) do
    case event(recording, process, id) do
      %Event{kind: :call, mfa: ^mfa} = begin -> {:ok, begin, @forever}
      _other -> not_there(recording, call)
    end
  end

  defp call(_recording, _process, %Event{kind: :call} = event, _mfa), do: {:ok, event, event.id}

  defp call(recording, process, %Event{} = event, mfa) do
    stop? = fn begin -> begin.mfa == mfa end

    # The call of a return, an exception or a tail call is the one that it ends.
    case Query.History.Cause.stack(recording, process, event.time, event.id, stop?) do
      {:stopped, frames} -> {:ok, List.last(frames), event.id}
      _not_found -> not_there(recording, event)
    end
  end

  defp not_there(recording, %module{mfa: mfa} = given) do
    what = if module == Call, do: "call", else: "#{given.kind} event"

    Error.new(
      :lost,
      "the beginning of the call that this #{what} of #{Function.label(mfa)} belongs to is not in #{recording.path}: it is missing, " <>
        "too far back, or of another recording; give that one with in:"
    )
  end

  defp event(recording, process, id) do
    filter = %{kinds: ["call"], processes: [process], sites: nil, since: 0, until: @forever}

    case Native.events(recording.handle, filter, id, 1) do
      {[native], _next} when elem(native, 0) == id -> Event.from_native(native)
      _other -> nil
    end
  end

  # Those of the call alone, and when it ended.
  defp bindings(recording, process, begin, until, mfa) do
    filter = %{
      kinds: ["call", "return", "raise", "tail", "binding"],
      processes: [process],
      sites: nil,
      since: begin.time,
      until: @forever
    }

    {found, ended, _stack} =
      %Events{recording: recording, filter: filter, limit: :infinity}
      |> Events.stream()
      |> Stream.drop_while(&(&1.id <= begin.id))
      |> Enum.reduce_while({[], nil, []}, fn event, {found, _ended, stack} = acc ->
        cond do
          event.id > until -> {:halt, acc}
          event.kind == :binding -> {:cont, {own(event, mfa, stack) ++ found, nil, stack}}
          event.kind == :call -> {:cont, {found, nil, [event.mfa | stack]}}
          true -> leave(event, found, stack, mfa)
        end
      end)

    {Enum.reverse(found), ended}
  end

  defp own(%Event{mfa: mfa, data: %{bindings: _}} = event, mfa, []), do: [event]
  defp own(_event, _mfa, _stack), do: []

  # The end of a call takes off those within it, which have ended unseen.
  defp leave(event, found, stack, mfa) do
    case Enum.split_while(stack, &(&1 != event.mfa)) do
      {_within, [_ended | stack]} -> {:cont, {found, nil, stack}}
      {_all, []} when event.mfa == mfa -> {:halt, {found, event.time, []}}
      {_all, []} -> {:cont, {found, nil, stack}}
    end
  end

  # Which of its places a name is seen from is not recorded: a branch or a comprehension has variables of its own.
  defp ambiguous(bindings) do
    bound = for event <- bindings, {name, value} <- event.data.bindings, do: {name, place(event), value}

    for name <- bound |> Enum.map(&elem(&1, 0)) |> Enum.uniq(),
        own = Enum.filter(bound, &(elem(&1, 0) == name)),
        several?(own, 1) and several?(own, 2),
        do: name
  end

  defp place(event), do: {event.line, event.column, event.node}

  defp several?(bound, element), do: match?([_, _ | _], Enum.uniq_by(bound, &elem(&1, element)))

  defp visible(bindings) do
    Enum.reduce(bindings, [], fn event, visible ->
      Enum.reduce(event.data.bindings, visible, fn {name, value}, visible ->
        if Keyword.has_key?(visible, name),
          do: Keyword.replace!(visible, name, value),
          else: visible ++ [{name, value}]
      end)
    end)
  end
end
