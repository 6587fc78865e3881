defmodule ElixirScope.NativeCompilerTest do
  # The compiler in native/compiler.exs, which mix.exs has loaded. Each test has a repository of its own in a temporary
  # folder and a `cargo` that is a shell script: it notes that it ran and writes a "library".
  use ExUnit.Case, async: true

  import ExUnit.CaptureIO

  alias ElixirScope.NativeBuild

  @current %{
    word_size: 8,
    otp_release: 25,
    target: "x86_64-linux-gnu",
    cargo: "/bin/cargo",
    sources: "s1",
    library: "l1",
    manifest: %{"library" => "l1", "sources" => "s1", "target" => "x86_64-linux-gnu"}
  }

  setup do
    root =
      Path.join(
        System.tmp_dir!(),
        "elixir_scope_native_#{System.pid()}_#{System.unique_integer([:positive])}"
      )

    on_exit(fn -> File.rm_rf!(root) end)
    write(root, "Cargo.toml", "[workspace]")
    write(root, "Cargo.lock", "version = 4")
    write(root, "native/nif/Cargo.toml", "[package]")
    write(root, "native/nif/src/lib.rs", "// first")
    %{root: root}
  end

  describe "decide" do
    test "a library whose manifest fits is current, with cargo and without" do
      assert NativeBuild.decide(@current) == :current
      assert NativeBuild.decide(%{@current | cargo: nil}) == :current
    end

    test "everything that makes a library stale is named" do
      for {change, expected} <- [
            {%{library: nil}, "no library yet"},
            {%{manifest: nil}, "no readable manifest"},
            {%{manifest: %{}}, "the library is for "},
            {%{target: "aarch64-darwin"}, "is for x86_64-linux-gnu and this is aarch64-darwin"},
            {%{library: "l2"}, "not the one that its manifest describes"},
            {%{sources: "s2"}, "sources changed"}
          ] do
        assert {:build, reason} = NativeBuild.decide(Map.merge(@current, change))
        assert reason =~ expected
      end
    end

    test "a missing cargo matters only when there is something to build" do
      assert {:error, message} = NativeBuild.decide(%{@current | cargo: nil, library: nil})
      assert message =~ "there is no library yet"
      assert message =~ "no `cargo` in PATH"
      assert message =~ "rustup"
      assert message =~ "prebuilt"
    end

    test "an unsupported emulator is refused even where a library is there" do
      assert {:error, message} = NativeBuild.decide(%{@current | otp_release: 24})
      assert message =~ "needs Erlang/OTP 25 or later, but this is Erlang/OTP 24"

      assert {:error, message} = NativeBuild.decide(%{@current | word_size: 4})
      assert message =~ "word size 8"
      assert message =~ "word size 4"
    end
  end

  test "the target leaves out what does not decide whether a library loads" do
    for {architecture, target} <- [
          {"x86_64-pc-linux-gnu", "x86_64-linux-gnu"},
          {"x86_64-unknown-linux-gnu", "x86_64-linux-gnu"},
          {"amd64-pc-linux-gnu", "x86_64-linux-gnu"},
          {"x86_64-alpine-linux-musl", "x86_64-linux-musl"},
          {"aarch64-unknown-linux-gnu", "aarch64-linux-gnu"},
          {"aarch64-apple-darwin23.6.0", "aarch64-darwin"},
          {"arm-apple-darwin20.1.0", "aarch64-darwin"},
          {"win32", "win32"}
        ] do
      assert NativeBuild.target(architecture) == target
    end
  end

  describe "sources" do
    test "change with every file that goes into the library", %{root: root} do
      for file <- [
            "Cargo.toml",
            "Cargo.lock",
            "native/nif/Cargo.toml",
            "native/ring/src/lib.rs",
            "native/nif/build.rs"
          ] do
        before = NativeBuild.sources(root)
        write(root, file, "changed")
        assert NativeBuild.sources(root) != before, file
      end
    end

    test "change when a file is moved", %{root: root} do
      before = NativeBuild.sources(root)
      File.rename!(Path.join(root, "native/nif/src/lib.rs"), Path.join(root, "native/nif/src/library.rs"))
      assert NativeBuild.sources(root) != before
    end

    test "leave out what only tests and benches read", %{root: root} do
      before = NativeBuild.sources(root)

      for file <- [
            "native/ring/tests/loom.rs",
            "native/ring/benches/push.rs",
            "native/fuzz/a.rs",
            "native/ring/README.md"
          ] do
        write(root, file, "new")
        assert NativeBuild.sources(root) == before, file
      end

      write(root, "native/ring/src/tests/mod.rs", "new")
      assert NativeBuild.sources(root) != before
    end
  end

  describe "run" do
    test "builds with the locked release command, in the repository", %{root: root} do
      {result, output} = run(root, fake_cargo(root))
      assert result == :built
      assert output =~ "there is no library yet"
      assert output =~ "Compiling with the fake cargo ┃"
      assert library(root) == "library 1"

      assert File.read!(Path.join(root, "cargo.log")) ==
               "#{real_path(root)}: build --release --locked -p elixir_scope_nif --target-dir target\n"
    end

    test "does nothing the second time", %{root: root} do
      machine = fake_cargo(root)
      assert {:built, _} = run(root, machine)
      assert {:current, ""} = run(root, machine)
      assert cargo_runs(root) == 1
    end

    test "builds again after a change of the sources", %{root: root} do
      machine = fake_cargo(root)
      assert {:built, _} = run(root, machine)
      write(root, "native/nif/src/lib.rs", "// second")
      {result, output} = run(root, machine)
      assert result == :built
      assert output =~ "sources changed"
      assert library(root) == "library 2"
      assert {:current, ""} = run(root, machine)
    end

    test "an edit that comes while cargo runs is built next time", %{root: root} do
      machine = fake_cargo(root, "echo '// edited' > native/nif/src/lib.rs")
      assert {:built, _} = run(root, machine)
      assert {:built, _} = run(root, machine)
      assert {:current, ""} = run(root, machine)
    end

    test "a damaged library is built again", %{root: root} do
      machine = fake_cargo(root)
      assert {:built, _} = run(root, machine)
      write(root, "priv/native/elixir_scope_nif.so", "librar")
      {result, output} = run(root, machine)
      assert result == :built
      assert output =~ "not the one that its manifest describes"
      assert library(root) == "library 2"
    end

    test "a damaged manifest is built again", %{root: root} do
      machine = fake_cargo(root)
      assert {:built, _} = run(root, machine)
      write(root, "priv/native/elixir_scope_nif.manifest", <<0, 255, ?\n, "library">>)
      assert {:built, _} = run(root, machine)
      assert {:current, ""} = run(root, machine)
    end

    test "a prebuilt library is used without cargo", %{root: root} do
      assert {:built, _} = run(root, fake_cargo(root))
      assert {:current, ""} = run(root, %{path: Path.join(root, "nothing here")})
    end

    test "a prebuilt library of other sources is not used without cargo", %{root: root} do
      assert {:built, _} = run(root, fake_cargo(root))
      write(root, "Cargo.lock", "version = 5")

      error = assert_raise Mix.Error, fn -> run(root, %{path: Path.join(root, "nothing here")}) end
      assert error.message =~ "sources changed"
      assert error.message =~ "no `cargo` in PATH"
      assert library(root) == "library 1"
    end

    test "a failing cargo is shown and named, and leaves the old library alone", %{root: root} do
      assert {:built, _} = run(root, fake_cargo(root))
      write(root, "native/nif/src/lib.rs", "// does not compile")
      failing = fake_cargo(root, "echo 'error[E0425]: cannot find value' >&2; exit 101")

      output =
        capture_io(fn ->
          error = assert_raise Mix.Error, fn -> NativeBuild.run(root, "0.1.0", failing) end
          assert error.message =~ "`cargo build --release --locked -p elixir_scope_nif"
          assert error.message =~ "status 101"
          assert error.message =~ "rustup update"
        end)

      assert output =~ "error[E0425]: cannot find value"
      assert library(root) == "library 1"
    end

    test "a cargo that makes no library is not taken for success", %{root: root} do
      error = assert_raise Mix.Error, fn -> run(root, fake_cargo(root, "rm -f target/release/*; exit 0")) end

      assert error.message =~ "libelixir_scope_nif.so"
    end

    test "the library of macOS gets the name that the VM looks for", %{root: root} do
      rename = "mv target/release/libelixir_scope_nif.so target/release/libelixir_scope_nif.dylib"
      assert {:built, _} = run(root, fake_cargo(root, rename))
      assert library(root) == "library 1"
    end

    test "whoever has the old library open keeps it", %{root: root} do
      machine = fake_cargo(root)
      assert {:built, _} = run(root, machine)
      {:ok, mapped} = :file.open(library_path(root), [:read, :binary, :raw])
      write(root, "native/nif/src/lib.rs", "// second")
      assert {:built, _} = run(root, machine)
      assert :file.read(mapped, 100) == {:ok, "library 1"}
      assert library(root) == "library 2"
    end

    test "builds at the same time leave one whole library and nothing else", %{root: root} do
      machine = fake_cargo(root)

      1..4
      |> Enum.map(fn _ -> Task.async(fn -> run(root, machine) end) end)
      |> Task.await_many()

      assert Enum.sort(File.ls!(Path.join(root, "priv/native"))) ==
               ["elixir_scope_nif.manifest", "elixir_scope_nif.so"]

      assert {result, _} = run(root, machine)
      assert result in [:current, :built]
      assert {:current, ""} = run(root, machine)
    end

    test "clean takes both files away, and does not mind their absence", %{root: root} do
      machine = fake_cargo(root)
      assert {:built, _} = run(root, machine)
      assert NativeBuild.clean(root) == :ok
      assert File.ls!(Path.join(root, "priv/native")) == []
      assert NativeBuild.clean(root) == :ok
      assert {:built, _} = run(root, machine)
    end
  end

  # A whole Mix: an application that has a library with this compiler as its path dependency.
  test "builds as a path dependency, once, and puts the library where the application finds it", %{root: root} do
    app = Path.join(root, "host")
    File.cp!(Path.join(File.cwd!(), "native/compiler.exs"), Path.join(root, "native/compiler.exs"))

    write(root, "mix.exs", """
    unless Code.ensure_loaded?(Mix.Tasks.Compile.ElixirScopeNative),
      do: Code.require_file("native/compiler.exs", __DIR__)

    defmodule Library.MixProject do
      use Mix.Project
      def project, do: [app: :library, version: "0.1.0", compilers: [:elixir_scope_native] ++ Mix.compilers()]
    end
    """)

    write(app, "mix.exs", """
    defmodule Host.MixProject do
      use Mix.Project
      def project, do: [app: :host, version: "0.1.0", deps: [{:library, path: ".."}]]
    end
    """)

    write(
      app,
      "check.exs",
      ~S[IO.puts("found: " <> File.read!(Application.app_dir(:library, "priv/native/elixir_scope_nif.so")))]
    )

    %{path: path} = fake_cargo(root)
    first = mix(app, ["run", "check.exs"], path)
    assert first =~ "Compiling with the fake cargo"
    assert first =~ "found: library 1"
    refute first =~ "redefining"

    second = mix(app, ["run", "check.exs"], path)
    refute second =~ "fake cargo"
    assert second =~ "found: library 1"

    write(root, "native/nif/src/lib.rs", "// second")
    assert mix(app, ["run", "check.exs"], path) =~ "found: library 2"

    mix(root, ["clean"], path)
    refute File.exists?(library_path(root))
  end

  defp run(root, machine) do
    me = self()
    output = capture_io(fn -> send(me, {:result, NativeBuild.run(root, "0.1.0", machine)}) end)
    assert_received {:result, result}
    {result, output}
  end

  # `last` runs after the library was written.
  defp fake_cargo(root, last \\ "") do
    write(root, "bin/cargo", """
    #!/bin/sh
    set -e
    PATH=/usr/local/bin:/usr/bin:/bin
    echo "$PWD: $*" >> #{root}/cargo.log
    echo "Compiling with the fake cargo ┃"
    mkdir -p target/release
    printf 'library %d' $(wc -l < #{root}/cargo.log) > target/release/draft.$$
    mv target/release/draft.$$ target/release/libelixir_scope_nif.so
    #{last}
    """)

    File.chmod!(Path.join(root, "bin/cargo"), 0o755)
    %{path: Path.join(root, "bin")}
  end

  defp mix(folder, arguments, path) do
    {output, status} =
      System.cmd("mix", arguments,
        cd: folder,
        stderr_to_stdout: true,
        env: [{"PATH", path <> ":" <> System.get_env("PATH")}, {"MIX_ENV", "dev"}, {"MIX_BUILD_PATH", nil}]
      )

    assert status == 0, output
    output
  end

  defp write(root, file, content) do
    path = Path.join(root, file)
    File.mkdir_p!(Path.dirname(path))
    File.write!(path, content)
  end

  defp library(root), do: File.read!(library_path(root))
  defp library_path(root), do: Path.join(root, "priv/native/elixir_scope_nif.so")

  defp cargo_runs(root),
    do: root |> Path.join("cargo.log") |> File.read!() |> String.split("\n", trim: true) |> length()

  # What the shell calls the folder: on macOS the temporary folder is behind a link.
  defp real_path(root) do
    {path, 0} = System.cmd("pwd", ["-P"], cd: root)
    String.trim(path)
  end
end
