defmodule ElixirScope.Ledger do
  @moduledoc false
  # Servers that change each other's states, for questions about who changed what.

  defmodule Account do
    @moduledoc false
    use GenServer
    use ElixirScope

    defstruct total: 0, entries: [], note: nil

    def start_link(options \\ []),
      do: GenServer.start_link(__MODULE__, options, Keyword.take(options, [:name]))

    def put(account, key, value), do: GenServer.call(account, {:put, key, value})

    @impl true
    def init(options) do
      state = struct(__MODULE__, Keyword.take(options, [:total, :note]))
      if options[:continue], do: {:ok, state, {:continue, {:note, options[:continue]}}}, else: {:ok, state}
    end

    @impl true
    def handle_call({:put, key, value}, _from, state), do: {:reply, :ok, Map.put(state, key, value)}
    def handle_call({:add, amount}, _from, state), do: {:reply, :ok, add(state, amount)}
    def handle_call({:later, note}, _from, state), do: {:reply, :ok, state, {:continue, {:note, note}}}
    def handle_call({:throw, note}, _from, state), do: throw({:reply, :ok, %{state | note: note}})
    def handle_call({:delete, key}, _from, state), do: {:reply, :ok, Map.delete(state, key)}
    def handle_call(:nothing, _from, state), do: {:reply, :ok, state}

    # The recording stands still for a moment within the callback.
    def handle_call({:paused, note}, _from, state) do
      :ok = ElixirScope.pause()
      :ok = ElixirScope.resume()
      {:reply, :ok, %{state | note: note}}
    end

    def handle_call({:twice, amount}, from, state) do
      {:reply, :ok, state} = handle_call({:add, amount}, from, state)
      handle_call({:add, amount}, from, state)
    end

    @impl true
    def handle_cast({:add, amount}, state), do: {:noreply, add(state, amount)}

    @impl true
    def handle_info({:add, amount}, state), do: {:noreply, add(state, amount)}

    @impl true
    def handle_continue({:note, note}, state), do: {:noreply, %{state | note: note}}

    defp add(state, amount), do: %{state | total: state.total + amount, entries: [amount | state.entries]}
  end

  defmodule Teller do
    @moduledoc false
    # A server that calls another one within its own callback.
    use GenServer
    use ElixirScope

    def start_link(account), do: GenServer.start_link(__MODULE__, account)
    def pay(teller, amount), do: GenServer.call(teller, {:pay, amount})

    @impl true
    def init(account), do: {:ok, %{account: account, paid: 0}}

    @impl true
    def handle_call({:pay, amount}, _from, state) do
      :ok = book(state.account, amount)
      {:reply, :ok, %{state | paid: state.paid + amount}}
    end

    def handle_call({:open, options}, _from, state) do
      {:ok, account} = Account.start_link(options)
      {:reply, account, Map.put(state, :opened, account)}
    end

    @impl true
    def handle_info({:pay, amount}, state) do
      :ok = book(state.account, amount)
      {:noreply, state}
    end

    defp book(account, amount), do: GenServer.call(account, {:add, amount})
  end

  defmodule Purse do
    @moduledoc false
    use Agent
    use ElixirScope

    def start_link(coins), do: Agent.start_link(fn -> coins end)
    def drop(purse, coin), do: Agent.update(purse, &[coin | &1])
  end

  defmodule Gate do
    @moduledoc false
    # A state machine.
    use ElixirScope

    @behaviour :gen_statem

    def start_link, do: :gen_statem.start_link(__MODULE__, 0, [])
    def push(gate), do: {:pushed, :gen_statem.call(gate, :push)}

    @impl true
    def callback_mode, do: :state_functions

    @impl true
    def init(pushes), do: {:ok, :shut, %{pushes: pushes}}

    def shut({:call, from}, :push, data),
      do: {:next_state, :open, %{data | pushes: data.pushes + 1}, [{:reply, from, :ok}]}

    def open({:call, from}, :push, data), do: {:next_state, :shut, data, [{:reply, from, :ok}]}
    def open(:info, :blow, data), do: {:next_state, :shut, data}
  end

  defmodule Bare do
    @moduledoc false
    # Records no arguments.
    use GenServer
    use ElixirScope, args: false

    @impl true
    def init(state), do: {:ok, state}

    @impl true
    def handle_call({:put, state}, _from, _old), do: {:reply, :ok, state}
  end

  defmodule Customer do
    @moduledoc false
    use ElixirScope

    def shop(teller, amounts), do: {:ok, Enum.each(amounts, &buy(teller, &1))}
    def buy(teller, amount), do: {Teller.pay(teller, amount), amount}

    def shop_when_told(teller, account, amount) do
      send(teller, :entered)

      receive do
        :go -> :ok
      end

      :ok = add(account, amount)
    end

    def count_and_add(account, amount) do
      Enum.each(1..amount, &step/1)
      :ok = add(account, amount)
    end

    defp step(number), do: number + 1
    defp add(account, amount), do: GenServer.call(account, {:add, amount})
  end

  defmodule Sums do
    @moduledoc false
    use ElixirScope, locals: true

    def fact(0), do: 1

    def fact(number) do
      less = number - 1
      rest = fact(less)
      product = number * rest
      product
    end

    def fails(number) do
      half = div(number, 2)
      raise ArgumentError, "half is #{half}"
    end

    def maps(numbers) do
      doubled =
        Enum.map(numbers, fn number ->
          other = number * 2
          other
        end)

      sum = Enum.sum(doubled)
      sum
    end

    def waits(asker, number) do
      double = number * 2
      send(asker, :bound)

      receive do
        :go -> :ok
      end

      result = double + 1
      result
    end

    def branches(number) do
      sum = 1
      same = 1

      case number do
        0 ->
          :none

        _other ->
          sum = number * 10
          same = 1
          send(self(), {sum, same})
      end

      total = sum + number * same
      total
    end

    def loop(0, sum), do: sum

    def loop(number, sum) do
      next = sum + number
      loop(number - 1, next)
    end
  end
end
