defmodule ElixirScope.AssertChangedTest do
  # What was called while its module was not instrumented, or by a process that is not recorded, nobody can deny. Modules are instrumented for all.
  use ElixirScope.Case, async: false

  alias ElixirScope.Doctest.Plain
  alias ElixirScope.Traced.Echo

  setup do
    on_exit(fn -> if Plain in ElixirScope.instrumented(), do: :ok = ElixirScope.uninstrument(Plain) end)
  end

  # In a variable: when the test is compiled it is not instrumented.
  defp plain, do: Plain

  test "a module that is instrumented in the midst of a test" do
    Plain.double(1)
    {:ok, _} = ElixirScope.instrument(Plain)
    Plain.double(2)
    assert_called plain().double(2), returning: 4
    since = "Plain.double/1 is recorded since "

    for check <- [
          fn -> refute_called plain().double(1) end,
          fn -> assert_called plain().double(_), times: 1 end,
          fn -> assert_never plain().double(1) end,
          fn -> refute_flow(do: returned(plain().double(1), 2)) end
        ] do
      message = failure(check)
      assert message =~ "Undecided: "
      assert message =~ "Plain was changed in the midst of this test, by ElixirScope.instrument/2"
      assert message =~ since
    end

    assert failure(fn -> refute_called plain().double(2) end) =~ "but this one was recorded"
    assert failure(fn -> assert_called plain().double(2), times: 2..3 end) =~ "Undecided: 1 was recorded"
    # Others were recorded before.
    ElixirScope.Case.begin()
    refute_called plain().double(1)
    Plain.double(3)
    assert_called plain().double(_), times: 1
  end

  test "that is taken back" do
    {:ok, _} = ElixirScope.instrument(Plain)
    ElixirScope.Case.begin()
    Plain.double(2)
    assert_called plain().double(_), times: 1
    # The same functions are recorded by the code that takes its place.
    {:ok, _} = ElixirScope.instrument(Plain, args: false)
    refute_called plain().triple(_)
    {:ok, _} = ElixirScope.instrument(Plain, only: [:double])
    assert failure(fn -> assert_never plain().triple(_) end) =~ "Plain.triple/1 is not instrumented"
    assert_called plain().double(_), times: 1
    :ok = ElixirScope.uninstrument(Plain)
    Plain.double(5)
    assert failure(fn -> refute_called plain().double(5) end) =~ "Plain.double/1 is not recorded since "
    assert failure(fn -> assert_called plain().double(_), times: 1 end) =~ "Undecided: 1 was recorded"
    {:ok, _} = ElixirScope.instrument(Plain)
    assert failure(fn -> refute_called plain().triple(_) end) =~ "Plain.triple/1 is recorded since "
  end

  @recorded """
  defmodule ElixirScope.AssertChangedTest.Replaced do
    use ElixirScope
    def f(x), do: x
  end
  """
  @other """
  defmodule ElixirScope.AssertChangedTest.Replaced do
    def f(x), do: {:other, x}
  end
  """

  defp compile(source) do
    Code.put_compiler_option(:ignore_module_conflict, true)
    [{module, _beam}] = Code.compile_string(source)
    module
  after
    Code.put_compiler_option(:ignore_module_conflict, false)
  end

  # As :meck, Mimic and Patch do it.
  test "a module in whose place a tool has put another, which is not recorded" do
    replaced = compile(@recorded)
    replaced.f(1)
    assert_called replaced.f(_), times: 1
    refute_called replaced.f(2)
    compile(@other)
    replaced.f(2)
    assert_called replaced.f(1)

    for check <- [
          fn -> refute_called replaced.f(2) end,
          fn -> assert_called replaced.f(_), times: 1 end,
          fn -> assert_never replaced.f(2) end,
          fn -> refute_flow(do: returned(replaced.f(2), _)) end
        ] do
      message = failure(check)
      assert message =~ "Undecided: "
      assert message =~ "Replaced is not instrumented"
    end

    assert failure(fn -> refute_called replaced.f(1) end) =~ "but this one was recorded"
  end

  test "a process of which nothing is recorded, since it asks for that" do
    refute_called Echo.echo(:hidden)
    test = self()

    hidden =
      spawn_link(fn ->
        Process.flag(:sensitive, true)
        Echo.echo(:hidden)
        send(test, :echoed)
        receive(do: (:end -> :ok))
      end)

    assert_receive :echoed
    Echo.echo(:shown)

    denied = [
      fn -> refute_called Echo.echo(:hidden) end,
      fn -> assert_called Echo.echo(_), times: 1 end,
      fn -> assert_never Echo.echo(:hidden) end
    ]

    for check <- denied,
        do: assert(failure(check) =~ "nothing is recorded of #{inspect(hidden)}, since there the flag")

    assert_called Echo.echo(:shown)
    # What it did stays unknown when it has ended, and is that of its maker's test.
    ref = Process.monitor(hidden)
    send(hidden, :end)
    assert_receive {:DOWN, ^ref, :process, ^hidden, :normal}
    for check <- denied, do: assert(failure(check) =~ "nothing is recorded of #{inspect(hidden)}")
    ElixirScope.Case.begin()
    refute_called Echo.echo(:hidden)
  end

  defp failure(fun), do: assert_raise(ExUnit.AssertionError, fun).message
end
