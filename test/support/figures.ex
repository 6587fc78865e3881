defmodule ElixirScope.Figures do
  @moduledoc false
  # Programs whose calls can be counted on one's fingers.

  defmodule Kitchen do
    @moduledoc false
    use ElixirScope

    # 1 + 3 * (1 + 2) calls.
    def dinner, do: {:done, Enum.map(1..3, &course/1)}
    def course(number), do: [chop(number), cook(number)]
    def chop(number), do: number
    def cook(number), do: {:cooked, number}

    # Not in tail position.
    def factorial(0), do: 1
    def factorial(number), do: number * factorial(number - 1)

    # A loop of tail calls, and a chain of them.
    def stir(0), do: :stirred
    def stir(left), do: stir(left - 1)

    def first(number), do: second(number)
    defp second(number), do: third(number)
    defp third(:burn), do: raise(ArgumentError, "burnt")
    defp third(number), do: number + 1

    # A loop of two functions.
    def ping(0), do: :over
    def ping(left), do: pong(left)
    defp pong(left), do: ping(left - 1)

    def serve(guest) do
      answer = wait(guest)
      {:served, answer}
    end

    def wait(guest) do
      send(guest, {:waiting, self()})

      receive do
        :go -> :gone
      end
    end
  end

  defmodule Counter do
    @moduledoc false
    # A server that is kept from taking messages until the first number of the gate is set, and says by the second that it is: one more
    # than there are messages. Looking at them has the VM tell that they are delivered, which it else does when the server takes one.
    use GenServer
    use ElixirScope

    @impl true
    def init(count), do: {:ok, count}

    @impl true
    def handle_cast({:hold, gate}, count) do
      hold(gate)
      {:noreply, count}
    end

    def handle_cast(:add, count), do: {:noreply, count + 1}

    @impl true
    def handle_call(:get, _from, count), do: {:reply, count, count}

    defp hold(gate) do
      {:message_queue_len, messages} = Process.info(self(), :message_queue_len)
      :atomics.put(gate, 2, messages + 1)
      if :atomics.get(gate, 1) == 0, do: hold(gate)
    end
  end
end
