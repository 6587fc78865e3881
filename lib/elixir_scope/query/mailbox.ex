defmodule ElixirScope.Query.Mailbox do
  @moduledoc false
  # What lay in a mailbox at a moment: what had come by then and was not taken by then. A message comes when it is sent: within one
  # VM it lies with its receiver at once, and is delivered, as the VM tells it, when the receiver looks.

  alias ElixirScope.{Error, Event, Mailbox, Message, Native, Query, Recording, Text}
  alias ElixirScope.Query.{Gaps, Messages, Moment, Server, Takes}

  @forever 0xFFFFFFFFFFFFFFFF
  # Where the takings are not seen, so many of the last are shown.
  @shown 1_000
  # A moment this close to that of the question is now.
  @now 100_000_000

  @doc "See `ElixirScope.mailbox/3`."
  @spec mailbox(Server.t(), Moment.t(), keyword) :: {:ok, Mailbox.t()} | {:error, Error.t()}
  def mailbox(server, time, options) do
    asked = Native.now()

    with :ok <- Query.check(options, [:in]),
         {:ok, recording} <- Query.recording(options),
         {:ok, time} <- Moment.find(recording, time),
         :ok <- Query.within(recording, time),
         {:ok, {id, serial} = process} <- find(recording, server, time),
         :ok <- Messages.watched(recording),
         pid = :erlang.list_to_pid(~c"<0.#{id}.#{serial}>"),
         messages = Takes.to(recording, pid),
         takes = Takes.takes(recording, pid),
         {:ok, began, since} <- began(recording, process, pid, messages, time) do
      marked = recording |> Takes.mark(messages, true) |> Enum.filter(&(Message.time(&1) >= since))
      seen? = takes != [] or waits?(recording, process)
      found = at(marked, takes, began, gaps(recording, began, time), time, seen?)
      actual = actual(recording, pid, time >= asked - @now)
      moved? = moved?(marked, takes, time) and not unseen?(marked, time)
      found = if moved?, do: found, else: compared(found, actual)
      {:ok, %{found | pid: pid, name: Text.process(recording, pid, time), time: time, actual: actual}}
    end
  end

  # Of a process that lives and of which nothing is recorded, messages are what is wanted.
  defp find(recording, server, time) do
    with {:error, %Error{reason: :not_instrumented}} <- Server.find(recording, server, time) do
      Error.new(
        :not_watched,
        "no message of #{inspect(server)} was recorded: it is not watched. Say ElixirScope.watch(#{inspect(server)}), and ask about " <>
          "a time from then on"
      )
    end
  end

  # An instrumented `receive` that waits would say what it takes.
  defp waits?(recording, process) do
    filter = %{kinds: ["wait"], processes: [process], sites: nil, since: 0, until: @forever}
    match?({[_event], _next}, Native.events(recording.handle, filter, 0, 1))
  end

  # Whether anything came or went after the moment: then the length that the VM says later may be another one.
  defp moved?(messages, takes, time) do
    Enum.any?(takes, fn {_id, at, _content, _how} -> at > time end) or
      Enum.any?(messages, fn message ->
        Enum.any?([message.sent, message.delivered, message.taken], &(&1 != nil and &1.time > time))
      end)
  end

  # What was looked at after the moment, and nobody saw being sent, may have lain there before; not so what came behind a message that
  # was sent after the moment.
  defp unseen?(messages, time) do
    later = for %Message{sent: %{time: sent}, delivered: %{id: id}} <- messages, sent > time, do: id
    first = Enum.min(later, fn -> @forever end)

    Enum.any?(
      messages,
      &match?(%Message{sent: nil, delivered: %{id: id, time: at}} when at > time and id < first, &1)
    )
  end

  defp compared(%Mailbox{length: length} = mailbox, actual)
       when not is_integer(length) or actual in [nil, length],
       do: mailbox

  defp compared(%Mailbox{length: length} = mailbox, actual) do
    why =
      "#{length} are known, and the VM says #{actual}: what processes that are not watched, timers or the VM have sent is recorded when the " <>
        "process looks at it, and what OTP or code that is not instrumented takes is not recorded"

    %{mailbox | length: :unknown, why: why}
  end

  @doc """
  The mailbox by what was delivered to a process, with what took it, by its takings, and by when it began to be watched with how many
  messages in it; `gaps` are those since. `seen?`: what it takes is seen.
  """
  @spec at([Message.t()], [Takes.take()], {non_neg_integer, non_neg_integer}, list, non_neg_integer, boolean) ::
          Mailbox.t()
  def at(messages, takes, {began, before}, gaps, time, seen? \\ false) do
    takes = Enum.filter(takes, fn {_id, at, _content, _how} -> at <= time end)
    through = through(messages, takes)
    here = Enum.filter(messages, &(lies?(&1, time) and not gone?(&1, through, time)))

    # Takings of what had been there before.
    known = MapSet.new(for %Message{taken: %{id: id}} <- messages, do: id)
    gone = Enum.count(takes, fn {id, at, _content, _how} -> at >= began and id not in known end)
    # Of what lay there when it began the messages may be known: it was watched before.
    lay = Enum.count(messages, &(Message.time(&1) < began and lies?(&1, began)))
    older = if through > 0, do: 0, else: max(before - gone - lay, 0)
    doubtful = doubtful(messages, time)

    case why(seen? or takes != [], here, older, gaps, doubtful) do
      nil -> %Mailbox{length: length(here) + older, messages: here, older: older}
      why -> %Mailbox{length: :unknown, messages: Enum.take(here, -@shown), older: older, why: why}
    end
  end

  # How many were sent of which nobody knows whether they came, beyond those that came and nobody knows which these are. What a
  # process had sent before something else of it came is not there any more, or was counted as what came.
  defp doubtful(messages, time) do
    came = for %Message{delivered: %{time: at}} = message <- messages, at <= time, do: message

    last =
      for %Message{sent: %{id: id}, from: from} <- came, reduce: %{} do
        last -> Map.update(last, from, id, &max(&1, id))
      end

    unpaired = for %Message{sent: nil, outcome: :unknown, content: content} <- came, do: content

    sent =
      for %Message{outcome: :unknown, delivered: nil, sent: %{id: id, time: at}} = message <- messages,
          at <= time and id > Map.get(last, message.from, -1),
          do: message.content

    length(sent -- unpaired)
  end

  # What `Process.info/2` asks of another process comes back like this, from nobody, and is taken at once.
  @items [:parent, :links, :dictionary, :registered_name, :initial_call, :message_queue_len] ++
           [:status, :memory, :messages, :monitors, :reductions, :current_function, :current_stacktrace]

  defp lies?(%Message{sent: nil, from: nil, content: {ref, {item, _}}}, _time)
       when is_reference(ref) and item in @items,
       do: false

  # Of a message whose delivery is not known nobody knows when it went.
  defp lies?(%Message{outcome: outcome, delivered: nil}, _time) when outcome in [:unwatched, :unknown],
    do: false

  defp lies?(%Message{outcome: :nobody, kind: :reply}, _time), do: false

  defp lies?(%Message{taken: taken} = message, time),
    do: Message.time(message) <= time and (taken == nil or taken.time > time)

  defp gone?(%Message{kind: :reply}, _through, _time), do: false
  defp gone?(%Message{delivered: %{id: id, time: at}}, through, time), do: at <= time and id <= through
  defp gone?(_message, _through, _time), do: false

  # A server takes messages in their order; those of the system, which no callback is given, go on the way. The answer is the number
  # of the last delivery that is known to be gone.
  defp through(messages, takes) do
    callbacks = MapSet.new(for {id, _at, _content, :callback} <- takes, do: id)
    gone = for %Message{taken: %{id: id}} = message <- messages, id in callbacks, do: message.delivered.id
    Enum.max(gone, fn -> 0 end)
  end

  defp why(_seen?, _here, _older, [gap | _] = gaps, _doubtful) when is_map(gap),
    do: "events are missing #{Gaps.text(gaps)}: deliveries or takings may be among them"

  defp why(_seen?, _here, _older, [], doubtful) when doubtful > 0,
    do: "of #{doubtful} that were sent nobody knows whether they came"

  defp why(false, here, older, [], _doubtful) when here != [] or older > 0 do
    "nothing is known that took a message out of it: its module is not instrumented, or it has taken none since it is watched. " <>
      "ElixirScope.instrument/2 or `use ElixirScope` record what its callbacks and `receive`s take"
  end

  defp why(_seen?, _here, _older, [], _doubtful), do: nil

  # When it was known how many there were and how many, and since when those are told that came before.
  defp began(recording, process, pid, messages, time) do
    case {introduced(recording, process, time), Enum.filter(messages, & &1.delivered)} do
      {{:unwatched, since}, _delivered} -> dismissed(pid, since)
      {{began, before, since}, _delivered} -> {:ok, {began, before}, since}
      {nil, [first | _]} -> {:ok, {first.delivered.time, 0}, 0}
      {nil, []} -> silent(recording, process, pid)
    end
  end

  defp dismissed(pid, since) do
    Error.new(
      :not_watched,
      "the messages of #{inspect(pid)} are not recorded since #{Moment.format(since)} (#{since}), when ElixirScope.unwatch/1 was called. " <>
        "Ask about a time before, or say ElixirScope.watch(#{inspect(pid)}) and ask about one from then on"
    )
  end

  # The last introduction by then that says how many messages there were. What was told before the process was not watched for a
  # while may have been taken in that while.
  defp introduced(recording, process, time) do
    filter = %{kinds: ["process"], processes: [process], sites: nil, since: 0, until: time}
    {events, _next} = Native.events(recording.handle, filter, 0, @forever)

    Enum.reduce(events, {nil, 0}, fn event, {last, since} ->
      case Event.from_native(event) do
        %Event{data: %{unwatched: since}} ->
          {{:unwatched, since}, :again}

        %Event{time: began, data: %{watched: watched, messages: before}} when is_integer(before) ->
          since = if since == :again, do: watched, else: since
          {{began, before, since}, since}

        _other ->
          {last, since}
      end
    end)
    |> elem(0)
  end

  # One that was never delivered anything but has sent is watched.
  defp silent(recording, process, pid) do
    filter = %{kinds: ["send"], processes: [process], sites: nil, since: 0, until: @forever}

    case Native.events(recording.handle, filter, 0, 1) do
      {[event], _next} ->
        {:ok, {elem(event, 1), 0}, 0}

      {[], _next} ->
        Error.new(
          :not_watched,
          "no message of #{inspect(pid)} was recorded: its messages were not watched, or there were none. Say " <>
            "ElixirScope.watch(#{inspect(pid)}), and ask about a time from then on"
        )
    end
  end

  defp gaps(recording, {began, _before}, time) do
    {:ok, gaps} = Gaps.all(recording)
    Gaps.touching(gaps, began, time)
  end

  defp actual(%Recording{live?: true}, pid, true) do
    case Process.info(pid, :message_queue_len) do
      {:message_queue_len, length} -> length
      nil -> nil
    end
  end

  defp actual(_recording, _pid, _now?), do: nil
end
