# What holds for one application: the configuration, and the plan file where there is one.
defmodule ElixirScope.Project.Rules do
  @moduledoc false

  alias ElixirScope.Instrument.Request
  alias ElixirScope.Project.{PlanFile, Selection}

  @type t :: %__MODULE__{selection: Selection.t(), plan: PlanFile.t() | nil}
  @type reason :: :not_in_only | :excluded | :not_in_plan

  @enforce_keys [:selection, :plan]
  defstruct @enforce_keys

  @doc "The rules for an application with this value of `instrument:` and this folder; `nil`: nothing is asked for."
  @spec read(term(), atom(), Path.t()) :: {:ok, t() | nil} | {:error, String.t()}
  def read(configured, app, folder) do
    with {:ok, %Selection{} = selection} <- Selection.new(configured),
         {:app, true} <- {:app, Selection.app?(selection, app)},
         {:ok, plan} <- PlanFile.read(folder) do
      {:ok, %__MODULE__{selection: selection, plan: plan}}
    else
      {:error, message} -> {:error, message}
      _nothing -> {:ok, nil}
    end
  end

  @doc """
  What is asked for a module, or why it is left alone. The configuration can only take away from the plan file.

      iex> {:ok, selection} = ElixirScope.Project.Selection.new(except: [Shop.Repo])
      iex> rules = %ElixirScope.Project.Rules{selection: selection, plan: %{Shop.Cart => [args: false], Shop.Web => false}}
      iex> Enum.map([Shop.Cart, Shop.New, Shop.Repo, Shop.Web], &ElixirScope.Project.Rules.for_module(rules, &1))
      [{:listed, [args: false]}, {:proposed, []}, :excluded, :not_in_plan]
  """
  @spec for_module(t(), module()) :: Request.project() | reason()
  def for_module(%__MODULE__{selection: selection, plan: plan}, module) do
    with nil <- Selection.reason(selection, module) do
      case plan do
        %{^module => false} -> :not_in_plan
        %{^module => true} -> {:listed, Selection.options(selection, module)}
        %{^module => options} -> {:listed, Selection.options(selection, module, options)}
        _ -> {:proposed, Selection.options(selection, module)}
      end
    end
  end

  @doc """
  What of the plan file does not fit the modules of the application (any more), as sentences. `plannable?` says whether
  a module that the file does not know could stand there.
  """
  @spec stale(t(), [module()], (module() -> boolean())) :: [String.t()]
  def stale(%__MODULE__{plan: nil}, _modules, _plannable?), do: []

  def stale(%__MODULE__{plan: plan, selection: selection}, modules, plannable?) do
    gone = Map.keys(plan) -- modules
    unknown = Enum.reject(modules, &(is_map_key(plan, &1) or Selection.reason(selection, &1)))

    List.flatten([
      sentence(gone, "names modules that do not exist (any more)"),
      sentence(
        Enum.filter(unknown, plannable?),
        "does not know these modules, which are recorded by their kind"
      )
    ])
  end

  defp sentence([], _text), do: []

  defp sentence(modules, text) do
    "#{PlanFile.name()} #{text}: #{modules |> Enum.sort() |> Enum.map_join(", ", &inspect/1)}. " <>
      "Run mix scope.plan --write to bring it up to date"
  end
end
