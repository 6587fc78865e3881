# The compiler's door to the rewriter. The Erlang compiler calls a module named by the option `core_transform`
# after its own passes over Core Erlang, so after every warning was issued. The Core it hands over is not
# looked at: the rewriter starts from the forms of the module, which Elixir keeps in the debug information, and
# what comes out is compiled to Core anew. Whatever goes wrong, the user's module compiles as it was written.
defmodule ElixirScope.Instrument.Hook do
  @moduledoc false

  alias ElixirScope.Instrument.{Compile, Options, Own, Plan, Request, Transform}

  # Options that would end, print or repeat the inner compilation, or that describe an input that is not forms.
  @dropped_atoms [
                   :from_core,
                   :no_core_prepare,
                   :report,
                   :report_errors,
                   :report_warnings,
                   :warnings_as_errors
                 ] ++
                   [:return, :return_errors, :return_warnings, :binary, :debug_info, :encrypt_debug_info]
  @dropped_keys [:core_transform, :parse_transform, :debug_info, :extra_chunks] ++ Request.keys()

  @doc "Called by the Erlang compiler with a module in Core Erlang; answers with the Core to go on with."
  @spec core_transform(tuple(), [term()]) :: tuple()
  def core_transform(core, compile_options) do
    with {:elixir_v1, %{module: module} = map, specs} <- debug_info(compile_options),
         # OTP 28 and later call twice in one compilation, the second time with what the first call made.
         false <- rewritten?(core),
         false <- Own.module?(module, map.file),
         {by, options} <- Request.read(map.compile_opts, map) do
      {:ok, forms} = :elixir_erl.debug_info(:erlang_v1, module, {:elixir_v1, map, specs}, [])
      if by == :project, do: check_names(map, options)
      rewrite(core, forms, {by, options}, compile_options)
    else
      _nothing_to_do -> core
    end
  catch
    kind, reason ->
      problem = Exception.format_banner(kind, reason, __STACKTRACE__)
      warn(asked_by(compile_options), inspect(module_name(core)), problem)
      core
  end

  # Without debug information (`:cover` compiles so) there is nothing to start from.
  defp debug_info(compile_options) do
    case List.keyfind(compile_options, :debug_info, 0) do
      {:debug_info, {:elixir_erl, data}} -> data
      _none -> nil
    end
  end

  # What the configuration names is checked here, since only here the functions are known.
  defp check_names(%{module: module, definitions: definitions}, options) do
    functions = for {function, _, _, _} <- definitions, do: function

    for {option, selectors} <- [only: options.only, except: options.except],
        is_list(selectors),
        selector <- selectors,
        not Enum.any?(functions, &Options.selects?([selector], &1)) do
      tell(
        "ElixirScope: #{option}: names #{inspect(module)}.#{Options.label(selector)}, which does not exist (any " <>
          "more). Correct it in the configuration or in scope.plan.exs"
      )
    end
  end

  defp rewrite(core, forms, {by, options}, compile_options) do
    {rewritten, report} = Transform.run(forms, options)

    for {{name, arity}, {:unable, _} = reason} <- report.skipped,
        do: warn(by, "#{inspect(report.module)}.#{name}/#{arity}", Plan.explain(reason))

    if report.instrumented == [], do: core, else: compile(core, rewritten, by, inner(compile_options))
  end

  defp compile(core, forms, by, options) do
    with {:ok, _module, new_core} <- Compile.elixir_forms(forms, options),
         :ok <- rehearse(new_core, forms, options) do
      new_core
    else
      {:error, problem} ->
        warn(by, inspect(module_name(core)), problem)
        core
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
  defp inner(compile_options) do
    kept =
      Enum.reject(compile_options, fn
        option when is_atom(option) -> option in @dropped_atoms
        option when is_tuple(option) -> elem(option, 0) in @dropped_keys
      end)

    [:no_auto_import | kept]
  end

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
