defmodule Demo.Report do
  @moduledoc """
  The answers of the demo as text, in the form that `IO.ANSI.format/2` takes.
  """

  import Demo.Text

  alias Demo.Difference

  @label 16
  @lane 18

  @doc "What was recorded."
  @spec recording(map, non_neg_integer, non_neg_integer) :: IO.ANSI.ansidata()
  def recording(status, orders, oversold) do
    {first, last} = status.span
    rate = div(status.events * 1_000_000_000, max(last - first, 1))

    [
      heading("What was recorded?"),
      line("events", "#{number(status.events)} in #{span(last - first)}, #{number(rate)} a second"),
      line("lost", lost(status.lost)),
      line(
        "on disk",
        "#{decimal(status.bytes / 1_000_000, 1)} MB: #{div(status.bytes, status.events)} bytes an event"
      ),
      line("orders", "#{number(orders)}; #{number(oversold)} of them took what was not there")
    ]
  end

  defp lost(0), do: [:green, "none", :reset]
  defp lost(count), do: [:red, number(count), :reset]

  @doc "The first time that the stock of an article was negative."
  @spec oversold(Demo.Oversold.t(), integer) :: IO.ANSI.ansidata()
  def oversold(found, started) do
    [moment(found, started), "\n", states(found), "\n", cause(found), "\n", reason(found)]
  end

  defp moment(%{event: event} = found, started) do
    after_start = decimal((event.time - started) / 1_000_000_000, 6)

    [
      heading("When did the stock of an article first become negative?"),
      line(found.article, [
        clock(event.time),
        ", ",
        :bright,
        after_start,
        " s",
        :reset,
        " after the recording began"
      ])
    ]
  end

  defp states(found) do
    {changed, same} = Difference.of(found.before, found.after)

    [
      heading("The state of Shop.Stock"),
      line("", [:faint, columns(["just before", "just after"]), :reset]),
      for {path, old, new} <- changed do
        line(path, [columns([value(old)]), if(new < 0, do: :red, else: :green), columns([value(new)]), :reset])
      end,
      line("the same", [:faint, Enum.join(same, ", "), :reset])
    ]
  end

  defp cause(%{callback: callback, order: order}) do
    [
      heading("What did it?"),
      line("message", [
        [:bright, inspect(hd(callback.args)), :reset],
        " to #{server(callback)}, handled in #{span(callback.finished - callback.started)}"
      ]),
      line("sent by", [
        [:bright, name(order), :reset],
        ": #{inspect(order.pid)}, a task of #{inspect(order.supervisor)}"
      ]),
      line("which called", [show(order.take), " at #{order.take.file}:#{order.take.line}"]),
      line("had asked", [
        show(order.check),
        ", answer #{inspect(order.check.return)}, #{span(order.take.started - order.check.finished)} before"
      ]),
      line("in between", [show(order.payment), " for #{span(order.payment.finished - order.payment.started)}"])
    ]
  end

  defp reason(%{orders: orders, steps: [first | _] = steps} = found) do
    [
      heading("Why? #{length(orders)} checkouts at the same time"),
      line("", [:faint, lanes(Enum.map(orders, &name/1)), pad("#{found.article} left"), :reset]),
      for step <- steps do
        lane = for order <- orders, do: if(order.pid == step.pid, do: action(step), else: "")
        left = [if(step.left < 0, do: :red, else: :bright), pad(step.left), :reset]
        line("+ #{span(step.time - first.time)}", [colour(step), lanes(lane), :reset, left])
      end,
      "\n  Each of them was told that the pieces are there before the first one took any.\n",
      "  Nothing keeps them between Shop.Stock.in_stock?/1 and Shop.Stock.take/1.\n"
    ]
  end

  defp action(%{action: :asks, count: count, answer: true}), do: "#{count} there? yes"
  defp action(%{action: :asks, count: count, answer: false}), do: "#{count} there? no"
  defp action(%{action: :takes, count: count}), do: "takes #{count}"

  defp colour(%{action: :asks}), do: :cyan
  defp colour(%{action: :takes}), do: :yellow

  defp name(order), do: "##{order.number} of #{order.customer}"

  defp server(callback), do: inspect(elem(callback.mfa, 0))

  defp show(call) do
    {module, function, _arity} = call.mfa
    "#{inspect(module)}.#{function}(#{Enum.map_join(call.args, ", ", &inspect/1)})"
  end

  defp value(integer) when is_integer(integer), do: number(integer)
  defp value(other), do: inspect(other)

  defp heading(text), do: [:cyan, :bright, text, :reset, "\n"]
  defp line(label, text), do: ["  ", String.pad_trailing("#{label}", @label), text, "\n"]
  defp columns(texts), do: Enum.map(texts, &pad/1)
  defp pad(text), do: String.pad_leading("#{text}", 12)
  defp lanes(texts), do: Enum.map(texts, &String.pad_trailing(&1, @lane))
end
