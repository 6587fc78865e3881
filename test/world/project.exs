# The mix.exs of a project under test (MIX_EXS), which is the folder that Mix runs in: its own mix.exs, but that its
# dependencies come from the folders beside it, and that ElixirScope compiles it when WORLD_RECORDING is set.

Code.require_file("outcomes.ex", __DIR__)
Code.compile_file("mix.exs")
original = Mix.Project.get!()
Mix.Project.pop()

defmodule World.Beside do
  @moduledoc false
  # Mix asks who can bring a dependency that names a version only, also one that an override replaces. Without Hex nobody
  # can, so this does: all of it is like a dependency with a path.

  @behaviour Mix.SCM
  @beside System.fetch_env!("WORLD_BESIDE")

  @impl true
  def accepts_options(app, options),
    do: Mix.SCM.Path.accepts_options(app, Keyword.put_new(options, :path, Path.join(@beside, "#{app}")))

  for {function, arity} <- Mix.SCM.behaviour_info(:callbacks) -- [accepts_options: 2] do
    arguments = Macro.generate_arguments(arity, __MODULE__)
    @impl true
    defdelegate unquote(function)(unquote_splicing(arguments)), to: Mix.SCM.Path
  end
end

Mix.SCM.append(World.Beside)

defmodule World.Dependencies do
  @moduledoc false

  @doc "The dependencies that are there, and theirs: nothing is downloaded."
  def of(list, beside, env) do
    list |> wanted(env) |> Enum.reduce(%{}, &add(&1, &2, beside)) |> Map.values()
  end

  defp add({name, options}, found, beside) do
    folder = Path.join(beside, "#{name}")

    if Map.has_key?(found, name) or not File.dir?(folder) do
      found
    else
      kept = Keyword.take(options, [:runtime, :only])
      found = Map.put(found, name, {name, [path: folder, override: true] ++ kept})
      name |> dependencies(folder) |> wanted(:prod) |> Enum.reduce(found, &add(&1, &2, beside))
    end
  end

  # Mix loads dependencies for `prod`; once loaded, a project stays as it is.
  defp dependencies(name, folder) do
    env = Mix.env()
    Mix.env(:prod)
    list = Mix.Project.in_project(name, folder, fn module -> module.project()[:deps] || [] end)
    Mix.env(env)
    list
  end

  defp wanted(list, env) do
    for dependency <- list,
        {name, options} = options(dependency),
        env in List.wrap(options[:only] || env),
        do: {name, options}
  end

  defp options({name, options}) when is_list(options), do: {name, options}
  defp options({name, _requirement}), do: {name, []}
  defp options({name, _requirement, options}), do: {name, options}
end

defmodule World.Project do
  @moduledoc false
  use Mix.Project

  @original original
  @beside System.fetch_env!("WORLD_BESIDE")
  @recording System.get_env("WORLD_RECORDING")
  @scope Path.expand("../..", __DIR__)

  def project do
    given = @original.project()
    deps = World.Dependencies.of(given[:deps] || [], @beside, Mix.env())

    Keyword.merge(given,
      deps: if(@recording, do: [{:elixir_scope, path: @scope} | deps], else: deps),
      compilers: if(@recording, do: [:elixir_scope], else: []) ++ (given[:compilers] || Mix.compilers())
    )
  end

  if function_exported?(original, :application, 0) do
    def application, do: @original.application()
  end

  if @recording do
    for {key, value} <- [
          instrument: [apps: [original.project()[:app]]],
          dir: @recording,
          keep: 1,
          enabled: true
        ] do
      Application.put_env(:elixir_scope, key, value, persistent: true)
    end
  end
end
