# One program, compiled and run in every way, and compared. The answer names what differed, so that a smaller program
# can be looked for that differs in the same.
defmodule ElixirScope.Program.Check do
  @moduledoc false

  alias ElixirScope.{Golden, Program}
  alias ElixirScope.Program.{PlainTerm, Probed, Recorded, Run}

  @type answer ::
          {:ok, %{entries: non_neg_integer(), calls: non_neg_integer(), events: non_neg_integer()}}
          | {:error, what :: atom(), String.t()}

  @doc "Checks a program."
  @spec run(Program.t()) :: answer()
  def run(%Program{} = program) do
    compare(program)
  rescue
    # The VM of OTP 25 refuses some of what its compiler makes, of plain programs too; and the compilers of OTP 29 and Elixir 1.20 fail
    # on some. Such a program cannot be compared with anything.
    error in [MatchError, CompileError, RuntimeError] ->
      cond do
        not refused?(error) -> reraise(error, __STACKTRACE__)
        loads?(Program.plain(program)) and loads?(probed(program)) -> reraise(error, __STACKTRACE__)
        true -> {:ok, %{entries: 0, calls: 0, events: 0}}
      end
  end

  defp refused?(%MatchError{term: term}), do: term == {:error, :badfile}
  defp refused?(%CompileError{description: text}), do: text =~ ~r/internal error in pass|the compiler ended/
  defp refused?(%RuntimeError{message: text}), do: text =~ "found error while checking types"

  defp loads?(quoted) do
    {modules, _warnings} = Golden.build(quoted)
    Golden.with_loaded(modules, fn -> true end)
  rescue
    error in [MatchError, CompileError, RuntimeError] ->
      if refused?(error), do: false, else: reraise(error, __STACKTRACE__)
  end

  defp probed(program), do: program |> Program.plain() |> Probed.quoted()

  defp compare(program) do
    {plain, warnings} = Golden.build(Program.plain(program))
    entries = program.entries

    {entries, traces, expected} =
      Golden.with_loaded(plain, fn ->
        functions = functions()

        traced =
          for entry <- entries,
              trace = Run.trace(entry, functions),
              trace != :too_long,
              not Enum.any?(trace, &large?/1),
              do: {entry, trace}

        {entries, traces} = Enum.unzip(traced)
        for mfa <- functions, do: :erlang.trace_pattern(mfa, false, [:local])
        {entries, traces, Enum.map(entries, &Run.see/1)}
      end)

    {probed, _warnings} = program |> probed() |> Golden.build()
    told = Golden.with_loaded(probed, fn -> Enum.map(entries, &Run.see/1) end)

    with :ok <- each(:oracle, entries, Enum.zip(expected, told), fn {one, other} -> agree(one, other) end),
         :ok <-
           each(:trace, entries, Enum.zip(traces, told), fn {trace, seen} -> traced(trace, seen.log) end),
         {instrumented, same_warnings} = Golden.build(Program.instrumented(program)),
         :ok <- warnings(warnings, same_warnings) do
      recorded = fn expected ->
        Golden.with_loaded(instrumented, fn -> recorded(program, entries, expected, told) end)
      end

      with {:error, :on, _text} <- recorded.(expected),
           do: expected |> Enum.zip(unfolded(program, entries)) |> Enum.map(&sure/1) |> recorded.()
    end
  end

  # What the plain program does without the pass that inlines functions, among them those that the compiler itself made of the `else`
  # of a `with`: what is called in one of these has its own line or that of the place where it was inlined, as that pass sees fit.
  defp unfolded(program, entries) do
    {plain, _warnings} = program |> Program.plain([:no_fold]) |> Golden.build()
    Golden.with_loaded(plain, fn -> Enum.map(entries, &Run.see/1) end)
  end

  # What of a stack trace does not depend on what was inlined: the lines that stay, and of frames of one function behind each other the first.
  defp sure({%{outcome: {kind, reason, banner, frames}} = seen, other}) do
    frames =
      case other.outcome do
        {_, _, _, others} when length(others) == length(frames) -> Enum.zip_with(frames, others, &sure_line/2)
        _other -> frames
      end

    %{seen | outcome: {kind, reason, banner, joined(frames)}}
  end

  defp sure({seen, _other}), do: seen

  defp joined([{module, name, arity, _line}, {module, name, nil, _} | rest]),
    do: joined([{module, name, arity, nil} | rest])

  defp joined([frame | rest]), do: [frame | joined(rest)]
  defp joined([]), do: []

  defp sure_line({module, name, arity, line}, {module, name, arity, other}) when line != other,
    do: {module, name, arity, nil}

  defp sure_line(frame, _other), do: frame

  # What does not fit the limits of a recording is cut there, which has its own tests.
  defp large?(entry), do: :erts_debug.flat_size(entry) > 4_000

  # Those that the source names; what the compiler adds to a module is not recorded.
  defp functions do
    for module <- Program.modules(),
        {name, arity} <- module.module_info(:functions),
        text = Atom.to_string(name),
        name != :module_info and not String.starts_with?(text, ["-", "__", "MACRO-"]),
        do: {module, name, arity}
  end

  defp recorded(program, entries, expected, told) do
    since = ElixirScope.now()
    off = Golden.off(fn -> Enum.map(entries, &Run.see/1) end)
    on = Golden.on(fn -> Enum.map(entries, &Run.see/1) end)
    pids = Enum.map(on, & &1.pid)
    kinds = [:call, :return, :raise, :tail, :binding, :wait, :take, :gap]
    events = Enum.to_list(ElixirScope.events(pid: pids, since: since, kind: kinds))
    silent = Enum.to_list(ElixirScope.events(pid: Enum.map(off, & &1.pid), since: since))
    scopes = for {module, options} <- program.scopes, options, do: {module, options}
    {_, options} = hd(scopes)
    # Chance may leave a module without functions; of such a one nothing can be asked.
    filled = for {module, _definition} <- program.functions, uniq: true, do: module
    asked = for {module, _options} <- scopes, module in filled, do: module

    with :ok <- each(:off, entries, Enum.zip(expected, off), fn {one, other} -> same(one, other) end),
         :ok <- each(:on, entries, Enum.zip(expected, on), fn {one, other} -> same(one, other) end),
         :ok <- if(silent == [], do: :ok, else: {:error, :silence, inspect(silent)}),
         {:ok, calls} <- happened(told, on, Recorded.entries(events), Keyword.keys(scopes), options, entries),
         :ok <- asked(calls, pids, since, asked, events, entries) do
      {:ok,
       %{entries: length(entries), calls: calls |> Enum.map(&length/1) |> Enum.sum(), events: length(events)}}
    end
  end

  defp happened(told, on, recorded, modules, options, entries) do
    unwanted =
      if(Keyword.get(options, :locals, false), do: [], else: [:bind]) ++
        if(Keyword.get(options, :receives, true), do: [], else: [:wait, :take])

    [entries, told, on]
    |> Enum.zip()
    |> Enum.reduce_while({:ok, []}, fn {entry, seen, %{pid: pid}}, {:ok, done} ->
      truth = Enum.filter(seen.log, &(elem(elem(&1, 1), 0) in modules and elem(&1, 0) not in unwanted))

      case Recorded.compare(truth, Map.get(recorded, pid, []), options) do
        {:ok, calls} ->
          {:cont, {:ok, [calls | done]}}

        {:error, text} ->
          story = "happened:\n#{lines(truth)}\nrecorded:\n#{lines(Map.get(recorded, pid, []))}"
          {:halt, {:error, :events, "#{inspect(entry)}: #{text}\n#{story}"}}
      end
    end)
    |> case do
      {:ok, done} -> {:ok, Enum.reverse(done)}
      error -> error
    end
  end

  defp lines(entries), do: entries |> Enum.take(60) |> Enum.map_join("\n", &"    #{inspect(&1)}")

  defp asked(expected, pids, since, modules, events, entries) do
    lines =
      for %{kind: :call, mfa: {module, name, _}, line: line} <- events, into: %{}, do: {{module, name}, line}

    calls =
      for(module <- modules, call <- ElixirScope.calls(module, pid: pids, since: since), do: call)
      |> Enum.sort_by(& &1.id)
      |> Enum.group_by(& &1.pid)

    each(:calls, entries, Enum.zip(expected, pids), fn {expected, pid} ->
      Recorded.compare_calls(expected, Map.get(calls, pid, []), lines)
    end)
  end

  defp each(what, entries, pairs, compare) do
    entries
    |> Enum.zip(pairs)
    |> Enum.find_value(:ok, fn {entry, pair} ->
      case compare.(pair) do
        :ok -> nil
        {:error, text} -> {:error, what, "#{inspect(entry)}: #{text}"}
      end
    end)
  end

  # Elixir's type checker looks at several functions at once and tells what it found in any order.
  defp warnings(expected, got) do
    [expected, got] =
      for text <- [expected, got], do: text |> String.split("\n\n", trim: true) |> Enum.flat_map(&told/1)

    case {expected -- got, Enum.reject(got -- expected, &(unreachable?(&1) or empty?(&1)))} do
      {[], []} ->
        :ok

      {missing, added} ->
        {:error, :warnings, "missing:\n#{Enum.join(missing, "\n")}\n-----\nadded:\n#{Enum.join(added, "\n")}"}
    end
  end

  # Those of the Erlang compiler follow each other without an empty line.
  defp told(text), do: text |> String.split(~r/^(?=warning:)/m, trim: true) |> Enum.map(&String.trim/1)

  # The compiler finds more clauses that cannot match among those of a `case` than among those of a function.
  defp unreachable?(warning), do: warning =~ "cannot match because a previous clause"

  defp empty?(warning), do: warning =~ "because it defines no function"

  # With probes there are other stack traces.
  defp agree(:killed, _), do: {:error, "does not end"}

  defp agree(expected, told) do
    short = fn seen ->
      {seen.outcome |> Tuple.to_list() |> Enum.take(2), seen.messages, seen.dictionary, seen.output}
    end

    if short.(expected) == short.(told), do: :ok, else: {:error, inspect([short.(expected), short.(told)])}
  end

  defp traced(trace, log) do
    named =
      for entry <- log,
          elem(entry, 0) in [:call, :return, :raise],
          not is_tuple(elem(elem(entry, 1), 1)),
          do: PlainTerm.of(entry)

    trace = PlainTerm.of(trace)

    if trace == named,
      do: :ok,
      else: {:error, "the VM's trace:\n#{lines(trace)}\nthe probes:\n#{lines(named)}"}
  end

  # A stack trace may have more frames, never fewer or others.
  defp same(expected, got) when got == :killed or expected == :killed, do: {:error, inspect([expected, got])}

  defp same(expected, got) do
    [one, other] =
      for seen <- [expected, got],
          do: {Tuple.to_list(seen.outcome) |> Enum.take(3), seen.messages, seen.dictionary, seen.output}

    cond do
      one != other ->
        {:error, "expected #{inspect(one)}\ngot #{inspect(other)}"}

      more?(expected.outcome, got.outcome) ->
        :ok

      true ->
        {:error,
         "the stack traces differ\nexpected #{inspect(elem(expected.outcome, 3), pretty: true)}\ngot #{inspect(elem(got.outcome, 3), pretty: true)}"}
    end
  end

  defp more?({_, _, _, frames}, {_, _, _, more}), do: subsequence?(vague(frames), vague(more))
  defp more?(_value, _same), do: true

  # Where the compiler sees that a built-in function fails, it drops the line of it.
  defp vague([{:erlang, _, args, _} = bif, {module, name, arity, _line} | rest]) when is_list(args) do
    [bif, {module, name, arity, nil} | vague(rest)]
  end

  defp vague([frame | rest]), do: [frame | vague(rest)]
  defp vague([]), do: []

  defp subsequence?([], _longer), do: true
  defp subsequence?(_frames, []), do: false

  defp subsequence?([frame | rest], [other | longer]) do
    if same_frame?(frame, other), do: subsequence?(rest, longer), else: subsequence?([frame | rest], longer)
  end

  defp same_frame?({module, name, arity, nil}, {module, name, arity, _line}), do: true
  defp same_frame?(frame, other), do: frame == other
end
