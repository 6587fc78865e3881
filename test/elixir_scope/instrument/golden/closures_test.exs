defmodule ElixirScope.Instrument.Golden.ClosuresTest do
  use ExUnit.Case, async: false

  alias ElixirScope.Golden

  @source ~S'''
  defmodule Golden.Closures do
    # scope
    def none, do: fn -> :none end
    def one(y), do: fn x when x > 1 -> {x, y} end
    def two(y) do
      fn
        1, 2 ->
          y

        3, {:ok, z} when z != y ->
          z
      end
    end
    def wide, do: fn a, b, c, d, e, f, g, h, i, j, k, l, m -> [a, b, c, d, e, f, g, h, i, j, k, l, m] end
    def capture(list), do: Enum.map(list, &(&1 + 1))
    def capture_two(list), do: Enum.reduce(list, &(&1 * 10 + &2))
    def capture_local(list), do: Enum.map(list, &twice/1)
    def twice(x), do: 2 * x
    def nested(x), do: fn y -> fn z -> fn -> {x, y, z} end end end
    def same_names(x), do: fn x -> (fn {x, y} -> {x, y}; x -> [x] end).(x) end
    def pinned(x), do: fn ^x -> :same; {^x, x} -> x; _ -> :other end
    def applied(x), do: (fn y when y > 1 -> y end).(x)
    def applied_apart(x), do: [apply(fn y when y > 1 -> y end, [x])]
    def thened(x), do: then(x, fn {:ok, y} -> y end)
    def into_local(list), do: Enum.map(list, fn x -> twice(x) end)
    def rescuing(f) do
      fn x ->
        try do
          f.(x)
        rescue
          e in ArithmeticError -> {:rescued, e}
        catch
          :throw, v -> {:thrown, v}
        else
          v -> {:fine, v}
        after
          send(self(), :after)
        end
      end
    end
    def raising, do: fn x -> [raise(ArgumentError, "fn #{x}")] end
    def throwing, do: fn x -> [throw(x)] end
    def exiting, do: fn x -> [exit(x)] end
    def receiving, do: fn -> receive do x -> x after 0 -> :nothing end end
    def elsewhere(f), do: Task.async(fn -> f.() end) |> Task.await()
    def comprehension(list), do: for({k, f} <- list, g = fn x -> f.(x) + 1 end, into: %{}, do: {k, g.(k)})
    def arity(f), do: Function.info(f, :arity)
    def with_default(x, f \\ fn y -> y + 1 end), do: f.(x)
    def guarded(list), do: Enum.filter(list, fn x when is_integer(x) -> x > 1; _ -> false end)
    def bytes(b), do: Enum.map([b], fn <<n, rest::binary-size(n), _::bits>> -> rest end)
    def keys(m, k), do: Enum.map([m], fn %{^k => v} = m -> {v, map_size(m)} end)
    def stack, do: Enum.map([1], fn _ -> Process.info(self(), :current_stacktrace) |> elem(1) |> length() > 0 end)
    def exported(x) do
      f = fn a -> b = a + 1; c = b * 2; {b, c} end
      {b, c} = f.(x)
      b + c
    end
    for name <- [:alpha, :beta] do
      def unquote(name)(x), do: Enum.map([x], fn y -> {unquote(name), y} end)
    end
    @compile {:inline, inlined: 1}
    def inlined(x), do: Enum.map([x], fn y -> y end)
    def stream(n), do: Stream.unfold(n, fn 0 -> nil; m -> {m, m - 1} end) |> Stream.map(&(&1 * 2)) |> Enum.to_list()
    def update(agent), do: Agent.get_and_update(agent, fn state -> {state, state + 1} end)
  end
  '''

  test "anonymous functions of every kind" do
    Golden.assert_same(@source, [
      ~S|Golden.Closures.none().()|,
      ~S|Golden.Closures.one(7).(2)|,
      ~S|Golden.Closures.one(7).(1)|,
      ~S|Golden.Closures.two(7).(1, 2)|,
      ~S|Golden.Closures.two(7).(3, {:ok, 8})|,
      ~S|Golden.Closures.two(7).(3, {:ok, 7})|,
      ~S|Golden.Closures.wide().(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13)|,
      ~S|Golden.Closures.capture([1, 2])|,
      ~S|Golden.Closures.capture([:a])|,
      ~S|Golden.Closures.capture_two([1, 2, 3])|,
      ~S|Golden.Closures.capture_local([1, 2])|,
      ~S|Golden.Closures.nested(1).(2).(3).()|,
      ~S|{Golden.Closures.same_names(1).({2, 3}), Golden.Closures.same_names(1).(1)}|,
      ~S|Enum.map([1, {1, 5}, {2, 5}, 2], Golden.Closures.pinned(1))|,
      ~S|Golden.Closures.applied(2)|,
      ~S|Golden.Closures.applied(1)|,
      ~S|Golden.Closures.thened({:ok, 1})|,
      ~S|Golden.Closures.thened(:error)|,
      ~S|Golden.Closures.into_local([1, 2])|,
      ~S|Golden.Closures.into_local([:a])|,
      ~S|Golden.Closures.rescuing(fn x -> x end).(1)|,
      ~S|Golden.Closures.rescuing(fn x -> x + 1 end).(:a)|,
      ~S|Golden.Closures.rescuing(fn x -> throw(x) end).(1)|,
      ~S|Golden.Closures.rescuing(fn x -> exit(x) end).(1)|,
      ~S|Golden.Closures.raising().(1)|,
      ~S|Golden.Closures.throwing().(1)|,
      ~S|Golden.Closures.exiting().(1)|,
      ~S|(send(self(), :hello); Golden.Closures.receiving().())|,
      ~S|Golden.Closures.receiving().()|,
      ~S|Golden.Closures.elsewhere(fn -> 1 end)|,
      ~S|Golden.Closures.comprehension([{1, fn x -> x end}, :skipped])|,
      ~S|Golden.Closures.arity(Golden.Closures.two(1))|,
      ~S|{Golden.Closures.with_default(1), Golden.Closures.with_default(1, & &1)}|,
      ~S|Golden.Closures.guarded([1, 2, :a])|,
      ~S|Golden.Closures.bytes(<<2, 3, 4, 5>>)|,
      ~S|Golden.Closures.bytes(<<2>>)|,
      ~S|Golden.Closures.keys(%{a: 1}, :a)|,
      ~S|Golden.Closures.keys(%{a: 1}, :b)|,
      ~S|Golden.Closures.stack()|,
      ~S|Golden.Closures.exported(1)|,
      ~S|{Golden.Closures.alpha(1), Golden.Closures.beta(2), Golden.Closures.inlined(3)}|,
      ~S|Golden.Closures.stream(3)|,
      ~S|({:ok, agent} = Agent.start_link(fn -> 1 end); {Golden.Closures.update(agent), Golden.Closures.update(agent)})|,
      ~S|Golden.Closures.one(1) == Golden.Closures.one(1)|,
      ~S|:erlang.fun_info(Golden.Closures.one(1), :env)|
    ])
  end
end
