# What assertions on the recording cost a test suite: 500 async tests, against the same tests without recording. These ask the server
# and look at what functions gave, as tests do that know of no recording; the others ask the recording.

Code.require_file("table.exs", __DIR__)

defmodule Bench.Assertions.Shop do
  @moduledoc false
  # A shop of 40 orders: what a small test of an application does.
  use GenServer
  use ElixirScope

  def start_link(count), do: GenServer.start_link(__MODULE__, count)
  def order(shop, id, count), do: GenServer.call(shop, {:order, id, count})
  def restock(shop, count), do: GenServer.cast(shop, {:restock, count})

  def price(id, count) do
    digest = for(n <- 1..2_000, do: :erlang.phash2({id, n})) |> Enum.sum()
    rem(digest, 97) * count
  end

  @impl true
  def init(count), do: {:ok, %{count: count, orders: %{}}}

  @impl true
  def handle_call({:order, id, count}, _from, state) do
    sum = price(id, count)
    {:reply, sum, %{state | count: state.count - count, orders: Map.put(state.orders, id, {count, sum})}}
  end

  @impl true
  def handle_cast({:restock, count}, state), do: {:noreply, %{state | count: state.count + count}}

  @doc "Orders, some of them in a task."
  def orders(shop, ids) do
    {first, second} = Enum.split(ids, 20)
    task = Task.async(fn -> Enum.map(second, &order(shop, &1, 1)) end)
    Enum.map(first, &order(shop, &1, 1)) ++ Task.await(task)
  end
end

defmodule Bench.Assertions do
  @moduledoc false

  import ElixirScope.Assertions

  alias Bench.Assertions.Shop
  alias Bench.Table

  @modules 20
  @tests 25
  @rounds 7

  def run do
    # The tests are run by hand, and say nothing.
    ExUnit.start(autorun: false, formatters: [])
    dir = Path.join(System.tmp_dir!(), "elixir_scope_bench_assertions_#{System.pid()}")

    try do
      plain = define(:plain)
      traced = define(:traced)
      # The first run is of all that was defined, and does what is done once.
      recorded([], 2 * @modules * @tests, dir)
      tests = @modules * @tests
      rounds = for _ <- 1..@rounds, do: {time(plain, tests), recorded(traced, tests, dir)}
      report(rounds, questions(traced, dir))
    after
      File.rm_rf!(dir)
    end
  end

  # A new recording each time, so that rounds do not add up; beginning it is no part of the tests.
  defp recorded(modules, tests, dir) do
    {:ok, _} = ElixirScope.start(dir: dir, keep: 1)
    took = time(modules, tests)
    {:ok, status} = ElixirScope.status()
    if status.lost > 0, do: raise("#{status.lost} events were lost")
    :ok = ElixirScope.stop()
    took
  end

  # Microseconds of one `assert_called` of a process that knows two calls of its own: where little else is recorded, and behind all tests.
  defp questions(modules, dir) do
    {:ok, _} = ElixirScope.start(dir: dir, keep: 1)
    first = question()
    time(modules, @modules * @tests)
    last = question()
    :ok = ElixirScope.stop()
    {first, last}
  end

  defp question do
    asked = fn -> elem(:timer.tc(fn -> assert_called(Shop.price(1, 1)) end), 0) end

    fn ->
      for _ <- 1..2, do: Shop.price(1, 1)
      # What is new is read once.
      asked.()
      Enum.at(Enum.sort(for _ <- 1..201, do: asked.()), 100)
    end
    |> Task.async()
    |> Task.await(:infinity)
  end

  defp time(modules, tests) do
    :erlang.garbage_collect()
    {processor, _since} = :erlang.statistics(:runtime)
    started = System.monotonic_time(:microsecond)
    %{failures: 0, total: ^tests} = ExUnit.run(modules)
    took = System.monotonic_time(:microsecond) - started
    {now, _since} = :erlang.statistics(:runtime)
    {took, (now - processor) * 1_000}
  end

  # Two suites of the same tests; they differ in what they ask.
  defp define(way) do
    for number <- 1..@modules do
      name = Module.concat([__MODULE__, way, "Test#{number}"])
      {:module, ^name, _, _} = Module.create(name, suite(way), Macro.Env.location(__ENV__))
      name
    end
  end

  defp suite(way) do
    case_template = if way == :plain, do: ExUnit.Case, else: ElixirScope.Case

    quote do
      use unquote(case_template), async: true

      for number <- 1..unquote(@tests) do
        @number number
        test "orders #{number}" do
          first = 100 * @number
          shop = start_supervised!({Shop, 1_000})
          sums = Shop.orders(shop, Enum.to_list(first..(first + 39)))
          Shop.restock(shop, 5)
          assert length(sums) == 40
          unquote(asked(way))
        end
      end
    end
  end

  defp asked(:plain) do
    quote do
      assert %{count: 965, orders: orders} = :sys.get_state(shop)
      assert map_size(orders) == 40
      assert {1, _sum} = orders[first + 39]
    end
  end

  defp asked(:traced) do
    quote do
      last = first + 39
      assert_called Shop.price(^last, 1)
      assert_called Shop.handle_call({:order, _, 1}, _, _), times: 40
      assert_state shop, %{count: 965, orders: orders} when map_size(orders) == 40
      refute_called Shop.price(_, count) when count > 1
    end
  end

  defp report(rounds, {first, last}) do
    median = fn which -> rounds |> Enum.map(which) |> Enum.sort() |> Enum.at(div(length(rounds), 2)) end
    {time, processor} = {&elem(&1, 0), &elem(&1, 1)}
    ratio = fn of -> median.(fn {plain, traced} -> of.(traced) / of.(plain) end) end
    tests = @modules * @tests

    Table.promise(
      "#{tests} async tests with assertions on the recording, against none",
      ratio.(time),
      {:most, 1.5},
      "x"
    )

    rows =
      for {label, which} <- [{"without recording", 0}, {"recorded, with assertions", 1}] do
        [took, used] = for of <- [time, processor], do: median.(&of.(elem(&1, which))) / tests / 1_000
        "| #{label} | #{Table.number(took)} | #{Table.number(used)} |"
      end

    """
    ### A test suite

    #{tests} async tests in #{@modules} modules: each starts a server, calls it 40 times, 20 of these from a task, and looks at what came of it; median of
    #{length(rounds)} rounds. With the recording each asks two `assert_called` (one of them `times: 40`), an `assert_state` and a `refute_called`. What that
    adds to a test does not depend on how long the test takes.

    | tests | ms a test, #{System.schedulers_online()} schedulers | ms of processors a test |
    |---|---|---|
    #{Enum.join(rows, "\n")}
    | ratio | #{Table.number(ratio.(time))} | #{Table.number(ratio.(processor))} |

    | one `assert_called` of a process with two calls, median | µs | |
    |---|---|---|
    | where nothing else was recorded | #{first} | |
    | behind #{tests} tests that have ended | #{last} | #{Table.number(last / first)} x |
    """
  end
end
