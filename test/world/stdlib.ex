# Elixir itself: the suite of one of its applications, from its source, on the installed Elixir. The second run first
# instruments all of that application while it runs; with `elixir` also :stdlib, on which it stands.
defmodule World.Stdlib do
  @moduledoc false

  alias World.Run

  @here __DIR__
  @apps ~w(elixir eex ex_unit iex logger mix)

  def apps, do: @apps

  # A part that takes seconds: these files, and what they test.
  @slice %{
    files: ~w(access enum keyword list map module range registry string gen_server stream),
    attach: ~w(Elixir.Access Elixir.Enum Elixir.Keyword Elixir.List Elixir.Map Elixir.Range Elixir.Registry
               Elixir.String Elixir.GenServer Elixir.Stream gen_server lists maps proc_lib)
  }

  @doc "Runs both; `source` is that of all of Elixir. `slice?`: of `elixir` a part only."
  def run(app, source, work, slice?) do
    plain = variant(app, source, Path.join(work, "plain"), nil, slice?)
    recording = Path.join(work, "recording")
    instrumented = variant(app, source, Path.join(work, "instrumented"), recording, slice?)
    {:ok, %{name: app, version: System.version(), plain: plain, instrumented: instrumented}}
  end

  defp variant(app, source, folder, recording, slice?) do
    File.cp_r!(source, folder)
    installed(folder)
    {helper, pattern} = suite(app, slice?)

    env = [
      {"WORLD_RECORDING", recording},
      {"WORLD_ATTACH", Enum.join(attach(app, slice?), ",")},
      {"WORLD_SHORT", "1"}
    ]

    attach = if recording, do: ["-pa", scope(), "-r", Path.join(@here, "attach.exs")], else: []
    begin = ["-r", Path.join(@here, "outcomes.ex"), "-r", Path.join(@here, "formatters.exs")]
    arguments = attach ++ begin ++ ["-r", helper, "-pr", pattern]

    tested =
      Run.suite(Path.join(folder, "bin/elixir"), arguments, Path.join([folder, "lib", app]), env, folder)

    if recording, do: File.rm_rf!(recording)
    Map.merge(tested, %{compiled_in: nil, warnings: []})
  end

  defp suite("elixir", true),
    do: {"test/elixir/test_helper.exs", "test/elixir/{#{Enum.join(@slice.files, ",")}}_test.exs"}

  defp suite("elixir", false), do: {"test/elixir/test_helper.exs", "test/elixir/**/*_test.exs"}
  defp suite(_app, _slice?), do: {"test/test_helper.exs", "test/**/*_test.exs"}

  defp attach("elixir", true), do: @slice.attach
  defp attach("elixir", false), do: ["elixir", "stdlib"]
  defp attach(app, _slice?), do: [app]

  # The suite starts `bin/elixir` of its own source, which finds the installed object code by these links.
  defp installed(folder) do
    for app <- @apps do
      ebin = Path.join([folder, "lib", app, "ebin"])
      File.rm_rf!(ebin)
      File.ln_s!(Path.join(:code.lib_dir(String.to_atom(app)), "ebin"), ebin)
    end
  end

  defp scope, do: Path.expand("../../_build/test/lib/elixir_scope/ebin", @here)
end
