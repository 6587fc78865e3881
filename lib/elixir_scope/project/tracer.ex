# A compiler tracer: the Elixir compiler calls it for what it meets in the project's modules. At the first macro of
# Kernel in a module (`def`, `use`, `defexception`, ...) it puts the request for the hook into the module, before the module is finished.
#
# A module's body is expanded as a whole before any of it runs. So what the body does (`@compile`, `use ElixirScope`) comes
# later, and is not seen here; a request of `use ElixirScope` then goes first, see `ElixirScope.Instrument.Request`.
#
# It stays when the compilation is over, for those who compile without the project's compilers: Phoenix's code reloader,
# and `r/1` and `c/1` of IEx. It knows the project's own code by its folders, so tests and what is typed are not touched.
defmodule ElixirScope.Project.Tracer do
  @moduledoc false

  alias ElixirScope.Instrument.{Compiler, Own}
  alias ElixirScope.Project.Rules

  # What the compiler calls. In memory alone, since Mix takes modules of this library away when it compiles them anew, and a
  # tracer that is not there ends every compilation.
  @door :elixir_scope_tracer

  @doc "Traces what is compiled from these paths from now on in this VM, by these rules; `nil`: not any more."
  @spec install([Path.t()], Rules.t() | nil) :: :ok
  def install(paths, rules) do
    rest = for {path, rules} <- installed(), path not in paths, do: {path, rules}
    all = if rules, do: for(path <- paths, do: {path, rules}) ++ rest, else: rest
    :persistent_term.put(__MODULE__, all)
    others = List.delete(Code.get_compiler_option(:tracers), @door)

    if all == [] do
      Code.put_compiler_option(:tracers, others)
    else
      open()
      Code.put_compiler_option(:tracers, [@door | others])
    end
  end

  @doc "Called by the compiler. It must not raise: that would end the compilation of the project."
  @spec trace(tuple(), Macro.Env.t()) :: :ok
  def trace({kind, _meta, Kernel, _name, _arity}, %Macro.Env{function: nil, module: module, file: file})
      when kind in [:imported_macro, :remote_macro] and module != nil do
    with %Rules{} = rules <- rules(file),
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

  defp rules(file) do
    Enum.find_value(installed(), fn {path, rules} ->
      if file == path or String.starts_with?(file, path <> "/"), do: rules
    end)
  end

  defp installed, do: :persistent_term.get(__MODULE__, [])

  # trace(Event, Env) -> case function_exported(Tracer, trace, 2) of true -> Tracer:trace(Event, Env); false -> ok end.
  defp open do
    unless :erlang.module_loaded(@door) do
      {:ok, tokens, _} =
        :erl_scan.string(~c"trace(Event, Env) -> case erlang:function_exported('#{__MODULE__}', trace, 2) of
           true -> '#{__MODULE__}':trace(Event, Env); false -> ok end.")

      {:ok, function} = :erl_parse.parse_form(tokens)
      forms = [{:attribute, 1, :module, @door}, {:attribute, 1, :export, [trace: 2]}, function]
      {:ok, @door, beam} = :compile.forms(forms)
      {:module, @door} = :code.load_binary(@door, ~c"elixir_scope_tracer", beam)
    end
  end
end
