defmodule ElixirScope.Query.Causality do
  @moduledoc false
  # What happened before what, and by which way. `ElixirScope.Query.Causality.Search` searches, `Causality.Steps` knows what is next to an
  # event; here questions are checked and answers made.

  alias ElixirScope.{Call, Causes, Change, Cursor, Error, Event, Log, Message, Query, Span}
  alias ElixirScope.Query.{Causality, Gaps, Past, Stack}

  @type place :: Event.t() | Call.t() | Message.t() | Cursor.t() | Change.t() | Log.t() | Span.t()

  @limit 100

  @doc "See `ElixirScope.causes/2` and `ElixirScope.effects/2`."
  @spec around(place, :causes | :effects, keyword) :: {:ok, Causes.t()} | {:error, Error.t()}
  def around(place, direction, options) do
    with :ok <- Query.check(options, [:in, :limit]),
         {:ok, limit} <- limit(options),
         {:ok, past} <- past([place], options),
         {:ok, event} <- event(past, place, if(direction == :causes, do: :cause, else: :effect)),
         {:ok, steps} <- Causality.Steps.of(past, event, direction) do
      {steps, more} = steps |> Enum.take(limit + 1) |> Enum.split(limit)
      unknown = unknown(past, [event.time | for(step <- steps, do: step.event.time)])
      {:ok, %Causes{event: event, direction: direction, steps: steps, more: more != [], unknown: unknown}}
    end
  end

  defp limit(options) do
    case Keyword.get(options, :limit, @limit) do
      :infinity -> {:ok, 1_000_000}
      _number -> Query.limit(Keyword.put_new(options, :limit, @limit))
    end
  end

  defp unknown(past, times) do
    case past.gaps.(Enum.min(times), Enum.max(times)) do
      [] -> nil
      gaps -> "events are missing #{Gaps.text(gaps)}: there may be others"
    end
  end

  @doc "See `ElixirScope.causal_path/3`."
  @spec path(place, place, keyword) :: {:ok, Causes.Way.t()} | {:error, Error.t()}
  def path(from, to, options) do
    with {:ok, past, from, to} <- both(from, to, options),
         {:ok, answer} <- search(past, from, to) do
      found(past, from, to, answer)
    end
  end

  defp found(past, from, to, {:before, edges}) do
    {:ok, %Causes.Way{from: from, to: to, steps: Causality.Steps.path(past, from, to, edges)}}
  end

  defp found(_past, from, to, :not_before) do
    Error.new(
      :not_before,
      "nothing leads from event #{from.id} of #{inspect(from.pid)} to event #{to.id} of #{inspect(to.pid)}: no message, spawn or exit, " <>
        "directly or over others. ElixirScope.causal_path(b, a) asks the other way round, ElixirScope.concurrent?(a, b) both"
    )
  end

  defp found(_past, from, to, {:unknown, why}) do
    Error.new(
      :lost,
      "whether event #{from.id} of #{inspect(from.pid)} led to event #{to.id} of #{inspect(to.pid)} is unknown: #{words(why)}"
    )
  end

  defp words({:gaps, gaps}),
    do: "no way is recorded, but events are missing #{Gaps.text(gaps)}, and a message may be among them"

  defp words({:messages, [%Message{sent: nil, delivered: nil, to: pid} | _]}),
    do: "messages to #{inspect(pid)} are not recorded; ElixirScope.watch(:all) has them told from then on"

  defp words({:messages, [%Message{content: content, to: pid} | _]}) do
    "no way is recorded, but #{inspect(content, limit: 5, printable_limit: 50)} came to #{inspect(pid)} from a process that was not " <>
      "watched, or whose messages cannot be told apart"
  end

  @doc "See `ElixirScope.happened_before?/3`."
  @spec before?(place, place, keyword) :: {:ok, boolean | :unknown} | {:error, Error.t()}
  def before?(from, to, options) do
    with {:ok, past, from, to} <- both(from, to, options), do: before(past, from, to)
  end

  @doc "Whether one event of a recording happened before another."
  @spec before(Past.t(), Event.t(), Event.t()) :: {:ok, boolean | :unknown} | {:error, Error.t()}
  def before(past, from, to) do
    with {:ok, answer} <- search(past, from, to) do
      case answer do
        {:before, _edges} -> {:ok, true}
        :not_before -> {:ok, false}
        {:unknown, _why} -> {:ok, :unknown}
      end
    end
  end

  @doc "See `ElixirScope.concurrent?/3`."
  @spec concurrent?(place, place, keyword) :: {:ok, boolean | :unknown} | {:error, Error.t()}
  def concurrent?(one, other, options) do
    with {:ok, past, one_before, other_after} <- both(one, other, options),
         {:ok, _past, other_before, one_after} <- both(other, one, options),
         {:ok, there} <- before(past, one_before, other_after),
         {:ok, back} <- before(past, other_before, one_after) do
      same? = one_before.id == other_before.id
      {:ok, neither(same? or there, back)}
    end
  end

  defp neither(there, back) when there == true or back == true, do: false
  defp neither(there, back) when there == :unknown or back == :unknown, do: :unknown
  defp neither(_there, _back), do: true

  defp both(from, to, options) do
    with :ok <- Query.check(options, [:in]),
         {:ok, past} <- past([from, to], options),
         {:ok, from} <- event(past, from, :effect),
         {:ok, to} <- event(past, to, :cause) do
      {:ok, past, from, to}
    end
  end

  defp search(past, from, to), do: Causality.Search.run(past, from, to, named?(past))

  @doc "Whether deliveries say whom they are from: since OTP 27."
  @spec named?(Past.t()) :: boolean
  def named?(%Past{recording: recording}) do
    with {:ok, %{vm: vm}} <- Query.status(in: recording),
         [_, otp] <- Regex.run(~r/OTP (\d+)/, vm) do
      String.to_integer(otp) >= 27
    else
      _unknown -> false
    end
  end

  # A cursor knows its recording.
  defp past(places, options) do
    cursor = Enum.find(places, &is_struct(&1, Cursor))
    options = if cursor, do: Keyword.put_new(options, :in, cursor.recording), else: options
    with {:ok, recording} <- Query.recording(Keyword.take(options, [:in])), do: {:ok, Past.of(recording)}
  end

  # Where something begins to have effects, or where its causes meet in it.
  defp event(past, %Event{id: id, time: time, pid: pid}, _role), do: known(past, id, time, pid)
  defp event(past, %Call{id: id, started: time, pid: pid}, _role), do: known(past, id, time, pid)

  defp event(past, %module{id: id, time: time, pid: pid}, _role) when module in [Change, Log, Span],
    do: known(past, id, time, pid)

  defp event(past, %Cursor{event: %Event{} = event}, role), do: event(past, event, role)

  defp event(past, %Message{sent: %{} = sent} = message, :effect),
    do: known(past, sent.id, sent.time, message.from)

  defp event(past, %Message{taken: %{} = taken} = message, _role),
    do: known(past, taken.id, taken.time, message.to)

  defp event(past, %Message{delivered: %{} = delivered} = message, _role),
    do: known(past, delivered.id, delivered.time, message.to)

  defp event(past, %Message{sent: %{} = sent} = message, _role),
    do: known(past, sent.id, sent.time, message.from)

  defp event(_past, other, _role) do
    Error.new(
      :bad_option,
      "expected something that happened in a process: an event, a call, a change, a message, a line of the log, a span, or a cursor that stands on an event; got: " <>
        inspect(other, limit: 5, printable_limit: 50)
    )
  end

  defp known(%Past{recording: recording}, id, time, pid) when is_integer(id) and is_pid(pid) do
    case Stack.event(recording, id) do
      %Event{time: ^time, pid: ^pid} = event ->
        {:ok, event}

      _another ->
        Error.new(
          :bad_time,
          "expected an event of #{inspect(recording)}, got one that is not in it; both must be of one recording, and `in:` names it"
        )
    end
  end

  defp known(_past, id, _time, nil) do
    Error.new(:bad_option, "expected an event of a process, got event #{inspect(id)}, which is of none")
  end
end
