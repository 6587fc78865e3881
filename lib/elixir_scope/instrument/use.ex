# What `use ElixirScope` does: it checks the options, asks the compiler for the hook, and looks at the finished
# module, because silence about a function that is not recorded would be read as "it was never called".
defmodule ElixirScope.Instrument.Use do
  @moduledoc false

  alias ElixirScope.Instrument.{Beam, Compiler, Options, Own, Plan, Request}

  @doc "The code that stands in a module for `use ElixirScope, options`."
  @spec quoted(Macro.t()) :: Macro.t()
  def quoted(options) do
    quote do
      # The options are evaluated in the module's body, so they may name its attributes.
      ElixirScope.Instrument.Use.prepare(__ENV__, unquote(options))
      @on_definition ElixirScope.Instrument.Scope
      @after_compile ElixirScope.Instrument.Use
    end
  end

  @doc "Called in the body of the module: checks the options and registers the hook."
  @spec prepare(Macro.Env.t(), keyword()) :: :ok
  def prepare(%Macro.Env{module: module, file: file} = env, options) do
    Options.new!(options)
    Compiler.ensure_ready()

    if Own.module?(module, file) do
      fail(env, "#{inspect(module)} is a part of ElixirScope, which must not record itself. Remove the line")
    end

    if Compiler.asked?(module, :elixir_scope) do
      fail(env, "#{inspect(module)} says `use ElixirScope` twice. Put all options into one line")
    end

    Compiler.ask(module, {:elixir_scope, options})
  end

  @doc false
  @spec __after_compile__(Macro.Env.t(), binary()) :: :ok
  def __after_compile__(env, bytecode) do
    case Beam.debug_info(bytecode) do
      {:ok, map} -> check(env, bytecode, map)
      :error -> nothing(env, "it is compiled without debug information. Remove `debug_info: false`")
    end
  end

  defp check(env, bytecode, %{definitions: definitions, compile_opts: compile_options} = map) do
    {:use, options} = Request.read(compile_options, map)
    functions = for {function, kind, _, _} <- definitions, kind in [:def, :defp], do: function
    macros = for {{name, _}, kind, _, _} <- definitions, kind in [:defmacro, :defmacrop], do: name

    check_names(env, :only, options.only, functions, macros)
    check_names(env, :except, options.except, functions, macros)
    check_names(env, :count, options.count, functions, macros)

    reasons = functions |> Enum.map(&Plan.reason(&1, options)) |> Enum.uniq()

    cond do
      Beam.functions(bytecode, env.module) != [] ->
        :ok

      functions == [] ->
        nothing(env, "it defines no function. Remove `use ElixirScope` from it")

      # The plan had work to do: then the hook failed, and has said so.
      nil in reasons ->
        :ok

      true ->
        nothing(
          env,
          "all of its functions are left alone: #{explain(reasons)}. Change only:, except: or count:"
        )
    end
  end

  defp explain(reasons), do: Enum.map_join(reasons, "; or ", &Plan.explain/1)

  defp check_names(_env, _option, :all, _functions, _macros), do: :ok

  defp check_names(env, option, selectors, functions, macros) do
    case Enum.reject(selectors, fn selector -> Enum.any?(functions, &Options.selects?([selector], &1)) end) do
      [] ->
        :ok

      unknown ->
        fail(
          env,
          "expected #{option}: to name functions that #{inspect(env.module)} defines, got: " <>
            "#{Enum.map_join(unknown, ", ", &Options.label/1)}. #{existing(functions)}#{macro_hint(unknown, macros)}"
        )
    end
  end

  defp existing(functions) do
    case functions |> Enum.filter(&(Plan.reason(&1, %Options{}) == nil)) |> Enum.sort() do
      [] -> "It defines no function"
      some -> "It defines #{Enum.map_join(some, ", ", &Options.label/1)}"
    end
  end

  defp macro_hint(unknown, macros) do
    case for {name, _} <- unknown, name in macros, uniq: true, do: name do
      [] -> ""
      names -> " (#{Enum.join(names, ", ")}: macros run only in the compiler and cannot be recorded)"
    end
  end

  defp nothing(env, reason) do
    IO.warn(
      "use ElixirScope: nothing of #{inspect(env.module)} is recorded, because #{reason}",
      Macro.Env.stacktrace(env)
    )
  end

  @spec fail(Macro.Env.t(), String.t()) :: no_return()
  defp fail(env, text) do
    raise CompileError, file: env.file, line: env.line, description: "use ElixirScope: #{text}"
  end
end
