defmodule ElixirScope.Case.Quiet do
  @moduledoc false
  # Waiting for what a test's processes do, without sleeping for a fixed time.
  #
  # They are quiet when each of them waits for a message that it has not got, at two looks one after the other, and has done nothing in
  # between: then there was a moment between the two at which none was at work, and no message was on the way. Between the two it is asked which
  # processes there are, so none of the test's was overlooked at that moment either. A process that waits for an answer (`GenServer.call/3`, `Task.await/2`, a module
  # that is loaded: `ElixirScope.Case.Asking`) is not quiet: somebody may be at work on it, also somebody who is none of the test's.
  # One that sleeps, or waits for a timer, is: nobody knows for how long, and `within:` is for that.

  alias ElixirScope.Case.{Living, Looker, Scope}

  @default 1_000
  # Milliseconds between two looks, at most.
  @longest 20
  # So long is waited in any case for a look, which processes at work answer late.
  @patience 100

  @typedoc "What a question gives: an answer, or that there is none yet."
  @type answer :: {:ok, term} | :not_yet

  @doc """
  Asks until there is an answer, or the test's processes are quiet, or the time is over: `{:ok, x}`, `:quiet` or `:late`.

  Options are `within:`, milliseconds to wait even where all is quiet (`nil`: not; then the time-out is `:assert_timeout` of the
  configuration of `:elixir_scope`, #{@default} ms), and `also:`, processes that are none of the test's but are waited for too.
  """
  @spec until((() -> answer), keyword) :: {:ok, term} | :quiet | :late
  def until(ask, options \\ []) do
    case last(fn -> with(:not_yet <- ask.(), do: {:not_yet, nil}) end, options) do
      {:ok, found} -> {:ok, found}
      {why, nil} -> why
    end
  end

  @typedoc "Whether the processes became quiet; and else which of them did not."
  @type rest :: :quiet | {:late, [pid]}

  @doc "The same with a question that also says what it has seen: the last of it comes with `:quiet` and `:late`."
  @spec last((() -> {:ok, term} | {:not_yet, seen}), keyword) :: {:ok, term} | {:quiet | :late, seen}
        when seen: term
  def last(ask, options \\ []) do
    case asked(ask, options) do
      {{:late, _pids}, seen} -> {:late, seen}
      found_or_quiet -> found_or_quiet
    end
  end

  defp asked(ask, options) do
    within = options |> Keyword.get(:within) |> within()
    also = Keyword.get(options, :also, [])
    ends = System.monotonic_time(:millisecond) + (within || timeout())
    # Most questions are answered at once.
    with {:not_yet, seen} <- ask.(), do: again(ask, {within != nil, also, ends}, {[], Scope.known(), seen}, 0)
  end

  @doc """
  The same for what is decided only when nothing more comes: it is asked when all is quiet or the time is over. With `within:` it is asked all that
  time before, and then the processes have the usual time to become quiet. `{:late, pids}` says which of them did not.
  """
  @spec settled((() -> {:ok, term} | {:not_yet, seen}), keyword) :: {:ok, term} | {rest, seen} when seen: term
  def settled(ask, options \\ []) do
    {within, options} = Keyword.pop(options, :within)
    first = if within(within), do: last(ask, [within: within] ++ options)

    with not_yet when not_yet == nil or elem(not_yet, 0) != :ok <- first do
      why = settle(options)
      with {:not_yet, seen} <- ask.(), do: {why, seen}
    end
  end

  @doc "Waits until the test's processes are quiet, or the time is over."
  @spec settle(keyword) :: rest
  def settle(options \\ []) do
    {why, nil} = asked(fn -> {:not_yet, nil} end, options)
    why
  end

  @doc "Why nothing can be said of what did not happen, in words; `nil`: all was quiet."
  @spec unsettled(rest) :: String.t() | nil
  def unsettled(:quiet), do: nil

  def unsettled({:late, pids}) do
    "after #{ElixirScope.Text.number(timeout())} ms the test's processes were not quiet#{who(pids)}. Wait until they are done before, or longer: " <>
      "config :elixir_scope, assert_timeout: milliseconds"
  end

  defp who([]), do: ""
  defp who([pid]), do: ": #{inspect(pid)} was still at work"
  defp who(pids), do: ": #{Enum.map_join(Enum.take(pids, 5), ", ", &inspect/1)} were still at work"

  @doc "What `within:` says; an `ArgumentError` where that is no time."
  @spec within(term) :: non_neg_integer | nil
  def within(within) when within == nil or (is_integer(within) and within >= 0), do: within

  def within(other) do
    raise ArgumentError,
          "expected within: milliseconds to wait, such as 500, got: #{inspect(other)}; config :elixir_scope, assert_timeout: " <>
            "sets how long assertions wait without it"
  end

  @doc "Whether one of these processes is `:busy`, all live and `:rest`, or one of them has `:ended`, as if there is none."
  @spec work([pid]) :: :busy | :rest | :ended
  def work([]), do: :ended

  def work(pids) do
    case Looker.run(fn -> Enum.map(pids, &Living.rest/1) end, @patience) do
      {:ok, rests} -> work_of(rests)
      :late -> :busy
    end
  end

  defp work_of(rests) do
    cond do
      :busy in rests -> :busy
      nil in rests -> :ended
      true -> :rest
    end
  end

  @doc "Those that live."
  @spec living([pid]) :: [pid]
  def living(pids) do
    {:ok, living} =
      Looker.run(fn -> for(pid <- pids, node(pid) == node(), Process.alive?(pid), do: pid) end, 60_000)

    living
  end

  @doc "How long an assertion waits, in milliseconds."
  @spec timeout() :: non_neg_integer
  def timeout, do: Application.get_env(:elixir_scope, :assert_timeout, @default)

  # `busy`: which processes were not quiet when that was looked for last, as far as known. `known`: those that are looked at.
  defp again(ask, {stay?, also, ends} = how, {busy, known, seen}, pause) do
    {now, known} = look(busy, known, also, ends)
    busy = if now == :quiet, do: [], else: now

    cond do
      now == :quiet and not stay? ->
        with {:not_yet, seen} <- ask.(), do: {:quiet, seen}

      System.monotonic_time(:millisecond) >= ends ->
        {{:late, busy}, seen}

      true ->
        Looker.pause(min(pause, left(ends)))

        with {:not_yet, seen} <- ask.(),
             do: again(ask, how, {busy, known, seen}, min(pause * 2 + 1, @longest))
    end
  end

  defp left(ends), do: max(ends - System.monotonic_time(:millisecond), 0)

  # `:quiet`, or those that are not; and those that are known now.
  defp look(busy, known, also, ends) do
    test = Living.about_test(also, known)

    case Looker.run(fn -> at_now(test) end, max(left(ends), @patience)) do
      {:ok, {now, members}} ->
        known = Enum.uniq(known ++ members)
        # What those make that are none of the test's is waited for by this question alone.
        if also == [], do: Scope.know(known)
        {now, known}

      # Who was busy before is not done, as far as anybody knows.
      :late ->
        {busy, known}
    end
  end

  defp at_now(%{known: known} = test) do
    first = rests(known)

    case for({pid, :busy} <- first, do: pid) do
      [] ->
        members = Living.family(test)
        {moved(first, members) || :quiet, members}

      busy ->
        {busy, []}
    end
  end

  # Those that have done something since the first look, or were not looked at then; `nil`: none. One that has ended may just have told others so.
  defp moved(first, members) do
    then = rests(members)
    moved = for {pid, _rest} = one <- then, not still?(one, first), do: pid
    ended = for pid <- Map.keys(first) ++ members, not is_map_key(then, pid), do: pid
    if moved ++ ended != [], do: Enum.uniq(moved ++ ended)
  end

  defp rests(pids), do: for(pid <- pids, rest = Living.rest(pid), into: %{}, do: {pid, rest})

  # Looking at a process takes one of its reductions, and taking a message nine at least.
  @looks 4

  defp still?({_pid, :busy}, _first), do: false

  defp still?({pid, {messages, reductions}}, first) do
    case first do
      %{^pid => {^messages, before}} -> reductions - before <= @looks
      _busy_or_not_known -> false
    end
  end
end
