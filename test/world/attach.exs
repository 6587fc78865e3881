# Instruments every module of the applications WORLD_ATTACH (or single modules), with all variables, in this VM. Recording
# begins with the suite: what compiles the test files runs through the same modules, and is not what is tested.

Application.put_env(:elixir_scope, :enabled, false)
{:ok, _} = Application.ensure_all_started(:elixir_scope)

modules =
  for name <- System.fetch_env!("WORLD_ATTACH") |> String.split(","),
      atom = String.to_atom(name),
      Application.load(atom),
      module <- Application.spec(atom, :modules) || [atom],
      do: module

reports =
  for module <- modules do
    case ElixirScope.instrument(module, locals: true) do
      {:ok, report} ->
        for {{name, arity}, why} <- report.skipped, why =~ "could not be rewritten" do
          IO.puts("left alone: #{inspect(module)}.#{name}/#{arity}: #{why}")
        end

        length(report.functions)

      {:error, error} ->
        IO.puts("left alone: #{error.message}")
        0
    end
  end

Application.put_env(:elixir_scope, :world_attached, %{
  modules: Enum.count(reports, &(&1 > 0)),
  functions: Enum.sum(reports)
})
