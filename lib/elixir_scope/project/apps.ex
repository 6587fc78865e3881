# Which applications can be named in `apps:`. Dependencies are compiled by projects of their own, where this compiler
# is not; to name one there and get nothing would be a silent no.
defmodule ElixirScope.Project.Apps do
  @moduledoc false

  @doc """
  What is wrong with the `apps:` of a configuration, seen from the current Mix project, or `nil`.
  """
  @spec problem(:all | [atom()]) :: String.t() | nil
  def problem(:all), do: nil
  def problem(apps), do: Enum.find_value(apps, &app_problem/1)

  defp app_problem(app) do
    cond do
      app == Mix.Project.config()[:app] ->
        nil

      # Beside this one in an umbrella.
      File.regular?(Path.join(["..", Atom.to_string(app), "mix.exs"])) ->
        nil

      # A dependency by path may have the compiler in its own mix.exs.
      Mix.Project.deps_scms()[app] == Mix.SCM.Path ->
        nil

      Map.has_key?(Mix.Project.deps_scms(), app) ->
        expected(app) <>
          "which is a dependency, compiled by its own " <>
          "mix.exs. Take it out, and instrument its modules while they run: ElixirScope.instrument(Mod)"

      true ->
        expected(app) <>
          "which is not in sight of #{inspect(Mix.Project.config()[:app])}. Correct its name, or take it out"
    end
  end

  defp expected(app) do
    "config :elixir_scope, instrument: expected apps: to name applications of this project, got: #{inspect(app)}, "
  end
end
