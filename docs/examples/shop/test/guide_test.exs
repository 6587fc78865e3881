defmodule GuideTest do
  # The questions of docs/guides/time_travel.md are asked, of a recording in which what it tells of has happened.
  use ExUnit.Case

  import ExUnit.CaptureIO

  alias Shop.Stock

  @guide Path.expand("../../../guides/time_travel.md", __DIR__)

  setup do
    {:ok, recording} = ElixirScope.start()
    on_exit(fn -> {:ok, _recording} = ElixirScope.start() end)
    :ok = Supervisor.terminate_child(Shop.Supervisor, Stock)
    {:ok, _stock} = Supervisor.restart_child(Shop.Supervisor, Stock)
    Stock.take(%{tea: Stock.left(:tea) - 3})
    oversell("ida", "jon")
    :ok = ElixirScope.stop()
    {:ok, opened} = ElixirScope.open(recording.path)
    %{recording: opened}
  end

  test "every line of the guide has an answer", %{recording: recording} do
    lines = lines()
    assert length(lines) > 10

    printed =
      capture_io(fn ->
        Enum.reduce(lines, [recording: recording], fn line, binding ->
          {value, binding} = Code.eval_string("alias Shop.Stock\n" <> line, binding)
          refute match?({:error, _}, value), "#{line}\n#{inspect(value)}"
          # As the shell would show it.
          assert is_binary(inspect(value, pretty: true))
          binding
        end)
      end)

    assert printed =~ ":in_stock?"
    assert printed =~ ":take"
  end

  test "the example's own .iex.exs says what to do, with a recording and without" do
    file = Path.expand("../.iex.exs", __DIR__)

    assert capture_io(fn -> Code.eval_file(file) end) =~
             ~r/`recording` is what the demo recorded|run `make demo`/
  end

  # While the stock is suspended both questions wait in its mailbox, so it answers both before it gives any piece away.
  defp oversell(one, other) do
    for customer <- [one, other], do: Shop.add(customer, :tea, 2)
    :sys.suspend(Stock)
    orders = for customer <- [one, other], do: Shop.order(customer)
    wait_until(fn -> Process.info(Process.whereis(Stock), :message_queue_len) == {:message_queue_len, 2} end)
    :sys.resume(Stock)
    assert [{:ok, _}, {:ok, _}] = Task.await_many(orders)
  end

  defp wait_until(true?), do: true?.() || wait_until(true?)

  # What stands behind `iex>` in the blocks of Elixir.
  defp lines do
    for [_, block] <- Regex.scan(~r/^```elixir\n(.*?)^```$/ms, File.read!(@guide)),
        [_, line] <- Regex.scan(~r/^iex> (.*)$/m, block),
        do: line
  end
end
