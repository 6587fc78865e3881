defmodule ElixirScope.Query.Exits.Message do
  @moduledoc false
  # Who sent the message that a callback was handling when its process ended.

  alias ElixirScope.{Call, Event, Recording}
  alias ElixirScope.Query.{Processes, Server}

  # Deliveries and sends that are looked at for the message.
  @most 2_000
  # A message may wait so long in a mailbox that is looked through.
  @waits 60_000_000_000

  @doc """
  The sender, or `nil`; with the time and the number of an event in it before which it was sending.
  """
  @spec sender(Recording.t(), pid, Call.t(), {atom, term, pid | nil}) ::
          {pid | nil, {non_neg_integer, non_neg_integer} | nil}
  def sender(_recording, _pid, call, {:call, _message, from}) when is_pid(from),
    do: {from, {call.started, call.id}}

  def sender(recording, pid, call, {kind, message, _from}) do
    {:ok, process} = Server.numbers(pid)
    sent = on_the_way(kind, message)

    recording
    |> Processes.newest(["receive"], [process], max(call.started - @waits, 0), call.started)
    |> Stream.take(@most)
    |> Enum.find(&match?(%Event{data: %{message: ^sent}}, &1))
    |> case do
      %Event{data: %{from: from}} = event when is_pid(from) -> {from, sent(recording, from, event)}
      %Event{data: %{digest: digest}} = event -> unnamed(recording, pid, event, digest)
      nil -> {nil, nil}
    end
  end

  defp on_the_way(:cast, message), do: {:"$gen_cast", message}
  defp on_the_way(_kind, message), do: message

  defp sent(recording, from, %Event{data: %{digest: digest}} = event) when node(from) == node() do
    {:ok, process} = Server.numbers(from)

    case send_of(recording, [process], digest, event) do
      nil -> {event.time, event.id}
      send -> {send.time, send.id}
    end
  end

  defp sent(_recording, _from_another_node, event), do: {event.time, event.id}

  # Before OTP 27 a delivery does not say whom it is from. Where one process alone sent that message it was that one.
  defp unnamed(recording, pid, event, digest) do
    sends =
      recording
      |> Processes.newest(["send"], nil, max(event.time - @waits, 0), event.time)
      |> Stream.take(@most)
      |> Enum.filter(&match?(%Event{data: %{digest: ^digest}}, &1))
      |> Enum.filter(&to?(&1, pid))

    case Enum.uniq_by(sends, & &1.pid) do
      [only] -> {only.pid, {hd(sends).time, hd(sends).id}}
      _none_or_several -> {nil, nil}
    end
  end

  # Whom a name or an alias leads to is not looked up: the message is the same.
  defp to?(%Event{data: %{to: to}}, pid), do: not is_pid(to) or to == pid

  defp send_of(recording, processes, digest, event) do
    recording
    |> Processes.newest(["send"], processes, max(event.time - @waits, 0), event.time)
    |> Stream.take(@most)
    |> Enum.find(&match?(%Event{data: %{digest: ^digest}}, &1))
  end
end
