defmodule ElixirScope.Instrument.TailLoopsTest do
  use ExUnit.Case, async: false

  alias ElixirScope.Golden

  # `make test-loops` runs these tests with 10 million.
  @iterations String.to_integer(System.get_env("ELIXIR_SCOPE_LOOPS", "300000"))

  # A frame takes two words at least, so a loop that keeps its frames needs more than this well before the end.
  @words 400_000

  # The promise: recording takes no more than this beyond what the loop takes as it was written.
  @added_bytes 1_000_000

  # 10 million iterations of all loops take minutes.
  @moduletag timeout: :timer.minutes(30)

  @source ~S'''
  defmodule Golden.Loops do
    # scope
    def itself(0), do: :done
    def itself(n), do: itself(n - 1)

    def mutual(0), do: :done
    def mutual(n), do: other(n - 1)
    defp other(0), do: :done
    defp other(n), do: mutual(n - 1)

    def private(n), do: ping(n)
    defp ping(0), do: :done
    defp ping(n), do: pong(n - 1)
    defp pong(0), do: :done
    defp pong(n), do: ping(n - 1)

    def qualified(0), do: :done
    def qualified(n), do: __MODULE__.qualified(n - 1)

    def remote(0), do: :done
    def remote(n), do: Golden.Partner.back(:remote, n - 1)

    def applied(0), do: :done
    def applied(n), do: apply(Golden.Partner, :back, [:applied, n - 1])

    def applied_list(0), do: :done
    def applied_list(n), do: apply(Golden.Partner, :back, Enum.to_list([:applied_list, n - 1]))

    def dynamic(0), do: :done
    def dynamic(n), do: partner().back(:dynamic, n - 1)
    defp partner, do: Golden.Partner

    def fun(0), do: :done
    def fun(n), do: (f = fn m -> fun(m) end; f.(n - 1))

    def captured(0), do: :done
    def captured(n), do: n |> Kernel.-(1) |> then(&captured/1)

    def in_then(0), do: :done
    def in_then(n), do: then(n, fn m -> in_then(m - 1) end)

    def combinator(n), do: (f = fn g, m -> if(m == 0, do: :done, else: g.(g, m - 1)) end; f.(f, n))

    def anonymous(n), do: turn(fn m, again -> if(m == 0, do: :done, else: again.(m - 1, again)) end, n)
    defp turn(f, n), do: f.(n, f)

    def reduced(n) do
      Enum.reduce_while(1..n, n, fn
        _, 1 -> {:halt, :done}
        _, m -> {:cont, m - 1}
      end)
    end

    def receiving(0), do: :done
    def receiving(n) do
      send(self(), :tick)
      receive do
        :tick -> receiving(n - 1)
      after
        5_000 -> :late
      end
    end

    def timing_out(0), do: :done
    def timing_out(n) do
      receive do
        :never -> :got
      after
        0 -> timing_out(n - 1)
      end
    end

    def conditions(n) do
      cond do
        n == 0 -> :done
        rem(n, 2) == 0 -> with({:ok, m} <- {:ok, n - 1}, do: conditions(m))
        true -> case(n, do: (m when m > 0 -> if(true, do: conditions(m - 1), else: :never)))
      end
    end

    def operators(n), do: n == 0 || (is_integer(n) && operators(n - 1))
    def strict(n), do: n == 0 or (n > 0 and strict(n - 1))

    def underscore(0), do: :done
    def underscore(n), do: _ = underscore(n - 1)
    def variable(0), do: :done
    def variable(n), do: result = variable(n - 1)

    def rescued(0), do: :done
    def rescued(n) do
      m =
        try do
          if rem(n, 2) == 0, do: raise("even"), else: n
        rescue
          RuntimeError -> n
        end

      rescued(m - 1)
    end

    def in_catch(0), do: :done
    def in_catch(n) do
      try do
        throw(n)
      catch
        m -> in_catch(m - 1)
      end
    end

    def in_else(0), do: :done
    def in_else(n) do
      try do
        n - 1
      rescue
        _ -> :failed
      else
        m -> in_else(m)
      end
    end

    def binary(n), do: bytes(:binary.copy("x", n))
    defp bytes(<<_, rest::binary>>), do: bytes(rest)
    defp bytes(<<>>), do: :done

    def defaulted(n, acc \\ :done)
    def defaulted(0, acc), do: acc
    def defaulted(n, acc), do: defaulted(n - 1, acc)

    def excepted_loop(0), do: :done
    def excepted_loop(n), do: Golden.Partner.rest(n - 1)
  end

  defmodule Golden.Partner do
    # Not instrumented: a trampoline through code that records nothing.
    def back(name, n), do: apply(Golden.Loops, name, [n])
    def rest(n), do: Golden.Loops.excepted_loop(n)
  end

  defmodule Golden.Halves do
    # scope, except: [plain: 1]
    def mixed(0), do: :done
    def mixed(n), do: plain(n - 1)
    def plain(0), do: :done
    def plain(n), do: mixed(n - 1)
  end

  defmodule Golden.Grower do
    # scope
    def grow(0), do: 0
    def grow(n), do: 1 + grow(n - 1)
  end
  '''

  @loops [operators: true, strict: true] ++
           for(
             loop <-
               ~w(itself mutual private qualified remote applied applied_list dynamic fun captured in_then
                        combinator anonymous reduced receiving timing_out conditions underscore variable rescued
                        in_catch in_else binary defaulted excepted_loop)a,
             do: {loop, :done}
           )

  for use <- Golden.uses() do
    test "every loop runs on a flat stack: #{use}", do: every_loop(unquote(use))
  end

  defp every_loop(use) do
    Golden.with_instrumented(@source, use, fn ->
      for gate <- [&Golden.off/1, &Golden.on/1] do
        gate.(fn ->
          for {loop, value} <- @loops do
            assert {loop, run("Golden.Loops.#{loop}")} == {loop, {:ok, value}}
          end

          assert {:mixed, run("Golden.Halves.mixed")} == {:mixed, {:ok, :done}}
        end)
      end
    end)
  end

  test "recording takes no memory of the process beyond the first frames" do
    {plain, _} = Golden.build(@source)

    written = Golden.with_loaded(plain, fn -> for {loop, value} <- @loops, do: {loop, peak(loop, value)} end)

    Golden.with_instrumented(@source, fn ->
      for {loop, value} <- @loops do
        recorded = recorded(fn -> peak(loop, value) end)
        assert recorded - written[loop] < @added_bytes, "#{loop}: #{written[loop]} bytes grew to #{recorded}"
      end

      assert recorded(fn -> elem(Golden.peak("Golden.Grower.grow(#{@iterations})"), 1) end) > @added_bytes
    end)
  end

  defp peak(loop, value) do
    {^value, bytes} = Golden.peak("Golden.Loops.#{loop}(#{@iterations})")
    bytes
  end

  # Each in a recording of its own, so that the disk holds the events of one loop at a time.
  defp recorded(fun) do
    folder = Path.join(System.tmp_dir!(), "elixir_scope_loops_#{System.pid()}")
    {:ok, _} = ElixirScope.start(dir: folder)

    try do
      value = Golden.on(fun)
      {:ok, %{events: events}} = ElixirScope.status()
      assert events > 0
      value
    after
      File.rm_rf!(folder)
      {:ok, _} = ElixirScope.start([])
    end
  end

  test "the limit notices a stack that grows" do
    Golden.with_instrumented(@source, fn ->
      assert run("Golden.Grower.grow") == :killed
      assert Golden.within_heap("Golden.Grower.grow(10)", @words) == {:ok, 10}
    end)
  end

  test "a hibernating process keeps nothing" do
    source = ~S'''
    defmodule Golden.Sleeper do
      # scope
      def loop(parent, 0), do: send(parent, {:slept, Process.info(self(), :total_heap_size)})
      def loop(parent, n) do
        send(self(), :wake)
        :proc_lib.hibernate(__MODULE__, :loop, [parent, n - 1])
      end
    end
    '''

    Golden.with_instrumented(source, fn ->
      Golden.on(fn ->
        :proc_lib.spawn_link(Elixir.Golden.Sleeper, :loop, [self(), 2_000])
        assert_receive {:slept, {:total_heap_size, words}}, 10_000
        assert words < 5_000
      end)
    end)
  end

  defp run(function), do: Golden.within_heap("#{function}(#{@iterations})", @words)
end
