# What lies in the build folder of an application: by which rules it was compiled, and its modules.
#
# Invariant: all of the application's Elixir object code was compiled by the rules whose digest the manifest holds. So
# a change of the rules throws the object code away before anything is compiled anew.
defmodule ElixirScope.Project.Build do
  @moduledoc false

  alias ElixirScope.Instrument.{Beam, Compiler}
  alias ElixirScope.Project.Rules
  alias Mix.Tasks.Compile.Elixir, as: ElixirCompiler

  @doc "The file that remembers the rules."
  @spec manifest() :: Path.t()
  def manifest, do: Path.join(Mix.Project.manifest_path(), "compile.elixir_scope")

  @doc "Throws away what was compiled by other rules than these (`nil`: without any)."
  @spec prepare(Rules.t() | nil) :: :ok | :cleaned
  def prepare(rules) do
    digest = digest(rules)

    case File.read(manifest()) do
      {:ok, ^digest} ->
        :ok

      # What was compiled before this compiler was there was compiled without rules.
      {:error, :enoent} when rules == nil ->
        :ok

      _other ->
        clean()
        File.mkdir_p!(Path.dirname(manifest()))
        File.write!(manifest(), digest)
        :cleaned
    end
  end

  @doc "The application's compiled modules."
  @spec modules() :: [module()]
  def modules, do: for(file <- beams(), do: file |> Path.basename(".beam") |> String.to_atom())

  @doc "Elixir's description of one of them, if it is in its object code."
  @spec describe(module()) :: {:ok, map()} | :error
  def describe(module) do
    Mix.Project.compile_path() |> Path.join("#{module}.beam") |> File.read!() |> Beam.debug_info()
  end

  defp digest(nil), do: "none"

  defp digest(rules) do
    {rules, Compiler.version()}
    |> :erlang.term_to_binary([:deterministic])
    |> :erlang.md5()
    |> Base.encode16()
  end

  # The Elixir compiler goes by sources, and no source has changed: it has to forget that it compiled them.
  defp clean do
    elixir =
      for file <- beams(), "Elixir." <> _ = name <- [Path.basename(file, ".beam")], do: String.to_atom(name)

    ElixirCompiler.clean()
    Enum.each(ElixirCompiler.manifests(), &File.rm/1)

    # In IEx they are loaded, and defining them again would look like two modules of one name.
    for module <- elixir, :code.is_loaded(module) != false do
      :code.purge(module)
      :code.delete(module)
    end
  end

  defp beams, do: Mix.Project.compile_path() |> Path.join("*.beam") |> Path.wildcard() |> Enum.sort()
end
