defmodule ElixirScope.Instrument.OffBranchTest do
  # What "off" costs is decided by the instructions between the question to the gate and the recorded branch.
  use ExUnit.Case, async: false

  alias ElixirScope.Golden

  @source ~S'''
  defmodule Golden.Off do
    # scope
    def add(x, y), do: x + y
    def loop(0), do: :done
    def loop(n), do: loop(n - 1)
    def remote(x), do: String.upcase(x)
    def many(a, b, c, d, e), do: add(a - b - c - d, e)
    def choose(x) when is_atom(x), do: loop(5)
    def choose({:ok, x}), do: remote(x)
    def choose([x]), do: add(x, x)
    def choose(_), do: nil
  end
  '''

  test "allocates no heap, and its tail calls are tail calls" do
    {[{_module, beam}], ""} = @source |> Golden.instrument() |> Golden.build()
    {:beam_file, _, _, _, _, functions} = :beam_disasm.file(beam)

    branches =
      for {:function, name, _arity, _entry, code} <- functions,
          name in [:add, :loop, :remote, :many, :choose] do
        {name, off_branch(code)}
      end

    assert length(branches) == 5

    for {name, branch} <- branches do
      names = Enum.map(branch, &operation/1)
      assert {name, Enum.filter(names, &allocates?/1)} == {name, []}
      assert {name, Enum.filter(names, &(&1 in [:call, :call_ext]))} == {name, []}
      assert {name, Enum.any?(names, &(&1 in [:call_last, :call_ext_last, :return]))} == {name, true}
    end
  end

  # The recorded branch is the one that the comparison with `false` jumps to.
  defp off_branch(code) do
    [{:call_ext, 0, {:extfunc, ElixirScope.Gate, :on, 0}}, {:test, :is_eq_exact, {:f, on}, _} | rest] =
      Enum.drop_while(code, &(not match?({:call_ext, _, {:extfunc, ElixirScope.Gate, :on, 0}}, &1)))

    Enum.take_while(rest, &(&1 != {:label, on}))
  end

  defp operation(instruction) when is_tuple(instruction), do: elem(instruction, 0)
  defp operation(instruction), do: instruction

  defp allocates?(name) do
    name in [:test_heap, :allocate, :allocate_heap, :make_fun3] or
      String.starts_with?(Atom.to_string(name), "put_")
  end
end
