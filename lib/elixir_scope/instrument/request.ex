# What was asked for a module, as it stands among its compile options: by `use ElixirScope` in the module, which goes
# first, or by the project.
defmodule ElixirScope.Instrument.Request do
  @moduledoc false

  alias ElixirScope.Instrument.{Options, Proposal}

  @type by :: :use | :project
  @typedoc "From the plan file, to be followed to the letter; or from the configuration, where the kind of module counts."
  @type project :: {:listed | :proposed, keyword()}

  @doc "The keys of `@compile` that `use ElixirScope`, the project's tracer and `@scope` set."
  @spec keys() :: [atom()]
  def keys, do: [:elixir_scope, :elixir_scope_project, :elixir_scope_function]

  @doc """
  Who asked, and for what; `:nothing` when the module is to be left alone.

      iex> ElixirScope.Instrument.Request.read([:debug_info, elixir_scope: [args: false]], %{})
      {:use, %ElixirScope.Instrument.Options{args: false}}
  """
  @spec read([term()], map()) :: {by(), Options.t()} | :nothing
  def read(compile_options, module) do
    case {find(compile_options, :elixir_scope), find(compile_options, :elixir_scope_project)} do
      {nil, {how, options}} -> project(how, options, module)
      {options, _} -> {:use, used(options, compile_options)}
    end
  end

  # The last word on a function counts, as of any attribute.
  defp used(options, compile_options) do
    marks = for {:elixir_scope_function, {function, mark}} <- compile_options, into: %{}, do: {function, mark}
    (options || []) |> Options.new!() |> Options.mark(marks)
  end

  @doc "The same without the module's description: a hot loop is then among what was asked for."
  @spec options([term()]) :: Options.t()
  def options(compile_options) do
    with nil <- find(compile_options, :elixir_scope),
         {_how, options} <- find(compile_options, :elixir_scope_project) do
      Options.new!(options)
    else
      options -> used(options, compile_options)
    end
  end

  @doc "The options for a module of the project, as those of `use ElixirScope`."
  @spec project(:listed | :proposed, keyword(), map()) :: {:project, Options.t()} | :nothing
  def project(:listed, options, _module), do: {:project, Options.new!(options)}

  def project(:proposed, options, module) do
    proposal = Proposal.new(module)

    if proposal.record? do
      {:project, options |> add(:except, proposal.except) |> add(:count, proposal.count) |> Options.new!()}
    else
      :nothing
    end
  end

  defp add(options, _key, none) when none == [], do: options
  defp add(options, key, functions), do: Keyword.update(options, key, functions, &(&1 ++ functions))

  @doc "What only:, except: and count: name that the module does not define."
  @spec unnamed(map(), Options.t()) :: [{:only | :except | :count, Options.selector()}]
  def unnamed(%{definitions: definitions}, %Options{} = options) do
    functions = for {function, _, _, _} <- definitions, do: function

    for {option, selectors} <- [only: options.only, except: options.except, count: options.count],
        is_list(selectors),
        selector <- selectors,
        not Enum.any?(functions, &Options.selects?([selector], &1)),
        do: {option, selector}
  end

  @doc "The same as sentences, for a project."
  @spec unknown(map(), Options.t()) :: [String.t()]
  def unknown(%{module: module} = description, %Options{} = options) do
    for {option, selector} <- unnamed(description, options) do
      "#{option}: names #{inspect(module)}.#{Options.label(selector)}, which does not exist (any more). " <>
        "Correct it in the configuration or in scope.plan.exs"
    end
  end

  defp find(compile_options, key) do
    Enum.find_value(compile_options, &(match?({^key, _}, &1) && elem(&1, 1)))
  end
end
