defmodule ElixirScope.Watch.Kinds do
  @moduledoc false
  # What the VM can tell of a process: one row a kind, with what has to be asked of the VM for it, and where that is not
  # safe or not possible. Tracing flags are those of `:erlang.trace/3`; calls are seen by patterns, which before OTP 27 are the same for
  # all who trace, so they are not set there.

  import Bitwise, only: [<<<: 2]

  alias ElixirScope.Error

  @type t :: atom
  @type pattern :: {module, atom, arity | :_, list}

  @traced 25

  # `Process.set_label/1` calls the function of OTP in some versions of Elixir, and does its work itself in others.
  {:ok, {_, [imports: imports]}} = :beam_lib.chunks(:code.which(Process), [:imports])
  @set_label {:proc_lib, :set_label, 1}
  @labels if(@set_label in imports, do: [@set_label], else: [@set_label, {Process, :set_label, 1}])

  # kind => {flags, numbers of the kinds of events (`native/event`), patterns}
  @rows [
    life: {[:procs], [19, 20, 21], []},
    links: {[:procs], [22], []},
    names: {[:procs], [23], []},
    messages: {[:send, :receive], [15, 16], []},
    labels: {[:call], [24, 25], @labels},
    signals: {[:call], [25], [{:erlang, :exit, 2}]},
    waits:
      {[:call], [25],
       [
         {:gen, :call, 4},
         {Task, :await, 2},
         {Task, :await_many, 2},
         {Task, :yield, 2},
         {Task, :yield_many, 2}
       ]},
    monitors:
      {[:call], [25],
       [
         {:erlang, :monitor, 2, :returns},
         {:erlang, :monitor, 3, :returns},
         {:erlang, :demonitor, 1},
         {:erlang, :demonitor, 2}
       ]},
    tables:
      {[:call], [25],
       [{:ets, :new, 2, :returns}, {:ets, :delete, 1}, {:ets, :rename, 2}, {:ets, :give_away, 3}]},
    timers:
      {[:call], [25],
       [
         {:erlang, :send_after, 3, :returns},
         {:erlang, :send_after, 4, :returns},
         {:erlang, :start_timer, 3, :returns},
         {:erlang, :start_timer, 4, :returns},
         {:erlang, :cancel_timer, 1},
         {:erlang, :cancel_timer, 2}
       ]},
    ports: {[:ports], [28], []},
    scheduling: {[:running, :exiting], [26], []},
    garbage: {[:garbage_collection], [27], []}
  ]

  @default [:life, :links, :names, :messages, :labels, :signals, :waits]

  @doc "All kinds."
  @spec all() :: [t]
  def all, do: Keyword.keys(@rows)

  @doc "Those that are recorded when nothing else is said, as far as this VM can tell them."
  @spec default() :: [t]
  def default, do: Enum.filter(@default, &(reason(&1) == nil))

  @doc "Whether these are kinds that this VM can tell."
  @spec check([t]) :: {:ok, [t]} | {:error, Error.t()}
  def check(kinds) when is_list(kinds) do
    with false <- List.improper?(kinds),
         [] <- Enum.reject(kinds, &(&1 in all())),
         nil <- Enum.find_value(kinds, &reason/1) do
      {:ok, Enum.uniq(kinds)}
    else
      true -> bad(kinds)
      [other | _] -> bad(other)
      reason -> Error.new(:unsupported, reason)
    end
  end

  def check(other), do: bad(other)

  defp bad(other) do
    Error.new(
      :bad_option,
      "expected kinds: as a list of #{Enum.map_join(all(), ", ", &inspect/1)}, got: #{inspect(other)}"
    )
  end

  @doc "The flags of the VM for some kinds."
  @spec flags([t]) :: [atom]
  def flags(kinds), do: kinds |> Enum.flat_map(&elem(@rows[&1], 0)) |> Enum.uniq()

  @doc "A bit for each kind of event that is recorded for some kinds, and when calls of other functions are wanted."
  @spec bits([t], [pattern]) :: non_neg_integer
  def bits(kinds, calls) do
    called = if calls == [], do: [], else: [@traced]

    kinds
    |> Enum.flat_map(&elem(@rows[&1], 1))
    |> Enum.concat(called)
    |> Enum.reduce(0, &Bitwise.bor(1 <<< &1, &2))
  end

  @doc "Those that every process tells where only those that run instrumented code are wanted: they happen seldom."
  @spec seldom([t]) :: [t]
  def seldom(kinds), do: kinds -- [:messages, :scheduling, :garbage]

  @doc "The functions whose calls are seen for some kinds, with match specifications."
  @spec patterns([t]) :: [pattern]
  def patterns(kinds) do
    for kind <- kinds, pattern <- elem(@rows[kind], 2), do: pattern(pattern)
  end

  # A function built into the VM returns at once, so a frame for its return is no burden.
  defp pattern({module, function, arity, :returns}),
    do: {module, function, arity, [{:_, [], [{:return_trace}]}]}

  defp pattern({module, function, arity}), do: {module, function, arity, []}

  @doc "Whether the VM keeps those who trace apart (OTP 27)."
  @spec sessions?() :: boolean
  def sessions?, do: otp() >= 27

  defp otp, do: :erlang.system_info(:otp_release) |> List.to_integer()

  # Why this VM must not be asked for it.
  defp reason(kind) do
    cond do
      kind == :garbage and otp() >= 27 ->
        "the kind :garbage is not recorded on OTP #{otp()}: two who trace the garbage collection of one process there end the VM " <>
          "(https://github.com/erlang/otp/issues/11624, open when this was written)"

      kind == :scheduling and not schedules_safely?() ->
        "the kind :scheduling is not recorded on OTP #{otp()}, erts #{:erlang.system_info(:version)}: a process that runs on a dirty " <>
          "scheduler while it stops being watched can end the VM (https://github.com/erlang/otp/issues/6448); it needs OTP 25.3"

      patterns([kind]) != [] and not sessions?() ->
        "the kind #{inspect(kind)} needs OTP 27, got OTP #{otp()}: it is seen by calls of functions, and before OTP 27 those " <>
          "who trace would get each other's calls"

      true ->
        nil
    end
  end

  # OTP 25.3 has erts 13.2.
  defp schedules_safely? do
    version = :erlang.system_info(:version) |> List.to_string() |> String.split(".")
    Enum.map(Enum.take(version, 2), &String.to_integer/1) >= [13, 2]
  end
end
