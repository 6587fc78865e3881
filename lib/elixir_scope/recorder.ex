defmodule ElixirScope.Recorder do
  @moduledoc false
  # Owns the recording of this VM: begins and ends it, turns the gate, says which processes the VM is to tell of, and says so when it
  # stops by itself.
  # Questions do not come through this process: they read the recording from where it is published.

  use GenServer

  alias ElixirScope.{Error, Frameworks, Native, Options, Recording, Redaction, Switch, Watch}

  require Logger

  @published {__MODULE__, :recording}
  # What processes of ours answer is not recorded (`native/nif/src/tracer.rs`).
  @ours :"$elixir_scope"

  def child_spec(begin?) do
    # Ending a recording drains what is left and must not be cut short.
    %{id: __MODULE__, start: {__MODULE__, :start_link, [begin?]}, shutdown: 60_000}
  end

  def start_link(begin?), do: GenServer.start_link(__MODULE__, begin?, name: __MODULE__)

  @doc "Ends the recording that runs, if any, and begins a new one."
  @spec start(keyword) :: {:ok, Recording.t()} | {:error, Error.t()}
  def start(options) do
    with {:ok, options, requests} <- read(options), do: call({:start, options, requests})
  end

  defp read(options) do
    with {:ok, options} <- Options.read(options),
         {:ok, watch} <- Watch.request(options.watch),
         {:ok, frameworks} <-
           Frameworks.request(options.telemetry, options.logs, options.redact && options.redact.functions),
         # Code of the program says which fields are secret, so it is asked where an error of it ends nothing.
         {:ok, rules} <- Redaction.rules(options.redact) do
      own = Map.drop(options, [:watch, :telemetry, :logs])
      {:ok, Map.put(own, :redact, rules), {watch, frameworks}}
    end
  end

  @doc "Ends the recording that runs. It can still be asked."
  @spec stop() :: :ok | {:error, Error.t()}
  def stop, do: call(:stop)

  @spec pause() :: :ok | {:error, Error.t()}
  def pause, do: call(:pause)

  @spec resume() :: :ok | {:error, Error.t()}
  def resume, do: call(:resume)

  @doc "Watches more processes."
  @spec watch(Watch.request()) :: {:ok, Watch.found()} | {:error, Error.t()}
  def watch(request), do: call({:watch, request})

  @doc "Watches some of them no longer."
  @spec unwatch(Watch.who()) :: :ok | {:error, Error.t()}
  def unwatch(who), do: call({:unwatch, who})

  @doc "What is watched; `nil` for nothing."
  @spec watched() :: {:ok, Watch.t() | nil} | {:error, Error.t()}
  def watched, do: call(:watched)

  @doc "Records more events of `:telemetry`."
  @spec telemetry([Frameworks.source()]) :: :ok | {:error, Error.t()}
  def telemetry(sources), do: call({:telemetry, sources})

  @doc "The recording of this VM: the one that runs, or else the last one."
  @spec current() :: {:ok, Recording.t()} | {:error, Error.t()}
  def current do
    case :persistent_term.get(@published, nil) do
      nil -> no_recording()
      recording -> {:ok, recording}
    end
  end

  @doc "Has questions of this VM ask a recording that was opened, as if it were its own. Only where nothing is recorded."
  @spec ask(Recording.t()) :: :ok | {:error, Error.t()}
  def ask(%Recording{live?: false} = recording) do
    with {:ok, %Recording{live?: true} = own} <- current(),
         {state, _started, _last} when state in [:running, :paused] <- Native.bounds(own.handle) do
      Error.new(
        :in_use,
        "this VM records (#{own.path}), and its questions ask that; say ElixirScope.stop() first, or give the one that you opened: in: recording"
      )
    else
      _nothing_runs -> :persistent_term.put(@published, recording)
    end
  end

  defp call(request) do
    {@ours, answer} = GenServer.call(__MODULE__, request, :infinity)
    answer
  catch
    :exit, {reason, _} when reason in [:noproc, :normal, :shutdown] or is_tuple(reason) ->
      Error.new(
        :not_recording,
        "the application :elixir_scope is not running; start it with Application.ensure_all_started(:elixir_scope)"
      )
  end

  defp no_recording do
    Error.new(
      :not_recording,
      "nothing is recorded in this VM; begin with ElixirScope.start(), set `config :elixir_scope, enabled: true`, " <>
        "or ask a recording that you open: ElixirScope.open(path), then `in: recording`"
    )
  end

  # The state is the recording and what is watched; either may be `nil`.
  @impl true
  def init(begin?) do
    Process.flag(:trap_exit, true)
    Native.own()
    Native.hear()
    Watch.clear()
    # Assertions of many tests share these (`ElixirScope.Case.Living` and `ElixirScope.Case.Scope`).
    :ets.new(:elixir_scope_seen, [:named_table, :public, read_concurrency: true])
    :ets.new(:elixir_scope_allowed, [:named_table, :public, :bag, read_concurrency: true])
    # Those that are not recorded (`ElixirScope.Capture`).
    :ets.new(:elixir_scope_left_out, [:named_table, :public, read_concurrency: true])
    {:ok, go_on() || if(begin?, do: begin_configured(), else: {nil, nil})}
  end

  # A recording outlives an error in this process. What it was to watch died with it, so nobody's messages are vouched for any more.
  defp go_on do
    with %Recording{live?: true} = recording <- :persistent_term.get(@published, nil),
         {state, _started, _last} when state in [:running, :paused] <- Native.bounds(recording.handle) do
      Watch.Roll.dismiss(:erlang.processes(), fn _ -> false end)

      Logger.warning(
        "ElixirScope's recorder ended in an error and was begun anew. The recording goes on, but no process is watched now: " <>
          "ElixirScope.watch/2 watches them again."
      )

      {recording, nil}
    else
      _none -> nil
    end
  end

  # A recording that cannot begin must not keep the application from starting.
  defp begin_configured do
    configured = Application.get_all_env(:elixir_scope) |> Keyword.delete(:included_applications)

    with {:ok, options, {watch, frameworks}} <- read(configured), {:ok, recording} <- begin(options) do
      Frameworks.begin(frameworks)
      {recording, begin_watch(watch)}
    else
      {:error, error} ->
        Logger.warning("ElixirScope records nothing: #{error.message}")
        {nil, nil}
    end
  end

  # The recording goes on without it: it is worth more than nothing.
  defp begin_watch(nil), do: nil

  defp begin_watch(request) do
    case Watch.add(Watch.begin(), request) do
      {:ok, watch, found} ->
        Watch.Roll.call_later(Watch.living(request.who), &Watch.messages?(request, found, &1))
        watch

      {:error, error} ->
        Logger.warning("ElixirScope watches no process: #{error.message}")
        nil
    end
  end

  @impl true
  def handle_call(request, from, state) do
    {:reply, answer, state} = answer(request, from, state)
    {:reply, {@ours, answer}, state}
  end

  defp answer({:start, options, {request, frameworks}}, _from, {recording, watch}) do
    # The new one takes over before the old one ends; when it cannot begin, the old one goes on.
    case begin(options) do
      {:ok, new} ->
        Watch.finish(watch)
        if recording, do: Native.stop(recording.handle)
        Frameworks.begin(frameworks)
        {:reply, {:ok, new}, {new, begin_watch(request)}}

      error ->
        {:reply, error, {recording, watch}}
    end
  end

  defp answer(_request, _from, {nil, nil}), do: {:reply, no_recording(), {nil, nil}}

  defp answer(:stop, _from, state) do
    finish(state)
    {:reply, :ok, {nil, nil}}
  end

  defp answer(:pause, _from, {recording, _watch} = state) do
    Native.pause(recording.handle)
    Switch.turn(:off)
    {:reply, :ok, state}
  end

  defp answer(:resume, _from, {recording, _watch} = state) do
    # The gate first: what is called while it is swapped still belongs to the pause.
    Switch.turn(:on)
    Native.resume(recording.handle)
    {:reply, :ok, state}
  end

  defp answer({:watch, request}, _from, {recording, watch}) do
    case Watch.add(watch || Watch.begin(), request) do
      {:ok, watch, found} ->
        # Who asks finds the processes known, unless there are very many.
        request.who |> Watch.living() |> Watch.Roll.call(&Watch.messages?(request, found, &1))
        {:reply, {:ok, found}, {recording, watch}}

      error ->
        {:reply, error, {recording, watch}}
    end
  end

  defp answer({:unwatch, _who}, _from, {_recording, nil} = state), do: {:reply, :ok, state}

  defp answer({:unwatch, who}, _from, {recording, watch} = state) do
    told? = &Watch.Roll.told?(watch.tracing, &1)
    told = Enum.filter(:erlang.processes(), told?)

    case Watch.remove(watch, who) do
      {:ok, watch} ->
        Watch.Roll.dismiss(told, told?)
        {:reply, :ok, {recording, watch}}

      error ->
        {:reply, error, state}
    end
  end

  defp answer({:telemetry, sources}, _from, state) do
    Frameworks.add(sources)
    {:reply, :ok, state}
  end

  defp answer(:watched, _from, {_recording, watch} = state), do: {:reply, {:ok, watch}, state}

  @impl true
  def handle_info({:elixir_scope_stopped, path, why}, {%Recording{path: path}, _watch} = state) do
    Switch.turn(:off)
    Frameworks.finish()

    Logger.warning(
      "ElixirScope has stopped recording: #{why}. What was recorded until now can still be asked."
    )

    {:noreply, state}
  end

  def handle_info({:elixir_scope_warned, path, why}, {%Recording{path: path}, _watch} = state) do
    Logger.warning(
      "ElixirScope records on, but could not tidy up what it has recorded: #{why}. The recording may grow larger than " <>
        "`retain:` says."
    )

    {:noreply, state}
  end

  def handle_info({:framework_failed, module, name, kind, reason}, state) do
    Logger.warning(
      "ElixirScope could not record what #{inspect(module)} keeps of #{inspect(name)}: " <>
        Exception.format_banner(kind, reason) <>
        ". The program is not disturbed, and later failures are not told."
    )

    {:noreply, state}
  end

  def handle_info(_message, state), do: {:noreply, state}

  @impl true
  def terminate(_reason, state), do: finish(state)

  defp begin(options) do
    native =
      options
      |> Map.merge(overflow(options))
      |> Map.merge(%{name: run_name(), node: Atom.to_string(node()), vm: vm()})

    case Native.start(native) do
      {:ok, {handle, path}} ->
        recording = %Recording{handle: handle, path: path, live?: true, overflow: options.overflow}
        :persistent_term.put(@published, recording)
        Switch.turn(:on)
        {:ok, recording}

      {:error, {reason, message}} ->
        Error.new(String.to_atom(reason), message <> advice(reason))
    end
  end

  defp overflow(%{overflow: overflow, trigger: trigger}) do
    block =
      case overflow do
        {:block, microseconds} -> microseconds
        _policy -> 0
      end

    %{
      overwrite: overflow == :overwrite,
      block: block,
      trigger_raise: :raise in trigger,
      trigger_exit: :exit in trigger
    }
  end

  defp finish({nil, nil}), do: :ok

  defp finish({recording, watch}) do
    # The end first: it is noted with its time, and what happens while the rest is taken down lies behind it.
    Native.stop(recording.handle)
    Switch.turn(:off)
    Frameworks.finish()
    Watch.finish(watch)
  end

  # Sorts by time; the rest keeps two VMs, and two recordings of one VM, apart.
  defp run_name do
    time = DateTime.utc_now() |> DateTime.to_iso8601(:basic)
    "#{time}-#{System.pid()}-#{System.unique_integer([:positive])}"
  end

  defp vm, do: "Elixir #{System.version()} (OTP #{System.otp_release()})"

  @doc "What to do about an error of the store."
  def advice("not_writable"),
    do: "; give the user who runs this VM the right to write there, or set another :dir"

  def advice("disk_full"), do: "; free some space, or set another :dir or a smaller limit :segment_bytes"
  def advice("is_run"), do: "; name the folder above it as :dir, or open it with ElixirScope.open/1"
  def advice("in_use"), do: "; name another folder as :dir"
  def advice("not_found"), do: "; name a recording or a folder of recordings (by default _build/scope)"
  def advice("other_version"), do: "; add that version of ElixirScope to a project and open it there"
  def advice("damaged"), do: "; restore the file from a copy, or remove the recording"
  def advice(_reason), do: ""
end
