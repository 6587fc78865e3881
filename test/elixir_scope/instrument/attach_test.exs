defmodule ElixirScope.Instrument.AttachTest do
  # Modules of the VM are instrumented and restored while they are in use.
  use ExUnit.Case, async: false

  alias ElixirScope.Doctest.Plain
  alias ElixirScope.{Error, Instrument, Paired}

  setup do
    {:ok, _} = ElixirScope.start()
    take_back = fn -> for module <- ElixirScope.instrumented(), do: :ok = ElixirScope.uninstrument(module) end
    # Tests before may have used Agents.
    take_back.()
    on_exit(take_back)
  end

  test "records from now on, and not after it was taken back" do
    md5 = Plain.module_info(:md5)
    Plain.double(1)
    assert {:ok, report} = ElixirScope.instrument(Plain)
    assert %{module: Plain, functions: [double: 1, triple: 1]} = report
    assert ElixirScope.instrumented() == [Plain]
    assert Plain.double(2) == 4
    assert :ok = ElixirScope.uninstrument(Plain)
    Plain.double(3)
    assert Plain.module_info(:md5) == md5
    assert ElixirScope.instrumented() == []
    assert [%{args: [2], return: 4}] = ElixirScope.calls({Plain, :double, 1}, pid: self())
  end

  test "from the first moment on it is known as instrumented, and until it is taken back" do
    assert_raise ElixirScope.Error, ~r/Plain is not instrumented; put .* or say ElixirScope.instrument/, fn ->
      ElixirScope.calls(&Plain.triple/1, since: ElixirScope.now())
    end

    {:ok, _} = ElixirScope.instrument(Plain)
    assert Instrument.functions(Plain) == [double: 1, triple: 1]
    assert ElixirScope.calls(&Plain.triple/1, since: ElixirScope.now()) == []
    :ok = ElixirScope.uninstrument(Plain)
    assert Instrument.functions(Plain) == []
  end

  test "can be asked for other functions, and is still taken back to the original" do
    md5 = Plain.module_info(:md5)
    {:ok, _} = ElixirScope.instrument(Plain, only: [:double])
    {:ok, _} = ElixirScope.instrument(Plain, only: [triple: 1])
    Plain.double(1)
    Plain.triple(1)
    assert [%{mfa: {Plain, :triple, 1}}] = ElixirScope.calls(Plain, pid: self())
    :ok = ElixirScope.uninstrument(Plain)
    assert Plain.module_info(:md5) == md5
  end

  test "works for modules of Elixir and for Erlang modules, sticky ones too" do
    for {module, call} <- [
          {Integer, fn -> Integer.digits(1234) end},
          {:queue, fn -> :queue.len(:queue.from_list([1, 2])) end},
          {URI, fn -> URI.encode("a b") end},
          # Its functions are replaced by a native library, which it loads when it is loaded.
          {:crypto, fn -> :crypto.hash(:sha256, "a") end}
        ] do
      sticky? = :code.is_sticky(module)
      expected = call.()
      assert {:ok, _} = ElixirScope.instrument(module)
      assert call.() == expected
      assert [_ | _] = ElixirScope.calls(module, pid: self(), limit: 1)
      assert :ok = ElixirScope.uninstrument(module)
      assert :code.is_sticky(module) == sticky?
    end
  end

  test "keeps where the source is" do
    source = URI.module_info(:compile)[:source]
    {:ok, _} = ElixirScope.instrument(URI)
    assert URI.module_info(:compile)[:source] == source
  end

  # It is written in Erlang, and calls `apply/3` without naming its module.
  test "takes a module for Erlang's although it answers __info__/1" do
    assert {:ok, report} = ElixirScope.instrument(:elixir_bootstrap, only: [unless_loaded: 3])
    assert report.functions == [unless_loaded: 3]
  end

  # The code server itself runs :lists, and could not load what the rewritten code calls.
  test "has loaded what rewritten code calls before any of it runs" do
    script = ~S"""
    Application.put_env(:elixir_scope, :enabled, false)
    {:ok, _} = Application.ensure_all_started(:elixir_scope)
    loaded = for module <- [ElixirScope.Capture, ElixirScope.Gate, ElixirScope.Native], do: :erlang.module_loaded(module)
    IO.inspect(loaded)
    """

    ebin = Path.join(Application.app_dir(:elixir_scope), "ebin")
    assert {"[true, true, true]\n", 0} = System.cmd("elixir", ["-pa", ebin, "-e", script])
  end

  test "code does the same where the compiler is wrong without its SSA passes" do
    {:ok, _} = ElixirScope.instrument(Paired)
    assert Enum.map(1..3, &Paired.first/1) == [:one, :two, :other]
    assert Paired.thrown("") == {:throw, :bits}
    assert [_, _, _] = ElixirScope.calls(&Paired.first/1, pid: self())
  end

  test "servers go on, and their next callbacks are recorded" do
    {:ok, agent} = Agent.start_link(fn -> 1 end)
    {:ok, _} = ElixirScope.instrument(Agent.Server)
    Agent.update(agent, &(&1 + 1))
    assert Agent.get(agent, & &1) == 2
    assert {:ok, 2} = ElixirScope.get_state_at(agent, ElixirScope.now())
    :ok = ElixirScope.uninstrument(Agent.Server)
    assert Agent.get(agent, & &1) == 2
  end

  test "who takes the place of the process that instruments knows what was instrumented" do
    original = URI.module_info(:md5)
    {:ok, _} = ElixirScope.instrument(URI)
    :ok = Supervisor.terminate_child(ElixirScope.Supervisor, ElixirScope.Instrument.Attach)
    {:ok, _} = Supervisor.restart_child(ElixirScope.Supervisor, ElixirScope.Instrument.Attach)
    assert URI in ElixirScope.instrumented()
    assert :ok = ElixirScope.uninstrument(URI)
    assert URI.module_info(:md5) == original
  end

  test "what ElixirScope itself does with an instrumented module is not recorded" do
    # Modules in which no process waits: one that other tests have left there would keep the code from being put back.
    {:ok, _} = ElixirScope.instrument(Logger)
    {:ok, _} = ElixirScope.instrument(Keyword)
    :ok = ElixirScope.pause()
    :ok = ElixirScope.resume()
    own = [Process.whereis(ElixirScope.Recorder), Process.whereis(ElixirScope.Instrument.Attach)]
    assert Enum.filter(ElixirScope.events(), &(&1.pid in own)) == []
  end

  test "a process in a local loop keeps the code that it is in, and is never killed" do
    source = """
    defmodule ElixirScope.AttachTest.Loop do
      def run(from), do: receive(do: (:next -> (send(from, :here); run(from)); :stop -> :ok))
    end
    """

    in_file(source, fn loop ->
      me = self()
      pid = spawn_link(fn -> apply(loop, :run, [me]) end)
      {:ok, _} = ElixirScope.instrument(loop)
      assert {:error, %Error{message: message}} = ElixirScope.uninstrument(loop)
      assert message =~ "still runs the code from before the last change"
      send(pid, :next)
      assert_receive :here
      ref = Process.monitor(pid)
      send(pid, :stop)
      assert_receive {:DOWN, ^ref, _, _, :normal}
      assert :ok = ElixirScope.uninstrument(loop)
    end)
  end

  test "says why a module cannot be" do
    reason = fn module, options ->
      ElixirScope.instrument(module, options) |> elem(1) |> Map.fetch!(:message)
    end

    assert reason.(:erlang, []) =~ ":erlang cannot be instrumented: it is a part of the VM itself"
    assert reason.(ElixirScope.Query, []) =~ "must not record itself"
    assert reason.(NoSuchModule, []) =~ "expected a module that this VM knows, got: NoSuchModule"
    assert reason.("Plain", []) =~ "expected a module, got: \"Plain\""
    assert reason.(Plain, onyl: [:a]) =~ "expected the options only:, except:"

    for option <- [:only, :except] do
      assert reason.(Plain, [{option, [double: 1, nothing: 2]}]) ==
               "expected #{option}: to name functions that ElixirScope.Doctest.Plain defines, got: nothing/2. " <>
                 "Correct it, or take it out"
    end

    assert reason.(Plain, except: [:double, :triple]) =~
             "none of its functions can be: its name is reserved for the compiler; except: names it"

    assert {:error, %Error{message: "expected a module that ElixirScope.instrument/2 has" <> _}} =
             ElixirScope.uninstrument(Plain)

    [{module, _}] = Code.compile_string("defmodule ElixirScope.AttachTest.Memory do\n def one, do: 1\nend")
    assert reason.(module, []) =~ "compiled in memory"

    in_file(
      "defmodule ElixirScope.AttachTest.Bare do\n @compile {:debug_info, false}\n def one, do: 1\nend",
      fn bare ->
        assert reason.(bare, []) =~ "it has no debug information"
      end
    )
  end

  # Compiles a module into a file of the code path.
  defp in_file(source, fun) do
    folder = Path.join(System.tmp_dir!(), "elixir_scope_attach_#{System.unique_integer([:positive])}")
    File.mkdir_p!(folder)
    Code.put_compiler_option(:debug_info, true)
    [{module, beam}] = Code.compile_string(source)
    File.write!(Path.join(folder, "#{module}.beam"), beam)
    Code.prepend_path(folder)

    try do
      :code.purge(module)
      {:module, ^module} = :code.load_file(module)
      fun.(module)
    after
      Code.delete_path(folder)
      :code.purge(module)
      :code.delete(module)
      :code.purge(module)
      File.rm_rf!(folder)
    end
  end
end
