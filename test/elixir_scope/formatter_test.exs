defmodule ElixirScope.FormatterTest do
  # In projects of their own: a formatter is given to `mix test`, and a recording is opened behind it.
  use ExUnit.Case, async: true
  import ElixirScope.MixSample

  @moduletag timeout: 600_000

  @stock """
  defmodule Shop.Stock do
    use GenServer
    use ElixirScope

    def start_link(pieces), do: GenServer.start_link(__MODULE__, pieces, name: __MODULE__)
    def take(article, count), do: GenServer.call(__MODULE__, {:take, article, count})

    @impl true
    def init(pieces), do: {:ok, pieces}

    @impl true
    def handle_call({:take, article, count}, _from, pieces) do
      {:reply, :ok, Map.update!(pieces, article, &(&1 - count))}
    end
  end
  """

  @tests ~S"""
  defmodule Shop.StockTest do
    use ExUnit.Case, async: true

    setup do
      start_supervised!({Shop.Stock, %{tea: 3}})
      :ok
    end

    test "takes what is there" do
      assert Shop.Stock.take(:tea, 2) == :ok
      assert Task.await(Task.async(fn -> Shop.Stock.take(:tea, 2) end)) == {:error, :sold_out}
    end

    @tag timeout: 200
    test "hangs" do
      Shop.Stock.take(:tea, 1)
      Process.sleep(:infinity)
    end
  end

  defmodule Shop.CleanTest do
    use ExUnit.Case, async: true

    test "cleans up badly" do
      on_exit(fn -> {:ok, %{tea: 0}} = Shop.Stock.init(%{tea: 6}) end)
      {:ok, %{tea: 7}} = Shop.Stock.init(%{tea: 7})
    end
  end

  defmodule Shop.SilentTest do
    use ExUnit.Case, async: true
    test("is silent", do: flunk("nothing"))
    test("passes", do: :ok)
  end

  defmodule Shop.AssertedTest do
    use ElixirScope.Case, async: true

    test "asserts on the trace" do
      {:ok, stock} = Shop.Stock.init(%{tea: 1})
      assert_called(Shop.Stock.init(%{tea: 2}))
      stock
    end
  end

  defmodule Shop.LateTest do
    use ExUnit.Case, async: true

    setup_all do
      {:ok, shared} = GenServer.start(Shop.Stock, %{cup: 5})
      :ok = GenServer.call(shared, {:take, :cup, 1})
      %{shared: shared}
    end

    for number <- 1..2 do
      test "runs instrumented code late #{number}", %{shared: shared} do
        {:ok, stock} = GenServer.start_link(Shop.Stock, %{pot: unquote(number)})
        :ok = GenServer.call(stock, {:take, :pot, 5})
        :ok = GenServer.call(shared, {:take, :cup, 2})
        {:ok, _jugs} = Task.await(Task.async(fn -> Shop.Stock.init(%{jug: unquote(number)}) end))
        {:ok, %{tea: 9}} = Shop.Stock.init(%{tea: 8})
      end
    end
  end
  """

  setup_all do
    shop =
      create(shelf(), "formatted", %{
        "mix.exs" => mix_exs("formatted", "compilers: Mix.compilers()"),
        "lib/stock.ex" => @stock,
        "test/stock_test.exs" => @tests,
        "test/test_helper.exs" => "ExUnit.start()"
      })

    configure(shop, "false")
    {output, status} = mix(shop, ["test", "--seed", "0", "--formatter", "ElixirScope.Formatter"], "test")
    assert status == 2, output
    %{shop: shop, output: output}
  end

  test "each failing test has its trace below its failure, without asking for it", %{output: output} do
    assert length(Regex.scan(~r/^  \d\) test /m, output)) == 7
    # As ExUnit shows it, and then the trace.
    assert output =~
             ~r/\d\) test takes what is there \(Shop.StockTest\).*Trace of test takes what is there \(Shop.StockTest\):/s

    taken = trace(output, "test takes what is there")
    assert taken =~ ~r/^     Calls:\n         the test #PID<[\d.]+>:\n/
    assert taken =~ ~r/           Shop.Stock.take\(:tea, 2\) -> :ok\n/

    assert taken =~
             ~r/           Shop.Stock.handle_call\({:take, :tea, 2}, {#PID<[\d.]+>, ...}, %{tea: 1}\) -> {:reply/

    assert taken =~ ~r/     Processes of the test:\n         the test #PID<[\d.]+>\n         ├─ /u
    assert taken =~ "└─ Shop.Stock #PID<"
    assert trace(output, "test hangs") =~ "Shop.Stock.take(:tea, 1) -> :ok"

    # Nobody else's: the tests of a module follow each other, and those of others run beside them.
    assert length(Regex.scan(~r/Shop.Stock.take\(:tea, 1\)/, output)) == 1
    refute output =~ "Trace of test passes"
  end

  test "where what is done after a test fails, the test is shown all the same", %{output: output} do
    trace = trace(output, "test cleans up badly")
    assert [_, test] = Regex.run(~r/Processes of the test:\n +the test (#PID<[\d.]+>)\s/, trace)
    assert trace =~ ~r/the test #{test}:\n +Shop.Stock.init\(%{tea: 7}\) -> {:ok, %{tea: 7}}\n/
    assert trace =~ "Shop.Stock.init(%{tea: 6}) -> {:ok, %{tea: 6}}"
  end

  test "what the processes of a test did before its own first instrumented call is shown, and nobody else's",
       %{
         output: output
       } do
    for {number, other} <- [{1, 2}, {2, 1}] do
      trace = trace(output, "test runs instrumented code late #{number}")
      assert trace =~ "Shop.Stock.init(%{pot: #{number}}) -> {:ok, %{pot: #{number}}}"
      assert trace =~ ~r/Shop.Stock.handle_call\({:take, :pot, 5}, {#PID<[\d.]+>, ...}, %{pot: #{number}}\)/
      assert trace =~ "Shop.Stock.init(%{jug: #{number}})"
      assert trace =~ "Shop.Stock.init(%{tea: 8})"
      refute trace =~ "pot: #{other}"
      refute trace =~ "jug: #{other}"
      refute trace =~ "cup"
    end
  end

  test "a test without a trace says so", %{output: output} do
    # Where the VM tells of all processes it is known, and did nothing.
    assert trace(output, "test is silent") =~
             ~r/There is none: its process is not in the recording|Calls: none of its processes ran instrumented code/
  end

  test "what the failure of an assertion shows is not shown again", %{output: output} do
    assert output =~
             ~r/Expected a call that matches.*Shop.Stock.init\(%{tea: 1}\).*\^.*argument 1 at .tea: expected 2, got 1/s

    asserted = trace(output, "test asserts on the trace")
    assert asserted =~ "Calls:"
    refute asserted =~ "mix scope.open"
  end

  test "the command that is shown opens the recording at the moment of the failure", %{
    shop: shop,
    output: output
  } do
    [_, path, label] =
      Regex.run(~r/iex -S mix scope.open (\S+) --at "(.*)"/, trace(output, "test takes what is there"))

    assert label == "Shop.StockTest: takes what is there"

    opened =
      iex!(shop, path, label, ~S'''
      IO.inspect(ElixirScope.get_state_at(Shop.Stock, "Shop.StockTest: takes what is there"))
      IO.inspect(for call <- ElixirScope.calls(&Shop.Stock.take/2), do: call.args)
      ''')

    assert opened =~ ~r/#{Regex.escape(path)}: \d+ events of \d+ processes, from /
    assert opened =~ ~s|ElixirScope.at("#{label}") \|> ElixirScope.where()|
    assert opened =~ "{:ok, %{tea: -1}}"
    assert opened =~ "[[:tea, 2], [:tea, 2], [:tea, 1]]" or opened =~ "[[:tea, 1], [:tea, 2], [:tea, 2]]"

    # Without IEx it says how.
    assert mix!(shop, ["scope.open", path, "--at", label], "test") =~
             ~r/To ask it:\s+iex -S mix scope.open \S+ --at "Shop.StockTest: takes what is there"/
  end

  test "what cannot be opened is an error that says what to do", %{shop: shop} do
    assert {output, 1} = mix(shop, ["scope.open", "nowhere"], "test")

    assert output =~
             ~r"\(Mix\) expected a recording at .*nowhere, found none; name a recording or a folder of recordings"

    assert {output, 1} = mix(shop, ["scope.open", "scope", "--at", "never set"], "test")
    assert output =~ ~s|(Mix) expected a time: the label of a mark|
    assert output =~ ~s|the marks are "Shop|
    assert {output, 1} = mix(shop, ["scope.open", "one", "two"], "test")
    assert output =~ "(Mix) expected the path of a recording, and perhaps --at LABEL, got: one two"
  end

  test "beside others it adds the traces alone", %{shop: shop} do
    formatters = ["--formatter", "ExUnit.CLIFormatter", "--formatter", "ElixirScope.Formatter"]
    {output, 2} = mix(shop, ["test", "test/stock_test.exs:14"] ++ formatters, "test")
    assert length(Regex.scan(~r/\d\) test takes what is there/, output)) == 1
    assert length(Regex.scan(~r/Trace of test takes what is there/, output)) == 1
  end

  # From its head to the next failure.
  defp trace(output, name) do
    assert [_, rest] = String.split(output, "Trace of #{name} (", parts: 2), output
    [_module, rest] = String.split(rest, "):\n\n", parts: 2)
    rest |> String.split(~r/\n\s+\d+\) test /, parts: 2) |> hd()
  end

  defp iex!(shop, path, label, code) do
    script = Path.join(shop, "asked")
    File.write!(script, code)
    command = "iex -S mix scope.open #{path} --at \"#{label}\" < #{script}"

    {output, 0} =
      System.cmd("sh", ["-c", command],
        cd: shop,
        stderr_to_stdout: true,
        env: [{"MIX_ENV", "test"}, {"TERM", "dumb"}]
      )

    output
  end
end
