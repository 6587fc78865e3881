# `@scope` above a function: what is recorded of that one. The compiler calls this for each clause that a module with
# `use ElixirScope` defines.
defmodule ElixirScope.Instrument.Scope do
  @moduledoc false

  alias ElixirScope.Instrument.{Compiler, Options}

  @doc false
  def __on_definition__(env, kind, name, args, _guards, _body) do
    mark = Module.get_attribute(env.module, :scope)

    if ours?(mark) do
      # Deleted, so that it holds for one function, and so that one which stands above nothing is an unused attribute.
      Module.delete_attribute(env.module, :scope)
      mark(env, kind, name, args, mark)
    end
  end

  # A module may have an attribute of this name for itself, with a text or a number in it.
  defp ours?(nil), do: false
  defp ours?(mark), do: is_atom(mark) or is_list(mark)

  defp mark(env, kind, name, args, mark) when kind in [:def, :defp] do
    mark = check(env, mark)
    arity = length(args)
    defaults = Enum.count(args, &match?({:\\, _, _}, &1))
    for arity <- (arity - defaults)..arity, do: Compiler.mark(env.module, {name, arity}, mark)
    :ok
  end

  defp mark(env, _macro, name, args, _mark) do
    fail(
      env,
      "@scope stands above the macro #{name}/#{length(args)}; macros run only in the compiler. Remove it"
    )
  end

  defp check(env, mark) do
    Options.mark!(mark)
  rescue
    error in ArgumentError -> fail(env, error.message)
  end

  @spec fail(Macro.Env.t(), String.t()) :: no_return()
  defp fail(env, text), do: raise(CompileError, file: env.file, line: env.line, description: text)
end
