# The dependencies that `apps:` names. Projects of their own compile them, where this library has no say; so their object
# code in the build folder is rewritten, before the project itself is compiled, and put back when it is no longer named.
defmodule ElixirScope.Project.Dependencies do
  @moduledoc false

  alias ElixirScope.Project.{Apps, Build, PlanFile, Rules, Selection, Sweep}

  @type told :: [String.t()]

  @doc "The selected dependencies, with the rules for them; none without a configuration."
  @spec selected(Selection.t() | nil) :: {:ok, [{atom(), Rules.t()}]} | {:error, String.t()}
  def selected(%Selection{apps: apps} = selection) when is_list(apps) do
    case Enum.filter(apps, &compiled_here?/1) do
      [] ->
        {:ok, []}

      some ->
        with {:ok, plan} <- PlanFile.read(plan_folder()) do
          {:ok, for(app <- some, do: {app, %Rules{selection: selection, plan: plan}})}
        end
    end
  end

  def selected(_all_or_nothing), do: {:ok, []}

  @doc """
  The folder of the plan file that holds for dependencies. The applications of an umbrella share them, so it is not
  that of one of the applications.
  """
  @spec plan_folder() :: Path.t()
  def plan_folder, do: if(Apps.in_umbrella?(), do: Path.expand("../.."), else: File.cwd!())

  @doc "Rewrites the selected dependencies, and puts back those that are not selected any more."
  @spec sweep([{atom(), Rules.t()}]) :: told()
  def sweep(selected) do
    before = Build.seen()
    # Without a memory everything that could be marked is looked at.
    forsaken = if(before == nil, do: Map.keys(Mix.Project.deps_scms()), else: Map.keys(before))
    before = before || %{}
    left = for app <- forsaken -- Keyword.keys(selected), app != Apps.own(), do: {app, nil}

    {seen, told} =
      Enum.reduce(selected ++ left, {before, []}, fn {app, rules}, {seen, told} ->
        {report, state} = Sweep.run(folder(app), rules, ask(rules), before[app])
        if report.protocols?, do: Build.forget_consolidation()
        seen = if rules, do: Map.put(seen, app, state), else: Map.delete(seen, app)
        {seen, told ++ tell(app, report)}
      end)

    Build.remember(seen)
    told
  end

  @doc "Puts all of them back."
  @spec restore() :: :ok
  def restore do
    if Build.seen(), do: sweep([])
    :ok
  end

  @doc "Where the object code of an application lies."
  @spec folder(atom()) :: Path.t()
  def folder(app), do: Path.join([Mix.Project.build_path(), "lib", Atom.to_string(app), "ebin"])

  # A dependency by path may have the compiler in its own mix.exs, which then has done it.
  defp compiled_here?(app) do
    Apps.dependency?(app) and not File.exists?(Path.join(folder(app), "../.mix/compile.elixir_scope"))
  end

  defp ask(nil), do: fn _module, _description -> nil end

  defp ask(rules) do
    fn module, _description ->
      with reason when is_atom(reason) <- Rules.for_module(rules, module), do: nil
    end
  end

  defp tell(app, report) do
    List.flatten([
      count(report.rewritten, "instruments", app),
      count(report.restored -- report.rewritten, "puts back", app),
      report.said,
      for(
        {module, problem} <- report.unable,
        do: "#{inspect(module)} of #{inspect(app)} is left alone: #{problem}"
      ),
      without(report.without_debug_info, app)
    ])
  end

  defp count([], _does, _app), do: []
  defp count([_], does, app), do: "#{does} 1 module of #{inspect(app)}"
  defp count(some, does, app), do: "#{does} #{length(some)} modules of #{inspect(app)}"

  defp without([], _app), do: []

  defp without(modules, app) do
    "of #{inspect(app)}, these modules are left alone, because they have no debug information: " <>
      "#{Enum.map_join(modules, ", ", &inspect/1)}. Compile it with (Elixir: elixirc_options: [debug_info: true], " <>
      "Erlang: {erl_opts, [debug_info]}), by mix deps.compile #{app} --force, or name them in except:"
  end
end
