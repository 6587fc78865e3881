# A compiler tracer: the Elixir compiler calls it for what it meets in the project's modules. At the first macro of
# Kernel in a module (`def`, `use`, `defexception`, ...) it puts the request for the hook into the module, before the module is finished.
#
# A module's body is expanded as a whole before any of it runs. So what the body does (`@compile`, `use ElixirScope`) comes
# later, and is not seen here; a request of `use ElixirScope` then goes first, see `ElixirScope.Instrument.Request`.
defmodule ElixirScope.Project.Tracer do
  @moduledoc false

  alias ElixirScope.Instrument.{Compiler, Own}
  alias ElixirScope.Project.Rules

  @doc "Traces what is compiled from now on in this VM, by these rules."
  @spec install(Rules.t()) :: :ok
  def install(%Rules{} = rules) do
    :persistent_term.put(__MODULE__, rules)
    Code.put_compiler_option(:tracers, [__MODULE__ | others()])
  end

  @doc "Traces nothing any more."
  @spec remove() :: :ok
  def remove do
    Code.put_compiler_option(:tracers, others())
    :persistent_term.erase(__MODULE__)
    :ok
  end

  @doc "Called by the compiler. It must not raise: that would end the compilation of the project."
  @spec trace(tuple(), Macro.Env.t()) :: :ok
  def trace({kind, _meta, Kernel, _name, _arity}, %Macro.Env{function: nil, module: module, file: file})
      when kind in [:imported_macro, :remote_macro] and module != nil do
    with %Rules{} = rules <- :persistent_term.get(__MODULE__, nil),
         true <- Module.open?(module),
         false <- Compiler.asked?(module, :elixir_scope_project),
         {how, options} <- Rules.for_module(rules, module),
         false <- Own.module?(module, file) do
      Compiler.ask(module, {:elixir_scope_project, {how, options}})
    else
      _leave_alone -> :ok
    end
  end

  def trace(_event, _env), do: :ok

  defp others, do: List.delete(Code.get_compiler_option(:tracers), __MODULE__)
end
