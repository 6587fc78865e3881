# Builds the NIF with cargo when the library is compiled, and leaves it alone while it is current. mix.exs loads this
# file, because a compiler has to exist before lib/ is compiled. What is built goes to priv/native:
#
#     elixir_scope_nif.so         the library (also on macOS: the VM wants this ending everywhere)
#     elixir_scope_nif.manifest   what the library is, as `key: value` lines
#
# A library whose manifest matches its own bytes, the Rust sources and this machine is used without cargo. So a
# prebuilt library is shipped by shipping these two files.
#
# Nothing here asks for the Erlang headers: rustler carries its own declarations of the NIF functions and has no build
# script, so a NIF compiles on a machine without erl_nif.h (measured with rustler 0.39).

defmodule ElixirScope.NativeBuild do
  @moduledoc false

  @library "elixir_scope_nif.so"
  @manifest "elixir_scope_nif.manifest"
  @oldest_otp 25

  @type facts :: %{
          word_size: pos_integer,
          otp_release: pos_integer,
          target: String.t(),
          cargo: Path.t() | nil,
          sources: String.t(),
          library: String.t() | nil,
          manifest: %{String.t() => String.t()} | nil
        }

  @doc "Makes the library below `root` current. `machine` replaces single entries of `machine/0`, for tests."
  @spec run(Path.t(), String.t(), map) :: :current | :built
  def run(root, version, machine \\ %{}) do
    facts = root |> look() |> Map.merge(in_path(Map.merge(machine(), machine)))

    case decide(facts) do
      :current -> :current
      {:error, message} -> Mix.raise(message)
      {:build, reason} -> build(root, version, facts, reason)
    end
  end

  @doc "Removes what `run/3` made; cargo's own folder stays."
  @spec clean(Path.t()) :: :ok
  def clean(root) do
    Enum.each([@library, @manifest], &File.rm(Path.join(folder(root), &1)))
  end

  @doc "What has to be done, given what was found. Pure."
  @spec decide(facts) :: :current | {:build, String.t()} | {:error, String.t()}
  def decide(facts) do
    with :ok <- supported(facts), {:stale, reason} <- current(facts) do
      if facts.cargo, do: {:build, reason}, else: {:error, no_cargo(reason)}
    end
  end

  defp supported(%{word_size: size}) when size != 8 do
    {:error,
     "ElixirScope needs a 64-bit Erlang emulator (word size 8), but this one has word size #{size}. " <>
       "Install a 64-bit Erlang/OTP."}
  end

  defp supported(%{otp_release: release}) when release < @oldest_otp do
    {:error,
     "ElixirScope needs Erlang/OTP #{@oldest_otp} or later, but this is Erlang/OTP #{release}. " <>
       "Install a later Erlang/OTP, and an Elixir that was compiled for it."}
  end

  defp supported(_facts), do: :ok

  defp current(%{library: nil}), do: {:stale, "there is no library yet"}
  defp current(%{manifest: nil}), do: {:stale, "the library has no readable manifest"}

  defp current(%{manifest: manifest} = facts) do
    cond do
      manifest["target"] != facts.target ->
        {:stale, "the library is for #{manifest["target"]} and this is #{facts.target}"}

      manifest["library"] != facts.library ->
        {:stale, "the library is not the one that its manifest describes"}

      manifest["sources"] != facts.sources ->
        {:stale, "the Rust sources changed"}

      true ->
        :current
    end
  end

  defp no_cargo(reason) do
    """
    ElixirScope has to build its native library (#{reason}), but there is no `cargo` in PATH.
    Install Rust with rustup (https://rustup.rs), make sure that `cargo --version` works in this shell, and compile
    again. Or use a prebuilt library for this machine and these sources: the files #{@library} and
    #{@manifest} in priv/native of elixir_scope.\
    """
  end

  @doc "The running emulator and its surroundings."
  @spec machine() :: map
  def machine do
    %{
      word_size: :erlang.system_info(:wordsize),
      otp_release: String.to_integer(System.otp_release()),
      target: target(List.to_string(:erlang.system_info(:system_architecture))),
      path: System.get_env("PATH", "")
    }
  end

  defp in_path(machine) do
    found = :os.find_executable(~c"cargo", String.to_charlist(machine.path))
    Map.put(machine, :cargo, found && List.to_string(found))
  end

  @doc """
  The part of a system architecture that decides whether a library loads: processor, system and C library. The
  vendor and the release of the system do not count, so one library serves several Debian releases.

      iex> ElixirScope.NativeBuild.target("x86_64-pc-linux-gnu")
      "x86_64-linux-gnu"
      iex> ElixirScope.NativeBuild.target("aarch64-apple-darwin23.6.0")
      "aarch64-darwin"
  """
  @spec target(String.t()) :: String.t()
  def target(architecture) do
    [processor | rest] = String.split(architecture, "-")
    Enum.join([processor(processor) | system(rest)], "-")
  end

  defp processor("amd64"), do: "x86_64"
  defp processor("arm64"), do: "aarch64"
  # Erlang's own name on some Apple machines; a 32-bit ARM never comes this far.
  defp processor("arm"), do: "aarch64"
  defp processor(other), do: other

  defp system([_vendor, "darwin" <> _release]), do: ["darwin"]
  defp system([_vendor, system, libc]), do: [system, libc]
  defp system(rest), do: rest

  # What lies below root: the two files in priv/native, and the sources that they should match.
  defp look(root) do
    %{
      sources: sources(root),
      library: digest_file(Path.join(folder(root), @library)),
      manifest: read_manifest(Path.join(folder(root), @manifest))
    }
  end

  defp folder(root), do: Path.join([root, "priv", "native"])

  @doc "One digest over everything that the build of the NIF reads from this repository."
  @spec sources(Path.t()) :: String.t()
  def sources(root) do
    root
    |> source_files()
    |> Enum.map(&[&1, 0, digest(File.read!(Path.join(root, &1))), ?\n])
    |> digest()
  end

  # Crates that stand beside the NIF (the `scope` program) are counted in. The price is a cargo run that finds nothing
  # to do; telling them apart would mean reading Cargo.toml files with something less than cargo.
  defp source_files(root) do
    ["Cargo.{toml,lock}", "rust-toolchain.toml", ".cargo/config.toml", "native/**/*.{rs,toml}"]
    |> Enum.flat_map(&Path.wildcard(Path.join(root, &1), match_dot: true))
    |> Enum.map(&Path.relative_to(&1, root))
    |> Enum.reject(&beside_build?(Path.split(&1)))
    |> Enum.sort()
  end

  # Only the folders that cargo treats as separate targets; a module src/examples/ is part of the library.
  defp beside_build?(["native", "fuzz" | _]), do: true
  defp beside_build?(["native", _crate, folder | _]), do: folder in ~w(tests benches examples fuzz target)
  defp beside_build?(_path), do: false

  defp build(root, version, facts, reason) do
    Mix.shell().info("Building the native library of ElixirScope: #{reason}")
    cargo(facts.cargo, root)
    library = read_built(root)

    # The manifest comes last: a library without its manifest is built again, never trusted. It names the sources as
    # they were before cargo read them, so an edit during the build is noticed next time.
    put(root, @library, library)

    put(root, @manifest, [
      "library: #{digest(library)}\n",
      "sources: #{facts.sources}\n",
      "target: #{facts.target}\n",
      # For people who look at the file; what decides is above.
      "version: #{version}\n"
    ])

    :built
  end

  # --target-dir outranks CARGO_TARGET_DIR and the user's cargo configuration, so the result is always in one place.
  defp cargo(cargo, root) do
    arguments = ~w(build --release --locked -p elixir_scope_nif --target-dir target)

    port =
      Port.open({:spawn_executable, cargo}, [
        :binary,
        :exit_status,
        :stderr_to_stdout,
        {:line, 65_536},
        args: arguments,
        cd: root,
        env: [{~c"CARGO_BUILD_TARGET", false}]
      ])

    case relay(port) do
      0 -> :ok
      status -> Mix.raise(cargo_failed(Enum.join(["cargo" | arguments], " "), root, status))
    end
  end

  # Whole lines, since a piece of output may end inside a character.
  defp relay(port) do
    receive do
      {^port, {:data, {_complete, line}}} ->
        Mix.shell().info(line)
        relay(port)

      {^port, {:exit_status, status}} ->
        status
    end
  end

  defp cargo_failed(command, root, status) do
    """
    ElixirScope could not build its native library: `#{command}` in #{root} ended with status #{status}, 0 was \
    expected.
    Its output is above. What usually helps: `rustup update` where Rust is too old, a C linker (Debian: `apt-get \
    install gcc libc6-dev`) where `cc` was not found, a network or `cargo fetch` where a crate could not be \
    downloaded.\
    """
  end

  defp read_built(root) do
    release = Path.join([root, "target", "release"])
    names = ~w(libelixir_scope_nif.so libelixir_scope_nif.dylib)

    case Enum.find_value(names, &read_or_nil(Path.join(release, &1))) do
      nil -> Mix.raise("cargo ended well, but neither of #{Enum.join(names, ", ")} is in #{release}.")
      library -> library
    end
  end

  # A running VM may have the old library mapped, and another Mix may be doing the same: rename replaces the name and
  # leaves the old bytes to those who have them open.
  defp put(root, name, content) do
    File.mkdir_p!(folder(root))
    path = Path.join(folder(root), name)
    draft = "#{path}.#{System.pid()}.#{System.unique_integer([:positive])}"
    File.write!(draft, content)
    File.rename!(draft, path)
  end

  defp read_manifest(path) do
    with content when content != nil <- read_or_nil(path) do
      for line <- String.split(content, "\n", trim: true),
          [key, value] <- [String.split(line, ": ", parts: 2)],
          into: %{},
          do: {key, value}
    end
  end

  defp digest_file(path) do
    with content when content != nil <- read_or_nil(path), do: digest(content)
  end

  defp read_or_nil(path) do
    case File.read(path) do
      {:ok, content} -> content
      {:error, _} -> nil
    end
  end

  defp digest(content) do
    ensure_crypto()
    Base.encode16(:crypto.hash(:sha256, content), case: :lower)
  end

  # Debian's elixir package brings :crypto along; an Erlang built without OpenSSL has none. From Elixir 1.15 on Mix
  # takes applications that a project does not list out of the code path, and this call brings them back.
  defp ensure_crypto do
    cond do
      Code.ensure_loaded?(:crypto) ->
        :ok

      function_exported?(Mix, :ensure_application!, 1) ->
        apply(Mix, :ensure_application!, [:crypto])

      true ->
        Mix.raise(
          "ElixirScope compares its native library by SHA-256, but this Erlang/OTP has no :crypto. " <>
            "Install it (Debian: `apt-get install erlang-crypto`)."
        )
    end
  end
end

defmodule Mix.Tasks.Compile.ElixirScopeNative do
  @moduledoc false

  use Mix.Task.Compiler

  alias ElixirScope.NativeBuild

  @impl true
  def run(_args) do
    case NativeBuild.run(root(), Mix.Project.config()[:version]) do
      :current ->
        {:noop, []}

      :built ->
        # priv may not have existed when Mix laid out _build, which holds a link to it.
        Mix.Project.build_structure()
        {:ok, []}
    end
  end

  @impl true
  def clean, do: NativeBuild.clean(root())

  # Not __DIR__: two checkouts in one VM share the compiler that was loaded first.
  defp root, do: Path.dirname(Mix.Project.project_file())
end
