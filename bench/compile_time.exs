# How much longer the compiler takes for instrumented code, and how much larger the code is. The subjects are at hand
# wherever this library is: modules of Elixir itself, compiled anew from their debug information, and the example shop,
# compiled from its sources.

Code.require_file("table.exs", __DIR__)

defmodule Bench.CompileTime do
  @moduledoc false

  alias Bench.Table
  alias ElixirScope.Instrument.{Compiler, Options, Transform}

  @modules [Calendar.ISO, GenServer, Macro, OptionParser, Regex, Task.Supervised, URI, Version]
  @shop Path.expand("../docs/examples/shop/lib", __DIR__)
  @rounds 3

  def run do
    rows = for {label, subject} <- subjects(), do: row(label, subject)

    """
    ### Compile time

    | code | plain | instrumented | ratio | `no_ssa_opt` instead | object code |
    |---|---|---|---|---|---|
    #{Enum.join(rows, "\n")}

    Processor time, the least of #{@rounds} rounds. From forms: the Erlang compiler alone, without what Elixir does before.
    """
  end

  defp subjects do
    modules =
      for module <- @modules do
        {:ok, {_, [abstract_code: {_, forms}]}} =
          module |> :code.which() |> :beam_lib.chunks([:abstract_code])

        {rewritten, _report} = Transform.run(forms, Options.new!([]))
        {forms, rewritten}
      end

    [
      {"#{length(@modules)} modules of Elixir, from forms", &from_forms(modules, &1)},
      {"the example shop, from sources", &from_sources/1}
    ]
  end

  # `way` is :plain, or a list of options that the rewritten code is compiled with.
  defp from_forms(modules, way) do
    for {plain, rewritten} <- modules do
      {forms, options} = if way == :plain, do: {plain, []}, else: {rewritten, way}
      {:ok, core, _} = :v3_core.module(forms, options)
      {:ok, _, beam} = :compile.noenv_forms(core, [:from_core, :no_core_prepare, :binary | options])
      beam
    end
  end

  defp from_sources(way) do
    parent = self()
    :persistent_term.put(__MODULE__, way)
    Code.put_compiler_option(:tracers, [__MODULE__])
    Code.put_compiler_option(:ignore_module_conflict, true)

    each = fn _file, module, beam -> send(parent, {:compiled, module, beam}) end
    {:ok, modules, _} = Kernel.ParallelCompiler.compile(Path.wildcard("#{@shop}/**/*.ex"), each_module: each)

    for module <- modules do
      receive do
        {:compiled, ^module, beam} -> beam
      end
    end
  after
    Code.put_compiler_option(:tracers, [])
    Code.put_compiler_option(:ignore_module_conflict, false)
  end

  @doc false
  def trace({kind, _meta, Kernel, _name, _arity}, %{function: nil, module: module})
      when kind in [:imported_macro, :remote_macro] and module != nil do
    way = :persistent_term.get(__MODULE__)

    if way != :plain and Module.open?(module) and not Compiler.asked?(module, :elixir_scope_project) do
      Compiler.ask(module, {:elixir_scope_project, {:listed, []}})
      Module.put_attribute(module, :compile, way)
    end

    :ok
  end

  def trace(_event, _env), do: :ok

  defp row(label, compile) do
    ways = [plain: :plain, instrumented: [:no_ssa_opt_try], quick: [:no_ssa_opt]]
    compile.(:plain)

    rounds =
      for _ <- 1..@rounds, {name, way} <- ways do
        {time, beams} = processor_time(fn -> compile.(way) end)
        {name, time, beams |> Enum.map(&byte_size/1) |> Enum.sum()}
      end

    [{plain, size}, {instrumented, larger}, {quick, _}] =
      for {name, _} <- ways do
        {_, time, size} = rounds |> Enum.filter(&(elem(&1, 0) == name)) |> Enum.min_by(&elem(&1, 1))
        {time, size}
      end

    "| #{label} | #{plain} ms | #{instrumented} ms | #{Table.number(instrumented / plain)} x | " <>
      "#{Table.number(quick / plain)} x | #{Table.number(larger / size)} x |"
  end

  defp processor_time(fun) do
    :erlang.garbage_collect()
    {before, _} = :erlang.statistics(:runtime)
    value = fun.()
    {now, _} = :erlang.statistics(:runtime)
    {now - before, value}
  end
end
