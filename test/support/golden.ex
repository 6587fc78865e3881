# Golden tests: the same source text is compiled with `use ElixirScope` in the place of the comment `# scope`, with
# `use ElixirScope, locals: true`, and without (then the comment asks for debug information, which newer ExUnits turn
# off); then the same expressions are evaluated against all, with recording off and on. What a user can see must be
# equal: values, error messages, blame, stack traces, warnings of the compiler.
#
# The gate is one for the whole VM, so tests that use this are not async.
defmodule ElixirScope.Golden do
  @moduledoc false

  import ExUnit.Assertions

  @file_name "test/golden.ex"
  @uses ["use ElixirScope", "use ElixirScope, locals: true"]

  alias ElixirScope.Golden.Recording

  defdelegate on(fun), to: Recording
  defdelegate off(fun), to: Recording
  defdelegate events(fun), to: Recording

  @doc """
  Asserts that every expression has the same outcome in all compilations of the source.

  A wrapped tail call keeps its frame, so while recording a stack trace may have more frames, never fewer. An
  expression given as `{:more_frames, text}` may have them with recording off too.
  """
  @spec assert_same(String.t(), [String.t() | {:more_frames, String.t()}]) :: :ok
  def assert_same(source, expressions) do
    {plain, warnings} = build(String.replace(source, "# scope", "@compile {:debug_info, true}"))
    expected = with_loaded(plain, fn -> Enum.map(expressions, &outcome/1) end)
    for use <- @uses, do: assert_same(instrument(source, use), expressions, expected, warnings)
    :ok
  end

  defp assert_same(source, expressions, expected, warnings) do
    {rewritten, rewritten_warnings} = build(source)
    assert rewritten_warnings == warnings, "the warnings differ:\n#{warnings}\n-----\n#{rewritten_warnings}"

    assert Enum.any?(rewritten, fn {module, beam} ->
             ElixirScope.Instrument.Beam.functions(beam, module) != []
           end)

    off = with_loaded(rewritten, fn -> off(fn -> Enum.map(expressions, &outcome/1) end) end)
    on = with_loaded(rewritten, fn -> on(fn -> Enum.map(expressions, &outcome/1) end) end)

    for {expression, expected, off, on} <- zip(expressions, expected, off, on) do
      frames = if is_tuple(expression), do: :more, else: :same
      compare(expression, "off", expected, off, frames)
      compare(expression, "on", expected, on, :more)
    end
  end

  @doc "Runs `fun` with the instrumented modules of the source loaded. `use` is the line that instruments them."
  @spec with_instrumented(String.t(), String.t(), fun()) :: term()
  def with_instrumented(source, use \\ hd(@uses), fun) do
    {modules, _warnings} = source |> instrument(use) |> build()
    with_loaded(modules, fun)
  end

  @doc "The events of an expression, evaluated against the instrumented modules of the source."
  @spec events_of(String.t(), String.t()) :: [Recording.event()]
  def events_of(source, expression) do
    with_instrumented(source, fn ->
      {fun, _} = Code.eval_string("fn -> #{expression} end")
      events(fun)
    end)
  end

  @doc """
  How a process of its own ends that evaluates the expression with at most `words` of heap. It is killed when
  it needs more.
  """
  @spec within_heap(String.t(), pos_integer()) :: {:ok, term()} | :killed
  def within_heap(expression, words) do
    parent = self()
    limit = %{size: words, kill: true, error_logger: false, include_shared_binaries: false}
    {fun, _} = Code.eval_string("fn -> #{expression} end")

    {pid, monitor} =
      :erlang.spawn_opt(fn -> send(parent, {self(), fun.()}) end, [:monitor, max_heap_size: limit])

    receive do
      {^pid, value} ->
        Process.demonitor(monitor, [:flush])
        {:ok, value}

      {:DOWN, ^monitor, :process, ^pid, :killed} ->
        :killed
    end
  end

  @doc """
  The value of the expression, evaluated in a process of its own, and the most bytes that its stack and heaps took. They
  change their size in garbage collections alone, so the peak is seen whole.
  """
  @spec peak(String.t()) :: {term(), non_neg_integer()}
  def peak(expression) do
    parent = self()
    {fun, _} = Code.eval_string("fn -> #{expression} end")

    pid =
      spawn_link(fn ->
        receive do
          :begin -> send(parent, {:ended, fun.(), Process.info(self(), :total_heap_size)})
        end
      end)

    :erlang.trace(pid, true, [:garbage_collection])
    send(pid, :begin)
    {value, words} = watch(pid, 0)
    {value, words * :erlang.system_info(:wordsize)}
  end

  defp watch(pid, most) do
    receive do
      {:trace, ^pid, _start_or_end, sizes} ->
        watch(pid, max(most, sizes[:heap_block_size] + sizes[:old_heap_block_size]))

      {:ended, value, {:total_heap_size, words}} ->
        {value, max(most, words)}
    end
  end

  @doc """
  Compiles a source without loading it for good: its modules with their object code, and the warnings. A `CompileError` says what is wrong
  with it, or how the compiler itself failed.
  """
  @spec build(String.t() | Macro.t()) :: {[{module(), binary()}], String.t()}
  def build(source) do
    case ExUnit.CaptureIO.with_io(:stderr, fn -> apart(fn -> compile(source) end) end) do
      {{:ok, modules}, told} ->
        for {module, _} <- modules, do: unload(module)
        {modules, told}

      # Newer compilers say what is wrong beside the exception.
      {{:error, %CompileError{description: text} = error, stack}, told} ->
        reraise %{error | description: "#{text}\n#{told}"}, stack

      {{:error, error, stack}, _told} ->
        reraise error, stack

      {{:exit, reason}, _told} ->
        raise CompileError, file: @file_name, description: "the compiler ended: #{inspect(reason, limit: 50)}"
    end
  end

  # Newer compilers check types in processes that are linked to the one that compiles.
  defp apart(fun) do
    {pid, monitor} =
      spawn_monitor(fn ->
        exit(
          try do
            {:ok, fun.()}
          rescue
            error -> {:error, error, __STACKTRACE__}
          end
        )
      end)

    receive do
      {:DOWN, ^monitor, :process, ^pid, {:ok, _modules} = built} -> built
      {:DOWN, ^monitor, :process, ^pid, {:error, %_{}, _stack} = error} -> error
      {:DOWN, ^monitor, :process, ^pid, reason} -> {:exit, reason}
    end
  end

  defp compile(source) when is_binary(source), do: Code.compile_string(source, @file_name)
  defp compile(quoted), do: Code.compile_quoted(quoted, @file_name)

  @doc "The lines that instrument: each hazard has to be survived with all of them."
  @spec uses() :: [String.t()]
  def uses, do: @uses

  @doc "The source with its comments `# scope` made lines that instrument; options may follow there."
  @spec instrument(String.t(), String.t()) :: String.t()
  def instrument(source, use \\ hd(@uses)), do: String.replace(source, "# scope", use)

  # The object code is put into a folder of the code path, because Exception.blame/3 looks for it there.
  @spec with_loaded([{module(), binary()}], fun()) :: term()
  def with_loaded(modules, fun) do
    folder =
      Path.join(
        System.tmp_dir!(),
        "elixir_scope_golden_#{System.pid()}_#{System.unique_integer([:positive])}"
      )

    File.mkdir_p!(folder)

    for {module, beam} <- modules, do: File.write!(Path.join(folder, "#{module}.beam"), beam)
    true = Code.prepend_path(folder)

    try do
      for {module, _} <- modules, do: {:module, ^module} = :code.load_file(module)
      fun.()
    after
      Code.delete_path(folder)
      for {module, _} <- modules, do: unload(module)
      File.rm_rf!(folder)
    end
  end

  defp unload(module) do
    :code.purge(module)
    :code.delete(module)
    :code.purge(module)
  end

  defp outcome({:more_frames, expression}), do: outcome(expression)

  defp outcome(expression) do
    flush_mailbox()
    {value, _bindings} = Code.eval_string(expression)
    {:value, inspect(value, limit: :infinity, printable_limit: :infinity), []}
  catch
    kind, reason ->
      {blamed, _stack} = Exception.blame(kind, reason, __STACKTRACE__)
      {kind, Exception.format_banner(kind, blamed, __STACKTRACE__), frames(__STACKTRACE__)}
  end

  defp flush_mailbox do
    receive do
      _ -> flush_mailbox()
    after
      0 -> :ok
    end
  end

  # Down to the expression itself; what lies below is the test. Frames of funs are compared as printed.
  defp frames(stack) do
    stack
    |> Enum.take_while(fn {module, _, _, _} ->
      module not in [:erl_eval, :elixir, :elixir_eval, Code, __MODULE__]
    end)
    |> Enum.map(&Exception.format_stacktrace_entry/1)
  end

  defp compare(expression, gate, {kind, text, frames}, {kind, text, other_frames}, compared) do
    same? = if compared == :same, do: frames == other_frames, else: subsequence?(frames, other_frames)

    assert same?,
           "#{inspect(expression)}, recording #{gate}: the stack traces differ\n" <>
             "expected: #{inspect(frames, pretty: true)}\ngot: #{inspect(other_frames, pretty: true)}"
  end

  defp compare(expression, gate, expected, got, _compared) do
    flunk(
      "#{inspect(expression)}, recording #{gate}\nexpected: #{inspect(expected, pretty: true)}\n" <>
        "got: #{inspect(got, pretty: true)}"
    )
  end

  defp subsequence?([], _longer), do: true
  defp subsequence?([frame | rest], [frame | longer]), do: subsequence?(rest, longer)
  defp subsequence?(frames, [_added | longer]), do: subsequence?(frames, longer)
  defp subsequence?(_frames, []), do: false

  defp zip(a, b, c, d), do: Enum.zip([a, b, c, d])
end
