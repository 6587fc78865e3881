defmodule ElixirScope.Query.Messages do
  @moduledoc false
  # Messages by filters. The native library pairs sends with deliveries (`native/query/src/messages.rs`); what took them is
  # found in `ElixirScope.Query.Takes`.

  alias ElixirScope.{Error, Event, Message, Native, Query, Recording}
  alias ElixirScope.Query.{Moment, Processes, Range, Server, Takes}

  @forever 0xFFFFFFFFFFFFFFFF
  # Events that the newest messages are looked for in, at first.
  @tried 256
  @filters [:in, :since, :until, :pid, :from, :to, :between, :kind, :matching, :outcome, :limit, :order]

  @doc """
  The messages that were sent, or delivered where the sending was not seen, between two times, in that order.

  `:from` and `:to` are pids, `:between` those that both ends must be of, `:pid` those of which one end must be. With
  `delivered: true` also those that were sent before and delivered within. The pairs depend on what was on the way, so they
  are made from the beginning of the recording on, about half a second for a million of their events; or from a place before `:since` that
  an earlier question has come to, whose answer is the same.
  """
  @spec list(Recording.t(), keyword) :: {:ok, [Message.t()]} | {:error, Error.t()}
  def list(recording, options \\ []) do
    with :ok <- watched(recording) do
      wanted = wanted(options)
      messages = recording.handle |> Native.messages(wanted) |> Enum.map(&Message.from_native/1)

      whole? =
        Enum.all?(
          [:since, :until, :from, :pid, :between, :limit],
          &(Keyword.get(options, &1) in [nil, :infinity])
        )

      {:ok, Takes.mark(recording, messages, whole?)}
    end
  end

  defp wanted(options) do
    between = options |> Keyword.get(:between) |> numbers()
    limit = Keyword.get(options, :limit) || :infinity

    %{
      since: Keyword.get(options, :since) || 0,
      until: Keyword.get(options, :until) || @forever,
      delivered: Keyword.get(options, :delivered, false),
      from: options |> Keyword.get(:from) |> numbers() |> both(between),
      to: options |> Keyword.get(:to) |> numbers() |> both(between),
      with: options |> Keyword.get(:pid) |> numbers(),
      limit: if(limit == :infinity, do: @forever, else: limit)
    }
  end

  # A process of another node makes no events.
  defp numbers(nil), do: nil
  defp numbers(pids), do: for(pid <- List.wrap(pids), {:ok, numbers} <- [Server.numbers(pid)], do: numbers)

  defp both(nil, others), do: others
  defp both(some, nil), do: some
  defp both(some, others), do: Enum.filter(some, &(&1 in others))

  @doc "An error where no message was recorded at all."
  @spec watched(Recording.t()) :: :ok | {:error, Error.t()}
  def watched(recording) do
    filter = %{kinds: ["send", "receive"], processes: nil, sites: nil, since: 0, until: @forever}

    case Native.events(recording.handle, filter, 0, 1) do
      {[_event], _next} -> :ok
      {[], _next} -> not_watched(recording)
    end
  end

  defp not_watched(recording) do
    missing =
      if Native.summary(recording.handle).gaps == [],
        do: "",
        else: "; events are missing too, see ElixirScope.status()"

    Error.new(
      :not_watched,
      "no message was recorded: the messages of no process were watched, or none was sent. Say ElixirScope.watch(server), or " <>
        "ElixirScope.watch(:all), and ask about what happens from then on" <> missing
    )
  end

  @doc "See `ElixirScope.messages/1`."
  @spec messages(keyword) :: {:ok, [Message.t()]} | {:error, Error.t()}
  def messages(filters) do
    with :ok <- Query.check(filters, @filters),
         {:ok, recording} <- Query.recording(filters),
         {:ok, chosen} <- choice(recording, filters),
         {:ok, limit} <- Query.limit(filters),
         {:ok, order} <- Query.order(filters),
         {:ok, wanted?} <- wanted?(filters),
         first = if(order == :oldest and not narrowed?(filters), do: limit, else: :infinity),
         {:ok, messages} <- found(recording, [limit: first] ++ chosen, wanted?, order, limit) do
      {:ok, messages |> ordered(order) |> limited(limit)}
    end
  end

  # Of the newest so many the oldest of as many events is tried as the beginning, and then earlier ones: what lies within is all
  # there is from then on, so what is enough is right.
  defp found(recording, chosen, wanted?, :newest, limit) when is_integer(limit),
    do: newest(recording, chosen, wanted?, limit, 4 * limit + @tried)

  defp found(recording, chosen, wanted?, _order, _limit) do
    with {:ok, messages} <- list(recording, chosen),
         :ok <- seen(recording, chosen, messages),
         do: filter(messages, wanted?)
  end

  defp newest(recording, chosen, wanted?, limit, tried) do
    since = since(recording, chosen, tried)
    whole? = since <= (chosen[:since] || 0)
    chosen_now = if whole?, do: chosen, else: Keyword.put(chosen, :since, since)

    with {:ok, messages} <- list(recording, chosen_now),
         :ok <- if(whole?, do: seen(recording, chosen, messages), else: :ok),
         {:ok, messages} <- filter(messages, wanted?) do
      if whole? or length(messages) >= limit,
        do: {:ok, messages},
        else: newest(recording, chosen, wanted?, limit, tried * 64)
    end
  end

  # When the last so many events of messages began; 0 when there are not so many.
  defp since(recording, chosen, tried) do
    until = chosen[:until] || @forever
    filter = %{kinds: ["send", "receive"], processes: ends(chosen), sites: nil, since: 0, until: until}
    Native.earliest(recording.handle, filter, tried) || 0
  end

  # Whose events messages may be made of.
  defp ends(chosen) do
    case for(key <- [:pid, :from, :to, :between], pids <- List.wrap(chosen[key]), do: pids) do
      [] -> nil
      pids -> numbers(pids)
    end
  end

  defp narrowed?(filters), do: Enum.any?([:kind, :matching, :outcome], &Keyword.has_key?(filters, &1))

  defp ordered(messages, :oldest), do: messages
  defp ordered(messages, :newest), do: Enum.reverse(messages)

  defp limited(messages, :infinity), do: messages
  defp limited(messages, limit), do: Enum.take(messages, limit)

  @doc "Times and processes of filters, as `list/2` takes them."
  @spec choice(Recording.t(), keyword) :: {:ok, keyword} | {:error, Error.t()}
  def choice(recording, filters) do
    with {:ok, since} <- bound(recording, filters, :since),
         {:ok, until} <- bound(recording, filters, :until),
         :ok <- Range.within(recording, %{since: since || 0, until: until || @forever}),
         :ok <- two(filters) do
      Enum.reduce_while([:pid, :from, :to, :between], {:ok, [since: since, until: until]}, fn key,
                                                                                              {:ok, chosen} ->
        case asked(recording, filters, key, until || @forever) do
          {:ok, pids} -> {:cont, {:ok, [{key, pids} | chosen]}}
          error -> {:halt, error}
        end
      end)
    end
  end

  defp two(filters) do
    case Keyword.fetch(filters, :between) do
      {:ok, [_, _ | _]} ->
        :ok

      :error ->
        :ok

      {:ok, other} ->
        Error.new(
          :bad_option,
          "expected :between to be a list of two servers or more, got: #{inspect(other)}"
        )
    end
  end

  @doc "The pids that an option names, or `nil` without it."
  @spec asked(Recording.t(), keyword, atom, non_neg_integer) :: {:ok, [pid] | nil} | {:error, Error.t()}
  def asked(recording, options, key, time) do
    case Keyword.fetch(options, key) do
      :error ->
        {:ok, nil}

      {:ok, none} when none in [nil, []] ->
        Error.new(
          :bad_option,
          "expected #{inspect(key)} to be a server or a list of some, got: #{inspect(none)}"
        )

      {:ok, servers} ->
        pids(recording, servers, time)
    end
  end

  # Where nothing could have been seen, none is no answer: of processes that are asked for, some must have been watched.
  defp seen(recording, chosen, []) do
    asked = for key <- [:pid, :from, :to, :between], pids = chosen[key], do: pids

    case Enum.find(asked, fn pids -> not Enum.any?(pids, &may_be_seen?(recording, &1)) end) do
      nil ->
        :ok

      [pid | _] ->
        Error.new(
          :not_watched,
          "no message from or to #{inspect(pid)} was recorded, and its messages were not watched. Say ElixirScope.watch(#{inspect(pid)}), and ask " <>
            "about what happens from then on"
        )
    end
  end

  defp seen(_recording, _chosen, _messages), do: :ok

  # A process that was made while others were watched may have been watched too, and said nothing.
  defp may_be_seen?(recording, pid) do
    with {:ok, process} <- Server.numbers(pid) do
      filter = &%{kinds: &1, processes: [process], sites: nil, since: 0, until: @forever}
      told = filter.(["send", "receive", "spawned"])

      match?({[_event], _next}, Native.events(recording.handle, told, 0, 1)) or
        recording.handle
        |> Native.events(filter.(["process"]), 0, @forever)
        |> elem(0)
        |> Enum.any?(&match?(%Event{data: %{watched: _}}, Event.from_native(&1)))
    else
      _of_another_node -> false
    end
  end

  defp bound(recording, filters, key) do
    case Keyword.fetch(filters, key) do
      {:ok, time} -> Moment.find(recording, time)
      :error -> {:ok, nil}
    end
  end

  @doc "The pids of one server, or a list."
  @spec pids(Recording.t(), nil | Server.t() | [Server.t()], non_neg_integer) ::
          {:ok, [pid] | nil} | {:error, Error.t()}
  def pids(_recording, nil, _time), do: {:ok, nil}

  def pids(recording, servers, time) do
    servers
    |> Query.several()
    |> Enum.reduce_while({:ok, []}, fn server, {:ok, pids} ->
      case pid(recording, server, time) do
        {:ok, pid} -> {:cont, {:ok, Enum.uniq(pids ++ [pid | holders(recording, server, time)])}}
        error -> {:halt, error}
      end
    end)
  end

  # A server that was restarted has its name from then on: its messages are those of both.
  defp holders(recording, name, time) when is_atom(name), do: Processes.holders(recording, name, time)
  defp holders(_recording, _server, _time), do: []

  # One that is not watched makes no event, and is sent messages.
  defp pid(_recording, pid, _time) when is_pid(pid), do: {:ok, pid}

  defp pid(recording, server, time) do
    with {:ok, {id, serial}} <- Server.find(recording, server, time),
         do: {:ok, :erlang.list_to_pid(~c"<0.#{id}.#{serial}>")}
  end

  defp wanted?(filters) do
    with {:ok, kinds} <- among(filters, :kind, Message.kinds()),
         {:ok, outcomes} <- among(filters, :outcome, Message.outcomes()),
         {:ok, matching} <- matching(Keyword.get(filters, :matching, fn _content -> true end)) do
      {:ok,
       fn message -> message.kind in kinds and message.outcome in outcomes and matching.(message.content) end}
    end
  end

  defp among(filters, key, all) do
    given = filters |> Keyword.get(key, all) |> Query.several()

    case Enum.reject(given, &(&1 in all)) do
      [] ->
        {:ok, given}

      [other | _] ->
        Error.new(
          :bad_option,
          "expected #{inspect(key)} to be one or a list of #{Enum.map_join(all, ", ", &inspect/1)}, got: #{inspect(other)}"
        )
    end
  end

  defp matching(function) when is_function(function, 1), do: {:ok, function}

  defp matching(other) do
    Error.new(
      :bad_option,
      "expected :matching to be a function of what a message holds (its content, not the %ElixirScope.Message{}) such as " <>
        "fn {:order, _} -> true end, got: #{inspect(other)}"
    )
  end

  # A function whose clauses are patterns says no to what they do not match.
  defp filter(messages, wanted?) do
    {:ok, Enum.filter(messages, &asked(wanted?, &1))}
  catch
    {__MODULE__, message, exception} ->
      Error.new(
        :bad_predicate,
        "the function of :matching failed with #{ElixirScope.Text.exception(:error, exception)} for what a message holds (it is not " <>
          "given the %ElixirScope.Message{}): #{ElixirScope.Text.short(message.content)}"
      )
  end

  defp asked(wanted?, message) do
    wanted?.(message)
  rescue
    _error in FunctionClauseError -> false
    error -> throw({__MODULE__, message, error})
  end
end
