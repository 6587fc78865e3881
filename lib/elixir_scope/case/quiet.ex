defmodule ElixirScope.Case.Quiet do
  @moduledoc false
  # Waiting for what a test's processes do, without sleeping for a fixed time.
  #
  # They are quiet when each of them waits for a message that it has not got, twice in a row, and has done nothing in between: then there was a
  # moment between the two looks at which none was at work, and no message was on the way. A process that waits for an answer (`GenServer.call/3`, `Task.await/2`) is not quiet: somebody
  # may be at work on it, also somebody who is none of the test's. One that sleeps, or waits for a timer, is: nobody knows for
  # how long, and `within:` is for that.

  alias ElixirScope.Case.Living

  @default 1_000
  # Milliseconds between two looks, at most.
  @longest 20

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

  @doc "The same with a question that also says what it has seen: the last of it comes with `:quiet` and `:late`."
  @spec last((() -> {:ok, term} | {:not_yet, seen}), keyword) :: {:ok, term} | {:quiet | :late, seen}
        when seen: term
  def last(ask, options \\ []) do
    within = Keyword.get(options, :within)
    also = Keyword.get(options, :also, [])
    ends = System.monotonic_time(:millisecond) + (within || timeout())
    # Most questions are answered at once.
    with {:not_yet, seen} <- ask.(), do: again(ask, {within != nil, also, ends}, {:unknown, seen}, 0)
  end

  @doc """
  The same for what is decided only when nothing more comes: it is asked when all is quiet or the time is over, or with `within:` all the time.
  """
  @spec settled((() -> {:ok, term} | {:not_yet, seen}), keyword) :: {:ok, term} | {:quiet | :late, seen}
        when seen: term
  def settled(ask, options \\ []) do
    if Keyword.get(options, :within) do
      last(ask, options)
    else
      why = settle(options)
      with {:not_yet, seen} <- ask.(), do: {why, seen}
    end
  end

  @doc "Waits until the test's processes are quiet, or the time is over."
  @spec settle(keyword) :: :quiet | :late
  def settle(options \\ []), do: until(fn -> :not_yet end, options)

  @doc "How long an assertion waits, in milliseconds."
  @spec timeout() :: non_neg_integer
  def timeout, do: Application.get_env(:elixir_scope, :assert_timeout, @default)

  # `before`: what the processes were at before the question was asked last.
  defp again(ask, {stay?, also, ends} = how, {before, seen}, pause) do
    now = look(before, also)

    cond do
      not stay? and same?(now, before) ->
        {:quiet, seen}

      System.monotonic_time(:millisecond) >= ends ->
        {:late, seen}

      true ->
        if now == :busy or stay?, do: wait(min(pause, left(ends)))
        with {:not_yet, seen} <- ask.(), do: again(ask, how, {now, seen}, min(pause * 2 + 1, @longest))
    end
  end

  defp left(ends), do: max(ends - System.monotonic_time(:millisecond), 0)

  defp wait(0), do: :erlang.yield()

  defp wait(milliseconds) do
    receive do
    after
      milliseconds -> :ok
    end
  end

  # `:busy`, or what the processes are at. Looking for all of them takes the VM a while. When those that were known have not gone on, none has
  # been made by them.
  defp look(before, also) when is_list(before) do
    now = at(Enum.map(before, &elem(&1, 0)))
    if same?(now, before), do: now, else: look(:unknown, also)
  end

  defp look(_busy_or_unknown, also), do: also |> Living.family() |> at()

  defp at(pids) do
    rests = for pid <- pids, rest = Living.rest(pid), do: {pid, rest}
    if List.keymember?(rests, :busy, 1), do: :busy, else: rests
  end

  # Looking at a process takes one of its reductions, and taking a message nine at least.
  @looks 4

  defp same?(now, before) when is_list(now) and is_list(before) and length(now) == length(before) do
    now
    |> Enum.zip(before)
    |> Enum.all?(fn {{pid, {messages, reductions}}, {other, {before, earlier}}} ->
      pid == other and messages == before and reductions - earlier <= @looks
    end)
  end

  defp same?(_now, _before), do: false
end
