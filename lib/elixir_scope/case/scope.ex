defmodule ElixirScope.Case.Scope do
  @moduledoc false
  # Which part of the recording belongs to a test: its processes, from its beginning on.

  alias ElixirScope.{Error, Native, Query, Recorder, Recording}

  @enforce_keys [:recording, :pids, :since, :test]
  defstruct [:recording, :pids, :since, :test]

  @type t :: %__MODULE__{
          recording: Recording.t(),
          pids: [pid],
          since: non_neg_integer,
          test: pid
        }

  @begun :"$elixir_scope_test"
  @strangers :"$elixir_scope_strangers"
  @allowed :"$elixir_scope_allowed"

  @doc "Remembers when the test of the calling process began."
  @spec begin() :: :ok
  def begin do
    Process.put(@begun, Native.now())
    Process.put(@strangers, Map.new(Process.list(), &{&1, []}))
    :ok
  end

  @doc "When the test began; without `use ElixirScope.Case`, the beginning of the recording."
  @spec since() :: non_neg_integer
  def since, do: Process.get(@begun, 0)

  @doc "Counts a process, and those that it makes, among those of the test."
  @spec allow(pid) :: :ok
  def allow(pid) when is_pid(pid) do
    Process.put(@allowed, [pid | allowed()])
    :ok
  end

  @doc "The processes that were allowed."
  @spec allowed() :: [pid]
  def allowed, do: Process.get(@allowed, [])

  @doc "The process of the test: the calling one."
  @spec test() :: pid
  def test, do: self()

  @doc "The processes that lived before the test began, as keys; none where nobody remembered."
  @spec strangers() :: %{pid => []}
  def strangers, do: Process.get(@strangers, %{})

  @doc "The recording that is asked."
  @spec recording() :: {:ok, Recording.t()} | {:error, Error.t()}
  def recording, do: Recorder.current()

  @doc "The processes of the calling test that are in the recording, once everything that was captured is."
  @spec family() :: {:ok, t} | {:error, Error.t()}
  def family do
    with {:ok, recording} <- Recorder.current(),
         {:ok, recording} <- Query.recording(in: recording),
         :ok <- records(recording) do
      pids = recording |> pids(self()) |> Enum.to_list()
      {:ok, %__MODULE__{recording: recording, pids: pids, since: since(), test: self()}}
    end
  end

  # Of a test that began after the end nothing was recorded, whatever it did.
  defp records(recording) do
    case Native.bounds(recording.handle) do
      {state, _started, last} when state in [:stopped, :failed] ->
        if last < since(), do: ended(state, recording), else: :ok

      _goes_on ->
        :ok
    end
  end

  defp ended(state, recording) do
    Error.new(
      :not_recording,
      "the recording of this VM (#{recording.path}) has #{state} before this test began, so nothing of the test was " <>
        "recorded; a test that calls ElixirScope.stop/0 begins another with ElixirScope.start/1 before it ends"
    )
  end

  @doc "The pids of the test's processes that made events."
  def pids(recording, test) do
    processes = for {pid, who} <- Query.processes(recording), do: {pid, relatives(who)}
    family(processes, MapSet.new([test | allowed()]))
  end

  defp relatives(who) do
    for key <- [:parents, :ancestors, :callers], pid <- Map.get(who, key, []), is_pid(pid), do: pid
  end

  # Parents need not have been seen before their children, so this goes round until nobody joins.
  defp family(processes, members) do
    {joining, others} =
      Enum.split_with(processes, fn {pid, relatives} ->
        pid in members or Enum.any?(relatives, &(&1 in members))
      end)

    case joining do
      [] -> members
      _ -> family(others, Enum.into(joining, members, fn {pid, _relatives} -> pid end))
    end
  end
end
