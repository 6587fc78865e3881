defmodule ElixirScope.Instrument.Golden.DelegatesTest do
  use ExUnit.Case, async: false

  alias ElixirScope.Golden

  @source ~S'''
  defmodule Golden.Delegates do
    # scope
    defdelegate upcase(text), to: String
    defdelegate own(x), to: __MODULE__, as: :target
    defdelegate lost(x), to: Nowhere, as: :gone
    def target(x), do: {:target, x}
    def capture(x), do: Enum.map(x, &target/1)
    def capture_remote(x), do: Enum.map(x, &__MODULE__.target/1)
    def capture_private(x), do: Enum.map(x, &hidden/1)
    defp hidden(x), do: {:hidden, x}
    def applied(f, args), do: apply(__MODULE__, f, args)
    def apply_fun(f, args), do: apply(f, args)
    def dynamic(m, x), do: m.target(x)
    def in_then(x), do: x |> then(&target/1)
    def remote_then(x), do: x |> then(&Integer.to_string/1)
    def partial(x), do: Enum.map(x, &add(&1, 1))
    defp add(a, b), do: a + b
    def name, do: {__MODULE__, __ENV__.function}
    def order do
      add(note(:a, 1), note(:b, 2))
    end
    def remote_order do
      Kernel.max(note(:a, 1), note(:b, 2)) |> Integer.digits(note(:c, 10))
    end
    defp note(tag, x), do: (send(self(), tag); x)
    def messages do
      receive do
        m -> [m | messages()]
      after
        0 -> []
      end
    end
  end
  '''

  test "defdelegate, captures and apply" do
    Golden.assert_same(@source, [
      ~S|Golden.Delegates.upcase("a")|,
      ~S|Golden.Delegates.upcase(1)|,
      ~S|Golden.Delegates.own(1)|,
      ~S|Golden.Delegates.capture([1])|,
      ~S|Golden.Delegates.capture_remote([1])|,
      ~S|Golden.Delegates.capture_private([1])|,
      ~S|Golden.Delegates.applied(:target, [1])|,
      ~S|Golden.Delegates.applied(:target, [1, 2])|,
      ~S|Golden.Delegates.applied(:target, :x)|,
      ~S|Golden.Delegates.apply_fun(&Golden.Delegates.target/1, [1])|,
      ~S|Golden.Delegates.apply_fun(1, [1])|,
      ~S|Golden.Delegates.dynamic(Golden.Delegates, 1)|,
      ~S|Golden.Delegates.dynamic(Nowhere, 1)|,
      ~S|Golden.Delegates.dynamic(1, 1)|,
      ~S|Golden.Delegates.in_then(2)|,
      ~S|Golden.Delegates.remote_then(2)|,
      ~S|Golden.Delegates.remote_then(:a)|,
      ~S|Golden.Delegates.partial([1, 2])|,
      ~S|Golden.Delegates.partial([:a])|,
      ~S|Golden.Delegates.name()|,
      ~S|{Golden.Delegates.order(), Golden.Delegates.messages()}|,
      ~S|{Golden.Delegates.remote_order(), Golden.Delegates.messages()}|,
      ~S|Golden.Delegates.lost(1)|,
      ~S|(&Golden.Delegates.target/1).(1)|,
      ~S|Function.info(&Golden.Delegates.target/1)[:name]|
    ])
  end
end
