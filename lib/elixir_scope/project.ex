# The rules of the current Mix project, for the Mix tasks.
defmodule ElixirScope.Project do
  @moduledoc false

  alias ElixirScope.Project.{Apps, Build, PlanFile, Rules, Selection, Survey}

  @doc "The rules, or `nil` when nothing is asked for; a Mix error when they are not in order."
  @spec rules!() :: Rules.t() | nil
  def rules! do
    configured = Application.get_env(:elixir_scope, :instrument)

    with {:ok, selection} <- Selection.new(configured),
         nil <- selection && Apps.problem(selection.apps),
         {:ok, rules} <- Rules.read(configured, Mix.Project.config()[:app], File.cwd!()) do
      rules
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
  @spec stale(Rules.t()) :: [String.t()]
  def stale(rules) do
    Rules.stale(rules, Build.modules(), fn module -> Survey.plannable?(Build.describe(module)) end)
  end

  @doc "The rows of the plan."
  @spec survey(Rules.t()) :: [Survey.row()]
  def survey(rules),
    do: Survey.rows(for(module <- Build.modules(), do: {module, Build.describe(module)}), rules)
end
