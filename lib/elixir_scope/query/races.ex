defmodule ElixirScope.Query.Races do
  @moduledoc false
  # Lost updates: a client reads, another one writes, and the first, which does not know of that, writes over it.

  alias ElixirScope.{Cut, Difference, Error, Event, Message, Native, Path, Query, Race, Text}
  alias ElixirScope.Query.{Causality, Gaps, Past, Races, Server, Stack, States, Term}
  alias ElixirScope.Race.{Exchange, Side}

  @latest 0x7FFFFFFFFFFFFFFF
  @forever 0xFFFFFFFFFFFFFFFF

  @doc "See `ElixirScope.races/2`."
  @spec list(Server.t(), keyword) :: {:ok, [Race.t()]} | {:error, Error.t()}
  def list(server, options) do
    with :ok <- Query.check(options, [:since, :until, :limit, :stale, :in]),
         {:ok, stale?} <- stale(options),
         {:ok, limit} <- Query.limit(options),
         {:ok, recording} <- Query.recording(options),
         {:ok, since} <- Query.History.bound(options, :since, 0),
         {:ok, until} <- Query.History.bound(options, :until, @latest),
         {:ok, process} <- Server.find(recording, server, until),
         {:ok, pid} <- Query.History.pid(recording, process, server),
         past = Past.of(recording),
         {:ok, conversations} <- conversations(past, process, pid, since, until) do
      found = races(past, pid, conversations, stale?) |> Stream.concat() |> take(limit)
      {:ok, found ++ nobody_knows_who(pid, conversations) ++ unknown(past, pid, since, until)}
    end
  end

  defp take(races, :infinity), do: Enum.to_list(races)
  defp take(races, limit), do: Enum.take(races, limit)

  defp stale(options) do
    case Keyword.get(options, :stale, false) do
      stale? when is_boolean(stale?) -> {:ok, stale?}
      other -> Error.new(:bad_option, "expected stale: to be true or false, got: #{inspect(other)}")
    end
  end

  defp conversations(past, process, pid, since, until) do
    with {:ok, messages} <- past.messages.(to: [pid]) do
      messages = Enum.filter(messages, &(time(&1) >= since and time(&1) <= until))
      states = past.recording |> States.stream(process, since, until, :oldest) |> Enum.to_list()
      earlier = past |> Past.prev(pid, [:state], Past.forever(), until: max(since - 1, 0)) |> Enum.take(1)

      case Races.Conversations.of(messages, answers(past, process), Enum.uniq_by(earlier ++ states, & &1.id)) do
        [] ->
          if Enum.any?(messages, &(&1.to == pid and &1.delivered != nil)),
            do: {:ok, []},
            else: not_watched(pid)

        found ->
          {:ok, found}
      end
    end
  end

  # What is done to the state is done when a message is taken.
  defp time(%Message{taken: %{time: time}}), do: time
  defp time(message), do: Message.time(message)

  # What took them is of no interest, and would be looked for in each client.
  defp answers(past, process) do
    wanted = %{
      since: 0,
      until: @forever,
      delivered: false,
      from: [process],
      to: nil,
      with: nil,
      limit: @forever
    }

    past.recording.handle |> Native.messages(wanted) |> Enum.map(&Message.from_native/1)
  end

  defp not_watched(pid) do
    Error.new(
      :not_watched,
      "no message to #{inspect(pid)} was recorded in that time, so nobody knows who asked it; have the VM tell of it and its clients: " <>
        "ElixirScope.watch(:all)"
    )
  end

  # Before OTP 27 nobody says whom a cast is from, unless that is watched.
  defp nobody_knows_who(pid, conversations) do
    case Enum.count(conversations, &(&1.client == nil and &1.kind == :cast and &1.written != nil)) do
      0 ->
        []

      count ->
        lost =
          "#{count} casts to #{inspect(pid)} came from processes that are not watched, and changed its state: these may be part of some; " <>
            "ElixirScope.watch(:all) has them told from then on"

        [%Race{kind: :unknown, server: pid, lost: lost}]
    end
  end

  defp unknown(past, pid, since, until) do
    case Enum.reject(past.gaps.(since, until), &(&1.cause == :removed)) do
      [] ->
        []

      gaps ->
        lost = "events are missing #{Gaps.text(gaps)}: there may have been others"
        [%Race{kind: :unknown, server: pid, gaps: gaps, lost: lost}]
    end
  end

  # Each write is held against those that came between it and what its client had read before.
  defp races(past, pid, conversations, stale?) do
    {races, _earlier} =
      Enum.map_reduce(conversations, [], fn conversation, earlier ->
        {against(past, pid, conversation, earlier, stale?), [conversation | earlier]}
      end)

    races
  end

  # Back to the last that the client was answered: of that and all before it knows.
  defp against(_past, _pid, %{client: nil}, _earlier, _stale?), do: []

  defp against(past, pid, write, earlier, stale?) do
    {between, from} = Enum.split_while(earlier, &(not answered?(&1, write)))

    for other <- Enum.reverse(between),
        other.written != nil and other.client not in [nil, write.client],
        entries = overwritten(other, write),
        entries != [],
        read = Enum.find(from, &read?(&1, write, entries)),
        race = race(past, pid, {other, write, read, entries}, {earlier, stale?}),
        race != nil,
        do: race
  end

  defp answered?(%{client: client, kind: :call} = conversation, %{client: client} = write) do
    if unheard?(conversation, write),
      do: is_integer(conversation.answered) and conversation.answered < write.delivered,
      else: is_integer(conversation.replied) and conversation.replied < write.sent.id
  end

  defp answered?(_conversation, _write), do: false

  # A client whose messages are not recorded. The server saw that it had answered before it was sent more; a client that calls sends
  # nothing until then.
  defp unheard?(_conversation, %{sent: nil}), do: true
  defp unheard?(conversation, _write), do: conversation.replied == nil and conversation.unheard

  # A read tells something of what is written over. `:ok` and the like say nothing.
  defp read?(conversation, write, entries) do
    answered?(conversation, write) and telling?(conversation, entries)
  end

  defp telling?(%{reply: {:ok, reply}} = conversation, entries) do
    cond do
      is_atom(reply) and reply not in [true, false, nil] ->
        Enum.any?(entries, &(value(conversation.state, &1) == {:ok, reply}))

      conversation.written == nil ->
        true

      true ->
        Enum.any?(entries, &same?(value(conversation.before, &1), reply)) or from_state?(conversation, reply)
    end
  end

  defp telling?(_conversation, _entries), do: false

  defp same?({:ok, value}, reply), do: Term.mentions?(reply, value)
  defp same?(_unknown, _reply), do: false

  defp from_state?(%{before: {:ok, before}}, reply), do: not is_atom(reply) and Term.mentions?(before, reply)
  defp from_state?(_conversation, _reply), do: false

  defp value({:ok, state}, {path, _kind, _old, _new}), do: Path.fetch(state, path)
  defp value(:none, _entry), do: :error

  # What a write did to what an earlier one had written, and nobody had since: entries of its difference. One that wrote the very
  # same value, made of the same old one, has changed nothing: it is known by its request, which is like the other one.
  defp overwritten(earlier, %{written: nil} = later) do
    for {path, kind, _, new} = entry <- earlier.written.difference.entries,
        kind in [:put, :changed],
        alike?(earlier.message, later.message),
        value(later.state, entry) == {:ok, new},
        brings(entry, later) == :value,
        do: {path, :changed, new, new}
  end

  defp overwritten(earlier, later) do
    for entry <- later.written.difference.entries,
        Enum.any?(earlier.written.difference.entries, &over?(&1, entry, earlier, later)),
        uniq: true,
        do: entry
  end

  defp over?({path, was, _, _} = before, {over, is, _, _}, earlier, later) do
    related?(path, over) and destroys?(was, is, path, over) and
      value(earlier.state, before) == value(later.before, before)
  end

  defp alike?(one, other) when is_tuple(one) and is_tuple(other),
    do: tuple_size(one) == tuple_size(other) and tuple_size(one) > 0 and elem(one, 0) == elem(other, 0)

  defp alike?(_one, _other), do: false

  defp related?(path, over), do: List.starts_with?(path, over) or List.starts_with?(over, path)

  # What is put beside it in a list destroys nothing; what is put where something was removed brings that back.
  defp destroys?(:removed, :put, path, path),
    do: not match?({kind, _} when kind in [:at, :queue], List.last(path))

  defp destroys?(:removed, _is, _path, _over), do: false
  defp destroys?(_was, is, _path, _over), do: is in [:changed, :removed, :unknown]

  defp race(past, pid, {other, write, read, entries}, {earlier, stale?}) do
    brings = Enum.map(entries, &brings(&1, write))

    cond do
      :value in brings -> ordered(past, pid, {other, write, read, entries}, earlier, :lost_update)
      :unknown in brings -> ordered(past, pid, {other, write, read, entries}, earlier, :unknown)
      stale? -> ordered(past, pid, {other, write, read, entries}, earlier, :stale_read)
      true -> nil
    end
  end

  # Whether the request holds what stands there afterwards, there or in what is around it.
  defp brings({path, _kind, _old, _new}, %{message: message, state: {:ok, state}}) do
    cond do
      Enum.any?(0..length(path), &holds?(message, state, Enum.take(path, &1))) -> :value
      Term.any?(message, &(is_struct(&1, Cut) or is_function(&1))) -> :unknown
      true -> :nothing
    end
  end

  defp holds?(message, state, path) do
    case Path.fetch(state, path) do
      {:ok, %Cut{}} -> false
      {:ok, value} -> Term.mentions?(message, value) or computed?(message, value)
      _none -> false
    end
  end

  # A function that brings a value along, as those for an Agent do.
  defp computed?(message, value) do
    Term.any?(message, fn part ->
      is_function(part) and part |> Term.environment() |> Term.mentions?(value)
    end)
  end

  # Whoever knew of the write before wrote over it on purpose.
  defp ordered(past, pid, {other, write, read, entries}, earlier, kind) do
    with %Event{} = sent <- write.sent && Stack.event(past.recording, write.sent.id),
         {:ok, known} when known != true <- Causality.before(past, other.written.event, sent) do
      gaps = past.gaps.(read.time, write.time)
      kind = if known == :unknown or gaps != [] or unheard?(read, write), do: :unknown, else: kind
      made(past, pid, {other, write, read, entries}, {earlier, kind, gaps})
    else
      nil -> made(past, pid, {other, write, read, entries}, {earlier, :unknown, []})
      _ordered -> nil
    end
  end

  defp made(past, pid, {other, write, read, entries}, {earlier, kind, gaps}) do
    paths = for {path, _, _, _} <- entries, do: path
    before = Enum.find(earlier, &(&1.id < other.id and read?(&1, other, entries)))

    %Race{
      kind: kind,
      server: pid,
      paths: paths,
      first: %Side{
        client: other.client,
        read: before && exchange(before, paths),
        write: exchange(other, paths)
      },
      second: %Side{
        client: write.client,
        read: exchange(read, paths),
        write: %{exchange(write, paths) | difference: %Difference{entries: entries}}
      },
      lost:
        lost(kind, Text.process(past.recording, other.client, other.time), read, entries) <>
          unheard(past, read, write),
      gaps: gaps
    }
  end

  defp exchange(conversation, [first | _] = paths) do
    entries = if conversation.written, do: conversation.written.difference.entries, else: []

    %Exchange{
      id: conversation.id,
      time: conversation.time,
      message: conversation.message,
      reply: with({:ok, reply} <- conversation.reply, do: reply) |> nothing(),
      sent: conversation.sent,
      value: value(conversation.before, {first, nil, nil, nil}),
      difference: %Difference{
        entries: Enum.filter(entries, fn {path, _, _, _} -> Enum.any?(paths, &related?(&1, path)) end)
      }
    }
  end

  defp nothing(:none), do: nil
  defp nothing(reply), do: reply

  defp lost(:stale_read, _who, _read, _entries), do: "nothing; but what was read was no more so"

  defp lost(_kind, who, read, [{path, _kind_of_entry, old, new} | _] = entries) do
    more = if length(entries) > 1, do: ", and #{length(entries) - 1} more", else: ""
    was = with {:ok, value} <- value(read.state, {path, nil, nil, nil}), do: ", made of #{short(value)}"
    was = if is_binary(was), do: was, else: ""

    "#{Path.format(path)}: #{short(old)} of #{who} was overwritten with #{short(new)}#{was}#{more}"
  end

  defp unheard(past, read, write) do
    if unheard?(read, write),
      do:
        "; the messages of #{Text.process(past.recording, write.client, write.time)} are not recorded, so it may have been told before " <>
          "it wrote: ElixirScope.watch(:all) has them told from then on",
      else: ""
  end

  defp short(term), do: inspect(term, limit: 5, printable_limit: 40)
end
