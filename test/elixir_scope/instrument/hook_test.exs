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

  describe "forms that a tool compiles anew" do
    setup do
      {[{module, beam}], ""} = @source |> Golden.instrument() |> Golden.build()
      {:ok, {^module, [{:abstract_code, {_, forms}}]}} = :beam_lib.chunks(beam, [:abstract_code])
      %{module: module, beam: beam, forms: forms}
    end

    test "record when they are those of the module, under its name or another one", context do
      Golden.with_loaded([{context.module, context.beam}], fn ->
        assert capture_io(:stderr, fn ->
                 for name <- [context.module, :"#{context.module}.Mimic.Original.Module"] do
                   beam = anew(context.forms, name)
                   assert Beam.functions(beam, name) == @functions
                   {:module, ^name} = :code.load_binary(name, ~c"", beam)
                   assert Instrument.functions(name) == @functions
                   assert name.add(1, 2) == 3
                 end
               end) == ""

        unload(:"#{context.module}.Mimic.Original.Module")
      end)
    end

    test "are what the tool made of them, and say once that they record nothing", context do
      Golden.with_loaded([{context.module, context.beam}], fn ->
        changed = Enum.reject(context.forms, &match?({:function, _, :use_hidden, 1, _}, &1))
        changed = Enum.map(changed, &unexport/1)

        said = capture_io(:stderr, fn -> for _ <- 1..2, do: send(self(), anew(changed, context.module)) end)

        assert [_, after_it] =
                 String.split(
                   said,
                   "ElixirScope: #{inspect(context.module)} was compiled anew while the VM runs"
                 )

        assert after_it =~
                 "this copy records nothing, because it has changed the code in a way that is not known here"

        assert_received beam when is_binary(beam)
        assert Beam.functions(beam, context.module) == []
        {:module, _} = :code.load_binary(context.module, ~c"", beam)
        assert context.module.add(1, 2) == 3
        assert Instrument.functions(context.module) == []
        assert Instrument.replaced(context.module) == {:replaced, nil}
        assert {:error, error} = ElixirScope.instrument(context.module)
        assert error.message =~ "its file holds other code than the one that runs"
        assert error.message =~ "let that tool put it back first"
      end)
    end

    test "without a file to compare with are left alone", context do
      assert capture_io(:stderr, fn -> assert Beam.functions(anew(context.forms, Nowhere), Nowhere) == [] end) =~
               "because the object code that it was made from is not in the code path"
    end

    defp anew(forms, name) do
      forms = List.keyreplace(forms, :module, 2, {:attribute, 1, :module, name})
      {:ok, ^name, beam} = :compile.forms(forms, [])
      beam
    end

    defp unexport({:attribute, anno, :export, functions}),
      do: {:attribute, anno, :export, List.delete(functions, {:use_hidden, 1})}

    defp unexport(form), do: form
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
