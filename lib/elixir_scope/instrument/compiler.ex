# How a module that is being compiled asks for the hook: by entries of its `@compile`.
defmodule ElixirScope.Instrument.Compiler do
  @moduledoc false

  alias ElixirScope.Instrument.{Hook, Options, Request}

  # The Erlang compiler calls the hook, and cannot wait for modules that are being compiled in the same project, as
  # those of this library's own tests are.
  @names ~w(Agents Anew Beam Body Closure Compile Cover Frame Hook Kind Loops Options Own Pattern Plan Probe Proposal Purity
            Request Site Source Syntax Tail Templates Transform)a
  @needed [ElixirScope.Capture.Servers | Enum.map(@names, &Module.concat(ElixirScope.Instrument, &1))]

  # The compiler repeats a group of its optimisations on a function until they change nothing any more, 16 times at
  # most. One of them puts a new empty block before each `try` every time, so a function with a `try` always gets all
  # 16 (OTP 25, 27 and 29) where 3 would do. All it is good for is to move code that cannot fail out of `try`.
  @endless_pass :no_ssa_opt_try

  @doc "Waits until every module that the hook needs is compiled."
  @spec ensure_ready() :: :ok
  def ensure_ready, do: Enum.each(@needed, &Code.ensure_compiled!/1)

  @doc "What the hook's answer depends on: when it changes, code that was rewritten is out of date."
  @spec version() :: term()
  def version, do: for(module <- @needed, do: module.module_info(:md5))

  @doc "Whether `@compile` of an open module has this key."
  @spec asked?(module(), atom()) :: boolean()
  def asked?(module, key), do: module |> given() |> List.keymember?(key, 0)

  @doc "Adds a request, and what the hook needs to be called and to work."
  @spec ask(module(), {:elixir_scope, keyword()} | {:elixir_scope_project, Request.project()}) :: :ok
  def ask(module, {by, _options} = request) do
    given = given(module)

    # The hook starts from the debug information. It is off by default in some places (`mix test` of newer versions
    # compiles test files without), but whoever turned it off in the module meant it. The project's request comes
    # before the module's own `@compile` lines are known, so it cannot turn on what one of them may turn off.
    if by == :elixir_scope and not List.keymember?(given, :debug_info, 0),
      do: put(module, {:debug_info, true})

    unless {:core_transform, Hook} in given do
      put(module, {:core_transform, Hook})
      put(module, @endless_pass)
    end

    put(module, request)
  end

  @doc "Adds what `@scope` says of a function."
  @spec mark(module(), {atom(), arity()}, Options.mark()) :: :ok
  def mark(module, function, mark), do: put(module, {:elixir_scope_function, {function, mark}})

  defp given(module), do: module |> Module.get_attribute(:compile) |> List.wrap() |> List.flatten()
  defp put(module, option), do: Module.put_attribute(module, :compile, option)
end
