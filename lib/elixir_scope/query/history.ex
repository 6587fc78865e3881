defmodule ElixirScope.Query.History do
  @moduledoc false
  # The changes of a process's state: each a state and the one before it. Every question about changes is made of `changes/2`,
  # so that a change is the same in each answer.

  alias ElixirScope.{Change, Difference, Error, Event, History, Native, Path, Query, Recording}
  alias ElixirScope.Query.{Gaps, Moment, Server, States}

  @latest 0x7FFFFFFFFFFFFFFF

  # What is looked up once for many changes.
  defstruct [:recording, :process, :sites, gaps: []]

  @type t :: %__MODULE__{
          recording: Recording.t(),
          process: Server.numbers(),
          sites: Query.History.Cause.sites(),
          gaps: [Change.gap()]
        }

  @doc "See `ElixirScope.state_history/2`."
  @spec history(Server.t(), keyword) :: {:ok, History.t()} | {:error, Error.t()}
  def history(server, options) do
    with :ok <- Query.check(options, [:since, :until, :limit, :path, :order, :in]),
         {:ok, order} <- Query.order(options),
         {:ok, limit} <- Query.limit(options),
         {:ok, path} <- path(options),
         {:ok, recording} <- Query.recording(options),
         {:ok, since} <- bound(options, :since, 0),
         {:ok, until} <- bound(options, :until, @latest),
         {:ok, process} <- Server.find(recording, server, until),
         {:ok, pid} <- pid(recording, process, server),
         {:ok, gaps} <- Gaps.all(recording) do
      {:ok,
       %History{
         recording: recording,
         process: process,
         pid: pid,
         since: since,
         until: until,
         order: order,
         limit: limit,
         path: path,
         gaps: Gaps.touching(gaps, since, until)
       }}
    end
  end

  @doc "The pid of a process that has states, or why it is none."
  @spec pid(Recording.t(), Server.numbers(), Server.t()) :: {:ok, pid} | {:error, Error.t()}
  def pid(recording, process, server) do
    # No state is made for that.
    case Native.state_at(recording.handle, process, 0) do
      :never ->
        Error.new(
          :no_state,
          "no state of #{inspect(server)} was recorded: states are those of servers whose module says " <>
            "`use ElixirScope`, and are recorded when a callback ends"
        )

      _some ->
        {:ok,
         recording
         |> event(process, ["process"])
         |> Kernel.||(event(recording, process, ["state"]))
         |> elem(3)}
    end
  end

  @doc "The first event of some kinds of a process, as it comes from the native library, or `nil`."
  def event(recording, process, kinds) do
    filter = %{kinds: kinds, processes: [process], sites: nil, since: 0, until: 0xFFFFFFFFFFFFFFFF}
    {events, _next} = Native.events(recording.handle, filter, 0, 1)
    List.first(events)
  end

  @doc "What `change/3` needs to know of a process."
  @spec about(Recording.t(), Server.numbers()) :: {:ok, t} | {:error, Error.t()}
  def about(recording, process) do
    with {:ok, gaps} <- Gaps.all(recording) do
      {:ok,
       %__MODULE__{
         recording: recording,
         process: process,
         sites: Query.History.Cause.sites(recording),
         gaps: gaps
       }}
    end
  end

  @doc "The changes of a history, lazily."
  @spec stream(History.t()) :: Enumerable.t()
  def stream(%History{} = history) do
    {:ok, about} = about(history.recording, history.process)

    history
    |> states(about)
    |> take(history.limit)
    |> together()
    |> Stream.flat_map(&changes(about, &1, history.order))
    |> Stream.map(&at(&1, history.path))
  end

  # One alone first, then more and more: who asks for the first ones waits for no others, and who asks for all has them read
  # by hundreds.
  defp together(pairs) do
    Stream.chunk_while(
      pairs,
      {[], 0, 1},
      fn pair, {chunk, count, size} ->
        if count + 1 == size,
          do: {:cont, Enum.reverse([pair | chunk]), {[], 0, min(2 * size, 256)}},
          else: {:cont, {[pair | chunk], count + 1, size}}
      end,
      fn
        {[], _count, _size} = acc -> {:cont, acc}
        {chunk, _count, _size} = acc -> {:cont, Enum.reverse(chunk), acc}
      end
    )
  end

  defp changes(about, pairs, :newest), do: about |> changes(Enum.reverse(pairs), :oldest) |> Enum.reverse()

  defp changes(%__MODULE__{} = about, pairs, :oldest) do
    causes = Query.History.Cause.causes(about.recording, about.process, pairs, about.sites, about.gaps)
    Enum.zip_with(pairs, causes, fn {state, before}, cause -> change(about, state, before, cause) end)
  end

  defp take(changes, :infinity), do: changes
  defp take(changes, limit), do: Stream.take(changes, limit)

  # Each state with the one before it.
  defp states(%History{order: :oldest} = history, about) do
    %History{recording: recording, process: process, since: since, until: until} = history

    before =
      if since > 0, do: recording |> States.stream(process, 0, since - 1, :newest) |> Enum.take(1), else: []

    recording
    |> States.stream(process, since, until, :oldest)
    |> Stream.transform(List.first(before), fn state, before -> {[{state, before}], state} end)
    |> Stream.reject(&restated?/1)
    |> touched(history.path, about)
  end

  defp states(%History{order: :newest} = history, about) do
    %History{recording: recording, process: process, since: since, until: until} = history

    case history.path do
      nil -> recording |> States.stream(process, 0, until, :newest) |> with_older()
      path -> recording |> touching(process, path, until) |> Stream.map(&{&1, before(about, &1)})
    end
    |> Stream.take_while(fn {state, _before} -> state.time >= since end)
    |> Stream.reject(&restated?/1)
    |> touched(history.path, about)
  end

  # A state that is told again is no change.
  defp restated?({state, _before}), do: state.data.origin == :restated

  @doc """
  The states that may have changed what stands at a path, newest first. How a set or a queue is laid out is not told apart: of what
  is in one, all that touched it.
  """
  def touching(recording, process, path, until) do
    States.touching(
      recording,
      process,
      Enum.take_while(path, &(not match?({kind, _} when kind in [:member, :queue], &1))),
      until
    )
  end

  @doc "Of states that come newest first, each with the next older one, the oldest with `nil`."
  @spec with_older(Enumerable.t()) :: Enumerable.t()
  def with_older(states) do
    states
    |> Stream.chunk_every(2, 1)
    |> Stream.map(fn
      [state, before] -> {state, before}
      [state] -> {state, nil}
    end)
  end

  defp touched(states, nil, _about), do: states

  defp touched(states, path, _about) do
    Stream.reject(states, fn {state, before} -> same?(value(before, path), value(state, path)) end)
  end

  @doc "The state before one, as an event; `nil` when none is known."
  @spec before(t, Event.t()) :: Event.t() | nil
  def before(%__MODULE__{recording: recording, process: process}, state) do
    # Others may have the very same time.
    recording
    |> States.stream(process, 0, state.time, :newest)
    |> Stream.drop_while(&(&1.id >= state.id))
    |> Enum.at(0)
  end

  @doc "What stands at a path in the state of an event, `:error` without an event."
  @spec value(Event.t() | nil, Path.t()) ::
          {:ok, term} | :error | {:cut, ElixirScope.Cut.t()} | {:within, ElixirScope.Cut.t()}
  def value(nil, _path), do: :error
  def value(state, path), do: Path.part(state.data.state, path)

  @doc "Whether two values, as `value/2` gives them, are known to be the same."
  def same?(old, new), do: Difference.empty?(Difference.between(old, new, []))

  @doc "The change that a state event says, with the state event before it."
  @spec change(t, Event.t(), Event.t() | nil) :: Change.t()
  def change(%__MODULE__{} = about, state, before) do
    [change] = changes(about, [{state, before}], :oldest)
    change
  end

  defp change(%__MODULE__{gaps: gaps}, state, before, cause) do
    known = if before, do: {:ok, before.data.state}, else: :none

    %Change{
      id: state.id,
      time: state.time,
      pid: state.pid,
      origin: state.data.origin,
      before: known,
      state: state.data.state,
      difference: Difference.between(known, {:ok, state.data.state}, []),
      cause: cause,
      gaps: if(before, do: Gaps.before(gaps, before.time, state.time), else: first_gaps(gaps, state))
    }
  end

  # Before the `init` of a process it had no state.
  defp first_gaps(_gaps, %Event{data: %{origin: :init}}), do: []
  defp first_gaps(gaps, state), do: Gaps.before(gaps, nil, state.time)

  # Of a history at a path the difference is that of what stands there.
  defp at(change, nil), do: change

  defp at(change, path) do
    before = with {:ok, state} <- change.before, do: Path.part(state, path)
    %{change | difference: Difference.between(before, Path.part(change.state, path), path)}
  end

  @doc "See `ElixirScope.diff_state/4`."
  def diff(server, from, to, options) do
    with :ok <- Query.check(options, [:path, :in]),
         {:ok, path} <- path(options),
         {:ok, old} <- Query.state_at(server, from, Keyword.take(options, [:in])),
         {:ok, new} <- Query.state_at(server, to, Keyword.take(options, [:in])) do
      path = path || []
      {:ok, between(options, server, {from, to}, {old, new}, path)}
    end
  end

  # Of one recorded state with itself nothing differs, whatever was kept out of it.
  defp between(options, server, times, {old, new}, path) do
    if old === new and same?(options, server, times),
      do: %Difference{},
      else: Difference.between(Path.part(old, path), Path.part(new, path), path)
  end

  # Whether no state was recorded between two times.
  defp same?(options, server, {from, to}) do
    with {:ok, recording} <- Query.recording(Keyword.take(options, [:in])),
         {:ok, from} <- Moment.find(recording, from),
         {:ok, to} <- Moment.find(recording, to),
         {:ok, process} <- Server.find(recording, server, from),
         {:ok, ^process} <- Server.find(recording, server, to) do
      {first, last} = {min(from, to), max(from, to)}
      first == last or states_between(recording, process, first, last) == []
    else
      _not_known -> false
    end
  end

  # From the first nanosecond behind the one state on.
  defp states_between(recording, process, first, last) do
    {states, _next} = Native.states(recording.handle, process, [], {first + 1, last}, nil, 1)
    states
  end

  defp path(options) do
    case Keyword.fetch(options, :path) do
      {:ok, path} -> check_path(path)
      :error -> {:ok, nil}
    end
  end

  @doc "Whether something is a path."
  @spec check_path(term) :: {:ok, Path.t()} | {:error, Error.t()}
  def check_path(path) when is_list(path) and length(path) >= 0, do: {:ok, path}

  def check_path(other) do
    Error.new(
      :bad_option,
      "expected a path as a list of keys and positions such as [:items, 0, :price], got: #{inspect(other)}"
    )
  end

  @doc "A time among options, or another one."
  @spec bound(keyword, atom, non_neg_integer) :: {:ok, non_neg_integer} | {:error, Error.t()}
  def bound(options, key, default) do
    case Keyword.fetch(options, key) do
      :error ->
        {:ok, default}

      {:ok, time} ->
        with {:ok, recording} <- Query.recording(Keyword.take(options, [:in])),
             do: Moment.find(recording, time)
    end
  end
end
