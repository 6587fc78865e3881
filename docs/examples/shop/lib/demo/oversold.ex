defmodule Demo.Oversold do
  @moduledoc """
  The questions of the demo: when did the stock of an article first become negative, what did it, and why?

  Every answer is read from the recording. `options` is `[]` for the recording of this VM, or `[in: recording]` for
  one that `ElixirScope.open/1` opened: the questions are the same.
  """

  alias Demo.Order

  @stock Shop.Stock
  # The callback around a state began before it. A second is far more than a callback takes, and little to read.
  @callback_ns 1_000_000_000

  @type step :: %{time: integer, pid: pid, action: :asks | :takes, count: pos_integer, left: integer}
  @type t :: %{
          article: Shop.Catalog.article(),
          event: ElixirScope.Event.t(),
          before: map,
          after: map,
          callback: ElixirScope.Call.t(),
          server: atom,
          order: Order.t(),
          orders: [Order.t()],
          steps: [step]
        }

  @doc "How many orders took more of an article than there was."
  @spec count(keyword) :: non_neg_integer
  def count(options) do
    options
    |> states()
    |> Stream.map(& &1.data.state.pieces)
    |> Stream.chunk_every(2, 1, :discard)
    |> Enum.count(fn [old, new] -> Enum.any?(old, fn {article, left} -> new[article] < min(left, 0) end) end)
  end

  @doc "The first time, explained."
  @spec first(keyword) :: {:ok, t} | :never
  def first(options) do
    case Enum.find(states(options), &negative/1) do
      nil -> :never
      event -> {:ok, explain(event, options)}
    end
  end

  defp states(options), do: ElixirScope.events([kind: :state, pid: @stock] ++ options)

  defp negative(event) do
    Enum.find_value(event.data.state.pieces, fn {article, left} -> if left < 0, do: article end)
  end

  defp explain(event, options) do
    article = negative(event)
    callback = callback_around(event, options)
    order = Order.of(caller(callback), event, options)
    others = taken_meanwhile(order, article, callback, options)
    orders = Enum.sort_by([order | others], & &1.check.started)

    %{
      article: article,
      event: event,
      before: ElixirScope.get_state_at!(@stock, event.time - 1, options),
      after: ElixirScope.get_state_at!(@stock, event, options),
      callback: callback,
      server: server(callback.pid, options),
      order: order,
      orders: orders,
      steps: steps(orders, article, callback, options)
    }
  end

  # A server runs one callback at a time: the one around an event is the last that had begun by then.
  defp callback_around(event, options) do
    event.time |> callbacks(event.time - @callback_ns, options) |> List.last()
  end

  # Orders that took pieces after the stock had answered this one, and before it took them itself.
  defp taken_meanwhile(order, article, callback, options) do
    since_answer =
      (callback.started - 1)
      |> callbacks(order.check.started, options)
      |> Enum.drop_while(&(caller(&1) != order.pid))

    for %{args: [{:take, %{^article => _}} | _]} = call <- since_answer do
      Order.of(caller(call), call.started, options)
    end
  end

  # From the first answer to one of these orders on: how many pieces were left after each answer, and after every
  # take, also those of orders that had been answered earlier.
  defp steps([first | _] = orders, article, callback, options) do
    pids = Enum.map(orders, & &1.pid)

    steps =
      for %{args: [{request, %{^article => count}} | _], return: {:reply, _, stock}} = call <-
            callbacks(callback.started, first.check.started, options),
          request == :take or caller(call) in pids do
        action = if request == :take, do: :takes, else: :asks
        %{time: call.started, pid: caller(call), action: action, count: count, left: stock.pieces[article]}
      end

    Enum.drop_while(steps, &(&1.pid not in pids))
  end

  defp callbacks(until, since, options) do
    ElixirScope.calls({@stock, :handle_call, 3}, [pid: @stock, since: since, until: until] ++ options)
  end

  defp caller(%{args: [_request, {pid, _tag}, _state]}), do: pid

  # The name that the process had when it was first seen.
  defp server(pid, options) do
    [introduction] = Enum.to_list(ElixirScope.events([kind: :process, pid: pid] ++ options))
    introduction.data.name
  end
end
