defmodule ElixirScope.CaseTemplateTest.Template do
  @moduledoc false
  # As projects write theirs: with a setup, tags and imports of its own.
  use ExUnit.CaseTemplate

  using options do
    quote do
      import ElixirScope.Assertions
      @stocked Keyword.get(unquote(options), :stock, 0)
      @moduletag stocked: @stocked
    end
  end

  setup do
    ElixirScope.Case.begin()
  end

  setup %{stocked: count} do
    %{stock: start_supervised!({ElixirScope.Shop.Stock, count})}
  end
end

defmodule ElixirScope.CaseTemplateTest do
  # Assertions beside another case template, as the documentation of ElixirScope.Case says.
  use ElixirScope.CaseTemplateTest.Template, async: true, stock: 5

  alias ElixirScope.Shop.{Stock, Till}

  for number <- 1..2 do
    test "a test sees what it does itself, from its setup on, and not what others did: #{number}", %{
      stock: stock
    } do
      mine = unquote(number)
      refute_called Till.sell(_, _)
      assert_called Stock.init(5)
      Till.sell(mine, 1)
      Stock.take(stock, mine)
      assert [%{args: [^mine, 1]}] = assert_called(Till.sell(_, _), times: 1)
      left = 5 - mine
      assert_state stock, %{count: ^left}
      other = 3 - mine
      refute_called Till.sell(^other, _)

      assert_flow do
        Till.sell(id, _)
        Stock.handle_cast({:take, ^id}, _)
        state(stock, %{count: count})
      end

      assert {id, count} == {mine, left}
      assert [_] = ElixirScope.Trace.calls(record(fn -> Till.divide(4, 2) end))
    end
  end

  test "what belongs to ExUnit stays what it is, and a failure is one of its", %{stock: stock} do
    send(self(), :here)
    assert_receive :here
    refute_receive :there, 0
    error = assert_raise ExUnit.AssertionError, fn -> assert_called Till.sell(9, 9) end
    assert error.message =~ "Till.sell(9, 9)"
    assert error.message =~ "the test #{inspect(self())}"
    assert assert_state(stock, %{count: _}, :always) == %{count: 5}
  end
end
