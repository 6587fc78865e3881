# A host that depends on two checkouts, or a Mix that loads this file twice, must not define the compiler twice.
unless Code.ensure_loaded?(Mix.Tasks.Compile.ElixirScopeNative) do
  Code.require_file("native/compiler.exs", __DIR__)
end

defmodule ElixirScope.MixProject do
  use Mix.Project

  @version "0.2.0-dev"

  def project do
    [
      app: :elixir_scope,
      version: @version,
      elixir: "~> 1.14",
      name: "ElixirScope",
      description: "Records what an Elixir program did, and answers questions about its past.",
      compilers: [:elixir_scope_native] ++ Mix.compilers(),
      elixirc_paths: elixirc_paths(Mix.env()),
      deps: [],
      aliases: ["scope.bench": "run bench/run.exs"],
      package: package(),
      docs: docs()
    ]
  end

  # `:applications`, not `:extra_applications`: of those Elixir 1.20 expects that they are there, also of optional ones.
  def application do
    [mod: {ElixirScope.Application, []}, applications: [:logger, ex_unit: :optional, telemetry: :optional]]
  end

  defp elixirc_paths(:test), do: ["lib", "test/support"]
  defp elixirc_paths(_), do: ["lib"]

  # `priv` carries the prebuilt library of the machine that publishes; everybody else's is built from `native`.
  defp package do
    [
      licenses: ["Apache-2.0"],
      links: %{},
      files: ~w(lib priv native Cargo.toml Cargo.lock mix.exs .formatter.exs README.md LICENSE)
    ]
  end

  defp docs do
    [main: "readme", extras: ["README.md" | Enum.sort(Path.wildcard("docs/**/*.md"))]]
  end
end
