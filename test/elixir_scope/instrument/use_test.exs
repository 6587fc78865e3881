defmodule ElixirScope.Instrument.UseTest do
  # Captures what the compiler writes, so it cannot share standard error.
  use ExUnit.Case, async: false

  import ExUnit.CaptureIO

  alias ElixirScope.{Golden, Instrument}

  defp compile_error(source) do
    {:error, error} = compile(source)
    Exception.message(error)
  end

  defp warnings(source) do
    {:ok, warnings} = compile(source)
    warnings
  end

  defp compile(source) do
    parent = self()

    warnings =
      capture_io(:stderr, fn ->
        send(
          parent,
          {:answer,
           try do
             for {module, _} <- Code.compile_string(source, "test/use.ex") do
               :code.purge(module)
               :code.delete(module)
             end

             :ok
           rescue
             error -> {:error, error}
           end}
        )
      end)

    receive do
      {:answer, :ok} -> {:ok, warnings}
      {:answer, error} -> error
    end
  end

  test "options may be made of attributes and expressions" do
    source = ~S'''
    defmodule Golden.UseOptions do
      @chosen [add: 2]
      @more Enum.map([:sub], & &1)
      # scope, only: @chosen ++ @more, args: 1 + 1 == 3
      def add(x, y), do: x + y
      def sub(x, y), do: x - y
      def mul(x, y), do: x * y
    end
    '''

    Golden.with_instrumented(source, fn ->
      assert Instrument.functions(Elixir.Golden.UseOptions) == [add: 2, sub: 2]
    end)
  end

  test "wrong options end the compilation and say why" do
    assert compile_error("defmodule Golden.UseA do use ElixirScope, only: :add; def add, do: 1 end") =~
             "expected only: to be a list of functions, got: :add"
  end

  test "names in only: and except: have to exist" do
    source = """
    defmodule Golden.UseB do
      use ElixirScope, OPTION: [:add, tax: 1, check: 1]
      def add(x), do: tax(x, 2)
      defp tax(x, y), do: x * y
      defmacro check(x), do: x
    end
    """

    for option <- ["only", "except"] do
      message = source |> String.replace("OPTION", option) |> compile_error()

      assert message =~
               "test/use.ex:1: use ElixirScope: expected #{option}: to name functions that Golden.UseB defines"

      assert message =~ "got: tax/1, check/1. It defines add/1, tax/2"
      assert message =~ "check: macros run only in the compiler"
    end
  end

  test "a module of which nothing is recorded says so" do
    for {body, reason} <- [
          {"use ElixirScope", "it defines no function. Remove"},
          {"use ElixirScope\ndefmacro m, do: 1", "it defines no function. Remove"},
          {"use ElixirScope\ndefstruct [:x]",
           "all of its functions are left alone: its name is reserved for the compiler"},
          {"use ElixirScope, except: [:f]\ndef f, do: 1",
           "all of its functions are left alone: except: names it"},
          {"use ElixirScope, only: []\ndef f, do: 1",
           "all of its functions are left alone: only: does not name it"},
          {"@compile {:debug_info, false}\nuse ElixirScope\ndef f, do: 1",
           "compiled without debug information"}
        ] do
      text = warnings("defmodule Golden.UseC do\n#{body}\nend")
      assert text =~ "use ElixirScope: nothing of Golden.UseC is recorded, because"
      assert text =~ reason
    end
  end

  test "no warning where all is well" do
    assert warnings("defmodule Golden.UseD do\nuse ElixirScope\ndef f, do: 1\nend") == ""
  end

  test "twice in one module" do
    assert compile_error("defmodule Golden.UseE do\nuse ElixirScope\nuse ElixirScope, args: false\nend") =~
             "Golden.UseE says `use ElixirScope` twice"
  end

  test "the library refuses to record itself" do
    lib = Path.expand("../../../lib/elixir_scope/sample.ex", __DIR__)

    assert_raise CompileError, ~r/ElixirScope.Sample is a part of ElixirScope/, fn ->
      Code.compile_string("defmodule ElixirScope.Sample do\nuse ElixirScope\nend", lib)
    end
  end
end
