defmodule Mix.Tasks.Scope.Plan do
  @shortdoc "Shows what ElixirScope instruments in this project, how and why"
  @moduledoc """
  Shows which modules of the project are instrumented, how and why.

      mix scope.plan            # a table
      mix scope.plan --write    # also writes scope.plan.exs

  The project is compiled first. Each module is looked at: what it is (GenServer, Supervisor, Ecto schema, ...), what
  the configuration and the plan file say of it, and which functions are better left alone: hot inner loops, small
  private functions that do nothing but call themselves and compute.

  `scope.plan.exs` stands beside `mix.exs`. A person may edit it, and `mix compile` obeys it:

      %{
        # GenServer: its callbacks, with the states between them
        Shop.Cart => [except: [total: 2]],
        # functions: code of the project
        Shop.Mailer => false,
        # pure functions: what they were given, what they gave
        Shop.Price => true
      }

  An entry is `true`, `false`, or the options of `use ElixirScope`. A module that the file does not know is recorded by its
  kind, and `mix compile` says so. What the configuration leaves out stays out. `--write` on a file that is there keeps
  what stands in it, adds the new modules and drops those that are gone; delete the file to begin anew.

  Dependencies that `apps:` of the configuration names have a table each, and stand in the file too.

  Modules that say `use ElixirScope` keep their own options and do not stand in the file.
  """

  use Mix.Task

  alias ElixirScope.Project
  alias ElixirScope.Project.{Apps, PlanFile, Rules, Selection, Survey, Table}

  @recursive true

  @impl true
  def run(args) do
    write? = options!(args)
    Mix.Task.run("compile")
    %{own: own, dependencies: dependencies} = rules = Project.rules!()

    # Without a configuration the table shows what one would bring.
    shown = own || %Rules{selection: %Selection{}, plan: Project.plan!()}
    rows = Project.survey(shown)
    tables = for {app, rules} <- dependencies, do: {app, Project.survey(app, rules)}
    every = rows ++ Enum.flat_map(tables, &elem(&1, 1))

    for {app, rows} <- [{Apps.own(), rows} | tables] do
      Mix.shell().info([:bright, inspect(app), :reset])
      Enum.each(Table.lines(rows), &Mix.shell().info(&1))
    end

    Enum.each(remarks(rules), &Mix.shell().info([:yellow, &1, :reset]))
    Enum.each(more(dependencies), &Mix.shell().info([:light_black, &1, :reset]))
    if write?, do: write(if(Project.plans_dependencies?(), do: every, else: rows), shown)
    :ok
  end

  # What could be in the table as well.
  defp more(dependencies) do
    case Apps.dependencies() -- Keyword.keys(dependencies) do
      [] ->
        []

      [first | _] = some ->
        [
          "Dependencies are instrumented when apps: names them, as in apps: [#{inspect(Apps.own())}, #{inspect(first)}]: " <>
            Enum.map_join(some, ", ", &inspect/1)
        ]
    end
  end

  defp options!(args) do
    case OptionParser.parse(args, strict: [write: :boolean]) do
      {options, [], []} -> options[:write] == true
      _other -> Mix.raise("mix scope.plan: expected --write or nothing, got: #{Enum.join(args, " ")}")
    end
  end

  defp remarks(%{own: own, dependencies: dependencies} = rules) do
    app = inspect(Apps.own())

    cond do
      :elixir_scope not in (Mix.Project.config()[:compilers] || []) ->
        ["Nothing of this is in force: mix.exs lacks compilers: [:elixir_scope] ++ Mix.compilers()"]

      own == nil and dependencies != [] ->
        ["Of #{app} nothing is in force: apps: does not name it"]

      own == nil ->
        ["Nothing of this is in force: write config :elixir_scope, instrument: [apps: [#{app}]]"]

      true ->
        Project.stale(rules) ++ Project.unmatched(own)
    end
  end

  defp write(rows, rules) do
    File.write!(PlanFile.name(), PlanFile.format(Survey.entries(rows, rules)))
    Mix.shell().info([:green, "* written ", :reset, PlanFile.name()])
  end
end
