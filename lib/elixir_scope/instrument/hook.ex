# The compiler's door to the rewriter. The Erlang compiler calls a module named by the option `core_transform`
# after its own passes over Core Erlang, so after every warning was issued. The Core it hands over is not
# looked at: the rewriter starts from the forms of the module, which Elixir keeps in the debug information, and
# what comes out is compiled to Core anew. Whatever goes wrong, the user's module compiles as it was written.
defmodule ElixirScope.Instrument.Hook do
  @moduledoc false

  alias ElixirScope.Instrument.{Anew, Compile, Own, Plan, Request, Source, Transform}

  @doc "Called by the Erlang compiler with a module in Core Erlang; answers with the Core to go on with."
  @spec core_transform(tuple(), [term()]) :: tuple()
  def core_transform(core, compile_options) do
    # OTP 28 and later call twice in one compilation, the second time with what the first call made.
    if rewritten?(core) do
      core
    else
      case debug_info(compile_options) do
        {:elixir_v1, map, specs} -> compiled(core, map, specs, compile_options)
        nil -> compiled_anew(core, module_name(core), compile_options)
      end
    end
  catch
    kind, reason ->
      problem = Exception.format_banner(kind, reason, __STACKTRACE__)
      warn(asked_by(compile_options), inspect(module_name(core)), problem)
      core
  end

  defp debug_info(compile_options) do
    case List.keyfind(compile_options, :debug_info, 0) do
      {:debug_info, {:elixir_erl, {:elixir_v1, _map, _specs} = data}} -> data
      _none -> nil
    end
  end

  defp compiled(core, %{module: module} = map, specs, compile_options) do
    with false <- Own.module?(module, map.file),
         {by, options} <- Request.read(map.compile_opts, map) do
      {:ok, forms} = :elixir_erl.debug_info(:erlang_v1, module, {:elixir_v1, map, specs}, [])
      # What the configuration names is checked here, since only here the functions are known.
      if by == :project, do: map |> Request.unknown(options) |> Enum.each(&tell("ElixirScope: " <> &1))
      {core, _functions} = rewrite(core, forms, map.file, {by, options}, compile_options)
      core
    else
      _nothing_to_do -> core
    end
  end

  defp compiled_anew(core, module, compile_options) do
    with true <- Anew.asked?(compile_options) and not Anew.by_elixir?(compile_options),
         {:ok, map, forms} <- Anew.forms(module, core, compile_options),
         {by, options} <- Request.read(map.compile_opts, map) do
      {core, functions} = rewrite(core, forms, map.file, {by, options}, compile_options)
      Anew.remember(module, functions)
      if functions == [], do: core, else: Anew.mark(core)
    else
      {:error, problem} ->
        if Anew.remembered(module) != problem, do: tell(unrecorded(module, problem))
        Anew.remember(module, problem)
        core

      _nothing_to_do ->
        core
    end
  end

  defp unrecorded(module, problem) do
    "ElixirScope: #{inspect(module)} was compiled anew while the VM runs (by :cover, Mimic, Patch, :meck or the like), and " <>
      "this copy records nothing, because #{problem}. The program itself is not affected. Leave the module out of " <>
      "that tool to have it recorded"
  end

  defp rewrite(core, forms, file, {by, options}, compile_options) do
    # The compiler has just read these very files.
    {rewritten, report} = Transform.run(forms, options, Source.of_compiled(forms, file, nil))

    for {{name, arity}, {:unable, _} = reason} <- report.skipped,
        do: warn(by, "#{inspect(report.module)}.#{name}/#{arity}", Plan.explain(reason))

    with true <- rewritten != forms,
         {:ok, new_core} <- compile(core, rewritten, by, inner(compile_options)) do
      {new_core, report.instrumented}
    else
      _nothing_or_failed -> {core, []}
    end
  end

  defp compile(core, forms, by, options) do
    with {:ok, _module, new_core} <- Compile.elixir_forms(forms, options),
         :ok <- rehearse(new_core, forms, options) do
      {:ok, new_core}
    else
      {:error, problem} -> warn(by, inspect(module_name(core)), problem)
    end
  end

  # The last passes run behind this hook, so a crash of theirs would end the user's own compilation. OTP 25 has
  # one, `beam_ssa_recv`, that crashes on some valid code that receives messages; such modules are compiled to the end
  # to see.
  defp rehearse(core, forms, options) do
    if otp_release() < 26 and receives?(forms), do: Compile.rehearse(core, options), else: :ok
  end

  defp otp_release, do: :otp_release |> :erlang.system_info() |> List.to_integer()

  # Elixir's forms name every function of another module in full.
  defp inner(compile_options), do: [:no_auto_import | Compile.inherited(compile_options)]

  defp receives?({:receive, _, _}), do: true
  defp receives?({:receive, _, _, _, _}), do: true
  defp receives?([head | tail]), do: receives?(head) or receives?(tail)
  defp receives?(tuple) when is_tuple(tuple), do: tuple |> Tuple.to_list() |> receives?()
  defp receives?(_leaf), do: false

  # Only rewritten code asks the gate.
  defp rewritten?(core), do: core |> :cerl.module_defs() |> Enum.any?(fn {_name, fun} -> asks_gate?(fun) end)

  defp asks_gate?(fun) do
    body = :cerl.fun_body(fun)
    subject = :cerl.is_c_case(body) && :cerl.case_arg(body)
    subject && :cerl.is_c_call(subject) && gate?(:cerl.call_module(subject))
  end

  defp gate?(module), do: :cerl.is_c_atom(module) and :cerl.atom_val(module) == ElixirScope.Gate

  defp module_name(core), do: core |> :cerl.module_name() |> :cerl.concrete()

  defp asked_by(compile_options) do
    if List.keymember?(compile_options, :elixir_scope_project, 0), do: :project, else: :use
  end

  defp warn(:use, what, problem) do
    IO.warn(
      "#{left_alone(what, problem)} Take `use ElixirScope` away or use except: to silence this, and please report it",
      []
    )
  end

  # Nobody put a line into this module, and `--warnings-as-errors` must not make its compilation fail.
  defp warn(:project, what, problem) do
    tell(
      "#{left_alone(what, problem)} Name it in except: of the configuration to silence this, and please report it"
    )
  end

  defp left_alone(what, problem) do
    "ElixirScope: #{what} is compiled without instrumentation, because #{problem}. The program itself is " <>
      "not affected."
  end

  defp tell(text), do: IO.puts(:stderr, text)
end
