defmodule ElixirScope.Query.Exits.Own do
  @moduledoc false
  # Whether a process ended by its own instrumented code: the last thing that its calls did was to raise what it exited with, or a
  # callback said `:stop`. What OTP calls behind that (`terminate`, `format_status`) is passed over.

  alias ElixirScope.{Call, Cut, Event, Query, Recording}
  alias ElixirScope.Query.{Exits, Processes, Server, Stack}

  @frames ["call", "return", "raise", "tail"]
  # So many frames are looked at before the end.
  @most 2_000
  # Called between the end of a callback and that of its process.
  @afterwards [:terminate, :format_status, :inspect, :message, :to_string, :code_change]

  @typedoc "What it raised or returned, in which call, and the callback around it."
  @type found ::
          {:raised, Event.t(), Call.t() | nil, Call.t() | nil}
          | {:stopped, Event.t(), Call.t() | nil}
          | nil

  @doc "How a process ended itself."
  @spec find(Recording.t(), Server.numbers(), non_neg_integer, Event.t()) :: found
  def find(recording, process, since, exit) do
    recording
    |> Processes.newest(@frames, [process], since, exit.time)
    |> Stream.filter(&(&1.id < exit.id))
    |> Stream.take(@most)
    |> Enum.to_list()
    |> last()
    |> found(exit.data.reason, recording, process)
  end

  @doc "The frames before an end, the newest first, without those that came behind what ended it."
  @spec last([Event.t()]) :: [Event.t()]
  def last([%Event{kind: kind, mfa: {_, name, _} = mfa} | older])
      when name in @afterwards and kind != :tail do
    case kind do
      :call -> last(older)
      _end -> older |> behind(mfa) |> last()
    end
  end

  def last(frames), do: frames

  # What came before the call that ended.
  defp behind(frames, mfa) do
    frames
    |> Enum.reduce_while({frames, 1}, fn
      %Event{kind: :call, mfa: ^mfa}, {[_ | older], 1} ->
        {:halt, {older, 0}}

      %Event{kind: :call, mfa: ^mfa}, {[_ | older], depth} ->
        {:cont, {older, depth - 1}}

      %Event{kind: kind, mfa: ^mfa}, {[_ | older], depth} when kind in [:return, :raise] ->
        {:cont, {older, depth + 1}}

      _other, {[_ | older], depth} ->
        {:cont, {older, depth}}
    end)
    |> elem(0)
  end

  defp found(
         [%Event{kind: :raise, data: %{kind: kind, reason: raised}} = outer | older],
         reason,
         recording,
         process
       ) do
    if exits_with?(kind, raised, reason) do
      inner = older |> Enum.take_while(&same_raise?(&1, outer)) |> List.last() || outer
      {:raised, inner, call(recording, process, inner), call(recording, process, outer)}
    end
  end

  defp found([%Event{kind: :return, data: %{value: value}} = event | _], reason, recording, process) do
    if stops_with?(value, reason), do: {:stopped, event, call(recording, process, event)}
  end

  defp found(_frames, _reason, _recording, _process), do: nil

  defp same_raise?(%Event{kind: :raise, data: %{kind: kind, reason: reason}}, %{
         data: %{kind: kind, reason: reason}
       }),
       do: true

  defp same_raise?(_event, _outer), do: false

  @doc "Whether something that was raised and not caught makes a process exit with a reason."
  @spec exits_with?(:error | :exit | :throw, term, term) :: boolean
  def exits_with?(:exit, raised, reason), do: Exits.Reason.same?(raised, reason)

  def exits_with?(:error, raised, {reason, stack}) when is_list(stack) or is_struct(stack, Cut),
    do: Exits.Reason.same?(raised, reason)

  def exits_with?(:throw, thrown, {{:nocatch, reason}, _stack}), do: Exits.Reason.same?(thrown, reason)
  def exits_with?(:throw, thrown, {:bad_return_value, reason}), do: Exits.Reason.same?(thrown, reason)
  # What a callback throws is what it returns.
  def exits_with?(:throw, thrown, reason), do: stops_with?(thrown, reason)
  def exits_with?(_kind, _raised, _reason), do: false

  @doc "Whether a callback that returned this made its server exit with a reason."
  @spec stops_with?(term, term) :: boolean
  def stops_with?({:stop, stop, _state}, reason), do: Exits.Reason.same?(stop, reason)
  def stops_with?({:stop, stop, _reply, _state}, reason), do: Exits.Reason.same?(stop, reason)
  def stops_with?({:stop, stop}, reason), do: Exits.Reason.same?(stop, reason)
  def stops_with?({:stop_and_reply, stop, _replies}, reason), do: Exits.Reason.same?(stop, reason)
  def stops_with?({:stop_and_reply, stop, _replies, _data}, reason), do: Exits.Reason.same?(stop, reason)
  def stops_with?(:stop, :normal), do: true
  def stops_with?(value, {:bad_return_value, bad}), do: Exits.Reason.same?(value, bad)
  def stops_with?(_value, _reason), do: false

  defp call(recording, process, ending) do
    with %Event{} = begin <- Stack.began(recording, process, ending.id),
         do: Stack.call(recording, process, begin)
  end

  @doc "Whether a call is one of a server's callbacks that is given a message, with what it was given: `{kind, message, from}`."
  @spec callback(Call.t() | nil, ElixirScope.Life.kind() | nil) :: {atom, term, pid | nil} | nil
  def callback(%Call{mfa: {_, name, arity} = mfa, args: args}, kind) when args != nil do
    if {name, arity} in [handle_call: 3, handle_cast: 2, handle_info: 2, handle_event: 4] or
         (kind == :gen_statem and arity == 3) do
      %{kind: kind, message: message, from: from} = Query.History.Cause.message(mfa, args)
      {kind, message, from}
    end
  end

  def callback(_call, _kind), do: nil
end
