defmodule Demo.Report do
  @moduledoc """
  The answers of the demo as text, in the form that `IO.ANSI.format/2` takes.
  """

  import Demo.Text

  alias Demo.Difference

  @label 16
  @lane 14

  @doc "What was recorded."
  @spec recording(map, non_neg_integer, non_neg_integer) :: IO.ANSI.ansidata()
  def recording(status, orders, oversold) do
    {first, last} = status.span
    rate = div(status.events * 1_000_000_000, max(last - first, 1))

    [
      heading("What was recorded?"),
      line("events", "#{number(status.events)} in #{span(last - first)}, #{number(rate)} a second"),
      line("lost", if(status.lost == 0, do: paint(:green, "none"), else: paint(:red, number(status.lost)))),
      line("on disk", "#{decimal(status.bytes / 1_000_000, 1)} MB"),
      line("orders", "#{number(orders)}, of which #{number(oversold)} took more than there was")
    ]
  end

  @doc "The first time that the stock of an article was negative. `started` is when the recording began."
  @spec oversold(Demo.Oversold.t(), integer) :: IO.ANSI.ansidata()
  def oversold(found, started) do
    Enum.intersperse([moment(found, started), states(found), cause(found), reason(found)], "\n")
  end

  defp moment(%{event: event, article: article}, started) do
    since = paint(:bright, "#{decimal((event.time - started) / 1_000_000_000, 6)} s")

    [
      heading("When did the stock of an article first become negative?"),
      line(article, [clock(event.time), ", ", since, " after the start"])
    ]
  end

  defp states(%{callback: callback, server: server} = found) do
    {changed, same} = Difference.of(found.before, found.after)

    [
      heading("The state of #{inspect(server)}, #{inspect(callback.pid)}"),
      line("", paint(:faint, [column("just before"), column("just after")])),
      for {path, old, new} <- changed do
        line(path, [column(value(old)), paint(sign(new), column(value(new)))])
      end,
      line("the same", paint(:faint, Enum.join(same, ", ")))
    ]
  end

  defp cause(%{callback: callback, server: server, order: order}) do
    {cart, %{items: items}} = order.cart
    request = callback.args |> hd() |> inspect()
    waited = order.take.started - order.check.finished
    placed = order.take.started - order.placed.started

    [
      heading("What did it?"),
      line("message", [paint(:bright, request), " to #{inspect(server)}, handled in #{duration(callback)}"]),
      line("sent by", [paint(:bright, "order " <> name(order)), ", the task #{inspect(order.pid)}"]),
      line("which called", "#{show(order.take)} at #{order.take.file}:#{order.take.line}"),
      line("had asked", "#{show(order.check)} -> #{inspect(order.check.return)} #{span(waited)} earlier"),
      line("in between", "#{show(order.payment)} for #{duration(order.payment)}"),
      line("placed by", "#{inspect(order.placed.pid)}: #{show(order.placed)}, #{span(placed)} earlier"),
      line("cart of #{order.customer}", "#{inspect(cart)}, held #{inspect(items)} at that time")
    ]
  end

  defp reason(%{orders: orders, steps: [first | _] = steps} = found) do
    pids = Enum.map(orders, & &1.pid)

    [
      heading("Why? #{length(orders)} checkouts at the same time"),
      row(
        "µs",
        paint(:faint, lanes(Enum.map(orders, &name/1))),
        paint(:faint, column("#{found.article} left"))
      ),
      # Orders without a lane share one row between those that have one.
      for steps <- Enum.chunk_by(steps, &if(&1.pid in pids, do: &1.time)) do
        %{left: left} = List.last(steps)
        time = number(div(hd(steps).time - first.time, 1_000))
        lane = Enum.find_index(pids, &(&1 == hd(steps).pid))
        row(time, action(steps, lane, length(pids)), paint(sign(left), column(left)))
      end,
      "\n",
      conclusion(found)
    ]
  end

  defp action(steps, nil, lanes) do
    text = "(others take #{steps |> Enum.map(& &1.count) |> Enum.sum()})"
    paint(:faint, String.pad_trailing(text, @lane * lanes))
  end

  defp action([step], lane, lanes) do
    {colour, text} = action(step)
    paint(colour, "" |> List.duplicate(lanes) |> List.replace_at(lane, text) |> lanes())
  end

  # Only orders that were told yes came to take anything.
  defp action(%{action: :asks, count: count}), do: {:cyan, "#{count} there? yes"}
  defp action(%{action: :takes, count: count}), do: {:yellow, "takes #{count}"}

  defp conclusion(%{article: article, order: order} = found) do
    asked = Enum.find(found.steps, &(&1.pid == order.pid))
    others = for other <- found.orders, other.pid != order.pid, do: "##{other.number}"

    """
      When ##{order.number} asked for #{asked.count}, the stock had #{asked.left}: enough.
      When it took them, the stock had #{found.before.pieces[article]}: #{Enum.join(others, ", ")} had been faster.
      Nothing keeps the pieces between Stock.in_stock?/1 and Stock.take/1.
    """
  end

  defp name(order), do: "##{order.number} of #{order.customer}"

  defp show(call) do
    {module, function, _arity} = call.mfa
    "#{inspect(module)}.#{function}(#{Enum.map_join(call.args, ", ", &inspect/1)})"
  end

  defp duration(call), do: span(call.finished - call.started)

  defp value(integer) when is_integer(integer), do: number(integer)
  defp value(other), do: inspect(other)

  defp sign(value) when is_integer(value) and value < 0, do: :red
  defp sign(_value), do: :green

  defp heading(text), do: [:cyan, :bright, text, :reset, "\n"]
  defp line(label, text), do: ["  ", String.pad_trailing("#{label}", @label), text, "\n"]
  defp row(time, lanes, left), do: [String.pad_leading(time, 8), "    ", lanes, left, "\n"]
  defp paint(colour, text), do: [colour, text, :reset]
  defp column(text), do: String.pad_leading("#{text}", 12)
  defp lanes(texts), do: Enum.map(texts, &String.pad_trailing(&1, @lane))
end
