defmodule Demo.OversoldTest do
  use ExUnit.Case

  alias Demo.{Oversold, Report}
  alias Shop.Stock

  setup do
    {:ok, recording} = ElixirScope.start()
    :ok = Supervisor.terminate_child(Shop.Supervisor, Stock)
    {:ok, _stock} = Supervisor.restart_child(Shop.Supervisor, Stock)
    Stock.take(%{tea: Stock.left(:tea) - 3})
    %{recording: recording}
  end

  test "nothing is found where nothing happened" do
    buy("dia", 3)
    assert {Oversold.first([]), Oversold.count([])} == {:never, 0}
  end

  test "two orders that the stock answers at the same time are found" do
    oversell("eli", "fay")

    assert {:ok, found} = Oversold.first([])
    assert {found.article, found.before.pieces.tea, found.after.pieces.tea} == {:tea, 1, -1}
    assert found.server == Stock
    assert found.order.placed.pid == self()
    assert Enum.sort(for order <- found.orders, do: order.customer) == ["eli", "fay"]

    assert [{:asks, 3}, {:asks, 3}, {:takes, 1}, {:takes, -1}] ==
             for(step <- found.steps, do: {step.action, step.left})

    assert {_pid, %{items: %{tea: 2}}} = found.order.cart
    assert Oversold.count([]) == 1
  end

  test "the answer is the same when the recording is opened after its end", %{recording: recording} do
    oversell("gus", "hal")
    {:ok, live} = Oversold.first([])
    on_exit(fn -> {:ok, _recording} = ElixirScope.start() end)
    :ok = ElixirScope.stop()

    {:ok, opened} = ElixirScope.open(recording.path)

    {:ok, found} = Oversold.first(in: opened)
    assert text(found) == text(live)
    assert text(found) =~ ~r/pieces.tea +1 +-1\n/
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

  defp buy(customer, count) do
    Shop.add(customer, :tea, count)
    assert {:ok, _number} = customer |> Shop.order() |> Task.await()
  end

  defp wait_until(true?), do: true?.() || wait_until(true?)

  defp text(found),
    do: found |> Report.oversold(found.event.time) |> IO.ANSI.format(false) |> IO.iodata_to_binary()
end
