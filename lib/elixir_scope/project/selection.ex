# What `config :elixir_scope, instrument: [...]` asks for. The one place where it is checked.
defmodule ElixirScope.Project.Selection do
  @moduledoc false

  alias ElixirScope.Project.Pattern

  @type t :: %__MODULE__{
          apps: :all | [atom()],
          only: :all | [Pattern.t()],
          except: [Pattern.t()],
          functions: %{module() => [atom() | {atom(), arity()}]},
          options: keyword()
        }

  defstruct apps: :all, only: :all, except: [], functions: %{}, options: []

  @example "config :elixir_scope, instrument: [apps: [:shop], except: [Shop.Repo, \"ShopWeb.*\"]]"
  @keys [:apps, :only, :except, :args, :returns, :locals, :receives, :state, :agents]

  @doc """
  Checks the value of `instrument:`; `nil` when nothing is to be instrumented.

      iex> {:ok, selection} = ElixirScope.Project.Selection.new(apps: [:shop], except: ["Shop.Web.*", {Shop.Cart, :total}])
      iex> {selection.apps, selection.except, selection.functions}
      {[:shop], ["Shop.Web.*"], %{Shop.Cart => [:total]}}

      iex> ElixirScope.Project.Selection.new(nil)
      {:ok, nil}

      iex> {:error, message} = ElixirScope.Project.Selection.new(aps: [:shop])
      iex> message
      "config :elixir_scope, instrument: expected the keys apps:, only:, except:, args:, returns:, locals:, receives:, state:, agents:, got: aps: [:shop]. Remove or rename it"
  """
  @spec new(term()) :: {:ok, t() | nil} | {:error, String.t()}
  def new(nothing) when nothing in [nil, false], do: {:ok, nil}

  def new(given) do
    if Keyword.keyword?(given) do
      Enum.reduce_while(given, {:ok, %__MODULE__{}}, fn {key, value}, {:ok, selection} ->
        case put(key, value, selection) do
          {:error, message} -> {:halt, {:error, "config :elixir_scope, instrument: " <> message}}
          selection -> {:cont, {:ok, selection}}
        end
      end)
    else
      {:error,
       "config :elixir_scope, instrument: expected a keyword list, or false, got: #{inspect(given)}. " <>
         "Write for example #{@example}"}
    end
  end

  @doc "Whether the modules of this application may be instrumented."
  @spec app?(t(), atom()) :: boolean()
  def app?(%__MODULE__{apps: apps}, app), do: apps == :all or app in apps

  @doc """
  Why a module is left alone, or `nil` when it is not.

      iex> {:ok, selection} = ElixirScope.Project.Selection.new(only: ["Shop.*"], except: [Shop.Repo])
      iex> Enum.map([Shop.Cart, Shop.Repo, Web], &ElixirScope.Project.Selection.reason(selection, &1))
      [nil, :excluded, :not_in_only]
  """
  @spec reason(t(), module()) :: :not_in_only | :excluded | nil
  def reason(%__MODULE__{only: only, except: except}, module) do
    cond do
      only != :all and not Enum.any?(only, &Pattern.names?(&1, module)) -> :not_in_only
      Enum.any?(except, &Pattern.names?(&1, module)) -> :excluded
      true -> nil
    end
  end

  @doc "The options for a module, as those of `use ElixirScope`; what is given there goes first."
  @spec options(t(), module(), keyword()) :: keyword()
  def options(%__MODULE__{options: options, functions: functions}, module, given \\ []) do
    options = Keyword.merge(options, given)

    case functions do
      %{^module => selectors} -> Keyword.update(options, :except, selectors, &(&1 ++ selectors))
      _ -> options
    end
  end

  @doc "The names in only: and except: that no module has."
  @spec unmatched(t(), [module()]) :: [Pattern.t()]
  def unmatched(%__MODULE__{only: only, except: except, functions: functions}, modules) do
    for pattern <- List.delete(List.wrap(only), :all) ++ except ++ Map.keys(functions),
        not Enum.any?(modules, &Pattern.names?(pattern, &1)),
        uniq: true,
        do: pattern
  end

  defp put(:apps, :all, selection), do: selection

  defp put(:apps, apps, selection) do
    if atoms?(apps) do
      %{selection | apps: apps}
    else
      {:error, "expected apps: to be a list of applications, got: #{inspect(apps)}. Write apps: [:shop]"}
    end
  end

  defp put(:only, :all, selection), do: selection

  defp put(:only, only, selection) do
    if is_list(only) and Enum.all?(only, &Pattern.valid?/1) do
      %{selection | only: only}
    else
      {:error,
       "expected only: to be a list of modules and patterns, got: #{inspect(only)}. " <>
         "Write only: [Shop.Cart, \"Shop.Order.*\"]"}
    end
  end

  defp put(:except, except, selection) when is_list(except) do
    Enum.reduce_while(except, selection, fn given, selection ->
      case function(given) do
        {module, selector} ->
          {:cont,
           %{selection | functions: Map.update(selection.functions, module, [selector], &(&1 ++ [selector]))}}

        nil ->
          if Pattern.valid?(given),
            do: {:cont, %{selection | except: selection.except ++ [given]}},
            else: {:halt, bad_except(given)}
      end
    end)
  end

  defp put(:except, except, _selection), do: bad_except(except)

  defp put(key, value, selection) when key in [:args, :returns, :locals, :receives, :state, :agents] do
    if is_boolean(value) do
      %{selection | options: Keyword.put(selection.options, key, value)}
    else
      {:error,
       "expected #{key}: to be true or false, got: #{inspect(value)}. Write #{key}: true or #{key}: false"}
    end
  end

  defp put(key, value, _selection) do
    {:error,
     "expected the keys #{Enum.map_join(@keys, ", ", &"#{&1}:")}, got: #{key}: #{inspect(value)}. Remove or rename it"}
  end

  defp function({module, name}) when is_atom(module) and is_atom(name), do: {module, name}

  defp function({module, name, arity}) when is_atom(module) and is_atom(name) and arity in 0..255,
    do: {module, {name, arity}}

  defp function(fun) when is_function(fun) do
    info = Function.info(fun)
    if info[:type] == :external, do: {info[:module], {info[:name], info[:arity]}}
  end

  defp function(_other), do: nil

  defp bad_except(given) do
    {:error,
     "expected except: to be a list of modules, patterns and functions, got: #{inspect(given)}. " <>
       "Write except: [Shop.Repo, \"ShopWeb.*\", {Shop.Cart, :total, 1}]"}
  end

  defp atoms?(list), do: is_list(list) and Enum.all?(list, &is_atom/1)
end
