defmodule ElixirScope.Instrument.Golden.ExceptionsTest do
  use ExUnit.Case, async: false

  alias ElixirScope.Golden

  @source ~S'''
  defmodule Golden.Exceptions do
    # scope
    defmodule Oops do
      defexception [:message, :code]
    end

    def rescued(fun) do
      {:ok, fun.()}
    rescue
      error in [ArithmeticError, Oops] -> {:rescued, error}
      error in RuntimeError -> {:runtime, Exception.message(error)}
    catch
      :throw, value -> {:thrown, value}
      :exit, reason -> {:exit, reason}
    else
      {:ok, 1} -> :one
      {:ok, n} when n > 1 -> {:more, n}
    after
      send(self(), :after)
    end

    def without_after(fun) do
      fun.()
    rescue
      error in ArgumentError -> helper(Exception.message(error))
    catch
      value -> helper(value)
    else
      1 -> helper(:one)
      n -> n
    end

    defp helper(x), do: {:helper, x}

    def raise_it, do: raise(Oops, message: "oops", code: 7)
    def raise_deep(x), do: [raise_it() | x]
    def raise_text(text), do: raise(text)
    def throw_it(x), do: throw(x)
    def exit_it(x), do: exit(x)
    def error_it(x), do: :erlang.error(x)
    def error_args(x), do: :erlang.error(x, [x])
    def again(fun) do
      try do
        fun.()
      rescue
        error -> reraise error, __STACKTRACE__
      end
    end
    def stack do
      try do
        raise_deep([])
      rescue
        _ -> Enum.map(__STACKTRACE__, fn {m, f, a, l} -> {m, f, a, l[:line]} end) |> hd()
      end
    end
    def nested do
      try do
        try do
          throw(:inner)
        after
          throw(:outer)
        end
      catch
        value -> value
      end
    end
    def badmatch(x), do: ({:ok, y} = x; y)
    def caseclause(x), do: (case x do 1 -> :one end)
    def condclause(x), do: (cond do x -> :yes end)
    def withclause(x), do: (with({:ok, y} <- x, do: y, else: (:error -> :failed)))
    def badarith(x), do: 1 + x
    def badarg(x), do: [:erlang.atom_to_list(x)]
    def badfun(x), do: [x.(1)]
    def badmap(x), do: [%{x | a: 1}]
    def keyerror(x), do: [x.key]
    def undef(x), do: [Nowhere.fun(x)]
    def badbool(x), do: x and true
  end
  '''

  test "rescue, catch, else, after, reraise, throw and exit" do
    Golden.assert_same(@source, [
      ~S|Golden.Exceptions.rescued(fn -> 1 end)|,
      ~S|Golden.Exceptions.rescued(fn -> 2 end)|,
      ~S|Golden.Exceptions.rescued(fn -> 0 end)|,
      ~S|Golden.Exceptions.rescued(fn -> Golden.Exceptions.raise_it() end)|,
      ~S|Golden.Exceptions.rescued(fn -> 1 / :erlang.binary_to_integer("0") end)|,
      ~S|Golden.Exceptions.rescued(fn -> raise "text" end)|,
      ~S|Golden.Exceptions.rescued(fn -> throw(:t) end)|,
      ~S|Golden.Exceptions.rescued(fn -> exit(:e) end)|,
      ~S|Golden.Exceptions.rescued(fn -> raise ArgumentError, "not caught" end)|,
      ~S|Golden.Exceptions.without_after(fn -> 1 end)|,
      ~S|Golden.Exceptions.without_after(fn -> 2 end)|,
      ~S|Golden.Exceptions.without_after(fn -> throw(:x) end)|,
      ~S|Golden.Exceptions.without_after(fn -> raise ArgumentError, "a" end)|,
      ~S|Golden.Exceptions.without_after(fn -> exit(:a) end)|,
      ~S|Golden.Exceptions.raise_it()|,
      # The compiler sees that raise_it/0 never returns and drops the frame of its caller.
      {:more_frames, ~S|Golden.Exceptions.raise_deep([])|},
      ~S|Golden.Exceptions.raise_text("boo")|,
      ~S|Golden.Exceptions.throw_it(1)|,
      ~S|Golden.Exceptions.exit_it(:normal)|,
      ~S|Golden.Exceptions.error_it(:why)|,
      ~S|Golden.Exceptions.error_args(:badarg)|,
      {:more_frames, ~S|Golden.Exceptions.again(fn -> Golden.Exceptions.raise_deep([]) end)|},
      ~S|Golden.Exceptions.stack()|,
      ~S|Golden.Exceptions.nested()|,
      ~S|Golden.Exceptions.badmatch(:error)|,
      ~S|Golden.Exceptions.caseclause(2)|,
      ~S|Golden.Exceptions.condclause(nil)|,
      ~S|Golden.Exceptions.withclause(:what)|,
      ~S|Golden.Exceptions.withclause(:error)|,
      ~S|Golden.Exceptions.withclause({:ok, 1})|,
      ~S|Golden.Exceptions.badarith(:a)|,
      ~S|Golden.Exceptions.badarg(1)|,
      ~S|Golden.Exceptions.badfun(1)|,
      ~S|Golden.Exceptions.badfun(fn -> 1 end)|,
      ~S|Golden.Exceptions.badmap(%{})|,
      ~S|Golden.Exceptions.badmap(1)|,
      ~S|Golden.Exceptions.keyerror(%{})|,
      ~S|Golden.Exceptions.undef(1)|,
      ~S|Golden.Exceptions.badbool(1)|
    ])
  end
end
