# What would be instrumented of each compiled module of the application, how, and why: the rows of `mix scope.plan`.
defmodule ElixirScope.Project.Survey do
  @moduledoc false

  alias ElixirScope.Instrument.{Kind, Options, Own, Plan, Proposal, Request}
  alias ElixirScope.Project.{PlanFile, Rules, Selection}

  @type row :: %{
          module: module(),
          kind: String.t(),
          records: [:calls | :locals | :receives | :states],
          functions: {instrumented :: non_neg_integer(), of :: non_neg_integer()},
          left: [{atom(), arity(), String.t()}],
          why: String.t(),
          entry: PlanFile.entry() | nil,
          remark: String.t()
        }

  @doc "The rows for the modules of the application, each with Elixir's description of it, sorted by module."
  @spec rows([{module(), {:ok, map()} | :error}], Rules.t()) :: [row()]
  def rows(modules, rules) do
    for {module, description} <- Enum.sort_by(modules, &inspect(elem(&1, 0))),
        do: row(module, description, rules)
  end

  @doc "Whether a module can stand in the plan file: it has functions, and no options of its own."
  @spec plannable?({:ok, map()} | :error) :: boolean()
  def plannable?(:error), do: false

  def plannable?({:ok, map}),
    do: functions(map) != [] and not own?(map) and not Own.module?(map.module, map.file)

  @doc "The entries for the plan file. What stands in it already stays."
  @spec entries([row()], Rules.t()) :: [{module(), PlanFile.entry(), String.t()}]
  def entries(rows, %Rules{plan: plan}) do
    plan = plan || %{}

    for row <- rows, row.entry != nil or is_map_key(plan, row.module) do
      {row.module, Map.get(plan, row.module, row.entry), row.remark}
    end
  end

  defp row(module, :error, _rules) do
    %{
      module: module,
      kind: "other code",
      records: [],
      functions: {0, 0},
      left: [],
      why:
        "no debug information of Elixir; ElixirScope.instrument(#{inspect(module)}) may still work while it runs",
      entry: nil,
      remark: ""
    }
  end

  defp row(module, {:ok, map} = description, rules) do
    proposal = Proposal.new(map)
    {asked, why} = decide(map, Rules.for_module(rules, module), proposal)
    functions = functions(map)
    instrumented = Enum.filter(functions, &(reason(&1, asked) == nil))

    left =
      for {name, arity} = function <- functions -- instrumented, asked != nil do
        {name, arity, left(function, reason(function, asked), proposal)}
      end

    %{
      module: module,
      kind: Kind.label(proposal.kind),
      records: if(instrumented == [], do: [], else: records(map, asked)),
      functions: {length(instrumented), length(functions)},
      left: Enum.sort(left),
      why: if(functions == [], do: "it has no functions of its own", else: why),
      entry:
        if(plannable?(description) and Selection.reason(rules.selection, module) == nil, do: entry(proposal)),
      remark: "#{Kind.label(proposal.kind)}: #{proposal.why}"
    }
  end

  # What is asked for (options, or nothing), and why.
  defp decide(map, for_module, proposal) do
    case {own?(map), Own.module?(map.module, map.file), for_module} do
      {true, _, _} ->
        {elem(Request.read(map.compile_opts, map), 1), "asked for in the module: use ElixirScope"}

      {_, true, _} ->
        {nil, "a part of ElixirScope, which does not record itself"}

      {_, _, {:listed, options}} ->
        {Options.new!(options), "#{PlanFile.name()} says so"}

      {_, _, {:proposed, options}} ->
        {proposed(options, map), proposal.why}

      {_, _, :not_in_plan} ->
        {nil, "#{PlanFile.name()} says so"}

      {_, _, :excluded} ->
        {nil, "except: of the configuration names it"}

      {_, _, :not_in_only} ->
        {nil, "only: of the configuration does not name it"}
    end
  end

  defp proposed(options, map) do
    case Request.project(:proposed, options, map) do
      {:project, options} -> options
      :nothing -> nil
    end
  end

  defp entry(%Proposal{record?: false}), do: false

  defp entry(%Proposal{except: except, count: count}) do
    case for({key, [_ | _] = functions} <- [except: except, count: count], do: {key, Enum.sort(functions)}) do
      [] -> true
      options -> options
    end
  end

  defp left(function, reason, proposal) do
    cond do
      reason == :counted and function in proposal.templates -> "template: counted"
      reason == :counted and function in proposal.count -> "hot inner loop: counted"
      reason == :counted -> "counted"
      function in proposal.except and proposal.kind == :endpoint -> "made by use Phoenix.Endpoint"
      function in proposal.except -> "dispatch"
      true -> Plan.explain(reason)
    end
  end

  defp reason(_function, nil), do: :excluded
  defp reason(function, options), do: Plan.reason(function, options)

  defp records(map, options) do
    states? = options.state and Kind.server?(map)
    receives? = options.receives and receives?(map)

    for {records, true} <- [calls: true, locals: options.locals, receives: receives?, states: states?],
        do: records
  end

  defp receives?(%{receives?: receives?}), do: receives?

  defp receives?(%{definitions: definitions}) do
    bodies =
      for {_, kind, _, clauses} <- definitions, kind in [:def, :defp], {_, _, _, body} <- clauses, do: body

    bodies |> Macro.prewalker() |> Enum.any?(&match?({:receive, _, [_ | _]}, &1))
  end

  defp own?(%{compile_opts: options}), do: List.keymember?(options, :elixir_scope, 0)

  # Of those that can be instrumented at all.
  defp functions(%{definitions: definitions}) do
    for {function, kind, _, _} <- definitions,
        kind in [:def, :defp],
        !Plan.reason(function, %Options{}),
        do: function
  end
end
