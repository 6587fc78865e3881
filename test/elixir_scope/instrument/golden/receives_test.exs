defmodule ElixirScope.Instrument.Golden.ReceivesTest do
  use ExUnit.Case, async: false

  alias ElixirScope.Golden

  @source ~S'''
  defmodule Golden.Receives do
    # scope
    import ExUnit.Assertions

    def mailbox(messages, fun) do
      for message <- messages, do: send(self(), message)
      value = fun.()
      {:messages, left} = Process.info(self(), :messages)
      {value, left}
    end

    def whole do
      receive do
        message -> message
      end
    end

    def alias_and_parts do
      receive do
        {:a, [x | _] = list} = message when length(list) > 1 -> {message, list, x}
        %{key: value} = map -> {map, value}
        <<size, text::binary-size(size), _::binary>> = binary -> {binary, text}
        _ -> :other
      end
    end

    def pinned(x, {y, _} = pair) do
      receive do
        ^x -> :x
        {^x, ^y, z} -> z
        ^pair = same -> same
      after
        0 -> :none
      end
    end

    def pinned_key(key) do
      receive do
        %{^key => value} -> value
      end
    end

    def guards(limit) do
      receive do
        n when is_integer(n) and n > limit -> {:large, n}
        n when hd(n) == limit when n == :atom -> {:hd, n}
      after
        0 -> :none
      end
    end

    def selective, do: {receive(do: (:c -> :c)), receive(do: (:a -> :a)), receive(do: (x -> x))}

    def flush do
      receive do
        _ -> flush()
      after
        0 -> :flushed
      end
    end

    def count(n) do
      receive do
        :one -> count(n + 1)
        {:by, m} -> count(n + m)
        :stop -> n
      end
    end

    def nested do
      receive do
        {:outer, x} ->
          inner =
            receive do
              {:inner, ^x, y} -> {x, y}
              {:inner, other} -> receive(do: (^other -> other), after: (0 -> {:no, other}))
            end

          {x, inner}
      end
    end

    def value_of_match do
      {:ok, x} = y = receive(do: ({:ok, _} = got -> got))
      z = {receive(do: (a -> a)), receive(do: (a -> [a]))}
      {x, y, z}
    end

    def only_after(ms), do: receive(after: (ms -> :late))
    def only_after_zero, do: receive(after: (0 -> :now))
    def calculated(ms), do: receive(do: (:never -> :never), after: (div(ms, 2) + 1 -> :late))

    def bound_in_timeout do
      receive do
        :never -> :never
      after
        ms = 1 -> {:late, ms}
      end
    end

    # The line of it is that of the call which comes before in the object code; variables that are recorded would be such calls.
    def bad_timeout(ms) do
      receive do
        {:m, 1} -> :one
        {:m, 2} -> :two
      after
        ms -> :late
      end
    end

    def bad_timeout_behind(ms) do
      whole()

      receive do
        {:m, 1} -> :one
      after
        ms -> :late
      end
    end

    def bad_timeout_in_fn(ms) do
      f = fn n ->
        receive do
          {:m, 1} -> :one
        after
          n -> :late
        end
      end

      {f.(0), f.(ms)}
    end

    def bad_timeout_of(ms) do
      receive do
        x -> x
      after
        byte_size(ms) -> :late
      end
    end

    def infinite, do: receive(do: (x -> x), after: (:infinity -> :never))

    def in_fn do
      f = fn tag ->
        receive do
          {^tag, x} -> x
        after
          0 -> {:none, tag}
        end
      end

      {f.(:b), f.(:a), f.(:c)}
    end

    def in_for(n), do: for(i <- 1..n, do: receive(do: ({^i, x} -> x)))
    def in_reduce(n), do: for(i <- 1..n, reduce: [], do: (acc -> [receive(do: ({^i, x} -> x)) | acc]))
    def in_filter(n), do: for(i <- 1..n, receive(do: (x -> x)), do: i)
    def in_then, do: then(1, fn x -> receive(do: ({^x, y} -> y)) end)
    def in_and, do: is_integer(receive(do: (x -> x))) and receive(do: (x -> x))

    def in_case do
      case receive(do: (x -> x), after: (0 -> :none)) do
        :none -> receive(after: (0 -> :twice))
        other -> {:case, other}
      end
    end

    def in_with do
      with {:ok, x} <- receive(do: (m -> m)),
           {:ok, y} <- receive(do: (m -> m)) do
        {x, y}
      else
        {:error, why} -> receive(do: (m -> {why, m}))
      end
    end

    def in_try do
      try do
        receive do
          {:raise, text} -> raise text
          {:throw, x} -> throw(x)
          x -> x
        end
      rescue
        error in RuntimeError -> receive(do: (x -> {error.message, x}))
      catch
        x -> {:caught, x, receive(do: (y -> y))}
      after
        receive(do: (:cleanup -> send(self(), :clean)), after: (0 -> send(self(), :not_clean)))
      end
    end

    def raises do
      receive do
        {:badmatch, x} -> {:ok, _} = x
        {:clause, x} -> case(x, do: (1 -> 1))
        {:arith, x} -> x + 1
        {:call, x} -> String.upcase(x)
        {:tail, module} -> module.tail()
      after
        0 -> raise "nothing came"
      end
    end

    def tail, do: raise("in a tail call")
    def branch(x), do: if(x, do: receive(do: (m -> m)), else: :none)
    def given(message \\ receive(do: (m -> m))), do: message

    def binding_after do
      receive do
        {:m, x} -> x
      end
      |> then(&{:got, &1})
    end

    def reply(n) do
      me = self()
      ref = make_ref()
      pid = spawn(fn -> receive(do: ({:go, tag} -> send(me, {tag, n * 2}))) end)
      send(pid, {:go, ref})

      receive do
        {^ref, value} -> value
      after
        5_000 -> :late
      end
    end

    def asserted do
      send(self(), {:asked, 1})
      assert_receive({:asked, n} when n > 0)
      refute_receive(:nothing, 1)
      send(self(), {:asked, 2})
      assert_received({:asked, 2})
      n
    end

    def not_asserted do
      assert_receive({:asked, _}, 1)
    end

    def task, do: Task.await(Task.async(fn -> receive(do: (x -> x), after: (0 -> :alone)) end))
  end
  '''

  @calls [
    {"[{:a, 1}]", "whole()"},
    {"[:other, {:a, [1, 2]}]", "alias_and_parts()"},
    {"[{:a, [1, 2]}]", "alias_and_parts()"},
    {"[%{key: 1, more: 2}]", "alias_and_parts()"},
    {"[<<2, \"abc\">>]", "alias_and_parts()"},
    {"[1, {1, 2, 3}]", "pinned(1, {2, 3})"},
    {"[{1, 3, 3}, {1, 2, 3}]", "pinned(1, {2, 3})"},
    {"[{1, 3, 3}, {2, 3}]", "pinned(1, {2, 3})"},
    {"[2]", "pinned(1, {2, 3})"},
    {"[%{a: 1}, %{b: 2}]", "pinned_key(:b)"},
    {"[1, 2, 3]", "guards(1)"},
    {"[{}, [1]]", "guards(1)"},
    {"[{}, :atom]", "guards(1)"},
    {"[{}]", "guards(1)"},
    {"[:a, :b, :c]", "selective()"},
    {"[1, 2, 3]", "flush()"},
    {"[:one, :other, {:by, 5}, :one, :stop, :one]", "count(0)"},
    {"[{:inner, 1, 2}, {:outer, 1}]", "nested()"},
    {"[{:inner, 2}, {:outer, 1}, 2]", "nested()"},
    {"[{:inner, 2}, {:outer, 1}]", "nested()"},
    {"[:x, {:ok, 1}, :y]", "value_of_match()"},
    {"[:x]", "only_after(1)"},
    {"[:x]", "only_after_zero()"},
    {"[:x]", "calculated(1)"},
    {"[:x]", "bound_in_timeout()"},
    {"[{:m, 1}]", "bad_timeout(:no_number)"},
    {"[:x]", "bad_timeout(-1)"},
    {"[:x, :y]", "bad_timeout_behind(:no_number)"},
    {"[:x]", "bad_timeout_in_fn(:no_number)"},
    {"[]", "bad_timeout(0)"},
    {"[]", "bad_timeout(1.0)"},
    {"[]", "bad_timeout(0x100000000)"},
    {"[{:m, 1}]", "bad_timeout(0xFFFFFFFF)"},
    {"[]", "bad_timeout_of(:no_binary)"},
    {"[]", "bad_timeout_of(<<>>)"},
    {"[:x]", "infinite()"},
    {"[{:a, 1}, {:b, 2}]", "in_fn()"},
    {"[{2, :b}, {1, :a}, {3, :c}]", "in_for(3)"},
    {"[{2, :b}, {1, :a}, {3, :c}]", "in_reduce(3)"},
    {"[true, false, nil]", "in_filter(3)"},
    {"[{2, 2}, {1, 1}]", "in_then()"},
    {"[1, true]", "in_and()"},
    {"[:no, true]", "in_and()"},
    {"[]", "in_case()"},
    {"[1]", "in_case()"},
    {"[{:ok, 1}, {:ok, 2}]", "in_with()"},
    {"[{:error, 1}, {:ok, 2}]", "in_with()"},
    {"[{:raise, \"text\"}, 1]", "in_try()"},
    {"[{:throw, 7}, :y, :cleanup]", "in_try()"},
    {"[1]", "in_try()"},
    {"[{:badmatch, :error}]", "raises()"},
    {"[{:clause, 2}]", "raises()"},
    {"[{:arith, :a}]", "raises()"},
    {"[{:call, 1}]", "raises()"},
    {"[{:tail, Golden.Receives}]", "raises()"},
    {"[]", "raises()"},
    {"[1, 2]", "branch(true)"},
    {"[1, 2]", "branch(false)"},
    {"[1, 2]", "given()"},
    {"[{:m, 1}]", "binding_after()"},
    {"[:x]", "reply(4)"},
    {"[]", "asserted()"},
    {"[:x]", "not_asserted()"},
    {"[:x]", "task()"}
  ]

  test "which message is taken, what is left, what is raised and where, and every warning stay" do
    Golden.assert_same(
      @source,
      for(
        {messages, call} <- @calls,
        do: "Golden.Receives.mailbox(#{messages}, fn -> Golden.Receives.#{call} end)"
      )
    )
  end

  test "the compiler warns of the same" do
    source = ~S'''
    defmodule Golden.Warned do
      # scope
      def unused do
        receive do
          {:a, x} -> :a
          {:b, y} = whole -> y
        after
          0 -> late = 1
        end
      end
      def unreachable do
        receive do
          x -> x
          :never -> :never
        end
      end
      def never, do: receive(do: ({:m, x} when x > 1 and is_atom(x) -> x), after: (:infinity -> :unreachable))
      def outside do
        receive(do: (x -> x))
        {:unused, 1}
        :end
      end
    end
    '''

    {_modules, warnings} = Golden.build(String.replace(source, "# scope", ""))
    assert warnings =~ ~s(variable "x" is unused) and warnings =~ "cannot match"
    Golden.assert_same(source, ["Golden.Warned.unused()"])
  end
end
