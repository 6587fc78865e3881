defmodule ElixirScope.Doctest do
  @moduledoc false
  # What the examples in the docs use.

  defmodule Counter do
    @moduledoc false
    use GenServer
    use ElixirScope

    @impl true
    def init(count), do: {:ok, count}

    @impl true
    def handle_call(:next, _from, count), do: {:reply, count, count + 1}
  end

  defmodule Sum do
    @moduledoc false
    use ElixirScope, count: [:sum]

    def of(numbers), do: sum(numbers, 0)

    defp sum([], total), do: total
    defp sum([number | rest], total), do: sum(rest, total + number)
  end

  defmodule Price do
    @moduledoc false
    use ElixirScope, locals: true

    def with_tax(net) do
      tax = div(net * 19, 100)
      net + tax
    end
  end

  defmodule Plain do
    @moduledoc false
    def double(number), do: 2 * number
    def triple(number), do: 3 * number
  end

  defmodule Stock do
    @moduledoc false
    use GenServer
    use ElixirScope

    def start_link(pieces), do: GenServer.start_link(__MODULE__, pieces)
    def take(stock, article, count), do: GenServer.call(stock, {:take, article, count})

    @impl true
    def init(pieces), do: {:ok, pieces}

    @impl true
    def handle_call({:take, article, count}, _from, pieces) do
      {:reply, :ok, Map.update!(pieces, article, fn left -> left - count end)}
    end
  end

  def dir, do: Path.join(System.tmp_dir!(), "elixir_scope_doctest_#{System.pid()}")
end
