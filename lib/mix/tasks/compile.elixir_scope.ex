defmodule Mix.Tasks.Compile.ElixirScope do
  @shortdoc "Instruments the modules of the project while they are compiled"
  @moduledoc """
  Instruments the modules of the project while they are compiled, without a change of their source.

  It takes one line in `mix.exs`, in an umbrella in that of each application:

      def project do
        [
          app: :shop,
          compilers: [:elixir_scope] ++ Mix.compilers(),
          ...
        ]
      end

  and the configuration says what:

      config :elixir_scope, instrument: [apps: [:shop], except: [Shop.Repo, "ShopWeb.*"]]

  `apps:` may name dependencies too, such as `:jason`: their object code in the build folder is then rewritten, and put
  back when they are not named any more.

  Without `instrument:` nothing is instrumented. See `mix help scope.plan` for what comes of it, and
  `ElixirScope.Options` for the keys. When the configuration or `scope.plan.exs` changes, the Elixir modules of
  the application are compiled again.
  """

  use Mix.Task.Compiler

  @no_debug_info "nothing is instrumented, because the project is compiled without debug information. Take " <>
                   "debug_info: false out of elixirc_options:, or --no-debug-info; a release strips it in the end"

  alias ElixirScope.Instrument.Compiler
  alias ElixirScope.Project
  alias ElixirScope.Project.{Build, Dependencies, Leftovers, Tracer}

  # In an umbrella once for each application, with its own folder and build.
  @recursive true

  @impl true
  def run(args) do
    %{own: own, dependencies: dependencies} = rules = Project.rules!()
    Build.prepare(own)
    if own || dependencies != [], do: Compiler.ensure_ready()
    dependencies |> Dependencies.sweep() |> Enum.each(&tell/1)

    if own do
      if without_debug_info?(args), do: tell(@no_debug_info)
      Tracer.install(paths(), own)
      Mix.Task.Compiler.after_compiler(:elixir, &compiled(&1, rules))
    else
      Tracer.install(paths(), nil)
      Leftovers.sweep(nil)
    end

    {:noop, []}
  end

  @impl true
  def manifests, do: [Build.manifest()]

  @impl true
  def clean do
    Dependencies.restore()
    Build.forget()
    File.rm(Build.manifest())
  end

  defp paths, do: Enum.map(Mix.Project.config()[:elixirc_paths], &Path.expand/1)

  defp compiled({status, _diagnostics} = result, %{own: own} = rules) do
    if status != :error, do: own |> Leftovers.sweep() |> Enum.each(&tell/1)
    if status == :ok, do: rules |> Project.stale() |> Enum.each(&tell/1)
    if status == :ok and not Mix.Task.recursing?(), do: own |> Project.unmatched() |> Enum.each(&tell/1)
    result
  end

  defp without_debug_info?(args) do
    "--no-debug-info" in args or Mix.Project.config()[:elixirc_options][:debug_info] == false
  end

  defp tell(text), do: Mix.shell().info([:yellow, "ElixirScope: ", :reset, text])
end
