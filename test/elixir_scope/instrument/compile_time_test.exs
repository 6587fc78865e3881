defmodule ElixirScope.Instrument.CompileTimeTest do
  # In reductions, which are the same on a busy machine. Captures what the compiler writes, so it is not async.
  use ExUnit.Case, async: false

  alias ElixirScope.Golden
  alias ElixirScope.Instrument.{Options, Transform}

  # Measured on OTP 25: 3.2 times, and 7.0 when the optimiser repeats itself.
  @most 4

  test "the compiler works at most four times as much on instrumented code, optimiser included" do
    {:ok, {_, [abstract_code: {_, forms}]}} =
      Calendar.ISO |> :code.which() |> :beam_lib.chunks([:abstract_code])

    {rewritten, _report} = Transform.run(forms, Options.new!([]))
    options = options()

    plain = reductions(forms, [])
    assert reductions(rewritten, options) < @most * plain
    assert reductions(rewritten, []) > @most * plain, "the compiler no longer repeats itself: drop the option"
  end

  # What every instrumented module adds to its compilation, as the finished module tells.
  defp options do
    {[{module, beam}], _} = Golden.build("defmodule Golden.Quick do\nuse ElixirScope\ndef f, do: 1\nend")
    {:ok, {^module, [compile_info: info]}} = :beam_lib.chunks(beam, [:compile_info])
    options = Enum.filter(info[:options], &is_atom/1)
    assert :no_ssa_opt_try in options
    options
  end

  defp reductions(forms, options) do
    {:ok, core, _} = :v3_core.module(forms, options)
    {:reductions, before} = Process.info(self(), :reductions)

    {:ok, _, _} =
      :compile.noenv_forms(core, [:from_core, :no_core_prepare, :no_spawn_compiler_process | options])

    {:reductions, now} = Process.info(self(), :reductions)
    now - before
  end
end
