# The rules of the current Mix project, for the Mix tasks.
defmodule ElixirScope.Project do
  @moduledoc false

  alias ElixirScope.Project.{Apps, Build, Dependencies, PlanFile, Rules, Selection, Survey}

  @type t :: %{own: Rules.t() | nil, dependencies: [{atom(), Rules.t()}]}

  @doc """
  The rules for the project's application, or `nil` when nothing is asked for, and for its dependencies; a Mix error when
  they are not in order.
  """
  @spec rules!() :: t()
  def rules! do
    configured = Application.get_env(:elixir_scope, :instrument)

    with {:ok, selection} <- Selection.new(configured),
         nil <- selection && Apps.problem(selection.apps),
         {:ok, own} <- Rules.read(configured, Apps.own(), File.cwd!()),
         {:ok, dependencies} <- Dependencies.selected(selection) do
      %{own: own, dependencies: dependencies}
    else
      {:error, message} -> Mix.raise(message)
      problem -> Mix.raise(problem)
    end
  end

  @doc "The plan file of the project, or `nil` when there is none; a Mix error when it is not in order."
  @spec plan!() :: PlanFile.t() | nil
  def plan! do
    case PlanFile.read(File.cwd!()) do
      {:ok, plan} -> plan
      {:error, message} -> Mix.raise(message)
    end
  end

  @doc "What of the plan file does not fit the modules that were compiled, as sentences."
  @spec stale(t()) :: [String.t()]
  def stale(%{own: nil}), do: []

  def stale(%{own: own, dependencies: dependencies}) do
    folders = [Mix.Project.compile_path() | planned_folders(dependencies)]
    folder_of = for folder <- folders, module <- Build.modules(folder), into: %{}, do: {module, folder}

    # Dependencies that are not selected now may stand in the file all the same.
    elsewhere = for module <- Map.keys(own.plan || %{}), built?(module), do: module

    Rules.stale(own, Enum.uniq(Map.keys(folder_of) ++ elsewhere), fn module ->
      Survey.plannable?(Build.describe(folder_of[module], module))
    end)
  end

  @doc """
  What the configuration names and nothing that was built is called, as a sentence. In an umbrella nobody knows before all
  of its applications are built.
  """
  @spec unmatched(Rules.t()) :: [String.t()]
  def unmatched(%Rules{selection: selection}) do
    modules =
      for file <- [Mix.Project.build_path(), "lib/*/ebin/*.beam"] |> Path.join() |> Path.wildcard(),
          do: file |> Path.basename(".beam") |> String.to_atom()

    case Selection.unmatched(selection, modules) do
      [] ->
        []

      some ->
        [
          "No module is named by #{Enum.map_join(some, ", ", &inspect/1)} in the configuration. Correct it there"
        ]
    end
  end

  defp built?(module) do
    [Mix.Project.build_path(), "lib/*/ebin", "#{module}.beam"] |> Path.join() |> Path.wildcard() != []
  end

  @doc "The rows of the plan for the project's application."
  @spec survey(Rules.t()) :: [Survey.row()]
  def survey(rules), do: rows(Mix.Project.compile_path(), rules)

  @doc "The rows of the plan for a selected dependency."
  @spec survey(atom(), Rules.t()) :: [Survey.row()]
  def survey(dependency, rules), do: rows(Dependencies.folder(dependency), rules)

  @doc "Whether the plan file of the project holds for its dependencies too."
  @spec plans_dependencies?() :: boolean()
  def plans_dependencies?, do: Dependencies.plan_folder() == File.cwd!()

  defp planned_folders(dependencies) do
    if plans_dependencies?(), do: for({app, _} <- dependencies, do: Dependencies.folder(app)), else: []
  end

  defp rows(folder, rules),
    do: Survey.rows(for(module <- Build.modules(folder), do: {module, Build.describe(folder, module)}), rules)
end
