defmodule ElixirScope.Recorder do
  @moduledoc false
  # Owns the recording of this VM: begins and ends it, turns the gate, and says so when it stops by itself.
  # Questions do not come through this process: they read the recording from where it is published.

  use GenServer

  alias ElixirScope.{Error, Native, Options, Recording, Switch}

  require Logger

  @published {__MODULE__, :recording}

  def child_spec(begin?) do
    # Ending a recording drains what is left and must not be cut short.
    %{id: __MODULE__, start: {__MODULE__, :start_link, [begin?]}, shutdown: 60_000}
  end

  def start_link(begin?), do: GenServer.start_link(__MODULE__, begin?, name: __MODULE__)

  @doc "Ends the recording that runs, if any, and begins a new one."
  @spec start(keyword) :: {:ok, Recording.t()} | {:error, Error.t()}
  def start(options) do
    with {:ok, options} <- Options.read(options), do: call({:start, options})
  end

  @doc "Ends the recording that runs. It can still be asked."
  @spec stop() :: :ok | {:error, Error.t()}
  def stop, do: call(:stop)

  @spec pause() :: :ok | {:error, Error.t()}
  def pause, do: call(:pause)

  @spec resume() :: :ok | {:error, Error.t()}
  def resume, do: call(:resume)

  @doc "The recording of this VM: the one that runs, or else the last one."
  @spec current() :: {:ok, Recording.t()} | {:error, Error.t()}
  def current do
    case :persistent_term.get(@published, nil) do
      nil -> no_recording()
      recording -> {:ok, recording}
    end
  end

  defp call(request) do
    GenServer.call(__MODULE__, request, :infinity)
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

  @impl true
  def init(begin?) do
    Process.flag(:trap_exit, true)
    Native.own()
    {:ok, if(begin?, do: begin_configured(), else: nil)}
  end

  # A recording that cannot begin must not keep the application from starting.
  defp begin_configured do
    configured = Application.get_all_env(:elixir_scope) |> Keyword.delete(:included_applications)

    with {:ok, options} <- Options.read(configured), {:ok, recording} <- begin(options) do
      recording
    else
      {:error, error} ->
        Logger.warning("ElixirScope records nothing: #{error.message}")
        nil
    end
  end

  @impl true
  def handle_call({:start, options}, _from, recording) do
    # The new one takes over before the old one ends; when it cannot begin, the old one goes on.
    case begin(options) do
      {:ok, new} ->
        if recording, do: Native.stop(recording.handle)
        {:reply, {:ok, new}, new}

      error ->
        {:reply, error, recording}
    end
  end

  def handle_call(_request, _from, nil), do: {:reply, no_recording(), nil}

  def handle_call(:stop, _from, recording) do
    finish(recording)
    {:reply, :ok, nil}
  end

  def handle_call(:pause, _from, recording) do
    Native.pause(recording.handle)
    Switch.turn(:off)
    {:reply, :ok, recording}
  end

  def handle_call(:resume, _from, recording) do
    Native.resume(recording.handle)
    Switch.turn(:on)
    {:reply, :ok, recording}
  end

  @impl true
  def handle_info({:elixir_scope_stopped, path, why}, %Recording{path: path} = recording) do
    Switch.turn(:off)

    Logger.warning(
      "ElixirScope has stopped recording: #{why}. What was recorded until now can still be asked."
    )

    {:noreply, recording}
  end

  def handle_info(_message, recording), do: {:noreply, recording}

  @impl true
  def terminate(_reason, recording), do: finish(recording)

  defp begin(options) do
    native =
      options
      |> Map.merge(overflow(options))
      |> Map.merge(%{name: run_name(), node: Atom.to_string(node()), vm: vm(), notify: self()})

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

  defp finish(nil), do: :ok

  defp finish(recording) do
    Switch.turn(:off)
    Native.stop(recording.handle)
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
  def advice("damaged"), do: "; restore the file from a copy, or remove the recording"
  def advice(_reason), do: ""
end
