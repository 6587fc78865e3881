defmodule ElixirScope.Case.Scope do
  @moduledoc false
  # Which part of the recording belongs to a test: its processes, from its beginning on.
  #
  # What is known of a test lies in the dictionary of its process, and ends with it. Its processes are asked from the recording
  # (`Native.family/4`): each relation is read once, by whoever asks next, so a question does not cost more after thousands of tests.

  alias ElixirScope.{Error, Native, Query, Recorder, Recording}
  alias ElixirScope.Query.Server

  @enforce_keys [:recording, :pids, :processes, :since, :test]
  defstruct [:recording, :pids, :processes, :since, :test]

  @type t :: %__MODULE__{
          recording: Recording.t(),
          pids: [pid],
          # The same that are in the recording, as the native library names them.
          processes: [Server.numbers()],
          since: non_neg_integer,
          test: pid
        }

  @typedoc "What is remembered of a test."
  @type about :: %{
          test: pid,
          # `nil` where nobody noted it.
          since: non_neg_integer | nil
        }

  @about :"$elixir_scope_test"
  # Where `Process.set_label/1` of Elixir 1.17 puts it.
  @label :"$process_label"
  @allowed :"$elixir_scope_allowed"
  @makers :"$elixir_scope_makers"

  @doc "Remembers that the test of the calling process begins."
  @spec begin(map) :: :ok
  def begin(context \\ %{}) do
    with %{module: module, test: name} <- context, nil <- Process.get(@label) do
      Process.put(@label, {module, name})
    end

    Process.put(@about, %{test: self(), since: Native.now()})
    :ok
  end

  @doc "Counts a process, and those that it makes, among those of the test."
  @spec allow(pid) :: :ok
  def allow(pid) when is_pid(pid) do
    Process.put(@allowed, [pid | allowed()])
    :ok
  end

  @doc "The processes that were allowed."
  @spec allowed() :: [pid]
  def allowed, do: Process.get(@allowed, [])

  @doc "When the test began; where nobody noted it, the beginning of the recording."
  @spec since() :: non_neg_integer
  def since, do: about().since || 0

  @doc "The process of the test: the calling one, or the one that it works for."
  @spec test() :: pid
  def test, do: about().test

  defp about do
    with nil <- Process.get(@about) do
      about = Enum.find_value(made_for(), &noted/1) || %{test: self(), since: nil}
      Process.put(@about, about)
      about
    end
  end

  # A task of a test may assert as well.
  defp made_for do
    for key <- [:"$callers", :"$ancestors"],
        pid <- Process.get(key, []),
        is_pid(pid),
        node(pid) == node(),
        do: pid
  end

  defp noted(pid) do
    case Process.info(pid, :dictionary) do
      {:dictionary, dictionary} -> :proplists.get_value(@about, dictionary, nil)
      nil -> nil
    end
  end

  @doc "The recording that is asked."
  @spec recording() :: {:ok, Recording.t()} | {:error, Error.t()}
  def recording, do: Recorder.current()

  @doc "The processes of the calling test that are in the recording, once everything that was captured is."
  @spec family() :: {:ok, t} | {:error, Error.t()}
  def family do
    about = about()

    with {:ok, recording} <- Query.recording([]),
         {state, _started, known_until} = Native.bounds(recording.handle),
         :ok <- records(state, known_until, recording, about.since || 0) do
      %{seeds: seeds, makers: makers, since: since} = native(about)
      {:ok, answer(Native.family(recording.handle, seeds, makers, since), recording, about)}
    end
  end

  @doc """
  The same, and of a function `{key, whether its calls are only counted}` of each of its sites, and its calls in these processes since the
  test began, as the native library gives them.
  """
  @spec calls(mfa) :: {:ok, t, [{non_neg_integer, boolean}], [tuple]} | {:error, Error.t()}
  def calls({module, function, arity}) do
    about = about()
    function = {Atom.to_string(module), Atom.to_string(function), arity}

    with {:ok, recording} <- asked(),
         {state, known_until, told, sites, calls} =
           Native.family_calls(recording.handle, native(about), function),
         :ok <- records(state, known_until, recording, about.since || 0) do
      {:ok, answer(told, recording, about), sites, calls}
    end
  end

  # What was captured is written down by the question itself.
  defp asked do
    case Recorder.current() do
      {:ok, %Recording{overflow: :overwrite}} -> Query.recording([])
      current_or_none -> current_or_none
    end
  end

  defp native(about),
    do: %{seeds: numbers(seeds(about)), makers: numbers(makers()), since: about.since || 0}

  defp seeds(about), do: [about.test | allowed()]

  defp answer({members, born}, recording, about) do
    %__MODULE__{
      recording: recording,
      pids: Enum.uniq(seeds(about) ++ Enum.map(members, &elem(&1, 0))),
      processes: Enum.map(members, &elem(&1, 1)),
      since: about.since || born || 0,
      test: about.test
    }
  end

  defp numbers(pids), do: for(pid <- pids, {:ok, numbers} <- [Server.numbers(pid)], do: numbers)

  # Those that made the process of the test, as they have made those of other tests.
  defp makers do
    with nil <- Process.get(@makers) do
      makers = makers(test(), 16)
      Process.put(@makers, makers)
      makers
    end
  end

  defp makers(_pid, 0), do: []

  defp makers(pid, left) do
    case Process.info(pid, :parent) do
      {:parent, parent} when is_pid(parent) and node(parent) == node() -> [parent | makers(parent, left - 1)]
      _first_or_gone -> []
    end
  end

  # Of a test that began after the end nothing was recorded, whatever it did.
  defp records(state, known_until, recording, since)
       when state in [:stopped, :failed] and known_until < since,
       do: ended(state, recording)

  defp records(_state, _known_until, _recording, _since), do: :ok

  defp ended(state, recording) do
    Error.new(
      :not_recording,
      "the recording of this VM (#{recording.path}) has #{state} before this test began, so nothing of the test was " <>
        "recorded; a test that calls ElixirScope.stop/0 begins another with ElixirScope.start/1 before it ends"
    )
  end

  @doc "What is missing in the time of the test, as in `ElixirScope.status/1`."
  @spec gaps(t) :: [%{cause: atom, count: non_neg_integer, from: non_neg_integer, to: non_neg_integer}]
  def gaps(%__MODULE__{recording: recording, since: since}) do
    for {cause, count, from, to} <- Native.gaps(recording.handle, since, 0xFFFFFFFFFFFFFFFF) do
      %{cause: String.to_atom(cause), count: count, from: from, to: to}
    end
  end
end
