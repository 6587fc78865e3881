defmodule ElixirScope.Watch do
  @moduledoc false
  # Which processes the VM tells of, and what. The recorder's process holds this state and calls these functions; processes that
  # run instrumented code for the first time join by themselves (`ElixirScope.Capture.introduce/2`).

  alias ElixirScope.{Error, Native}
  alias ElixirScope.Watch.{Calls, Kinds, Tracing}

  @enforce_keys [:number, :tracing]
  defstruct [:number, :tracing, who: [], kinds: [], calls: [], descent: %{}]

  @typedoc "The processes that are wanted."
  @type who :: :all | :instrumented | pid | atom | [pid | atom]

  @type t :: %__MODULE__{
          number: pos_integer,
          tracing: Tracing.t(),
          who: [pid | :all | :instrumented],
          kinds: [Kinds.t()],
          calls: [Kinds.pattern()],
          # Since when a process, or `:all`, tells the births and ends of all that it makes, and these of theirs.
          descent: %{(pid | :all) => non_neg_integer}
        }

  @type request :: %{
          who: [pid | :all | :instrumented],
          kinds: [Kinds.t()],
          calls: [Kinds.pattern()],
          # Whether processes that those make are watched too.
          spawned: boolean
        }

  @typedoc "What became of a request."
  @type found :: %{processes: non_neg_integer, kinds: [Kinds.t()], held: [{pid | :new, term}]}

  # Under it `ElixirScope.Capture` finds how a process joins.
  @joining :"$elixir_scope_watch"

  @doc "What is watched when nothing is said: processes that run instrumented code, where the VM keeps those who trace apart."
  @spec default() :: :instrumented | false
  def default, do: if(Kinds.sessions?(), do: :instrumented, else: false)

  @doc "Nothing is watched: a recorder that ended in an error has left nothing behind."
  @spec clear() :: :ok
  def clear do
    :persistent_term.erase(@joining)
    Native.watch(0, 0)
    unless Kinds.sessions?(), do: Tracing.finish({:legacy, 0})
    :ok
  end

  @doc "Nothing is watched by it yet."
  @spec begin() :: t
  def begin do
    number = :erlang.unique_integer([:positive])
    Native.watch(number, 0)
    %__MODULE__{number: number, tracing: Tracing.begin(number, Kinds.sessions?())}
  end

  @doc "Nothing is watched any more."
  @spec finish(t | nil) :: :ok
  def finish(nil), do: :ok

  def finish(watch) do
    :persistent_term.erase(@joining)
    Native.watch(0, 0)
    Tracing.finish(watch.tracing)
  end

  @doc "What the option `watch:` of a recording asks for, or `{:who, who}` and options. `nil`: nothing."
  @spec request(term, keyword) :: {:ok, request | nil} | {:error, Error.t()}
  def request(wanted, options \\ [])

  def request({:who, who}, options) do
    with :ok <- known(options),
         {:ok, who} <- processes(who),
         {:ok, kinds} <- Kinds.check(Keyword.get(options, :kinds, Kinds.default())),
         {:ok, calls} <- Calls.check(Keyword.get(options, :calls, []), Keyword.get(options, :returns, false)),
         {:ok, spawned} <- boolean(:spawned, Keyword.get(options, :spawned, false)) do
      {:ok, %{who: who, kinds: kinds, calls: calls, spawned: spawned}}
    end
  end

  def request(:default, []), do: request(Application.get_env(:elixir_scope, :watch, default()))
  def request(false, []), do: {:ok, nil}

  def request([{key, _value} | _] = options, []) when is_atom(key) do
    {who, options} = Keyword.pop(options, :processes, :instrumented)
    request({:who, who}, options)
  end

  def request(who, []), do: request({:who, who}, [])

  @options [:kinds, :calls, :returns, :spawned]

  defp known(options) do
    if Keyword.keyword?(options) and Enum.all?(options, fn {key, _} -> key in @options end) do
      :ok
    else
      Error.new(
        :bad_option,
        "expected options among #{Enum.map_join(@options, ", ", &"#{&1}:")} as a keyword list, got: #{inspect(options)}"
      )
    end
  end

  defp boolean(_key, value) when is_boolean(value), do: {:ok, value}

  defp boolean(key, value),
    do: Error.new(:bad_option, "expected #{key}: to be true or false, got: #{inspect(value)}")

  @doc "Watches more."
  @spec add(t, request) :: {:ok, t, found} | {:error, Error.t()}
  def add(watch, %{who: who, kinds: kinds, calls: calls} = request) do
    with :ok <- patterns(watch, Kinds.patterns(kinds) ++ calls) do
      watch = %{watch | kinds: Enum.uniq(watch.kinds ++ kinds), calls: Enum.uniq(watch.calls ++ calls)}
      Native.watch(watch.number, Kinds.bits(watch.kinds, watch.calls))
      asked = Enum.flat_map(who, &turn_on(watch, &1, request))
      if :ports in kinds, do: Tracing.ports(watch.tracing, true)
      descent = request |> descent(asked) |> Map.merge(bounded(watch.descent))
      answer(%{watch | who: Enum.uniq(lasting(watch.who) ++ who), descent: descent}, who, kinds, asked)
    end
  end

  defp descent(%{who: who, kinds: kinds, spawned: spawned?}, asked) do
    held = for {pid, {:held, _tracer}} <- asked, do: pid

    for one <- who,
        :life in kinds,
        whose = whose(one, spawned?),
        whose not in held,
        whose != :all or :new not in held,
        into: %{},
        do: {whose, Native.now()}
  end

  # Each test of a large suite may watch itself: from so many on those that have ended are left out. Tests that run just now ask since when
  # ended ones of theirs told of births, so that is kept longer.
  @many 1_000
  @most 10_000

  defp lasting(who), do: if(length(who) < @many, do: who, else: Enum.filter(who, &lasts?/1))

  defp bounded(descent) when map_size(descent) < @most, do: descent
  defp bounded(descent), do: Map.filter(descent, fn {who, _since} -> lasts?(who) end)

  defp lasts?(who), do: not is_pid(who) or Process.alive?(who)

  defp whose(:all, _spawned?), do: :all
  defp whose(:instrumented, _spawned?), do: if(Kinds.sessions?(), do: :all)
  defp whose(pid, spawned?), do: if(spawned?, do: pid)

  defp answer(watch, who, kinds, asked) do
    held = for {who, {:held, tracer}} <- asked, do: {who, tracer}
    count = Enum.sum(for {_who, {:ok, count}} <- asked, do: count)

    case {who, held} do
      {[pid], [{pid, tracer}]} -> traced(pid, tracer)
      _some -> {:ok, watch, %{processes: count, kinds: kinds, held: held}}
    end
  end

  defp traced(pid, tracer) do
    Error.new(
      :traced,
      "#{inspect(pid)} is traced by #{inspect(tracer)} already, and before OTP 27 a process has one tracer; end that first, " <>
        "for :dbg with :dbg.stop()"
    )
  end

  # Those that run instrumented code join by themselves. What happens seldom every process tells, where that disturbs nobody.
  defp turn_on(watch, :instrumented, request) do
    :persistent_term.put(@joining, {watch.tracing, flags(request)})
    # Those that have said before who they are say it again, and join.
    Native.forget()
    seldom = %{request | kinds: Kinds.seldom(request.kinds), spawned: false}
    if Kinds.sessions?(), do: turn_on(watch, :all, seldom), else: []
  end

  defp turn_on(watch, :all, request) do
    case flags(%{request | spawned: false}) do
      [] -> []
      flags -> Enum.flat_map([:new, :existing], &Tracing.turn(watch.tracing, &1, true, flags))
    end
  end

  defp turn_on(watch, pid, request), do: Tracing.turn(watch.tracing, pid, true, flags(request))

  defp flags(%{kinds: kinds, calls: calls, spawned: spawned}) do
    called = if calls == [], do: [], else: [:call]
    spawned = if spawned, do: [:set_on_spawn], else: []
    Enum.uniq(Kinds.flags(kinds) ++ called ++ spawned) -- [:ports]
  end

  @doc "Does not watch some of them any more."
  @spec remove(t, who) :: {:ok, t} | {:error, Error.t()}
  def remove(watch, who) do
    with {:ok, who} <- processes(who) do
      Enum.each(who, &turn_off(watch, &1))
      {:ok, %{watch | who: watch.who -- who, descent: without(watch.descent, who)}}
    end
  end

  defp without(descent, pids) when is_list(pids) do
    if Enum.all?(pids, &is_pid/1), do: Map.drop(descent, pids), else: %{}
  end

  defp turn_off(watch, :instrumented) do
    :persistent_term.erase(@joining)
    turn_off(watch, :all)
  end

  defp turn_off(watch, :all) do
    Enum.each([:new, :existing], &Tracing.turn(watch.tracing, &1, false, [:all]))
  end

  defp turn_off(watch, pid), do: Tracing.turn(watch.tracing, pid, false, [:all])

  @doc "What is watched, for people."
  @spec summary(t | nil) :: map
  def summary(nil), do: %{processes: [], kinds: [], calls: []}

  def summary(watch) do
    calls = for {module, function, arity, _spec} <- watch.calls, uniq: true, do: {module, function, arity}
    %{processes: watch.who, kinds: watch.kinds, calls: calls}
  end

  @doc "Whether the VM tells the messages of a process that lives already, as a request asks for them."
  @spec messages?(request, found, pid) :: boolean
  def messages?(%{who: who, kinds: kinds}, %{held: held}, pid),
    do: :messages in kinds and (:all in who or pid in who) and not List.keymember?(held, pid, 0)

  @doc "The processes of a request that live already."
  @spec living([pid | :all | :instrumented]) :: [pid]
  def living(who) do
    if :all in who or (:instrumented in who and Kinds.sessions?()),
      do: :erlang.processes(),
      else: Enum.filter(who, &is_pid/1)
  end

  defp processes(who) when who in [:all, :instrumented], do: {:ok, [who]}
  defp processes(who) when is_list(who), do: processes(who, [])
  defp processes(who), do: processes([who], [])

  defp processes([], found), do: {:ok, Enum.reverse(found)}

  defp processes([pid | rest], found) when is_pid(pid) and node(pid) == node() do
    if Process.alive?(pid), do: processes(rest, [pid | found]), else: gone(pid)
  end

  defp processes([name | rest], found) when is_atom(name) and name not in [nil, true, false] do
    case Process.whereis(name) do
      pid when is_pid(pid) -> processes(rest, [pid | found])
      _none -> gone(name)
    end
  end

  defp processes([text | rest], found) when is_binary(text) do
    case pid(text) do
      pid when is_pid(pid) -> processes([pid | rest], found)
      nil -> bad(text)
    end
  end

  defp processes([other | _rest], _found), do: bad(other)
  defp processes(other, _found), do: bad(other)

  # The text of a pid of this node.
  defp pid(text) do
    pid = text |> String.replace_prefix("#PID", "") |> String.to_charlist() |> :erlang.list_to_pid()
    if node(pid) == node(), do: pid
  rescue
    # No text of a pid.
    _error in [ArgumentError, UnicodeConversionError] -> nil
  end

  defp bad(other) do
    Error.new(
      :bad_server,
      "expected :all, :instrumented, a pid of this node or its text, a registered name, or a list of these, got: #{inspect(other)}"
    )
  end

  defp gone(who) do
    Error.new(:unknown_process, "expected a process that lives, got: #{inspect(who)}")
  end

  defp patterns(_watch, []), do: :ok

  defp patterns(watch, patterns) do
    Enum.find_value(patterns, :ok, fn {module, function, arity, spec} ->
      Code.ensure_loaded(module)
      found = Tracing.calls(watch.tracing, {module, function, arity}, spec)
      if found == 0, do: no_function(module, function, arity)
    end)
  end

  defp no_function(module, function, arity) do
    Error.new(
      :unknown_function,
      "expected calls: of functions that exist, got: #{inspect({module, function, arity})}, of which the module #{inspect(module)} " <>
        "has none"
    )
  end
end
