defmodule ElixirScope.Case do
  @moduledoc """
  Assertions on what was recorded, for ExUnit.

      defmodule CartTest do
        use ElixirScope.Case, async: true

        test "checkout takes every item from the stock" do
          {:ok, cart} = Cart.start_link()
          Cart.add(cart, %{id: 1, count: 2})
          Cart.checkout(cart)

          assert_called Stock.take(1, 2)
          refute_called Stock.put_back(_, _)
        end
      end

  It takes the options of `ExUnit.Case`. Beside another case template, `import ElixirScope.Assertions` does the same.

  Each test sees its own processes only, so tests may be `async`: the test process, those that it started (whether
  they are linked, supervised by `start_supervised/1`, tasks or plain `spawn`), those that these started, and tasks
  that name one of them among their callers. A process of plain `spawn` is known through the processes between it and
  the test that made events or were still alive at its first event. Nothing is mocked and no code is replaced: the recording is asked.
  """

  defmacro __using__(options) do
    quote do
      use ExUnit.Case, unquote(options)
      import ElixirScope.Assertions

      setup do
        ElixirScope.Case.Scope.begin()
      end
    end
  end
end
