defmodule ElixirScope.Instrument.LocalsTest do
  # What `locals: true` records: which names, with which values, of which line, in which order.
  use ExUnit.Case, async: false

  alias ElixirScope.{ErlangText, Golden}
  alias ElixirScope.Instrument.{Options, Transform}

  doctest ElixirScope.Instrument.Probe

  @source ~S'''
  defmodule Golden.Macros do
    defmacro hygienic(x), do: quote(do: (hidden = unquote(x); hidden + 1))
    defmacro open(x), do: quote(do: var!(shown) = unquote(x))
  end

  defmodule Golden.Locals do
    # scope
    def heads({:ok, x} = all, [h | _], _ignored), do: {x, all, h}
    def heads(%{key: v}, <<n, rest::binary-size(n)>>, "a" <> b), do: {v, n, rest, b}
    def defaults(x, y \\ 2), do: {x, y}
    def matches(x) do
      y = x + 1
      {:ok, a} = b = {:ok, y}
      x = a * 2
      [_, ^x] = [b, x]
      {x, z = y}
    end
    def last(x), do: y = x
    def last_pattern(x), do: {:ok, y} = x
    def cases(x) do
      case x do
        {:a, y} -> y
        {:b, y} when y > 1 -> {:b, y}
        ^x -> :same
      end
    end
    def conds(x) do
      cond do
        y = x[:a] -> y
        true -> :none
      end
    end
    def ifs(x), do: if(y = x, do: (z = 1; z), else: y)
    def withs(x) do
      with {:ok, a} <- x,
           b = a + 1,
           true <- b > 1 do
        b
      else
        {:error, why} -> why
      end
    end
    def otherwise(x) do
      with :never <- x do
        x
      else
        any -> any
      end
    end
    def receives(x) do
      receive do
        {:got, ^x, y} -> y
      after
        x -> late = :late; late
      end
    end
    def rescues(f) do
      f.()
    rescue
      e in [RuntimeError, ArithmeticError] -> e.__struct__
      other -> other.__struct__
    catch
      :exit, why -> why
      kind, thrown -> {kind, thrown}
    else
      1 -> :one
      value -> value
    after
      cleaned = :yes
      cleaned
    end
    def fns(list) do
      Enum.map(list, fn
        {:ok, x} -> y = x + 1; y
        x -> x
      end)
    end
    def captures(list), do: Enum.map(list, &(&1 + 1))
    def named_so(list), do: Enum.map(list, fn capture -> capture + 1 end)
    def closes(x), do: (f = fn y -> x + y end; f.(1))
    def thens(x), do: then(x, fn {:ok, y} -> y end)
    def fors(list), do: for({:ok, x} <- list, y = x + 1, z <- [y], z > 2, do: z)
    def reduces(list), do: (for x <- list, reduce: 0 do acc -> acc + x end)
    def bits(bits), do: for(<<b::4 <- bits>>, c = b + 1, do: c)
    def intos(list), do: for({k, v} <- list, into: %{}, do: {k, v})
    def macros(x) do
      import Golden.Macros
      y = hygienic(x)
      open(y)
      shown
    end
    def questions(ok?, bang!), do: {ok?, bang!}
    def unicode(größe), do: größe
    def many(a, b, c, d, e, f, g, h, i, j, k, l, m), do: [a, b, c, d, e, f, g, h, i, j, k, l, m]
    def nothing(1, _), do: :nothing
  end
  '''

  # Compiling takes longer than all the rest.
  setup_all do
    {modules, _warnings} = @source |> Golden.instrument("use ElixirScope, locals: true") |> Golden.build()
    %{modules: modules}
  end

  setup %{modules: modules} do
    Process.put(:modules, modules)
    :ok
  end

  defp with_modules(fun), do: Golden.with_loaded(Process.get(:modules), fn -> Golden.on(fun) end)

  # {function, line of the source, variables} of every place that bound.
  defp bindings(expression) do
    with_modules(fn ->
      {fun, _} = Code.eval_string("fn -> #{expression} end")
      since = ElixirScope.now()
      fun.()
      events = ElixirScope.events(kind: :binding, pid: self(), since: since)
      for event <- events, do: {elem(event.mfa, 1), event.line, event.data.bindings}
    end)
  end

  defp variables(expression), do: for({_, _, variables} <- bindings(expression), do: variables)

  # The number of the line of the source in which a text stands.
  defp line(text) do
    lines = String.split(@source, "\n")
    1 + Enum.find_index(lines, &String.contains?(&1, text))
  end

  test "heads: arguments and what is taken out of them" do
    assert bindings("Golden.Locals.heads({:ok, 1}, [2, 3], 4)") ==
             [{:heads, line("def heads({:ok"), [x: 1, all: {:ok, 1}, h: 2]}]

    assert variables(~S|Golden.Locals.heads(%{key: 1}, <<1, 2>>, "abc")|) ==
             [[v: 1, n: 1, rest: <<2>>, b: "bc"]]

    assert variables("Golden.Locals.defaults(1)") == [[x: 1, y: 2]]
    assert variables("Golden.Locals.questions(1, 2)") == [[ok?: 1, bang!: 2]]
    assert variables("Golden.Locals.unicode(1)") == [[größe: 1]]
    assert variables("Golden.Locals.nothing(1, 2)") == []
  end

  test "matches, each on its line; names are bound anew, pinned ones are not bound" do
    assert bindings("Golden.Locals.matches(1)") == [
             {:matches, line("def matches"), [x: 1]},
             {:matches, line("y = x + 1"), [y: 2]},
             {:matches, line("{:ok, a} = b ="), [a: 2, b: {:ok, 2}]},
             {:matches, line("x = a * 2"), [x: 4]},
             {:matches, line("{x, z = y}"), [z: 2]}
           ]
  end

  test "the last match of a function: a variable is what it returns, a pattern takes it apart" do
    assert variables("Golden.Locals.last(1)") == [[x: 1]]
    assert variables("Golden.Locals.last_pattern({:ok, 1})") == [[x: {:ok, 1}], [y: 1]]
  end

  test "case, cond, if and with" do
    assert variables("Golden.Locals.cases({:a, 1})") == [[x: {:a, 1}], [y: 1]]
    assert bindings("Golden.Locals.cases({:b, 2})") |> List.last() == {:cases, line("{:b, y} when"), [y: 2]}
    assert variables("Golden.Locals.conds(a: 1)") == [[x: [a: 1]], [y: 1]]
    assert variables("Golden.Locals.ifs(1)") == [[x: 1], [y: 1], [z: 1]]
    assert variables("Golden.Locals.ifs(nil)") == [[x: nil], [y: nil]]
    assert variables("Golden.Locals.withs({:ok, 1})") == [[x: {:ok, 1}], [a: 1], [b: 2]]
    assert variables("Golden.Locals.withs({:error, 1})") == [[x: {:error, 1}], [why: 1]]
    # Elixir gives this clause the line of the `with`.
    assert {:withs, line("{:error, why} -> why"), [why: 1]} in bindings("Golden.Locals.withs({:error, 1})")
    assert {:otherwise, line("any -> any"), [any: 1]} in bindings("Golden.Locals.otherwise(1)")
  end

  test "receive, rescue, catch, else and after" do
    assert variables("send(self(), {:got, 1, 2}); Golden.Locals.receives(1)") == [[x: 1], [y: 2]]
    assert variables("Golden.Locals.receives(0)") == [[x: 0], [late: :late]]

    for {body, expected} <- [
          {"1", []},
          {"7", [value: 7]},
          {"raise RuntimeError", [e: %RuntimeError{}]},
          {"raise KeyError", [other: %KeyError{}]},
          {"exit(7)", [why: 7]},
          {"throw(7)", [kind: :throw, thrown: 7]}
        ] do
      [[f: _] | rest] = variables("Golden.Locals.rescues(fn -> #{body} end)")
      assert {body, rest} == {body, Enum.reject([expected], &(&1 == [])) ++ [[cleaned: :yes]]}
    end
  end

  test "anonymous functions bind under their own names" do
    assert bindings("Golden.Locals.fns([{:ok, 1}, 2])") == [
             {:fns, line("def fns"), [list: [{:ok, 1}, 2]]},
             {:"fns/1-fn-1", line("{:ok, x} -> y"), [x: 1]},
             {:"fns/1-fn-1", line("{:ok, x} -> y"), [y: 2]},
             {:"fns/1-fn-1", line("x -> x"), [x: 2]}
           ]

    assert variables("Golden.Locals.captures([1])") == [[list: [1]]]
    assert variables("Golden.Locals.named_so([1])") == [[list: [1]], [capture: 1]]

    assert [{:closes, _, [x: 1]}, {:closes, _, [f: _]}, {:"closes/1-fn-1", _, [y: 1]}] =
             bindings("Golden.Locals.closes(1)")

    assert bindings("Golden.Locals.thens({:ok, 1})") |> Enum.map(&elem(&1, 0)) == [:thens, :thens]
  end

  test "generators and filters of comprehensions" do
    assert variables("Golden.Locals.fors([{:ok, 2}, :no])") == [
             [list: [{:ok, 2}, :no]],
             [x: 2],
             [y: 3],
             [z: 3]
           ]

    assert variables("Golden.Locals.reduces([1, 2])") == [[list: [1, 2]], [x: 1], [acc: 0], [x: 2], [acc: 1]]
    assert variables("Golden.Locals.bits(<<0x12>>)") == [[bits: <<0x12>>], [b: 1], [c: 2], [b: 2], [c: 3]]
    assert variables("Golden.Locals.intos([{1, 2}])") == [[list: [{1, 2}]], [k: 1, v: 2]]
    assert bindings("Golden.Locals.fors([{:ok, 2}])") |> Enum.map(&elem(&1, 0)) |> Enum.uniq() == [:fors]
  end

  test "variables of macros are not the user's, unless the macro says so" do
    assert variables("Golden.Locals.macros(1)") == [[x: 1], [y: 2], [shown: 2]]
  end

  test "more variables than the recorder has doors for" do
    assert [many] = variables("Golden.Locals.many(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13)")
    assert many == Enum.zip([:a, :b, :c, :d, :e, :f, :g, :h, :i, :j, :k, :l, :m], 1..13)
  end

  test "events of bindings lie between the call and its return, each with a node of its own" do
    mfa = {Elixir.Golden.Locals, :matches, 1}

    with_modules(fn ->
      since = ElixirScope.now()
      apply(Elixir.Golden.Locals, :matches, [1])
      events = Enum.to_list(ElixirScope.events(pid: self(), since: since, mfa: mfa))
      kinds = [:call] ++ List.duplicate(:binding, 5) ++ [:return]
      assert Enum.map(events, & &1.kind) == kinds
      nodes = for event <- events, event.kind != :return, do: event.node
      assert nodes == Enum.uniq(nodes)
      assert [%{outcome: :returned, return: {4, 2}}] = Enum.to_list(ElixirScope.calls(mfa, since: since))
    end)
  end

  test "without locals: true nothing is recorded of them" do
    source = "defmodule Golden.NoLocals do\n# scope\ndef f(x), do: (y = x + 1; y * 2)\nend"
    assert [{:call, _, [1]}, {:return, _, 4}] = Golden.events_of(source, "Golden.NoLocals.f(1)")

    Golden.with_instrumented(source, fn ->
      Golden.on(fn ->
        since = ElixirScope.now()
        4 = apply(Elixir.Golden.NoLocals, :f, [1])
        assert Enum.to_list(ElixirScope.events(kind: :binding, pid: self(), since: since)) == []
      end)
    end)
  end

  test "places that bind are not functions" do
    with_modules(fn ->
      functions = ElixirScope.Instrument.functions(Elixir.Golden.Locals)
      assert {:heads, 3} in functions
      assert functions -- Elixir.Golden.Locals.module_info(:functions) == []
      {:ok, %{functions: before}} = ElixirScope.status()
      apply(Elixir.Golden.Locals, :conds, [[a: 1]])
      ElixirScope.flush()
      assert {:ok, %{functions: now}} = ElixirScope.status()
      assert now - before <= 1
    end)
  end

  test "a server's state is written once, and read back from the bindings of its callbacks" do
    source = ~S"""
    defmodule Golden.LocalServer do
      use GenServer
      # scope
      def init(n), do: {:ok, %{count: n, pad: Enum.to_list(1..50)}}
      def handle_call(:add, _from, %{count: n} = state) do
        next = %{state | count: n + 1}
        {:reply, n, next}
      end
    end
    """

    Golden.with_instrumented(source, "use ElixirScope, locals: true", fn ->
      Golden.on(fn ->
        since = ElixirScope.now()
        {:ok, server} = GenServer.start_link(Elixir.Golden.LocalServer, 7)
        7 = GenServer.call(server, :add)
        GenServer.stop(server)

        assert [[n: 7], [n: 7, state: %{count: 7, pad: [1 | _]} = state], [next: next]] =
                 for(
                   event <- ElixirScope.events(kind: :binding, pid: server, since: since),
                   do: event.data.bindings
                 )

        assert next == %{state | count: 8}
      end)
    end)
  end

  # What only Erlang has: comprehensions as such, names that hide others, values of matches in odd places.
  test "Erlang behaves the same" do
    text = """
    -module(scope_locals). -export([f/2]). -record(r, {a = 1, b}).
    f(X, L) ->
      A = [{Y, Z} || {Y, _} = E <- L, Z <- [E], Y > (W = 0), W == 0],
      B = << <<(V = Q):8>> || <<Q:4>> <= <<18>>, V0 <- [1], V0 == 1 >>,
      #r{b = C} = R = #r{b = X},
      M = \#{X => D = 5, k => {D0 = 6, X}},
      \#{X := D1} = M,
      F = fun G(0) -> 0; G(N) -> N + G(N - 1) end,
      H = fun(X, {C, K}) when C > 1 -> {X, C, K}; (_, C) -> C end,
      T = try (U = X) of 1 -> {one, U1 = 1}; _ -> other catch _:_ -> no after (_P = 1) end,
      S = case X of 1 -> I = 1, J = 2; _ -> I = 3, J = I end,
      if (J > 1) -> O = 1; true -> O = 2 end,
      (X == 1) andalso (AA = true),
      BB = (catch 1 + (CC = X)),
      lists:max([DD = 1, EE = 2]),
      {A, B, C, R#r.b, M, D, D0, D1, F(3), H(9, {8, 7}), H(9, 0), T, S, I, J, O, BB, DD, EE, X}.
    """

    for args <- [[1, [{1, 2}, {0, 3}, :no]], [2, []]] do
      assert run(text, &Function.identity/1, args) ==
               run(text, &(&1 |> Transform.run(Options.new!(locals: true)) |> elem(0)), args)
    end
  end

  defp run(text, transform, args) do
    {:ok, :scope_locals, binary} = :compile.noenv_forms(text |> ErlangText.forms() |> transform.(), [:binary])
    {:module, _} = :code.load_binary(:scope_locals, ~c"nofile", binary)
    Golden.on(fn -> apply(:scope_locals, :f, args) end)
  after
    :code.purge(:scope_locals)
    :code.delete(:scope_locals)
  end
end
