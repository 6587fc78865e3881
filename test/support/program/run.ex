# Runs one call of a program in a process of its own, and says everything that can be seen of it from outside.
defmodule ElixirScope.Program.Run do
  @moduledoc false

  alias ElixirScope.Program.{Log, PlainTerm}

  # Of events of a trace, and of milliseconds. What needs more is no program for this.
  @most 4_000
  @patience 5_000

  @ours [:"$elixir_scope_chain", :"$elixir_scope_state"]

  @type call :: {module(), atom(), [term()]}
  @type seen :: %{
          outcome: tuple(),
          messages: [term()],
          dictionary: list(),
          output: String.t(),
          pid: pid(),
          log: list()
        }

  @doc "What is seen of a call."
  @spec see(call()) :: seen() | :killed
  def see(call) do
    with {seen, pid, monitor} <- finish(start(call), 0, []) |> elem(0) do
      stop(pid, monitor)
      seen
    end
  end

  @doc """
  What the VM's own trace says of the functions given: calls, and how each of them ended. `:too_long` when it was killed
  because it went on and on.
  """
  @spec trace(call(), [mfa()]) :: [tuple()] | :too_long
  def trace(call, functions) do
    for mfa <- functions, do: :erlang.trace_pattern(mfa, [{:_, [], [{:exception_trace}]}], [:local])
    {pid, _monitor} = started = start(call)
    :erlang.trace(pid, true, [:call])

    case finish(started, @most, []) do
      {:killed, _} ->
        flush(pid)
        :too_long

      {{_seen, pid, monitor}, found} ->
        delivered = :erlang.trace_delivered(pid)
        found = rest(pid, delivered, found)
        stop(pid, monitor)
        Enum.reverse(found)
    end
  end

  # It waits before the call, to be traced, and after it, to be asked.
  defp start(call) do
    parent = self()

    spawn_monitor(fn ->
      {:ok, output} = StringIO.open("")
      Process.group_leader(self(), output)

      receive do
        {^parent, :go} -> :ok
      end

      outcome = outcome(call)
      {:messages, messages} = Process.info(self(), :messages)
      log = Log.entries()
      dictionary = for {key, value} <- Process.get(), key not in [Log | @ours], do: {key, value}
      {:ok, {_, text}} = StringIO.close(output)

      send(
        parent,
        {self(), :seen,
         %{
           outcome: outcome,
           messages: PlainTerm.of(messages),
           dictionary: dictionary |> PlainTerm.of() |> Enum.sort(),
           output: text,
           pid: self(),
           log: log
         }}
      )

      receive do
        {^parent, :stop} -> :ok
      end
    end)
  end

  defp finish({pid, monitor} = started, most, found) do
    if found == [], do: send(pid, {self(), :go})
    await(started, most, found, 0, monitor)
  end

  defp await({pid, monitor} = started, most, found, count, _) do
    receive do
      {^pid, :seen, seen} ->
        {{seen, pid, monitor}, found}

      trace when elem(trace, 0) == :trace and count < most ->
        await(started, most, [event(trace) | found], count + 1, monitor)

      trace when elem(trace, 0) == :trace ->
        {kill(pid, monitor), found}

      {:DOWN, ^monitor, _, _, reason} ->
        exit({:program_died, reason})
    after
      @patience -> {kill(pid, monitor), found}
    end
  end

  defp rest(pid, delivered, found) do
    receive do
      {:trace_delivered, ^pid, ^delivered} -> found
      trace when elem(trace, 0) == :trace -> rest(pid, delivered, [event(trace) | found])
    end
  end

  defp flush(pid) do
    receive do
      trace when elem(trace, 0) == :trace and elem(trace, 1) == pid -> flush(pid)
      {^pid, :seen, _} -> flush(pid)
    after
      0 -> :ok
    end
  end

  defp kill(pid, monitor) do
    Process.exit(pid, :kill)

    receive do
      {:DOWN, ^monitor, _, _, _} -> :killed
    end
  end

  defp stop(pid, monitor) do
    send(pid, {self(), :stop})

    receive do
      {:DOWN, ^monitor, _, _, _} -> :ok
    end
  end

  defp event({:trace, _, :call, {module, name, args}}), do: {:call, {module, name, length(args)}, args}
  defp event({:trace, _, :return_from, mfa, value}), do: {:return, mfa, value}
  defp event({:trace, _, :exception_from, mfa, {kind, reason}}), do: {:raise, mfa, kind, reason}

  defp outcome({module, name, args}) do
    {:value, PlainTerm.of(apply(module, name, args))}
  catch
    kind, reason ->
      stack = __STACKTRACE__
      banner = Exception.format_banner(kind, reason, stack)
      {kind, PlainTerm.of(reason), PlainTerm.text(banner), frames(stack)}
  end

  # Down to this file.
  defp frames(stack) do
    stack
    |> Enum.take_while(fn {module, _, _, _} -> module != __MODULE__ end)
    |> without_callers()
    |> Enum.map(&frame/1)
  end

  # The compiler decides whether what stands behind an `after` becomes a function too; if so, there is a frame that calls it.
  defp without_callers([{_, name, _, _} = frame | rest]) do
    rest = if Atom.to_string(name) =~ "-after$", do: Enum.drop(rest, 1), else: rest
    [frame | without_callers(rest)]
  end

  defp without_callers([]), do: []

  # The compiler decides which anonymous functions become functions of their own, with which variables, and how they
  # are called. So each is taken for the function that it stands in.
  defp frame({module, name, arity, place}) do
    case Regex.run(~r"\A-(?:inlined-)?(.+?/\d+)-", Atom.to_string(name)) do
      [_, around] -> {module, around, nil, place[:line]}
      nil when is_list(arity) -> {module, "#{name}/#{length(arity)}", PlainTerm.of(arity), place[:line]}
      nil -> {module, "#{name}/#{arity}", nil, place[:line]}
    end
  end
end
