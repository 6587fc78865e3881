# A project with a mix.exs, whole-project mode: compiled and tested as it is, and compiled and tested with the compiler of
# ElixirScope and a plan file that asks for every module with `locals: true`.
defmodule World.Package do
  @moduledoc false

  alias World.Run

  @stand_ins Path.expand("stand_ins", __DIR__)
  @wrapper Path.expand("project.exs", __DIR__)

  # Test files that need what no Debian package brings.
  @omitted %{
    "makeup" => {"stream_data", ["test/html_formatter_test.exs", "test/lexer_test.exs", "test/helpers"]},
    "ex_doc" => {"floki and easyhtml", ["test/ex_doc/formatter/html_test.exs"]}
  }

  @doc "Runs both; `{:ok, row}`, or `{:error, sentence}` when there is nothing to compare."
  def run(name, source, beside, work, arguments) do
    with {:ok, version} <- wanted(source) do
      plain = variant(name, source, Path.join(work, "plain"), beside, nil, arguments, nil)
      plan = plan(Path.join(work, "plain"))
      recording = Path.join(work, "recording")

      instrumented =
        variant(name, source, Path.join(work, "instrumented"), beside, recording, arguments, plan)

      {:ok, %{name: name, version: version, plain: plain, instrumented: instrumented}}
    end
  end

  # Mix would refuse; that is no difference.
  defp wanted(source) do
    text = File.read!(Path.join(source, "mix.exs"))

    case Regex.run(~r/elixir: "([^"]+)"/, text) do
      [_, requirement] ->
        if Version.match?(System.version(), requirement),
          do: {:ok, version(text)},
          else: {:error, "wants Elixir #{requirement}, this is #{System.version()}"}

      nil ->
        {:ok, version(text)}
    end
  end

  defp version(mix) do
    case Regex.run(~r/(?:@version|version:) "([^"]+)"/, mix) do
      [_, version] -> version
      nil -> "?"
    end
  end

  defp variant(name, source, folder, beside, recording, arguments, plan) do
    File.cp_r!(source, folder)
    {_missing, omitted} = Map.get(@omitted, name, {nil, []})
    Enum.each(omitted, &File.rm_rf!(Path.join(folder, &1)))
    stand_in(name, folder)
    if plan, do: File.write!(Path.join(folder, "scope.plan.exs"), plan)

    env = [
      {"MIX_ENV", "test"},
      {"MIX_EXS", @wrapper},
      {"WORLD_BESIDE", beside},
      {"WORLD_RECORDING", recording}
    ]

    Run.command("mix", ["deps.compile"], folder, env, folder <> ".deps.log")
    compiled = Run.command("mix", ["compile"], folder, env, folder <> ".compile.log")
    suite = ["test", "--seed", "0", "--formatter", "World.Outcomes", "--formatter", "ExUnit.CLIFormatter"]
    tested = Run.suite("mix", suite ++ arguments, folder, env, folder)
    if recording, do: File.rm_rf!(recording)
    Map.merge(tested, %{compiled_in: compiled.time, warnings: warnings(compiled.output)})
  end

  # What the plain build made, every module of it, exceptions and hot loops too.
  defp plan(folder) do
    modules =
      for beam <- Path.wildcard(Path.join(folder, "_build/test/lib/#{app(folder)}/ebin/*.beam")),
          do: beam |> Path.basename(".beam") |> String.to_atom()

    inspect(Map.new(modules, &{&1, [locals: true]}), limit: :infinity)
  end

  defp stand_in(name, folder) do
    file = Path.join(@stand_ins, "#{name}.ex")
    if File.exists?(file), do: File.cp!(file, Path.join(folder, "test/support/stand_in.ex"))
  end

  # The one that is no dependency: its object code is there, and its sources are not linked from elsewhere.
  defp app(folder) do
    [_, app] = Regex.run(~r/\bapp: :(\w+)/, File.read!(Path.join(folder, "mix.exs")))
    app
  end

  # What the compiler said, but for how long it took and for what ElixirScope itself says.
  defp warnings(output) do
    output
    |> String.split("\n")
    |> Enum.reject(&(&1 =~ ~r/^(Compiling|Generated|==>|ElixirScope|.*ElixirScope: )|it's taking more than/))
    |> Enum.reject(&(String.trim(&1) == ""))
    |> Enum.sort()
  end
end
