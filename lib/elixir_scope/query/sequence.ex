defmodule ElixirScope.Query.Sequence do
  @moduledoc false
  # A sequence of some processes in a time. Which processes have a column, where nobody says it, is decided by how many messages each
  # had a part in.

  alias ElixirScope.{Error, Event, Events, Message, Query, Recording, Sequence, Text}
  alias ElixirScope.Query.Messages

  @options [:in, :since, :until, :pid, :columns]
  @forever 0xFFFFFFFFFFFFFFFF
  @columns 6

  @doc "See `ElixirScope.sequence/1`."
  @spec sequence(keyword) :: {:ok, Sequence.t()} | {:error, Error.t()}
  def sequence(options) do
    with :ok <- Query.check(options, @options),
         {:ok, columns} <- columns(options),
         {:ok, recording} <- Query.recording(options),
         {:ok, chosen} <- Messages.choice(recording, Keyword.take(options, [:since, :until])),
         {:ok, asked} <- Messages.asked(recording, options, :pid, chosen[:until] || @forever),
         {:ok, messages} <- Messages.list(recording, [delivered: true, pid: asked] ++ chosen) do
      {pids, left_out} = cast(messages, asked, columns)
      steps = Enum.sort_by(messages(messages, pids) ++ life(recording, pids, chosen), &elem(&1, 0))
      {:ok, made(recording, pids, left_out, steps, chosen)}
    end
  end

  @doc """
  The sequence of some processes between two times, of messages that were put together already.
  """
  @spec of(Recording.t(), [pid], [Message.t()], [{:since | :until, non_neg_integer}]) :: Sequence.t()
  def of(recording, pids, messages, chosen) do
    {pids, left_out} = cast(messages, pids, @columns)
    steps = Enum.sort_by(messages(messages, pids) ++ life(recording, pids, chosen), &elem(&1, 0))
    made(recording, pids, left_out, steps, chosen)
  end

  defp made(recording, pids, left_out, steps, chosen) do
    time = chosen[:until]
    names = Map.new(pids ++ others(steps, pids), &{&1, Text.process(recording, &1, time)})

    %Sequence{
      processes: pids,
      left_out: left_out,
      steps: steps,
      since: chosen[:since],
      until: chosen[:until],
      names: names
    }
  end

  defp others(steps, pids), do: for({_time, {:spawn, _parent, child}} <- steps, child not in pids, do: child)

  defp columns(options) do
    case Keyword.get(options, :columns, @columns) do
      columns when is_integer(columns) and columns in 1..100 ->
        {:ok, columns}

      other ->
        Error.new(
          :bad_option,
          "expected :columns to be a number of processes between 1 and 100, got: #{inspect(other)}"
        )
    end
  end

  @doc """
  The processes that have columns, in the order in which they first took part, and those that have none with the number of their
  messages. `asked`: those that must have one, or `nil`.
  """
  @spec cast([Message.t()], [pid] | nil, pos_integer) :: {[pid], [{pid, pos_integer}]}
  def cast(messages, asked, columns) do
    parts = for message <- messages, pid <- Enum.uniq([message.from, message.to]), is_pid(pid), do: pid
    active = parts |> Enum.frequencies() |> Enum.sort_by(fn {pid, count} -> {-count, pid} end)

    {chosen, others} =
      if asked, do: Enum.split_with(active, &(elem(&1, 0) in asked)), else: Enum.split(active, columns)

    pids = asked || Enum.map(chosen, &elem(&1, 0))
    {Enum.sort_by(Enum.uniq(pids), &Enum.find_index(parts, fn pid -> pid == &1 end)), others}
  end

  # What nobody is known to have sent has one end.
  defp messages(messages, pids) do
    for message <- messages,
        message.to in pids and (message.from == nil or message.from in pids),
        do: {Message.time(message), {:message, message}}
  end

  defp life(recording, pids, chosen) do
    span = for {key, time} <- Keyword.take(chosen, [:since, :until]), time != nil, do: {key, time}

    case Query.filter(recording, [kind: [:spawn, :exit], pid: pids] ++ span) do
      {:ok, filter} ->
        %Events{recording: recording, filter: filter, limit: :infinity} |> Enum.flat_map(&step/1)

      {:error, _none} ->
        []
    end
  end

  defp step(%Event{kind: :spawn, data: %{child: child}} = event),
    do: [{event.time, {:spawn, event.pid, child}}]

  defp step(%Event{kind: :exit, data: %{reason: reason}} = event),
    do: [{event.time, {:exit, event.pid, reason}}]

  defp step(_event), do: []
end
