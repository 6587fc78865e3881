# Which applications can be named in `apps:`, seen from the current Mix project: itself, those beside it in an umbrella, and
# its dependencies. To name another one and get nothing would be a silent no.
defmodule ElixirScope.Project.Apps do
  @moduledoc false

  @doc "The application of the current Mix project."
  @spec own() :: atom()
  def own, do: Mix.Project.config()[:app]

  @doc "Whether the current Mix project is an application of an umbrella."
  @spec in_umbrella?() :: boolean()
  def in_umbrella? do
    Path.basename(Path.dirname(File.cwd!())) == "apps" and File.regular?("../../mix.exs")
  end

  @doc "Whether this is another project's application that this one is built with, and not one beside it in the umbrella."
  @spec dependency?(atom()) :: boolean()
  def dependency?(app), do: app != own() and not beside?(app) and Map.has_key?(Mix.Project.deps_scms(), app)

  @doc "The dependencies that could be named, sorted."
  @spec dependencies() :: [atom()]
  def dependencies do
    for {app, _scm} <- Enum.sort(Mix.Project.deps_scms()), app != :elixir_scope, dependency?(app), do: app
  end

  @doc """
  What is wrong with the `apps:` of a configuration, or `nil`.
  """
  @spec problem(:all | [atom()]) :: String.t() | nil
  def problem(:all), do: nil
  def problem(apps), do: Enum.find_value(apps, &app_problem/1)

  defp app_problem(app) do
    cond do
      app == :elixir_scope ->
        expected(app) <> "which must not record itself. Take it out"

      app == own() or beside?(app) or dependency?(app) ->
        nil

      # One of another environment, or of another application of the umbrella.
      declared?(app) or (in_umbrella?() and File.dir?(Path.join([Mix.Project.build_path(), "lib", "#{app}"]))) ->
        nil

      is_list(:code.lib_dir(app)) ->
        expected(app) <>
          "which is a part of Erlang or Elixir. Take it out, and instrument its modules while they run: " <>
          "ElixirScope.instrument(Mod)"

      true ->
        expected(app) <> "which is neither. Correct its name, or take it out"
    end
  end

  defp beside?(app), do: in_umbrella?() and File.regular?(Path.join(["..", Atom.to_string(app), "mix.exs"]))

  defp declared?(app), do: Enum.any?(Mix.Project.config()[:deps] || [], &(elem(&1, 0) == app))

  defp expected(app) do
    "config :elixir_scope, instrument: expected apps: to name #{inspect(own())} or its dependencies, got: #{inspect(app)}, "
  end
end
