defmodule ElixirScope.Instrument.RandomTest do
  # Random programs behave the same with and without instrumentation, and their recording says what happened. What
  # happened is told twice, by the VM's own trace of the plain program and by a program with probes in its source, and
  # both have to agree before they are believed. See ElixirScope.Program and its neighbours.
  #
  #     mix test test/elixir_scope/instrument/random_test.exs --seed 7       the programs of another seed
  #     RANDOM_MINUTES=10 mix test test/elixir_scope/instrument/random_test.exs    new programs for so long
  #
  # A failure prints the seed of the program and the smallest program that was found to fail in the same way.
  use ExUnit.Case, async: false

  alias ElixirScope.Program
  alias ElixirScope.Program.{Check, Shrink}

  @batches 12
  @groups 5
  @minutes "RANDOM_MINUTES"
  @patience 60_000

  # The VM cuts stack traces after eight frames, and recording adds frames.
  setup do
    depth = :erlang.system_flag(:backtrace_depth, 1_000)
    on_exit(fn -> :erlang.system_flag(:backtrace_depth, depth) end)
  end

  @tag timeout: :infinity
  @tag :capture_log
  test "random programs do the same, and the recording tells it" do
    first = ExUnit.configuration()[:seed] * 1_000

    checked =
      first
      |> Stream.iterate(&(&1 + 1))
      |> Stream.take_while(more(System.get_env(@minutes), first))
      |> Enum.map(&check/1)

    calls = checked |> Enum.map(& &1.calls) |> Enum.sum()
    entries = checked |> Enum.map(& &1.entries) |> Enum.sum()

    if System.get_env(@minutes),
      do: IO.puts("#{length(checked)} modules, #{entries} programs, #{calls} calls compared")

    # A generator that makes nothing of interest would find nothing.
    assert calls > 50 * length(checked)
  end

  defp more(nil, first), do: &(&1 < first + @batches)

  defp more(minutes, _first) do
    until = System.monotonic_time(:second) + 60 * String.to_integer(minutes)
    fn _seed -> System.monotonic_time(:second) < until end
  end

  defp check(seed) do
    program = Program.new(seed, @groups)

    case run(program) do
      {:ok, counted} ->
        counted

      {:error, _, _} = answer ->
        {program, {:error, what, text}} = Shrink.run(program, answer, @patience)
        flunk("program #{seed} differs (#{what})\n#{text}\n\n#{Program.instrumented(program)}")
    end
  end

  # An exception on the way is most often one of the compiler. What a smaller program raises may be anything else.
  defp run(program) do
    Check.run(program)
  rescue
    error ->
      flunk(
        "program #{program.seed} cannot be compared\n#{Exception.format(:error, error, __STACKTRACE__)}\n\n" <>
          Program.instrumented(program)
      )
  end
end
