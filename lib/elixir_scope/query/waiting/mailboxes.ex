defmodule ElixirScope.Query.Waiting.Mailboxes do
  @moduledoc false
  # Mailboxes that grow: more is delivered than is taken.

  alias ElixirScope.{Error, Mailbox, Message, Native, Query}
  alias ElixirScope.Query.{Deadlocks, Past, Server}

  @at_least 100
  @forever 0xFFFFFFFFFFFFFFFF

  @doc "See `ElixirScope.growing_mailboxes/1`."
  @spec list(keyword) :: {:ok, [map]} | {:error, Error.t()}
  def list(options) do
    with :ok <- Query.check(options, [:since, :until, :at_least, :in]),
         {:ok, at_least} <- at_least(options),
         {:ok, recording} <- Query.recording(options),
         {started, last} = bounds(recording),
         {:ok, since} <- Query.History.bound(options, :since, started),
         {:ok, until} <- Query.History.bound(options, :until, last),
         :ok <- Deadlocks.watched(Past.of(recording), since, until) do
      span = {max(since, started), min(until, last)}

      with {:ok, pids} <- left(recording, busy(recording, span, at_least), span, at_least) do
        grown = for pid <- pids, found = grown(recording, pid, span), found.by >= at_least, do: found
        {:ok, Enum.sort_by(grown, & &1.by, :desc)}
      end
    end
  end

  defp at_least(options) do
    case Keyword.get(options, :at_least, @at_least) do
      number when is_integer(number) and number > 0 -> {:ok, number}
      other -> Error.new(:bad_option, "expected at_least: to be an integer from 1 on, got: #{inspect(other)}")
    end
  end

  defp bounds(recording) do
    {state, started, last} = Native.bounds(recording.handle)
    {started, if(recording.live? and state == :running, do: Native.now(), else: max(last, started))}
  end

  # Who was not sent or delivered so much cannot have grown by it. What is sent lies there before it is delivered, which a process
  # that is busy has not seen to.
  defp busy(recording, span, at_least),
    do: Enum.uniq(delivered(recording, span, at_least) ++ sent(recording, span, at_least))

  defp sent(recording, {since, until}, at_least) do
    sends = %{kinds: ["send"], processes: nil, sites: nil, since: since, until: until}

    if Native.count_events(recording.handle, sends) >= at_least do
      wanted = %{since: since, until: until, delivered: false, from: nil, to: nil, with: nil}
      pairs = Native.message_pairs(recording.handle, Map.put(wanted, :limit, @forever))

      counts =
        for {_from, to, count} <- pairs, is_pid(to), reduce: %{} do
          counts -> Map.update(counts, to, count, &(&1 + count))
        end

      for {pid, count} <- counts, count >= at_least, do: pid
    else
      []
    end
  end

  defp delivered(recording, {since, until}, at_least) do
    for process <- Native.processes(recording.handle),
        pid = elem(process, 0),
        elem(process, 3) >= at_least,
        {:ok, numbers} = Server.numbers(pid),
        filter = %{kinds: ["receive"], processes: [numbers], sites: nil, since: since, until: until},
        Native.count_events(recording.handle, filter) >= at_least,
        do: pid
  end

  # Of those, who is not known to have taken so much.
  defp left(_recording, [], _span, _at_least), do: {:ok, []}

  defp left(recording, pids, {since, until}, at_least) do
    with {:ok, messages} <- Query.Messages.list(recording, to: pids) do
      left =
        for message <- messages,
            message.delivered != nil or message.outcome == :pending,
            Message.time(message) in since..until//1,
            left?(message, until),
            do: message.to

      {:ok, for({pid, count} <- Enum.frequencies(left), count >= at_least, do: pid)}
    end
  end

  # An answer is taken by who waits for it.
  defp left?(%{kind: :reply}, _until), do: false
  defp left?(%{taken: nil}, _until), do: true
  defp left?(%{taken: %{time: time}}, until), do: time > until

  defp grown(recording, pid, {since, until}) do
    with {:ok, mailbox} <- Query.Mailbox.mailbox(pid, until, in: recording),
         to when is_integer(to) <- known(mailbox) || mailbox.actual do
      from = earlier(recording, pid, since)
      %{pid: pid, from: from, to: to, by: to - (from || 0), since: since, until: until}
    else
      _ended_or_unknown -> nil
    end
  end

  # It may not have been watched yet, or not have been there.
  defp earlier(recording, pid, since) do
    case Query.Mailbox.mailbox(pid, since, in: recording) do
      {:ok, mailbox} -> known(mailbox)
      _unknown -> nil
    end
  end

  defp known(%Mailbox{length: length}), do: if(is_integer(length), do: length)
end
