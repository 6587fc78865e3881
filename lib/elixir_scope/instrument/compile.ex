# Compiling rewritten forms. The compiler may refuse or crash; neither may reach the user's program.
defmodule ElixirScope.Instrument.Compile do
  @moduledoc false

  alias ElixirScope.Instrument.Request

  # Options that would end, print or repeat the compilation, or that describe an input that is not forms.
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

  @doc "Of the options that the module was compiled with, those that hold for its rewritten forms too."
  @spec inherited([term()]) :: [term()]
  def inherited(options) do
    Enum.reject(options, fn
      option when is_atom(option) -> option in @dropped_atoms
      option when is_tuple(option) -> elem(option, 0) in @dropped_keys
      _other -> true
    end)
  end

  @doc "The module and what the options ask for, or a sentence that says why not."
  @spec forms([tuple()], [term()]) :: {:ok, module(), term()} | {:error, String.t()}
  def forms(forms, options), do: attempt(fn -> compile(forms, options) end)

  @doc """
  The same for forms that Elixir made, from Core to Core. Elixir's own way from forms to Core: it leaves out the Erlang
  linter, which takes up to a fifth of the time, and Core is linted all the same.
  """
  @spec elixir_forms([tuple()], [term()]) :: {:ok, module(), term()} | {:error, String.t()}
  def elixir_forms(forms, options) do
    attempt(fn ->
      {:ok, core, _warnings} = :v3_core.module(forms, options)
      compile(core, [:from_core, :no_core_prepare, :to_core | options])
    end)
  end

  @doc "Whether Core gets through the passes behind it, but for the optimiser, which takes most of the time."
  @spec rehearse(tuple(), [term()]) :: :ok | {:error, String.t()}
  def rehearse(core, options) do
    options = [:from_core, :no_core_prepare, :no_copt, :no_ssa_opt, :binary | options]
    with {:ok, _module, _binary} <- attempt(fn -> compile(core, options) end), do: :ok
  end

  defp compile(code, options) do
    :compile.noenv_forms(code, [:no_spawn_compiler_process, :return_errors | options])
  end

  defp attempt(compilation) do
    case compilation.() do
      {:ok, module, result} ->
        {:ok, module, result}

      {:ok, module, result, _warnings} ->
        {:ok, module, result}

      {:error, errors, _warnings} ->
        {:error, "the rewritten code does not compile: #{inspect(errors, limit: 8)}"}

      other ->
        {:error, "the compiler answered #{inspect(other)}"}
    end
  catch
    kind, reason -> {:error, Exception.format_banner(kind, reason)}
  end
end
