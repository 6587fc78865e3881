# What lies in the build folder of an application: by which rules it was compiled, what was rewritten after it was
# compiled, and its modules.
#
# Invariant: all of the application's Elixir object code was compiled by the rules whose digest the manifest holds. So
# a change of the rules throws the object code away before anything is compiled anew.
defmodule ElixirScope.Project.Build do
  @moduledoc false

  alias ElixirScope.Instrument.Compiler
  alias ElixirScope.Project.{Description, Rewrite, Rules, Sweep}
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

  @doc "What was rewritten or found in order after it was compiled, by application; `nil` when nobody knows."
  @spec seen() :: %{atom() => Sweep.seen()} | nil
  def seen do
    with {:ok, bytes} <- File.read(memory()) do
      :erlang.binary_to_term(bytes)
    else
      _none -> nil
    end
  rescue
    ArgumentError -> nil
  end

  @doc "Remembers it."
  @spec remember(%{atom() => Sweep.seen()}) :: :ok
  def remember(seen) do
    bytes = :erlang.term_to_binary(seen, [:deterministic])

    if File.read(memory()) != {:ok, bytes} do
      File.mkdir_p!(Path.dirname(memory()))
      File.write!(memory(), bytes)
    end

    :ok
  end

  @doc "Forgets it."
  @spec forget() :: :ok
  def forget do
    File.rm(memory())
    :ok
  end

  @doc "Makes Mix consolidate all protocols again: older versions go by a manifest, newer ones by the folder."
  @spec forget_consolidation() :: :ok
  def forget_consolidation do
    File.rm_rf!(Mix.Project.consolidation_path())
    File.rm(Path.join(Mix.Project.manifest_path(), "compile.protocols"))
    :ok
  end

  @doc "The modules in a folder of object code."
  @spec modules(Path.t()) :: [module()]
  def modules(folder \\ Mix.Project.compile_path()) do
    for file <- beams(folder), do: file |> Path.basename(".beam") |> String.to_atom()
  end

  @doc "The description of one of them, if it is in its object code."
  @spec describe(Path.t(), module()) :: {:ok, map()} | :error
  def describe(folder \\ Mix.Project.compile_path(), module) do
    {original, _mark} = folder |> Path.join("#{module}.beam") |> File.read!() |> Rewrite.original()
    Description.of(original)
  end

  defp memory, do: Path.join(Mix.Project.manifest_path(), "compile.elixir_scope.rewritten")

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
      for file <- beams(Mix.Project.compile_path()),
          "Elixir." <> _ = name <- [Path.basename(file, ".beam")],
          do: String.to_atom(name)

    ElixirCompiler.clean()
    Enum.each(ElixirCompiler.manifests(), &File.rm/1)

    # In IEx they are loaded, and defining them again would look like two modules of one name.
    for module <- elixir, :code.is_loaded(module) != false do
      :code.purge(module)
      :code.delete(module)
    end
  end

  defp beams(folder), do: folder |> Path.join("*.beam") |> Path.wildcard() |> Enum.sort()
end
