# Loops of random programs: deeper than anything that the generator makes of fuel, so deep that the recorder gives up
# the frames of wrapped tail calls.
defmodule ElixirScope.Program.Loops do
  @moduledoc false

  import ElixirScope.Program.Dice

  alias ElixirScope.Program.{Expression, Shape}

  @doc "Two kinds of loops as definitions, with the calls that enter them."
  @spec make() :: %{functions: [{module(), Macro.t()}], entries: [{module(), atom(), [term()]}]}
  def make do
    some = Enum.map(Enum.take_random(1..12, 2), &loop/1)
    %{functions: Enum.flat_map(some, &elem(&1, 0)), entries: Enum.flat_map(some, &elem(&1, 1))}
  end

  defp a(entries, {:__block__, _, definitions}),
    do: {Enum.map(definitions, &{Golden.Random.A, &1}), entries(entries)}

  defp entries(entries), do: for({name, arguments} <- entries, do: {Golden.Random.A, name, arguments})

  # An integer made of the variables x and acc.
  defp int do
    Expression.allow(calls: 0, size: 3)
    code = Expression.make(:int, %{vars: [x: :int, acc: :int], callees: [], module: nil, fuel: false}, 1)

    Macro.prewalk(code, fn
      {name, _, context} when is_atom(context) -> Shape.variable(name)
      node -> node
    end)
  end

  defp deep, do: pick([5, 300])

  defp loop(1) do
    a(
      [self: [deep(), 0]],
      quote do
        def self(0, acc), do: acc
        def self(x, acc) when x > 0, do: self(x - 1, rem(acc + x, 7))
      end
    )
  end

  defp loop(2) do
    a(
      [even: [deep()], odd: [3]],
      quote do
        def even(0), do: true
        def even(x), do: odd(x - 1)
        def odd(0), do: false
        def odd(x), do: __MODULE__.even(x - 1)
      end
    )
  end

  defp loop(3) do
    a(
      [applied: [deep(), 0]],
      quote do
        def applied(0, acc), do: acc
        def applied(x, acc), do: apply(__MODULE__, :applied, [x - 1, rem(acc + x, 7)])
      end
    )
  end

  defp loop(4) do
    {functions, entries} =
      a(
        [ping: [deep()]],
        quote do
          def ping(0), do: :done
          def ping(x), do: Golden.Random.B.pong(x - 1)
          def nothing, do: nil
        end
      )

    {functions ++ [{Golden.Random.B, quote(do: def(pong(x), do: Golden.Random.A.ping(x)))}], entries}
  end

  defp loop(5) do
    a(
      [total: [[3, 1, 2]], total: [Enum.to_list(1..deep())]],
      quote do
        def total([]), do: 0
        def total([x | acc]), do: x + total(acc)
      end
    )
  end

  defp loop(6) do
    a(
      [listen: [4, []], listen: [deep(), []]],
      quote do
        def listen(0, got) do
          receive do
            {:m, x} -> listen(0, [x | got])
          after
            0 -> got
          end
        end

        def listen(x, got) do
          send(self(), {:m, x})
          listen(x - 1, got)
        end
      end
    )
  end

  defp loop(7) do
    a(
      [bytes: ["abc", 0], bytes: [<<7>>, 1], bits: [<<1, 255>>]],
      quote do
        def bytes(<<x, rest::binary>>, acc), do: bytes(rest, rem(acc + x, 9))
        def bytes(<<>>, acc), do: acc
        def bits(<<1::1, rest::bits>>), do: [1 | bits(rest)]
        def bits(<<x::1, rest::bits>>), do: [x, bits(rest)]
        def bits(<<>>), do: []
      end
    )
  end

  defp loop(8) do
    a(
      [tree: [{{1, 2}, {3, {4, []}}}], tree: [[1, {2, 3}]], tree: [:bad]],
      quote do
        def tree({l, r}), do: {tree(l), tree(r)}
        def tree(list) when is_list(list), do: Enum.map(list, &tree/1)
        def tree(x) when is_integer(x), do: x * 2
      end
    )
  end

  defp loop(9) do
    x = int()

    a(
      [funs: [deep(), 1], made: [3, 4]],
      quote do
        def funs(x, acc) do
          loop = fn
            _, 0, acc -> acc
            loop, x, acc -> loop.(loop, x - 1, rem(acc + x, 5))
          end

          loop.(loop, x, acc)
        end

        def made(x, acc) do
          add = fn y -> y + unquote(x) end
          twice = fn f -> fn z -> f.(f.(z)) end end
          twice.(twice.(add)).(acc)
        end
      end
    )
  end

  defp loop(10) do
    a(
      [deeper: [deep()], deeper: [400]],
      quote do
        def deeper(0), do: raise("bottom")
        def deeper(x), do: (fn -> Golden.Random.A.deeper(x - 1) end).()
      end
    )
  end

  # Frames that are in the way of an exception, each with something to do.
  defp loop(11) do
    a(
      [guarded: [4, 0], guarded: [5, 3]],
      quote do
        def guarded(0, acc), do: throw({:t, acc})

        def guarded(x, acc) do
          guarded(x - 1, acc)
        catch
          {:t, ^x} -> {:caught, x}
          {:t, y} -> throw({:t, y + 1})
        after
          send(self(), {:m, x})
        end
      end
    )
  end

  defp loop(12) do
    a(
      [passed: [deep(), 0], passed: [260, 2]],
      quote do
        def passed(0, acc), do: List.wrap(acc)
        def passed(x, acc), do: Enum.reduce([x], acc, fn y, acc -> passed(y - 1, rem(acc + y, 6)) end)
      end
    )
  end
end
