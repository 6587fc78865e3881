defmodule ElixirScope.Watch.Tracing do
  @moduledoc false
  # The door to the VM's tracing. Since OTP 27 in a session of our own, which nobody else sees. Before that there is one tracer
  # a process: a process that another tool traces is left alone, and processes are asked for one by one, since asking for all at
  # once can end the VM while another one runs on a dirty scheduler (https://github.com/erlang/otp/pull/8286).
  #
  # The tracer is `ElixirScope.Native` with a number: see `native/nif/src/tracer.rs`.

  alias ElixirScope.Native

  @compile {:no_warn_undefined, :trace}

  @type t :: {:session, term, pos_integer} | {:legacy, pos_integer}

  @doc "Begins. `sessions?`: whether the VM has sessions."
  @spec begin(pos_integer, boolean) :: t
  def begin(number, true) do
    session = :trace.session_create(:elixir_scope, {Native, number}, [])
    # So that a delivery names its sender.
    :trace.recv(session, [{[:_, :"$1", :_], [], [{:message, :"$1"}]}], [])
    {:session, session, number}
  end

  def begin(number, false), do: {:legacy, number}

  @doc "Ends: no process has this tracer any more, so that other tools may trace it."
  @spec finish(t) :: :ok
  def finish({:session, session, _number}) do
    :trace.session_destroy(session)
    :ok
  end

  def finish({:legacy, _number} = tracing) do
    Enum.each([:new | :erlang.processes()], &process(tracing, &1, false, [:all]))
  end

  @typedoc "For how many processes, who traces it already, or that it has ended."
  @type turned :: {:ok, non_neg_integer} | {:held, pid | term} | :gone

  @doc "Turns flags on or off for a process, or for all `:existing` or `:new` ones."
  @spec turn(t, pid | :existing | :new, boolean, [atom]) :: [{pid | :existing | :new, turned}]
  def turn({:legacy, _number} = tracing, :existing, on?, flags) do
    for pid <- :erlang.processes(), do: {pid, process(tracing, pid, on?, flags)}
  end

  def turn(tracing, who, on?, flags), do: [{who, process(tracing, who, on?, flags)}]

  defp process({:session, session, _number}, who, on?, flags) do
    {:ok, :trace.process(session, in_session(who), on?, flags)}
  rescue
    ArgumentError -> :gone
  end

  defp process({:legacy, number}, who, on?, flags) do
    who = if who == :new, do: :new_processes, else: who

    case tracer(who) do
      [] when not on? ->
        {:ok, 0}

      tracer when tracer in [[], {Native, number}] ->
        legacy(who, on?, flags, number)

      # Left by an earlier recording.
      {Native, _earlier} ->
        :erlang.trace(who, false, [:all])
        legacy(who, on?, flags, number)

      nil ->
        :gone

      other ->
        {:held, other}
    end
  end

  defp legacy(who, on?, flags, number) do
    {:ok, :erlang.trace(who, on?, [{:tracer, Native, number} | flags])}
  rescue
    # It has ended, or another tool was faster.
    ArgumentError -> if is_pid(who) and Process.alive?(who), do: {:held, tracer(who)}, else: :gone
  end

  defp in_session(:existing), do: :existing_processes
  defp in_session(:new), do: :new_processes
  defp in_session(pid), do: pid

  # Who traces a process, or new ones: `[]` for nobody, `nil` when there is no such process.
  defp tracer(who) do
    case :erlang.trace_info(who, :tracer) do
      {:tracer, tracer} -> tracer
      :undefined -> nil
    end
  end

  @doc "Has ports tell when they are opened and closed."
  @spec ports(t, boolean) :: :ok
  def ports({:session, session, _number}, on?) do
    :trace.port(session, :all, on?, [:ports])
    :ok
  end

  def ports({:legacy, number}, on?) do
    :erlang.trace(:new_ports, on?, [{:tracer, Native, number}, :ports])
    :ok
  rescue
    ArgumentError -> :ok
  end

  @doc "Has the VM see calls of a function, or not any more. Answers of how many functions."
  @spec calls(t, {module, atom, arity | :_}, list | boolean) :: non_neg_integer
  def calls({:session, session, _number}, function, spec),
    do: :trace.function(session, function, spec, [:local])
end
