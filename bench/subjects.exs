defmodule Bench.Subjects do
  @moduledoc false
  # The same functions, plain and instrumented.

  body =
    quote do
      def add(a, b), do: a + b

      def classify(n) when n < 10, do: :small
      def classify(n) when n < 1_000, do: :middle
      def classify(_n), do: :large

      def total(order), do: order.count * order.price

      def sum(0, sum), do: sum
      def sum(n, sum), do: sum(n - 1, sum + n)

      def listen(0), do: :ok

      def listen(n) do
        send(self(), {:number, n})
        receive(do: ({:number, n} -> listen(n - 1)))
      end
    end

  defmodule Plain do
    @moduledoc false
    @compile {:no_inline, []}
    Module.eval_quoted(__MODULE__, body)
  end

  defmodule Instrumented do
    @moduledoc false
    use ElixirScope
    Module.eval_quoted(__MODULE__, body)
  end

  defmodule Deaf do
    @moduledoc false
    use ElixirScope, receives: false
    Module.eval_quoted(__MODULE__, body)
  end

  # A twin of Plain for :erlang.trace, so that the tracing of one does not touch the timing of the other.
  defmodule Traced do
    @moduledoc false
    Module.eval_quoted(__MODULE__, body)
  end
end
