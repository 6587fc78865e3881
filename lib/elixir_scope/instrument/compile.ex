# Compiling rewritten forms. The compiler may refuse or crash; neither may reach the user's program.
defmodule ElixirScope.Instrument.Compile do
  @moduledoc false

  @doc "The module and what the options ask for (Core Erlang, or object code), or a sentence that says why not."
  @spec forms([tuple()], [term()]) :: {:ok, module(), term()} | {:error, String.t()}
  def forms(forms, options) do
    case :compile.noenv_forms(forms, [:no_spawn_compiler_process, :return_errors | options]) do
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
