defmodule ElixirScope.Shop do
  @moduledoc false
  # A small program for assertions: a stock that is a server, and a till that works with it.

  defmodule Till do
    @moduledoc false
    use ElixirScope, except: [hidden: 1], count: [counted: 1]

    def sell(id, count) when count > 0, do: price(id) * count
    def sell(id, count), do: raise(ArgumentError, "cannot sell #{count} of #{id}")

    # Not exported.
    defp price(id), do: id * 10

    def divide(sum, by), do: div(sum, by)
    def toss(what), do: throw(what)
    def wait(to), do: receive(do: (^to -> to))
    def hold(left, right), do: {left, right}
    def counted(id), do: id
    def hidden(id), do: id
    @scope args: false
    def unseen(word), do: {:kept, word}

    defmacro twice(code), do: quote(do: {unquote(code), unquote(code)})
  end

  defmodule Stock do
    @moduledoc false
    use GenServer
    use ElixirScope

    def start_link(count), do: GenServer.start_link(__MODULE__, count)
    def start(count), do: GenServer.start(__MODULE__, count)
    def take(stock, count), do: GenServer.cast(stock, {:take, count})
    def take_later(stock, count, after_ms), do: GenServer.cast(stock, {:take_later, count, after_ms})
    def count(stock), do: GenServer.call(stock, :count)

    @impl true
    def init(count), do: {:ok, %{count: count}}

    @impl true
    def handle_call(:count, _from, state), do: {:reply, state.count, state}
    def handle_call({:link, pid}, _from, state), do: {:reply, Process.link(pid), state}

    @impl true
    def handle_cast({:take, count}, state), do: {:noreply, %{state | count: state.count - count}}

    def handle_cast({:take_later, count, after_ms}, state) do
      Process.send_after(self(), {:take, count}, after_ms)
      {:noreply, state}
    end

    def handle_cast({:crash, reason}, _state), do: exit(reason)

    @impl true
    def handle_info({:take, count}, state), do: {:noreply, %{state | count: state.count - count}}
  end
end
