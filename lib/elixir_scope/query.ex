defmodule ElixirScope.Query do
  @moduledoc false
  # Questions about a recording. `ElixirScope` documents them; this module checks what came, asks the native
  # library and makes structs of its answers.

  alias ElixirScope.{Call, Error, Event, Events, Native, Recorder, Recording}
  alias ElixirScope.Query.{Function, Moment, Server, Unseen}
  alias ElixirScope.Text.Names

  @forever 0xFFFFFFFFFFFFFFFF

  @doc "See `ElixirScope.open/1`."
  def open(path) when is_binary(path) do
    expanded = Path.expand(path)
    if String.valid?(expanded), do: open_found(found(expanded)), else: bad_path(expanded)
  end

  def open(other), do: bad_path(other)

  defp open_found(path) do
    case Native.open(path) do
      {:ok, {handle, path}} -> {:ok, %Recording{handle: handle, path: path}}
      {:error, {reason, message}} -> Error.new(String.to_atom(reason), message <> Recorder.advice(reason))
    end
  end

  defp bad_path(other) do
    Error.new(:bad_option, "expected the path of a recording as a string of UTF-8, got: #{inspect(other)}")
  end

  # Of a folder of recordings the newest but that which this VM makes just now: its own is asked without `in:`, and an IEx of a project that records
  # begins one, which is the newest then and holds nothing.
  defp found(path) do
    with {:ok, %Recording{live?: true, path: own} = recording} <- Recorder.current(),
         true <- Path.dirname(own) == path,
         {state, _started, _last} when state in [:running, :paused] <- Native.bounds(recording.handle),
         [_ | _] = others <- others(path, Path.basename(own)) do
      Path.join(path, Enum.max(others))
    else
      _no_other -> path
    end
  end

  # Their names begin with their time.
  defp others(folder, own) do
    with {:ok, names} <- File.ls(folder) do
      Enum.filter(names, &(&1 != own and File.regular?(Path.join([folder, &1, "manifest"]))))
    end
  end

  @doc "The recording that a question is put to, with everything in it that was captured before this call."
  @spec recording(keyword) :: {:ok, Recording.t()} | {:error, Error.t()}
  def recording(options) do
    with {:ok, recording} <- any_recording(options), :ok <- written_down(recording), do: {:ok, recording}
  end

  # Of a flight recording the store holds what snapshots wrote.
  defp written_down(%Recording{overflow: :overwrite} = recording) do
    case Native.flight(recording.handle) do
      {0, _known_until, _covers_from} ->
        Error.new(
          :no_snapshot,
          "nothing of this flight recording (overflow: :overwrite) was written down yet; " <>
            "take ElixirScope.snapshot(), then ask again"
        )

      _written_or_ended ->
        :ok
    end
  end

  defp written_down(_recording), do: :ok

  @doc "As `recording/1`, also a flight recording of which nothing was written down."
  @spec any_recording(keyword) :: {:ok, Recording.t()} | {:error, Error.t()}
  def any_recording(options) do
    case Keyword.get(options, :in) do
      nil ->
        with {:ok, recording} <- Recorder.current(), do: {:ok, flushed(recording)}

      %Recording{} = recording ->
        {:ok, recording |> Names.asked() |> flushed()}

      other ->
        Error.new(
          :bad_option,
          "expected in: a recording of ElixirScope.open/1 or start/1, got: #{inspect(other)}"
        )
    end
  end

  defp flushed(%Recording{live?: true} = recording) do
    Native.flush(recording.handle)
    recording
  end

  defp flushed(recording), do: recording

  @doc "See `ElixirScope.get_state_at/3`."
  def state_at(server, time, options) do
    with :ok <- check(options, [:in]),
         {:ok, recording} <- recording(options),
         {:ok, time} <- Moment.find(recording, time),
         :ok <- within(recording, time),
         {:ok, process} <- Server.find(recording, server, time) do
      recording.handle |> Native.state_at(process, time) |> state_or_gap(recording, server, time)
    end
  end

  # Where no state is known yet, it may be among what is missing.
  defp state_or_gap({:known, _} = known, _recording, server, time), do: state(known, server, time)
  defp state_or_gap({:lost, _} = lost, _recording, server, time), do: state(lost, server, time)

  defp state_or_gap(none, recording, server, time) do
    case Enum.find(Native.summary(recording.handle).gaps, fn {_cause, _count, from, _to} -> from <= time end) do
      nil ->
        state(none, server, time)

      {cause, _count, from, _to} ->
        Error.new(
          :lost,
          "the state of #{inspect(server)} at #{Moment.format(time)} is unknown: no state of it was recorded by " <>
            "then, and events are missing since #{Moment.format(from)} (#{cause}); ElixirScope.status() lists them"
        )
    end
  end

  defp state({:known, native}, server, time) do
    case Event.from_native(native) do
      %Event{data: %{state: state}} -> {:ok, state}
      _ -> state({:lost, native}, server, time)
    end
  end

  defp state({:lost, native}, server, time) do
    Error.new(
      :lost,
      "the state of #{inspect(server)} at #{Moment.format(time)} is unknown: events are missing since " <>
        "#{Moment.format(elem(native, 1))}, when its last known state was recorded; ElixirScope.status() lists what " <>
        "is missing, and that state is the answer for the time #{elem(native, 1)}"
    )
  end

  defp state({:before, first}, server, time) do
    Error.new(
      :no_state,
      "expected a time at which a state of #{inspect(server)} is known, got #{Moment.format(time)}; " <>
        "the first one was recorded at #{Moment.format(first)}, #{first}"
    )
  end

  defp state(:never, server, _time) do
    Error.new(
      :no_state,
      "no state of #{inspect(server)} was recorded: states are those of servers (GenServer, :gen_statem, Agent, ...) whose module says " <>
        "`use ElixirScope`, and are recorded when a callback ends"
    )
  end

  # Before the first and after the last thing that is known, nothing can be said.
  @doc "Whether a time lies within what is known."
  @spec within(Recording.t(), non_neg_integer) :: :ok | {:error, Error.t()}
  def within(recording, time) do
    {state, started, last} = Native.bounds(recording.handle)
    flight = Native.flight(recording.handle)

    last =
      cond do
        # After a snapshot nothing is known until the next one.
        flight != nil -> elem(flight, 1)
        recording.live? and state in [:running, :paused] -> Native.now()
        true -> max(last, started)
      end

    cond do
      time < started ->
        Error.new(
          :before_recording,
          "expected a time within the recording, which began at #{Moment.format(started)} " <>
            "(#{started}), got #{Moment.format(time)} (#{time}); times are nanoseconds of system time, " <>
            "as ElixirScope.now/0 gives them"
        )

      time > last ->
        Error.new(
          :after_recording,
          "expected a time within the recording, which is known up to #{Moment.format(last)} (#{last}), " <>
            "got #{Moment.format(time)} (#{time})" <> later(recording, state, flight)
        )

      true ->
        :ok
    end
  end

  # What was opened is as it was then.
  defp later(%{live?: false, path: path}, state, nil) when state in [:running, :paused] do
    "; it was still being made when it was opened: open it again with ElixirScope.open(#{inspect(path)}) for what came since"
  end

  defp later(_recording, _state, _flight), do: ""

  @filters [:in, :kind, :pid, :mfa, :since, :until, :limit, :order]

  @doc "See `ElixirScope.events/1`."
  def events(filters) do
    with :ok <- check(filters, @filters),
         {:ok, recording} <- recording(filters),
         {:ok, filter} <- filter(recording, filters),
         {:ok, limit} <- limit(filters),
         {:ok, order} <- order(filters) do
      {:ok, %Events{recording: recording, filter: filter, limit: limit, order: order}}
    end
  end

  @doc "See `ElixirScope.calls/2`."
  def calls(function, options) do
    with :ok <- check(options, @filters -- [:kind, :mfa, :order]),
         {:ok, pattern} <- Function.pattern(function),
         {:ok, recording} <- recording(options),
         {:ok, filter} <- filter(recording, [mfa: function] ++ options),
         {:ok, limit} <- limit(options) do
      found = if filter == :nothing, do: [], else: native_calls(recording, filter, limit)
      if found == [], do: no_calls(recording, pattern), else: {:ok, found}
    end
  end

  defp native_calls(recording, filter, limit) do
    limit = if limit == :infinity, do: @forever, else: limit
    recording.handle |> Native.calls(filter, limit) |> Enum.map(&Call.from_native/1)
  end

  # No call is an answer where a call would have been seen, and an error where it could not have been.
  defp no_calls(recording, {module, function, arity} = pattern) do
    case site_kinds(recording, pattern) do
      [:counted] -> counted(module, function, arity)
      [] -> seen(recording, [mfa: {module, function, arity}], [])
      _some -> {:ok, []}
    end
  end

  defp site_kinds(recording, pattern) do
    for {_, {mfa, _, {_, kind, _, _}}} <- Native.sites(recording.handle),
        Function.match?(pattern, mfa),
        uniq: true,
        do: kind
  end

  @doc "An empty answer about the functions of `:mfa`, or why they could not have been seen."
  @spec seen(Recording.t(), keyword, answer) :: {:ok, answer} | {:error, Error.t()} when answer: term
  def seen(recording, options, answer) do
    with {:ok, {module, function, arity} = pattern} when module != :_ <- pattern(options),
         reason when is_binary(reason) <- Unseen.reason(module, function, arity),
         reason when is_binary(reason) <- if(recording.live?, do: reason, else: absent(recording, pattern)) do
      Error.new(:not_instrumented, reason)
    else
      _nothing_against_it -> {:ok, answer}
    end
  end

  # What was opened need not be of this VM's program.
  defp absent(recording, pattern) do
    functions = for {_number, {mfa, _, _}} <- Native.sites(recording.handle), uniq: true, do: mfa
    Unseen.absent(functions, pattern, recording.path)
  end

  defp counted(module, function, arity) do
    Error.new(
      :not_instrumented,
      "calls of #{Function.label({module, function, arity})} are counted, not recorded: ElixirScope.counts() says how " <>
        "often. To record them take it out of count: (of `use ElixirScope` or scope.plan.exs), or put `@scope true` above it"
    )
  end

  @doc "See `ElixirScope.status/1`."
  def status(options) do
    with :ok <- check(options, [:in]), {:ok, recording} <- any_recording(options) do
      summary = Map.merge(Native.summary(recording.handle), flight(recording))

      gaps =
        for {cause, count, from, to} <- summary.gaps do
          %{cause: String.to_atom(cause), count: count, from: from, to: to}
        end

      # What was removed had been recorded.
      lost = gaps |> Enum.reject(&(&1.cause == :removed)) |> Enum.map(& &1.count) |> Enum.sum()
      found = %{path: recording.path, gaps: gaps, damage: damages(summary.damage), lost: lost}
      {:ok, Map.merge(summary, found)}
    end
  end

  @doc "What could not be read, as the native library says it, for people."
  def damages(found) do
    for {file, offset, bytes, what} <- found, do: %{file: file, offset: offset, bytes: bytes, what: what}
  end

  defp flight(recording) do
    case Native.flight(recording.handle) do
      nil ->
        %{overflow: recording.overflow, flight: nil}

      {snapshots, known_until, covers_from} ->
        flight = %{snapshots: snapshots, known_until: known_until, covers: {covers_from, Native.now()}}
        %{overflow: recording.overflow, flight: flight}
    end
  end

  @doc "See `ElixirScope.snapshot/1`."
  def snapshot(options) do
    with :ok <- check(options, [:in]), {:ok, recording} <- any_recording(options) do
      if recording.live? do
        Native.snapshot(recording.handle)
        {:ok, recording}
      else
        Error.new(
          :bad_option,
          "expected the recording of this VM, got: #{inspect(recording)}; what was opened is written down already"
        )
      end
    end
  end

  @doc "Why no event matched, in words."
  def why_none(%Events{recording: recording, filter: filter}) do
    summary = Native.summary(recording.handle)

    cond do
      summary.events == 0 and summary.state == :paused ->
        "recording is paused"

      summary.events == 0 ->
        "nothing was recorded; does a module that ran say `use ElixirScope`?"

      filter == :nothing ->
        "the process or function that is asked for made no event"

      summary.gaps != [] ->
        "of #{summary.events} recorded none matches, but events are missing, see ElixirScope.status()"

      true ->
        "of #{summary.events} recorded none matches"
    end
  end

  @doc "All processes of a recording: `{pid, who}` where `who` is the map of its first `:process` event."
  def processes(recording) do
    for {pid, _first, _last, _events, _states, introductions} <- Native.processes(recording.handle) do
      {pid, introductions |> Enum.map(&Event.from_native/1) |> Enum.find_value(%{}, & &1.data)}
    end
  end

  @doc "Filters as the native library takes them; `:nothing` when no event can match."
  @spec filter(Recording.t(), keyword) :: {:ok, map | :nothing} | {:error, Error.t()}
  def filter(recording, filters) do
    with {:ok, kinds} <- kinds(Keyword.get(filters, :kind, [])),
         {:ok, since} <- bound(recording, filters, :since, 0),
         {:ok, until} <- bound(recording, filters, :until, @forever),
         {:ok, processes} <- pids(recording, filters, until),
         {:ok, sites} <- site_keys(recording, filters) do
      if processes == [] or sites == [] do
        {:ok, :nothing}
      else
        {:ok, %{kinds: kinds, processes: processes, sites: sites, since: since, until: until}}
      end
    end
  end

  @doc """
  What is given as one or a list of them. Nothing, and a list that does not end as one, is one that nobody expects.

      iex> Enum.map([:a, [:a, :b], nil, [:a | :b]], &ElixirScope.Query.several/1)
      [[:a], [:a, :b], [nil], [[:a | :b]]]
  """
  @spec several(term) :: [term]
  def several(given) when is_list(given), do: if(List.improper?(given), do: [given], else: given)
  def several(given), do: [given]

  defp kinds(given) do
    kinds = several(given)

    case Enum.reject(kinds, &(&1 in Event.kinds())) do
      [] ->
        {:ok, Enum.map(kinds, &Atom.to_string/1)}

      [other | _] ->
        Error.new(
          :bad_option,
          "expected :kind to be one or a list of #{Enum.map_join(Event.kinds(), ", ", &inspect/1)}, got: #{inspect(other)}"
        )
    end
  end

  defp bound(recording, filters, key, default) do
    case Keyword.fetch(filters, key) do
      :error -> {:ok, default}
      {:ok, time} -> Moment.find(recording, time)
    end
  end

  defp pids(recording, filters, until) do
    case Keyword.fetch(filters, :pid) do
      :error -> {:ok, nil}
      {:ok, servers} -> servers |> several() |> pids(recording, until, [])
    end
  end

  defp pids([], _recording, _until, found), do: {:ok, found}

  defp pids([server | rest], recording, until, found) do
    case Server.find(recording, server, until) do
      {:ok, process} ->
        pids(rest, recording, until, [process | found])

      # A process that made no event matches none; a name that leads nowhere may be a mistake.
      {:error, %Error{reason: reason}} when is_pid(server) and reason in [:unknown_process, :not_instrumented] ->
        pids(rest, recording, until, found)

      error ->
        error
    end
  end

  defp site_keys(recording, filters) do
    with true <- Keyword.has_key?(filters, :mfa), {:ok, sites} <- sites(recording, filters) do
      {:ok, Enum.map(sites, &elem(&1, 0))}
    else
      false -> {:ok, nil}
      error -> error
    end
  end

  @doc "The sites of the functions that `:mfa` names, or all: `{key, site}` as the native library gives them."
  @spec sites(Recording.t(), keyword) :: {:ok, [{non_neg_integer, tuple}]} | {:error, Error.t()}
  def sites(recording, filters) do
    with {:ok, pattern} <- pattern(filters) do
      {:ok,
       Enum.filter(Native.sites(recording.handle), fn {_, {mfa, _, _}} -> Function.match?(pattern, mfa) end)}
    end
  end

  defp pattern(filters) do
    case Keyword.fetch(filters, :mfa) do
      :error -> {:ok, {:_, :_, :_}}
      {:ok, function} -> Function.pattern(function)
    end
  end

  @doc "Which are wanted first."
  @spec order(keyword) :: {:ok, :oldest | :newest} | {:error, Error.t()}
  def order(options) do
    case Keyword.get(options, :order, :oldest) do
      order when order in [:oldest, :newest] ->
        {:ok, order}

      other ->
        Error.new(:bad_option, "expected :order to be :oldest or :newest, got: #{inspect(other)}")
    end
  end

  @doc "How many steps of a chain are wanted."
  @spec steps(keyword, pos_integer) :: {:ok, pos_integer} | {:error, Error.t()}
  def steps(options, default) do
    case Keyword.get(options, :limit, default) do
      limit when is_integer(limit) and limit > 0 -> {:ok, limit}
      other -> Error.new(:bad_option, "expected :limit to be a positive integer, got: #{inspect(other)}")
    end
  end

  @doc "How many events or calls are wanted."
  @spec limit(keyword) :: {:ok, pos_integer | :infinity} | {:error, Error.t()}
  def limit(options) do
    case Keyword.get(options, :limit, :infinity) do
      :infinity ->
        {:ok, :infinity}

      limit when is_integer(limit) and limit in 1..0xFFFFFFFF ->
        {:ok, limit}

      other ->
        Error.new(
          :bad_option,
          "expected :limit to be a positive integer or :infinity, got: #{inspect(other)}"
        )
    end
  end

  @doc "Whether these are filters that a question knows."
  @spec check(keyword, [atom]) :: :ok | {:error, Error.t()}
  def check(options, known) do
    cond do
      not Keyword.keyword?(options) ->
        Error.new(
          :bad_option,
          "expected filters as a keyword list such as [limit: 10], got: #{inspect(options)}"
        )

      unknown = Enum.find(options, fn {key, _value} -> key not in known end) ->
        {key, value} = unknown

        Error.new(
          :bad_option,
          "unknown filter #{inspect(key)} (given: #{inspect(value)}); the filters are #{Enum.map_join(known, ", ", &inspect/1)}"
        )

      true ->
        :ok
    end
  end
end
