defmodule ElixirScope.MixSample do
  @moduledoc false
  # Mix projects in temporary folders that depend on this checkout. Compiling the library takes longest, so it is done
  # once for each set of projects and copied; the folders lie side by side because Mix makes relative links.

  import ExUnit.Assertions

  # Mix compiles a library again when its configuration changes, so projects with this one start faster.
  @configured "[except: [Shop.Secret]]"
  @checkout Path.expand("../..", __DIR__)

  @doc "A folder for projects, with a compiled library in it; the same for all tests, until they are over."
  def shelf do
    :global.trans({__MODULE__, self()}, fn ->
      with nil <- :persistent_term.get(__MODULE__, nil) do
        shelf = make_shelf()
        :persistent_term.put(__MODULE__, shelf)
        ExUnit.after_suite(fn _ -> File.rm_rf!(shelf) end)
        shelf
      end
    end)
  end

  defp make_shelf do
    shelf =
      Path.join(System.tmp_dir!(), "elixir_scope_mix_#{System.pid()}_#{System.unique_integer([:positive])}")

    project =
      create(shelf, "library", %{"mix.exs" => mix_exs("library", "compilers: Mix.compilers()")}, false)

    configure(project, @configured)
    mix!(project, ["compile"])
    shelf
  end

  @doc "A project with these files; `mix.exs` has the line that the docs show unless it is among them."
  def create(shelf, name, files, library? \\ true) do
    folder = Path.join(shelf, name)
    File.mkdir_p!(folder)

    write(
      folder,
      Map.put_new(files, "mix.exs", mix_exs(name, "compilers: [:elixir_scope] ++ Mix.compilers()"))
    )

    if library? do
      File.mkdir_p!(Path.join(folder, "_build/dev/lib"))
      copy!(Path.join(shelf, "library/_build/dev/lib/elixir_scope"), Path.join(folder, "_build/dev/lib"))
    end

    folder
  end

  def mix_exs(app, line, more \\ "", dependencies \\ []) do
    sibling = if more =~ "umbrella", do: ["{:one, in_umbrella: true}"], else: []
    dependencies = ["{:elixir_scope, path: #{inspect(@checkout)}}" | sibling ++ dependencies]

    """
    defmodule #{Macro.camelize(app)}.MixProject do
      use Mix.Project

      def project do
        [
          app: :#{app},
          version: "0.1.0",
          #{line},
          #{more}
          deps: [#{Enum.join(dependencies, ", ")}]
        ]
      end
    end
    """
  end

  def write(folder, files) do
    for {file, text} <- files do
      path = Path.join(folder, file)
      File.mkdir_p!(Path.dirname(path))
      File.write!(path, text)
    end

    folder
  end

  @doc "What `instrument:` is in the project's configuration."
  def configure(folder, instrument) do
    config = "import Config\nconfig :elixir_scope, enabled: true, dir: \"scope\", instrument: #{instrument}\n"
    write(folder, %{"config/config.exs" => config})
  end

  def mix!(folder, arguments, env \\ "dev") do
    {output, status} = mix(folder, arguments, env)
    assert status == 0, output
    output
  end

  def mix(folder, arguments, env \\ "dev") do
    System.cmd("mix", arguments,
      cd: folder,
      stderr_to_stdout: true,
      env: [{"MIX_ENV", env}, {"MIX_BUILD_PATH", nil}, {"ELIXIR_ERL_OPTIONS", nil}]
    )
  end

  @doc "What an expression is worth in the project, with its application running."
  def eval!(folder, code) do
    name = Path.join(folder, "eval_#{System.unique_integer([:positive])}")
    file = name <> ".exs"
    # In a file of its own: what Mix prints meanwhile may come before or after what the program prints.
    answer = name <> ".answer"

    File.write!(
      file,
      "answer = (\n#{code}\n)\nFile.write!(#{inspect(answer)}, :erlang.term_to_binary(answer))"
    )

    output = mix!(folder, ["run", file])
    assert File.exists?(answer), output
    answer |> File.read!() |> :erlang.binary_to_term()
  end

  # Times of files are kept: Mix goes by them.
  defp copy!(from, to), do: {_, 0} = System.cmd("cp", ["-a", from, to])
end
