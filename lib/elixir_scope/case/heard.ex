defmodule ElixirScope.Case.Heard do
  @moduledoc false
  # Whether all messages of a test's time between two ends would have been recorded: they are told by either end, while that is watched.
  #
  # A process that is watched only from some time of the test on was not heard before. That leaves a question open where it was at work by then.
  # Recorded calls show that, and messages that were waiting for it; one of which no call is recorded at all may always have been.
  # Of the test's own process only recorded calls count: what else it did is in the test.

  alias ElixirScope.{Call, Event, Native, Text}
  alias ElixirScope.Case.{Living, Looker, Newborn, Scope}
  alias ElixirScope.Query.{Processes, Server}

  @forever 0xFFFFFFFFFFFFFFFF
  # Longer than that nobody looks, in milliseconds.
  @patience 60_000
  # Of a process so many of its calls are looked at.
  @looked 200
  @callbacks [:handle_call, :handle_cast, :handle_info, :handle_event]

  @typedoc "Processes at one end."
  @type ends :: [pid] | :any

  @typedoc "A time in which the messages of a process were not recorded, and the introduction that ends it."
  @type hole :: %{from: non_neg_integer, to: non_neg_integer, ended: Event.t() | nil}

  @doc """
  Why there may have been messages that were not recorded; `nil`: there were none. `{:never, pids}`: those of these processes are not recorded at
  all; `{:late, text}`: not all of the test's time.
  """
  @spec doubt(Scope.t(), ends, ends) :: nil | {:never, [pid]} | {:late, String.t()}
  def doubt(family, :any, :any), do: vouched(unheard(family, :any, :from))

  # Who is named is what the test can watch. For another end `_` only those vouch that are known, which are processes of the test: of one
  # that may itself be the test's the other end may be anybody.
  def doubt(family, from, :any), do: against_any(family, unheard(family, from, :from))
  def doubt(family, :any, to), do: against_any(family, unheard(family, to, :to))

  def doubt(family, from, to) do
    senders = unheard(family, from, :from)
    receivers = if senders == [], do: [], else: unheard(family, to, :to)
    if senders == [] or receivers == [], do: nil, else: because(senders ++ receivers)
  end

  defp against_any(_family, []), do: nil

  defp against_any(family, unheard) do
    if Enum.any?(unheard, &mine?(family, elem(&1, 0))) or unheard(family, :any, :from) != [],
      do: because(unheard)
  end

  defp vouched([]), do: nil
  defp vouched(unheard), do: because(unheard)

  # What a test makes is younger than its process; what it allows may have made others before.
  defp mine?(%{pids: pids, test: test}, pid) do
    pid in pids or
      (node(pid) == node() and (Scope.allowed() != [] or not Newborn.older?(pid, test)))
  end

  # What one end does not tell the other one could: a time is the nearer reason.
  defp because(unheard) do
    case for({pid, %{} = hole} <- unheard, do: {pid, hole}) do
      [] ->
        {:never, for({pid, :never} <- unheard, uniq: true, do: pid)}

      late ->
        {:late,
         late |> Enum.uniq_by(&elem(&1, 0)) |> Enum.take(3) |> Enum.map_join(", ", &late/1) |> advised()}
    end
  end

  @doc "Whether any message of a process was or could have been recorded."
  @spec ever?(Scope.t(), pid) :: boolean
  def ever?(family, pid), do: holes(family, pid) != :never

  @doc "Those of some processes whose messages were not recorded all the time, each with when."
  @spec silent(Scope.t(), [pid]) :: [[hole] | :never]
  def silent(family, pids), do: for(pid <- pids, holes = holes(family, pid), holes != [], do: holes)

  @doc "Whether the messages of such a one were not recorded at a time."
  @spec silent?([hole] | :never, non_neg_integer) :: boolean
  def silent?(:never, _time), do: true
  def silent?(holes, time), do: Enum.any?(holes, &(time >= &1.from and time < &1.to))

  @doc """
  The processes of the test, also those of which nothing else is recorded than that they were made, and those that were seen to live.
  """
  @spec all(Scope.t()) :: [pid]
  def all(%{pids: pids, processes: processes} = family) do
    made =
      if processes == [],
        do: [],
        else:
          for(
            %Event{data: %{child: child}} <-
              Processes.stream(family.recording, ["spawn"], processes, family.since, @forever),
            do: child
          )

    Enum.uniq(pids ++ made ++ living())
  end

  defp living do
    test = Living.about_test([], Scope.known())
    {:ok, living} = Looker.run(fn -> Living.family(test) end, @patience)
    Scope.known() ++ living
  end

  # Those of one end of which not all was heard, each with why. Without a name each process of the test may be it. To a name that
  # nobody had nothing was sent.
  defp unheard(family, :any, _end), do: unheard(family, all(family), :from)

  defp unheard(family, pids, end_),
    do: for(pid <- pids, why = why(family, pid, end_), do: {pid, why})

  defp why(family, pid, end_) do
    with holes when is_list(holes) <- holes(family, pid),
         do: Enum.find(holes, &at_work?(family, pid, &1, end_))
  end

  defp advised(late) do
    late <>
      ". What else came was not seen; watch both ends before they do anything: {:ok, _} = ElixirScope.watch(self(), spawned: true) as the first " <>
      "thing of the test is for what it makes as well"
  end

  defp late({pid, %{from: from, to: @forever}}),
    do: "the messages of #{inspect(pid)} were recorded only until #{Text.clock(from)}"

  defp late({pid, %{to: to}}),
    do:
      "the messages of #{inspect(pid)} are recorded only since #{Text.clock(to)}, when it began to be watched in the midst of this test"

  # The times of the test in which it was not watched.
  @spec holes(Scope.t(), pid) :: [hole] | :never
  defp holes(family, pid) do
    processes = for {:ok, numbers} <- [Server.numbers(pid)], do: numbers
    told = Enum.sort_by(told(family.recording, processes), &elem(&1, 0))

    case since_birth(told, first_message(family.recording, processes)) do
      :never -> :never
      [] -> []
      told -> told |> between(family.since) |> Enum.filter(&(&1.to > family.since))
    end
  end

  defp told(_recording, []), do: []

  defp told(recording, processes) do
    for %Event{data: %{} = about} = event <-
          Processes.stream(recording, ["process"], processes, 0, @forever),
        {key, watched?} <- [watched: true, unwatched: false],
        {:ok, time} <- [Map.fetch(about, key)],
        do: {time, watched?, event}
  end

  defp first_message(_recording, []), do: nil

  defp first_message(recording, processes),
    do:
      recording
      |> Processes.stream(["send", "receive"], processes, 0, @forever)
      |> Enum.take(1)
      |> List.first()

  # One that was made by such a one is watched from the beginning: what was told shows it.
  defp since_birth(told, message) do
    first = for({time, true, _event} <- told, do: time) |> List.first()

    cond do
      message != nil and (first == nil or message.time < first) -> [{0, true, nil} | told]
      first == nil -> :never
      true -> told
    end
  end

  defp between(told, since) do
    {holes, open} =
      Enum.reduce(told, {[], since}, fn
        {time, true, event}, {holes, from} when is_integer(from) ->
          {[%{from: from, to: time, ended: event} | holes], nil}

        {time, false, _event}, {holes, nil} ->
          {holes, max(time, since)}

        _again, acc ->
          acc
      end)

    if open, do: Enum.reverse([%{from: open, to: @forever, ended: nil} | holes]), else: Enum.reverse(holes)
  end

  defp at_work?(family, pid, hole, end_) do
    waiting?(hole) or worked?(family, pid, hole, end_) or
      (pid != family.test and not instrumented?(family.recording, pid))
  end

  defp waiting?(%{ended: %Event{data: %{messages: count}}}) when is_integer(count), do: count > 0
  defp waiting?(_hole), do: false

  defp worked?(family, pid, hole, end_) do
    calls = calls(family.recording, pid, hole)
    begins = Enum.filter(calls, &begins?(&1.mfa, end_))
    Enum.any?(calls, &(before?(&1, hole) and not Enum.any?(begins, fn begin -> within?(&1, begin) end)))
  end

  # To begin a process is no work of a receiver, neither in the one that begins nor in the one that is begun.
  defp begins?({_module, :child_spec, 1}, _end), do: true
  defp begins?({_module, :init, 1}, :to), do: true
  defp begins?({_module, name, _arity}, :to), do: name in [:start_link, :start]
  defp begins?(_mfa, _end), do: false

  defp calls(recording, pid, hole) do
    {:ok, numbers} = Server.numbers(pid)

    filter = %{
      kinds: [],
      processes: [numbers],
      sites: nil,
      since: hole.from,
      until: if(hole.to == @forever, do: @forever, else: max(hole.to - 1, 0))
    }

    recording.handle |> Native.calls(filter, @looked) |> Enum.map(&Call.from_native/1)
  end

  # A process that says by itself that it is watched does so in its first call, which begins before that. Only of a callback that means
  # that something came.
  defp before?(_call, %{ended: nil}), do: true
  defp before?(%{id: id}, %{ended: %{id: said}}) when id < said, do: true
  defp before?(%{finished: finished}, %{to: to}) when is_integer(finished) and finished < to, do: true
  defp before?(%{mfa: {_module, name, _arity}}, _hole), do: name in @callbacks

  defp within?(call, begin), do: call.id >= begin.id and call.started <= (begin.finished || @forever)

  defp instrumented?(recording, pid) do
    {:ok, numbers} = Server.numbers(pid)
    recording |> Processes.stream(["call", "state"], [numbers], 0, @forever) |> Enum.take(1) != []
  end
end
