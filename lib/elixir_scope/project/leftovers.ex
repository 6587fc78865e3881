# Modules of the project's own application that no compiler tracer sees: those of `Module.create/3`, and Erlang's. They
# are rewritten when they are compiled.
defmodule ElixirScope.Project.Leftovers do
  @moduledoc false

  alias ElixirScope.Instrument.Request
  alias ElixirScope.Project.{Apps, Build, Rules, Sweep}

  @doc "Brings them in line with the rules (`nil`: puts back what was rewritten)."
  @spec sweep(Rules.t() | nil) :: [String.t()]
  def sweep(rules) do
    app = Apps.own()
    before = Build.seen() || %{}

    if rules || before[app] do
      {report, state} = Sweep.run(Mix.Project.compile_path(), rules, ask(rules), before[app])
      if report.protocols?, do: Build.forget_consolidation()
      Build.remember(if rules, do: Map.put(before, app, state), else: Map.delete(before, app))

      report.said ++
        for {module, problem} <- report.unable, do: "#{inspect(module)} is left alone, because #{problem}"
    else
      []
    end
  end

  defp ask(nil), do: fn _module, _description -> nil end

  defp ask(rules) do
    fn module, description ->
      with {:ok, %{compile_opts: options}} <- description,
           false <- Enum.any?(Request.keys(), &List.keymember?(options, &1, 0)),
           {how, options} <- Rules.for_module(rules, module) do
        {how, options}
      else
        _traced_or_left_alone -> nil
      end
    end
  end
end
