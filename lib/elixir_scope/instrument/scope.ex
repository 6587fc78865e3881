# `@scope` above a function: what is recorded of that one. The compiler calls this for each clause that a module with
# `use ElixirScope` defines.
defmodule ElixirScope.Instrument.Scope do
  @moduledoc false

  alias ElixirScope.Instrument.{Compiler, Options}

  @doc false
  def __on_definition__(env, kind, name, args, _guards, _body) do
    # Deleted, so that it holds for one function, and so that one which stands above nothing is an unused attribute.
    case Module.delete_attribute(env.module, :scope) do
      nil ->
        :ok

      mark when kind in [:def, :defp] ->
        mark(env, name, args, mark)

      _ ->
        fail(
          env,
          "@scope stands above the macro #{name}/#{length(args)}; macros run only in the compiler. Remove it"
        )
    end
  end

  defp mark(env, name, args, mark) do
    mark = check(env, mark)
    arity = length(args)
    defaults = Enum.count(args, &match?({:\\, _, _}, &1))
    for arity <- (arity - defaults)..arity, do: Compiler.mark(env.module, {name, arity}, mark)
    :ok
  end

  defp check(env, mark) do
    Options.mark!(mark)
  rescue
    error in ArgumentError -> fail(env, error.message)
  end

  @spec fail(Macro.Env.t(), String.t()) :: no_return()
  defp fail(env, text), do: raise(CompileError, file: env.file, line: env.line, description: text)
end
