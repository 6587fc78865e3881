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

  Without `instrument:` nothing is instrumented. See `mix help scope.plan` for what comes of it, and
  `ElixirScope.Options` for the keys. When the configuration or `scope.plan.exs` changes, the Elixir modules of
  the application are compiled again.
  """

  use Mix.Task.Compiler

  @no_debug_info "nothing is instrumented, because the project is compiled without debug information. Take " <>
                   "debug_info: false out of elixirc_options:, or --no-debug-info; a release strips it in the end"

  alias ElixirScope.Instrument.Compiler
  alias ElixirScope.Project
  alias ElixirScope.Project.{Build, Tracer}

  # In an umbrella once for each application, with its own folder and build.
  @recursive true

  @impl true
  def run(args) do
    rules = Project.rules!()
    Build.prepare(rules)

    if rules do
      if without_debug_info?(args), do: tell(@no_debug_info)
      Compiler.ensure_ready()
      Tracer.install(rules)
      Mix.Task.Compiler.after_compiler(:elixir, &compiled(&1, rules))
    end

    {:noop, []}
  end

  @impl true
  def manifests, do: [Build.manifest()]

  @impl true
  def clean, do: File.rm(Build.manifest())

  # The tracer is for the project's own code, not for what this VM compiles later on (tests, code typed into IEx).
  defp compiled({status, _diagnostics} = result, rules) do
    Tracer.remove()

    if status == :ok, do: rules |> Project.stale() |> Enum.each(&tell/1)
    result
  end

  defp without_debug_info?(args) do
    "--no-debug-info" in args or Mix.Project.config()[:elixirc_options][:debug_info] == false
  end

  defp tell(text), do: Mix.shell().info([:yellow, "ElixirScope: ", :reset, text])
end
