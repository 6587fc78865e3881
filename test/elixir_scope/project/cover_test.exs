defmodule ElixirScope.Project.CoverTest do
  # `mix test --cover` of a project, with and without ElixirScope.
  use ExUnit.Case, async: true

  import ElixirScope.MixSample

  @source """
  defmodule Shop.Cart do
    use GenServer
    # use
    def start_link(items), do: GenServer.start_link(__MODULE__, items)
    def add(cart, item), do: GenServer.call(cart, {:add, item})

    @impl true
    def init(items), do: {:ok, items}

    @impl true
    def handle_call({:add, item}, _from, items) do
      items = [item | items]
      {:reply, total(items), items}
    end

    def handle_call(:never, _from, items) do
      {:reply, :never, items}
    end

    defp total(items) do
      items
      |> Enum.map(fn item ->
        item * 2
      end)
      |> Enum.sum()
    end

    def bodies(x) do
      if x > 1 do
        Enum.sum(for i <- 1..x, rem(i, 2) == 0, do: i * x)
      else
        try do
          raise "no"
        rescue
          error in RuntimeError -> error.message
        end
      end
    end

    def count(0, sum), do: sum

    def count(n, sum) do
      count(n - 1, sum + n)
    end
  end
  """

  @test_file """
  defmodule CartTest do
    use ExUnit.Case
    # assertions

    test "covered" do
      {:ok, cart} = Shop.Cart.start_link([1])
      assert Shop.Cart.add(cart, 3) == 8
      assert {Shop.Cart.bodies(1), Shop.Cart.bodies(4)} == {"no", 24}
      assert Shop.Cart.count(5, 0) == 15
      # recorded
      {:ok, counts} = :cover.analyse(Shop.Cart, :calls, :line)
      File.write!("counts", inspect(counts, limit: :infinity))
    end
  end
  """

  @recorded """
  assert_called(Shop.Cart.handle_call({:add, 3}, _, [1]))
      assert %{return: 24} = assert_called(Shop.Cart.bodies(4))
      assert {:ok, [3, 1]} = ElixirScope.get_state_at(cart, ElixirScope.now())
      refute_called(Shop.Cart.count(7, _))
  """

  test "records, and counts as without it" do
    shop = create(shelf(), "covered", %{"test/test_helper.exs" => "ExUnit.start()"})

    ways = [
      # By nobody, by the project, by the module with variables.
      {"false", @source, @test_file},
      {"[apps: [:covered]]", @source,
       String.replace(@test_file, "# assertions", "import ElixirScope.Assertions")},
      {"false", String.replace(@source, "# use", "use ElixirScope, locals: true"),
       String.replace(@test_file, "# assertions", "import ElixirScope.Assertions")}
    ]

    [plain | others] =
      for {instrument, source, test} <- ways do
        test = if test == @test_file, do: test, else: String.replace(test, "# recorded", @recorded)
        configure(shop, instrument)
        write(shop, %{"lib/cart.ex" => source, "test/cart_test.exs" => test})
        output = mix!(shop, ["test", "--cover"], "test")
        refute output =~ "ElixirScope:"
        [percentage] = Regex.run(~r/[\d.]+% \| Shop.Cart/, output)
        {percentage, File.read!(Path.join(shop, "counts"))}
      end

    assert {"93.33% | Shop.Cart", _counts} = plain
    assert Enum.uniq(others) == [plain]
  end
end
