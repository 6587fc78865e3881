defmodule ElixirScope.Instrument.ScopeTest do
  # `@scope` above single functions.
  use ExUnit.Case, async: false

  import ExUnit.CaptureIO

  alias ElixirScope.{Golden, Instrument}

  defp with_module(use, body, fun) do
    Golden.with_instrumented("defmodule Golden.Scoped do\n# scope\n#{body}\nend", use, fn ->
      fun.(Elixir.Golden.Scoped)
    end)
  end

  defp compile_error(body) do
    source = "defmodule Golden.Scoped do\nuse ElixirScope\n#{body}\nend"
    error = assert_raise CompileError, fn -> Code.compile_string(source, "test/scoped.ex") end
    Exception.message(error)
  end

  test "false leaves a function alone, true records one that the module leaves out" do
    body = """
    @scope false
    def alone(x), do: x
    @scope true
    def recorded(x), do: x
    def other(x), do: x
    """

    with_module("use ElixirScope, except: [:recorded, :other]", body, fn module ->
      assert Instrument.functions(module) == [recorded: 1]
    end)

    with_module("use ElixirScope", body, fn module ->
      assert Instrument.functions(module) == [other: 1, recorded: 1]
    end)
  end

  test "it holds for all arities of default arguments and all clauses, and for no other function" do
    body = """
    @scope false
    def add(a, b \\\\ 1, c \\\\ 2)
    def add(0, b, c), do: b + c
    def add(a, b, c), do: a + b + c
    def sub(a, b), do: a - b
    """

    with_module("use ElixirScope", body, fn module ->
      assert Instrument.functions(module) == [sub: 2]
    end)
  end

  test "options hold for the one function" do
    body = """
    @scope locals: true
    def traced(x) do
      y = x + 1
      {y}
    end

    @scope args: false, returns: false
    def quiet(x) do
      y = x + 1
      {y}
    end
    """

    with_module("use ElixirScope", body, fn module ->
      {_, events} =
        recorded(fn ->
          module.traced(1)
          module.quiet(1)
        end)

      assert for({kind, {_, name, _}, data} <- events, do: {name, kind, data}) == [
               {:traced, :call, %{args: [1]}},
               {:traced, :binding, %{bindings: [x: 1]}},
               {:traced, :binding, %{bindings: [y: 2]}},
               {:traced, :return, %{value: {2}}},
               {:quiet, :call, nil},
               {:quiet, :return, nil}
             ]
    end)
  end

  test "state: false of a callback" do
    body = """
    use GenServer
    def init(count), do: {:ok, count}
    @scope state: false
    def handle_call(:next, _from, count), do: {:reply, count, count + 1}
    """

    with_module("use ElixirScope", body, fn module ->
      {:ok, server} = GenServer.start_link(module, 7)
      assert GenServer.call(server, :next) == 7
      assert [%{data: %{state: 7}}] = Enum.to_list(ElixirScope.events(pid: server, kind: :state))
      GenServer.stop(server)
    end)
  end

  test "the program is the same with all of them" do
    Golden.assert_same(
      ~S'''
      defmodule Golden.Marked do
        # scope
        @scope count: true
        @doc "counts"
        @spec loop(integer, integer) :: integer
        def loop(n, acc \\ 0)
        def loop(0, acc), do: acc
        def loop(n, acc) when n > 0, do: loop(n - 1, acc + n)
        @scope count: true
        def bits(<<byte, rest::binary>>, acc), do: bits(rest, [byte | acc])
        def bits(<<>>, acc), do: acc
        @scope count: true
        defp raises(x), do: raise("no #{x}")
        def calls(x), do: raises(x)
        @scope locals: true
        def sum(list), do: Enum.reduce(list, 0, fn x, sum -> x + sum end)
        # So that the plain program does not have an attribute that nobody reads.
        Module.get_attribute(__MODULE__, :scope)
      end
      ''',
      [
        "Golden.Marked.loop(10)",
        "Golden.Marked.loop(-1)",
        "Golden.Marked.loop(-1, 3)",
        "Golden.Marked.loop(:a)",
        "Golden.Marked.bits(\"abc\", [])",
        "Golden.Marked.bits(:abc, [])",
        "Golden.Marked.calls(1)",
        "Golden.Marked.sum([1, 2])",
        "Golden.Marked.__info__(:functions)"
      ]
    )
  end

  test "a loop that is counted runs in flat memory" do
    body = """
    @scope count: true
    def loop(0, acc), do: acc
    def loop(n, acc), do: loop(n - 1, acc + n)
    """

    with_module("use ElixirScope", body, fn module ->
      assert {:ok, 50_000_005_000_000} = Golden.within_heap("Golden.Scoped.loop(10_000_000, 0)", 5_000)
      assert ElixirScope.counts(mfa: {module, :loop, 2}) == %{{module, :loop, 2} => 10_000_001}
    end)
  end

  test "what is counted is no recorded call, and asking for one says so" do
    with_module("use ElixirScope, count: [:loop]", "def loop(x), do: x", fn module ->
      assert Instrument.functions(module) == []
      {1, []} = recorded(fn -> module.loop(1) end)

      assert_raise ElixirScope.Error, ~r/calls of Golden.Scoped.loop\/1 are counted, not recorded/, fn ->
        ElixirScope.calls({module, :loop, 1})
      end
    end)
  end

  test "an attribute of the module's own, with a text or a number in it, is left alone" do
    with_module("use ElixirScope", "@scope \"openid\"\ndef f, do: @scope\ndef g, do: @scope", fn module ->
      assert {module.f(), module.g()} == {"openid", "openid"}
      assert Instrument.functions(module) == [f: 0, g: 0]
    end)
  end

  test "bad marks say what was expected, what came and what to do" do
    for {mark, part} <- [
          {":all", "got: :all"},
          {"[]", "got: []"},
          {"[only: [:f]]", "got: [only: [:f]]"},
          {"[locals: 1]", "got: [locals: 1]"},
          {"[:locals]", "got: [:locals]"}
        ] do
      message = compile_error("@scope #{mark}\ndef f(x), do: x")
      assert message =~ "test/scoped.ex:4:"

      assert message =~
               "@scope: expected true, false, or the options count:, args:, returns:, locals:, receives:, state:"

      assert message =~ part
      assert message =~ "Write for example @scope locals: true"
    end

    assert compile_error("@scope false\ndefmacro f(x), do: x") =~
             "@scope stands above the macro f/1; macros run only in the compiler. Remove it"
  end

  test "a mark above nothing is an attribute that is not used, as any other" do
    source = "defmodule Golden.Scoped do\nuse ElixirScope\ndef f(x), do: x\n@scope false\nend"

    warnings =
      capture_io(:stderr, fn ->
        [{module, _}] = Code.compile_string(source, "test/scoped.ex")
        :code.purge(module)
        :code.delete(module)
      end)

    assert warnings =~ "@scope was set but never used"
  end

  defp recorded(fun) do
    since = ElixirScope.now()
    answer = fun.()
    kinds = [:call, :return, :raise, :tail, :binding]

    {answer,
     for(
       event <- ElixirScope.events(pid: self(), kind: kinds, since: since),
       do: {event.kind, event.mfa, event.data}
     )}
  end
end
