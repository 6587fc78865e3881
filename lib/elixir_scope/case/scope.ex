defmodule ElixirScope.Case.Scope do
  @moduledoc false
  # Which part of the recording belongs to a test: its processes, from its beginning on.
  #
  # What is known of a test lies in the dictionary of its process, and ends with it; what it allows in a table, since its tasks allow and ask as well.
  # Its processes are asked from the recording (`Native.family/2`): each relation is read once, by whoever asks next, so a question does not cost
  # more after thousands of tests.

  alias ElixirScope.Case.{Failure, Looker, Lost, Seen}
  alias ElixirScope.{Error, Native, Query, Recorder, Recording}
  alias ElixirScope.Query.Server

  @enforce_keys [:recording, :pids, :processes, :since, :test, :gaps]
  defstruct @enforce_keys

  @type t :: %__MODULE__{
          recording: Recording.t(),
          pids: [pid],
          # The same that are in the recording, as the native library names them.
          processes: [Server.numbers()],
          since: non_neg_integer,
          test: pid,
          # What was missing in the time of the test when this was asked; `gaps/1` asks again.
          gaps: [Lost.gap()]
        }

  @typedoc "What is remembered of a test."
  @type about :: %{
          :test => pid,
          # `nil` where nobody noted it.
          :since => non_neg_integer | nil,
          # Who made the calling process, or its maker, and has ended, so that its test is not known.
          optional(:lost) => pid,
          # It runs what `on_exit` was given, behind a test, and nobody tells which.
          optional(:behind) => true
        }

  @about :"$elixir_scope_test"
  # Where `Process.set_label/1` of Elixir 1.17 puts it.
  @label :"$process_label"
  # `{the process of a test, what it allowed}`. The recorder's process owns the table.
  @allowed :elixir_scope_allowed
  @makers :"$elixir_scope_makers"
  @known :"$elixir_scope_known"

  @doc "Remembers that the test of the calling process begins."
  @spec begin(map) :: :ok
  def begin(context \\ %{}) do
    Looker.load()

    with %{module: module, test: name} <- context, nil <- Process.get(@label) do
      Process.put(@label, {module, name})
    end

    Process.put(@about, %{test: self(), since: Native.now()})
    :ok
  end

  @doc "What the process of a test is called by, where it lives and that was said: `{module, name}`."
  @spec label(pid) :: term
  def label(test) do
    case node(test) == node() and Process.info(test, :dictionary) do
      {:dictionary, dictionary} -> :proplists.get_value(@label, dictionary, nil)
      _ended_or_elsewhere -> nil
    end
  end

  @doc "Counts a process, and those that it makes, among those of the test."
  @spec allow(pid) :: :ok
  def allow(pid) when is_pid(pid) do
    if why = stray(), do: raise(ArgumentError, "of which test #{inspect(pid)} is to be nobody knows: " <> why)
    test = test()

    looked(fn ->
      for past <- :ets.select(@allowed, [{{:"$1", :_}, [], [:"$1"]}]),
          not Process.alive?(past),
          do: :ets.delete(@allowed, past)

      :ets.insert(@allowed, {test, pid})
    end)

    :ok
  end

  @doc "The processes that the test allowed, in whichever of its own."
  @spec allowed() :: [pid]
  def allowed, do: allowed(test())

  # Nobody has allowed anything where the library does not run.
  defp allowed(test) do
    for {_test, pid} <- :ets.lookup(@allowed, test), do: pid
  rescue
    ArgumentError -> []
  end

  @doc "The processes of the test that were found last, whether recorded or living; some of them may have ended."
  @spec known() :: [pid]
  def known, do: Process.get(@known, [])

  @doc "Remembers which those are."
  @spec know([pid]) :: :ok
  def know(pids) do
    Process.put(@known, pids)
    :ok
  end

  @doc "When the test began; where nobody noted it, the beginning of the recording."
  @spec since() :: non_neg_integer
  def since, do: about().since || 0

  @doc "The process of the test: the calling one, or the one that it works for."
  @spec test() :: pid
  def test, do: about().test

  defp about do
    with nil <- Process.get(@about) do
      about = noted(made_for()) || looked_up(self()) || %{test: self(), since: nil}
      Process.put(@about, about)
      about
    end
  end

  # One of plain `spawn` is of the test that made it, or made its maker. Where a maker has ended nobody knows, nor where it waits for `on_exit`:
  # ExUnit runs that in a process which hangs below no test, but below what makes the tests of a module.
  defp looked_up(pid), do: looked(fn -> noted_above(pid, 16) end)

  defp noted_above(_pid, 0), do: nil

  defp noted_above(pid, left) do
    with {:parent, parent} when is_pid(parent) and node(parent) == node() <- Process.info(pid, :parent) do
      cond do
        about = noted_by(parent) -> about
        not Process.alive?(parent) -> %{test: pid, since: nil, lost: parent}
        waits_for_on_exit?(parent) -> %{test: pid, since: nil, behind: true}
        true -> noted_above(parent, left - 1)
      end
    else
      _first_or_gone -> nil
    end
  end

  defp waits_for_on_exit?(pid),
    do: match?({_, {ExUnit.OnExitHandler, _, _}}, Process.info(pid, :current_function))

  # A task of a test may assert as well.
  defp made_for do
    for key <- [:"$callers", :"$ancestors"],
        pid <- Process.get(key, []),
        is_pid(pid),
        node(pid) == node(),
        do: pid
  end

  defp noted([]), do: nil
  defp noted(pids), do: looked(fn -> Enum.find_value(pids, &noted_by/1) end)

  defp noted_by(pid) do
    case Process.info(pid, :dictionary) do
      {:dictionary, dictionary} -> :proplists.get_value(@about, dictionary, nil)
      nil -> nil
    end
  end

  # Longer than any of these is busy.
  @patience 60_000

  defp looked(look) do
    {:ok, seen} = Looker.run(look, @patience)
    seen
  end

  # Why nobody knows of which test the calling process is, in words.
  defp stray do
    case about() do
      %{lost: maker} ->
        "it is asked in #{inspect(self())}, which is no process of a test as far as anybody knows: #{inspect(maker)}, which made it or its " <>
          "maker, has ended; ask in the test's own process, or in a task of it"

      %{behind: true} ->
        "it is asked in #{inspect(self())}, which runs what was given to on_exit: that is a process of its own, behind the test, and no " <>
          "process of the test; ask in the test itself"

      _known ->
        nil
    end
  end

  @doc "The recording that is asked."
  @spec recording() :: {:ok, Recording.t()} | {:error, Error.t()}
  def recording, do: Recorder.current()

  @doc "The processes of the calling test that are in the recording, once everything that was captured is."
  @spec family() :: {:ok, t} | {:error, Error.t()}
  def family do
    about = about()
    seeds = seeds(about)

    with :ok <- of_a_test(),
         {:ok, recording} <- asked(),
         {state, known_until, told, gaps} = family(recording.handle, native(about, seeds)),
         :ok <- records(state, known_until, recording, about.since || 0) do
      {:ok, answer(told, gaps, recording, about, seeds)}
    end
  end

  @doc "The same; where that cannot be asked it is the failure of the assertion."
  @spec family!() :: t
  def family! do
    case family() do
      {:ok, family} -> family
      {:error, error} -> Failure.impossible(error.message)
    end
  end

  # Waking a dirty scheduler takes longer than most answers, so those that are quick come without one (`native/nif/src/family.rs`).
  defp family(handle, test),
    do: with(:long <- Native.family_soon(handle, test), do: Native.family(handle, test))

  defp family_calls(handle, test, function) do
    with :long <- Native.family_calls_soon(handle, test, function),
         do: Native.family_calls(handle, test, function)
  end

  @doc "A function that gives these processes as well, whatever process it runs in."
  @spec asker() :: (() -> [pid])
  def asker do
    about = about()
    test = native(about, seeds(about))

    fn ->
      case asked() do
        {:ok, recording} ->
          {_state, _until, {members, _born}, _gaps} = family(recording.handle, test)
          Enum.map(members, &elem(&1, 0))

        # That is said by who asks.
        {:error, _error} ->
          []
      end
    end
  end

  @doc """
  The same, and of a function `{key, whether its calls are only counted}` of each of its sites, and its calls in these processes since the
  test began, as the native library gives them.
  """
  @spec calls(mfa) :: {:ok, t, [{non_neg_integer, boolean}], [tuple]} | {:error, Error.t()}
  # It stands in a variable of the test.
  def calls({module, _function, _arity} = mfa) when not is_atom(module),
    do: Error.new(:bad_function, Seen.reason(mfa))

  def calls({module, function, arity}) do
    about = about()
    seeds = seeds(about)
    function = {Atom.to_string(module), Atom.to_string(function), arity}

    with :ok <- of_a_test(),
         {:ok, recording} <- asked(),
         {state, known_until, told, gaps, sites, calls} =
           family_calls(recording.handle, native(about, seeds), function),
         :ok <- records(state, known_until, recording, about.since || 0) do
      {:ok, answer(told, gaps, recording, about, seeds), sites, calls}
    end
  end

  @doc "The state that a process of the test has now, where that is quickly told."
  @spec state(pid) :: {:known, tuple} | :unknown
  def state(pid) do
    with %{since: since} when since != nil <- about(),
         {:ok, %Recording{overflow: overflow} = recording} when overflow != :overwrite <- Recorder.current(),
         {:ok, process} <- Server.numbers(pid),
         {:known, _event} = known <- Native.state_soon(recording.handle, process, since) do
      known
    else
      _asked_in_another_way -> :unknown
    end
  end

  defp of_a_test do
    case stray() do
      nil -> :ok
      why -> Error.new(:unknown_process, why)
    end
  end

  # What was captured is written down by the question itself.
  defp asked do
    case Recorder.current() do
      {:ok, %Recording{overflow: :overwrite}} -> Query.recording([])
      current_or_none -> current_or_none
    end
  end

  defp native(about, seeds),
    do: %{seeds: numbers(seeds), makers: numbers(makers()), since: about.since || 0}

  defp seeds(%{test: test}), do: [test | allowed(test)]

  defp answer({members, born}, gaps, recording, about, seeds) do
    since = about.since || born || 0
    pids = Enum.uniq(seeds ++ Enum.map(members, &elem(&1, 0)))
    know(Enum.uniq(pids ++ known()))

    %__MODULE__{
      recording: recording,
      pids: pids,
      processes: Enum.map(members, &elem(&1, 1)),
      since: since,
      test: about.test,
      gaps: for(%{to: to} = gap <- Lost.gaps(gaps), to >= since, do: gap)
    }
  end

  defp numbers(pids), do: for(pid <- pids, {:ok, numbers} <- [Server.numbers(pid)], do: numbers)

  # Those that made the process of the test, as they have made those of other tests.
  defp makers do
    with nil <- Process.get(@makers) do
      test = test()
      makers = looked(fn -> makers(test, 16) end)
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

  @doc "What is missing in the time of the test."
  @spec gaps(t) :: [Lost.gap()]
  def gaps(%__MODULE__{recording: recording, since: since}),
    do: Lost.between(recording, since)
end
