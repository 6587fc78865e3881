defmodule ElixirScope.Instrument.HookTest do
  # Captures what the compiler writes, so it cannot share standard error.
  use ExUnit.Case, async: false

  import ExUnit.CaptureIO

  alias ElixirScope.{Golden, Instrument}
  alias ElixirScope.Instrument.{Beam, Hook}

  doctest ElixirScope.Instrument

  @source ~S'''
  defmodule Golden.Hooked do
    # scope
    def add(x, y), do: x + y
    defp hidden(x), do: x
    def use_hidden(x), do: hidden(x)
    def loop(n) do
      receive do
        :go -> loop(n + 1)
      after
        0 -> n
      end
    end
  end
  '''

  @functions [add: 2, hidden: 1, loop: 1, use_hidden: 1]

  test "a compiled module says what of it is rewritten, from its object code or from memory" do
    {[{module, beam}], ""} = @source |> Golden.instrument() |> Golden.build()
    assert Beam.functions(beam, module) == @functions

    Golden.with_loaded([{module, beam}], fn ->
      assert Instrument.functions(module) == @functions
      assert Instrument.instrumented?(module)
      assert Instrument.instrumented?({module, :hidden, 1})
      refute Instrument.instrumented?({module, :hidden, 2})
    end)

    {:module, ^module} = :code.load_binary(module, ~c"nowhere", beam)
    assert Instrument.functions(module) == @functions
  after
    unload(Elixir.Golden.Hooked)
  end

  test "also after the debug information was stripped" do
    {[{module, beam}], ""} = @source |> Golden.instrument() |> Golden.build()
    {:ok, {^module, stripped}} = :beam_lib.strip(beam)
    assert Beam.debug_info(stripped) == :error
    assert Beam.functions(stripped, module) == @functions
  end

  test "a module that was not asked for is not instrumented" do
    refute Instrument.instrumented?(String)
    refute Instrument.instrumented?(:lists)
    assert Instrument.functions(:"no such module") == []
    assert Instrument.functions(__MODULE__) == []
  end

  test "the debug information stays that of the source" do
    {[{module, beam}], _} = @source |> Golden.instrument() |> Golden.build()
    {:ok, map} = Beam.debug_info(beam)

    assert {{:add, 2}, :def, _, [{_, [_, _], [], {{:., _, [:erlang, :+]}, _, _}}]} =
             List.keyfind(map.definitions, {:add, 2}, 0)

    {:ok, {^module, [{:abstract_code, {_, forms}}]}} = :beam_lib.chunks(beam, [:abstract_code])
    refute forms |> inspect(limit: :infinity) |> String.contains?("Gate")
  end

  test "rewriting code that is rewritten already changes nothing" do
    {[{_module, beam}], _} = @source |> Golden.instrument() |> Golden.build()
    {:ok, map} = Beam.debug_info(beam)
    options = [{:debug_info, {:elixir_erl, {:elixir_v1, map, []}}}]

    core = Hook.core_transform(plain_core(), options)
    assert core != plain_core()
    assert Hook.core_transform(core, options) == core
  end

  test "without debug information the Core comes back as it was, silently" do
    core = plain_core()

    assert capture_io(:stderr, fn ->
             assert Hook.core_transform(core, []) == core
             assert Hook.core_transform(core, [{:debug_info, {:elixir_erl, :none}}]) == core
             assert Hook.core_transform(core, [:debug_info]) == core
           end) == ""
  end

  test "whatever goes wrong, the Core comes back as it was, and the user is told" do
    core = plain_core()
    nonsense = %{module: Elixir.Golden.Hooked, file: "x.ex", compile_opts: [], definitions: :nonsense}

    warning =
      capture_io(:stderr, fn ->
        assert Hook.core_transform(core, [{:debug_info, {:elixir_erl, {:elixir_v1, nonsense, []}}}]) == core
      end)

    assert warning =~ "ElixirScope: Golden.Hooked is compiled without instrumentation, because"
    assert warning =~ "The program itself is not affected"
  end

  test "options that no `use` checked are checked here" do
    {[{module, beam}], _} = @source |> Golden.instrument() |> Golden.build()
    {:ok, map} = Beam.debug_info(beam)

    options = [
      {:debug_info, {:elixir_erl, {:elixir_v1, %{map | compile_opts: [elixir_scope: [nothing: 1]]}, []}}}
    ]

    core = plain_core()

    assert capture_io(:stderr, fn -> assert Hook.core_transform(core, options) == core end) =~
             "#{inspect(module)} is compiled without instrumentation, because ** (ArgumentError) use ElixirScope"
  end

  test "code loaded over running code, as :cover does, records nothing and works" do
    {[{module, beam}], ""} = @source |> Golden.instrument() |> Golden.build()

    Golden.with_loaded([{module, beam}], fn ->
      {:ok, {^module, [{:abstract_code, {_, forms}}]}} = :beam_lib.chunks(beam, [:abstract_code])

      assert capture_io(:stderr, fn ->
               {:ok, ^module, recompiled} = :compile.forms(forms, [])
               send(self(), {:recompiled, recompiled})
             end) == ""

      assert_received {:recompiled, recompiled}
      assert Beam.functions(recompiled, module) == []
      {:module, ^module} = :code.load_binary(module, ~c"cover", recompiled)
      assert module.add(1, 2) == 3
    end)
  end

  test "a protocol is still rewritten after it was consolidated" do
    source = ~S'''
    defprotocol Golden.Consolidated do
      # scope
      def name(x)
    end

    defimpl Golden.Consolidated, for: Integer do
      def name(_), do: :integer
    end
    '''

    {modules, ""} = source |> Golden.instrument() |> Golden.build()

    Golden.with_loaded(modules, fn ->
      protocol = Elixir.Golden.Consolidated
      {:ok, beam} = Protocol.consolidate(protocol, [Integer])
      assert {:name, 1} in Beam.functions(beam, protocol)
    end)
  end

  # The compiler tripped over the types of these two when tail calls were first rewritten, on OTP 25, 27 and 29.
  for module <- [Code.Normalizer, Logger.Translator] do
    test "#{inspect(module)} compiles when it is rewritten" do
      module = unquote(module)
      {^module, beam, _} = :code.get_object_code(module)
      {:ok, map} = Beam.debug_info(beam)
      {:ok, forms} = :elixir_erl.debug_info(:erlang_v1, module, {:elixir_v1, map, []}, [])
      {:ok, ^module, core} = :compile.noenv_forms(forms, [:to_core, :no_auto_import])

      new_core = Hook.core_transform(core, [{:debug_info, {:elixir_erl, {:elixir_v1, map, []}}}])
      {:ok, ^module, binary} = :compile.noenv_forms(new_core, [:from_core, :no_core_prepare, :binary])
      assert Beam.functions(binary, module) != []
    end
  end

  defp plain_core do
    {[{_module, beam}], _} =
      @source |> String.replace("# scope", "@compile {:debug_info, true}") |> Golden.build()

    {:ok, {_, [{:abstract_code, {_, forms}}]}} = :beam_lib.chunks(beam, [:abstract_code])
    {:ok, _module, core} = :compile.noenv_forms(forms, [:to_core])
    core
  end

  defp unload(module) do
    :code.purge(module)
    :code.delete(module)
    :code.purge(module)
  end
end
