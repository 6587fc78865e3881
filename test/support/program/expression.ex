# Expressions of random programs. An environment says what is in scope:
#
#     vars       {name, type}, newest first
#     callees    functions that may be called; see ElixirScope.Program
#     module     the module that the code stands in
#     fuel       whether the variable `n` holds fuel, which every call passes on smaller
#
# Two counters bound each function: how many calls it may hold, so that fuel bounds the whole run, and how large it may
# grow, since each level of depth could have many expressions.
defmodule ElixirScope.Program.Expression do
  @moduledoc false

  import ElixirScope.Program.Dice
  import ElixirScope.Program.Shape

  alias ElixirScope.Program.Point

  @types [:int, :list, :bin, :map, :tagged, :atom, :bool, :point]
  @calls {__MODULE__, :calls}
  @size {__MODULE__, :size}

  @doc "Allows so many calls, and so many expressions that hold others, in what is made from here on."
  @spec allow(calls: non_neg_integer(), size: non_neg_integer()) :: term()
  def allow(calls: calls, size: size) do
    Process.put(@calls, calls)
    Process.put(@size, size)
  end

  defp afford?(counter) do
    left = Process.get(counter, 0)
    Process.put(counter, left - 1)
    left > 0
  end

  @doc "The types of values that variables may have; functions are not among them."
  @spec types() :: [atom()]
  def types, do: @types

  @doc "Several statements and a last expression, whose value is that of the type. It may end in a tail call."
  @spec body(atom(), map(), non_neg_integer()) :: Macro.t()
  def body(type, env, depth), do: if(afford?(@size), do: statements(type, env, depth), else: leaf(type, env))

  defp statements(type, env, depth) do
    {statements, env} =
      Enum.flat_map_reduce(several(0, 2, fn -> nil end), env, fn _, env -> statement(env, depth) end)

    block(statements ++ [last(type, env, depth)])
  end

  defp block([one]), do: one
  defp block(several), do: {:__block__, [], several}

  # Expressions whose value is dropped, or bound.
  defp statement(env, depth) do
    inner = max(depth - 1, 0)

    weighted([
      {6, fn -> plain_match(env, inner) end},
      {3, fn -> pattern_match(env, inner) end},
      {1, fn -> {[quote(do: Process.put(:k, unquote(make(:int, env, inner))))], env} end},
      {1, fn -> {[quote(do: IO.write(unquote(make(:bin, env, 0))))], env} end},
      {1, fn -> {[quote(do: send(self(), {:m, unquote(make(:int, env, inner))}))], env} end},
      {1, fn -> {[quote(do: if(unquote(make(:bool, env, inner)), do: unquote(failure(env))))], env} end},
      {1, fn -> {[quote(do: Enum.each(unquote(make(:list, env, 0)), unquote(fun(env, inner))))], env} end},
      {1, fn -> {[quote(do: _ = unquote(make(pick(@types), env, inner)))], env} end}
    ])
  end

  defp plain_match(env, depth) do
    type = if chance(12), do: :fun, else: pick(@types)
    {x, names} = bind(type)

    value =
      weighted([{3, fn -> make(type, env, depth) end}, {1, fn -> branch(type, env, depth, &make/3) end}])

    value = if chance(10), do: quote(do: unquote(variable(:copy)) = unquote(value)), else: value
    {[quote(do: unquote(x) = unquote(value))], add(env, names)}
  end

  # Of patterns that a literal has, so that most of them match.
  defp pattern_match(env, depth) do
    {a, b} = pick([{:p, :q}, {:q, :r}])
    [p, q] = [variable(a), variable(b)]
    one = make(:int, env, depth)
    two = make(:list, env, depth)

    {pattern, value, names} =
      pick([
        {quote(do: {:ok, unquote(p)}), quote(do: {:ok, unquote(one)}), [{a, :int}]},
        {quote(do: {:ok, unquote(p)}), make(:tagged, env, depth), [{a, :int}]},
        {quote(do: [unquote(p) | unquote(q)]), quote(do: [unquote(one) | unquote(two)]),
         [{a, :int}, {b, :list}]},
        {quote(do: [unquote(p) | unquote(q)]), two, [{a, :int}, {b, :list}]},
        {quote(do: {unquote(p), unquote(q)}), quote(do: {unquote(one), unquote(two)}),
         [{a, :int}, {b, :list}]},
        {quote(do: %{a: unquote(p)}), make(:map, env, depth), [{a, :int}]},
        {quote(do: <<unquote(p)::5, unquote(q)::bits>>), make(:bin, env, depth), [{a, :int}]},
        {quote(do: %{x: unquote(p)} = unquote(q)), make(:point, env, depth), [{a, :int}, {b, :point}]}
      ])

    {[quote(do: unquote(pattern) = unquote(value))], add(env, names)}
  end

  @doc "What stands at the end of a body."
  @spec last(atom(), map(), non_neg_integer()) :: Macro.t()
  def last(type, env, depth) do
    weighted([
      {4, fn -> branch(type, env, depth, &body/3) end},
      {4, fn -> call(type, env, depth) end},
      {3, fn -> make(type, env, depth) end},
      {1, fn -> quote(do: unquote(variable(name())) = unquote(call(type, env, depth))) end},
      {1, fn -> {:__block__, [], [failure(env)]} end}
    ])
  end

  @doc "An expression of a type."
  @spec make(atom(), map(), non_neg_integer()) :: Macro.t()
  def make(type, env, depth) when depth <= 0, do: leaf(type, env)

  def make(type, env, depth) do
    cond do
      not afford?(@size) -> leaf(type, env)
      # The promise, broken, where the compiler does not see it.
      chance(2) and type != :fun -> quote(do: Function.identity(unquote(leaf(pick(@types), env))))
      true -> inner(type, env, depth)
    end
  end

  defp inner(type, env, depth) do
    weighted([
      {3, fn -> leaf(type, env) end},
      {5, fn -> compound(type, env, depth - 1) end},
      {1, fn -> branch(type, env, depth - 1, &make/3) end},
      {2, fn -> call(type, env, depth - 1) end},
      {1, fn -> inner_match(type, env, depth - 1) end}
    ])
  end

  # The variable is bound in the middle of an expression, and seen behind it.
  defp inner_match(:fun, env, depth), do: fun(env, depth)

  defp inner_match(type, env, depth),
    do: quote(do: unquote(variable(pick([:i, :j, :k]))) = unquote(make(type, env, depth)))

  defp leaf(:fun, env) do
    case named(env, :fun) do
      [] -> fun(env, 0)
      names -> pick([variable(pick(names)), fun(env, 0)])
    end
  end

  defp leaf(type, env) do
    case named(env, type) do
      [] -> literal(type)
      names -> if chance(75), do: variable(pick(names)), else: literal(type)
    end
  end

  defp named(env, type), do: for({name, ^type} <- visible(env), do: name)
  defp visible(env), do: Enum.uniq_by(env.vars, &elem(&1, 0))
  defp add(env, names), do: %{env | vars: Enum.reverse(names) ++ env.vars}

  # Compounds

  defp compound(:int, env, d) do
    i = fn -> make(:int, env, d) end
    l = fn -> make(:list, env, d) end

    weighted([
      {3, fn -> {pick([:+, :-, :*]), [], [i.(), i.()]} end},
      {1, fn -> {pick([:div, :rem]), [], [i.(), i.()]} end},
      {1, fn -> quote(do: length(unquote(l.()))) end},
      {1, fn -> quote(do: byte_size(unquote(make(:bin, env, d)))) end},
      {1, fn -> quote(do: hd(unquote(l.()))) end},
      {1, fn -> quote(do: unquote(l.()) |> Enum.sum()) end},
      {1, fn -> quote(do: unquote(make(:map, env, d)).a) end},
      {1, fn -> quote(do: Map.get(unquote(make(:map, env, d)), :b, unquote(i.()))) end},
      {1, fn -> quote(do: Map.fetch!(unquote(make(:map, env, d)), :b)) end},
      {1, fn -> quote(do: unquote(make(:point, env, d)).x) end},
      {1, fn -> quote(do: Process.get(:k, unquote(i.()))) end},
      {1, fn -> quote(do: elem({unquote(i.()), unquote(l.())}, 0)) end},
      {1, fn -> quote(do: Enum.count(unquote(l.()), unquote(predicate(env, d)))) end},
      {2, fn -> quote(do: Enum.reduce(unquote(l.()), unquote(i.()), unquote(folder(env, d)))) end},
      {1, fn -> reducing(env, d) end},
      {2, fn -> applied(make(:fun, env, d), i.()) end},
      {1, fn -> then_(i.(), :int, env, d) end}
    ])
  end

  defp compound(:list, env, d) do
    l = fn -> make(:list, env, d) end
    i = fn -> make(:int, env, d) end

    weighted([
      {2, fn -> quote(do: [unquote(i.()) | unquote(l.())]) end},
      {1, fn -> quote(do: unquote(l.()) ++ unquote(l.())) end},
      {1, fn -> quote(do: tl(unquote(l.()))) end},
      {2, fn -> quote(do: Enum.map(unquote(l.()), unquote(make(:fun, env, d)))) end},
      {1,
       fn ->
         quote(do: unquote(l.()) |> Enum.map(unquote(fun(env, d))) |> Enum.filter(unquote(predicate(env, d))))
       end},
      {1, fn -> quote(do: Enum.sort_by(unquote(l.()), unquote(fun(env, d)))) end},
      {1,
       fn ->
         quote(do: Enum.flat_map(unquote(l.()), fn x -> unquote(make(:list, add(env, x: :int), d)) end))
       end},
      {1, fn -> quote(do: unquote(make(:map, env, d)) |> Map.values() |> Enum.sort()) end},
      {1, fn -> quote(do: unquote(make(:point, env, d)).y) end},
      {3, fn -> comprehension(fn env -> make(:int, env, d) end, [], env, d) end},
      {1, fn -> comprehension(fn env -> make(:int, env, d) end, [uniq: true], env, d) end}
    ])
  end

  defp compound(:bin, env, d) do
    b = fn -> make(:bin, env, d) end

    weighted([
      {2, fn -> quote(do: unquote(b.()) <> unquote(b.())) end},
      {2, fn -> quote(do: "v#{unquote(make(:int, env, d))}") end},
      {1, fn -> quote(do: <<unquote(make(:int, env, d))::8, unquote(b.())::binary>>) end},
      {1, fn -> quote(do: <<unquote(make(:int, env, d))::4, unquote(make(:int, env, d))::4>>) end},
      {1, fn -> quote(do: binary_part(unquote(b.()), 0, unquote(make(:int, env, d)))) end},
      {1, fn -> quote(do: String.upcase(unquote(b.()))) end},
      {1, fn -> quote(do: Enum.map_join(unquote(make(:list, env, d)), "-", &"#{&1}")) end},
      {2,
       fn ->
         comprehension(fn env -> quote(do: <<unquote(make(:int, env, d))::8>>) end, [into: ""], env, d)
       end}
    ])
  end

  defp compound(:map, env, d) do
    m = fn -> make(:map, env, d) end
    i = fn -> make(:int, env, d) end

    weighted([
      {2, fn -> quote(do: %{a: unquote(i.()), b: unquote(i.())}) end},
      {1, fn -> quote(do: %{Map.put(unquote(m.()), :a, 0) | a: unquote(i.())}) end},
      {1, fn -> quote(do: Map.put(unquote(m.()), :c, unquote(i.()))) end},
      {1, fn -> quote(do: Map.update(unquote(m.()), :a, unquote(i.()), unquote(fun(env, d)))) end},
      {1,
       fn ->
         quote(do: Map.new(unquote(m.()), fn {k, x} -> {k, unquote(make(:int, add(env, x: :int), d))} end))
       end},
      {1,
       fn ->
         quote(
           do: for({k, x} <- unquote(m.()), into: %{}, do: {k, unquote(make(:int, add(env, x: :int), d))})
         )
       end},
      {1,
       fn ->
         comprehension(
           fn env -> quote(do: {:a, unquote(make(:int, env, d))}) end,
           [into: quote(do: %{b: 1})],
           env,
           d
         )
       end}
    ])
  end

  defp compound(:tagged, env, d) do
    i = fn -> make(:int, env, d) end

    weighted([
      {3, fn -> quote(do: {:ok, unquote(i.())}) end},
      {1, fn -> quote(do: {:error, unquote(make(:atom, env, d))}) end},
      {1, fn -> quote(do: {:more, unquote(i.()), unquote(make(:list, env, d))}) end},
      {1, fn -> quote(do: Map.fetch(unquote(make(:map, env, d)), :c)) end}
    ])
  end

  defp compound(:atom, env, d) do
    weighted([
      {1, fn -> quote(do: if(unquote(make(:bool, env, d)), do: :a, else: :b)) end},
      {1, fn -> quote(do: unquote(make(:bool, env, d)) && :a) end},
      {1, fn -> quote(do: elem(unquote(make(:tagged, env, d)), 0)) end}
    ])
  end

  defp compound(:bool, env, d) do
    i = fn -> make(:int, env, d) end
    b = fn -> make(:bool, env, d) end

    weighted([
      {3, fn -> {pick([:<, :>=, :==, :!=]), [], [i.(), i.()]} end},
      {2, fn -> {pick([:and, :or, :&&, :||]), [], [b.(), b.()]} end},
      {1, fn -> {pick([:not, :!]), [], [b.()]} end},
      {1, fn -> quote(do: unquote(i.()) in unquote(make(:list, env, d))) end},
      {1, fn -> quote(do: match?({:ok, _}, unquote(make(:tagged, env, d)))) end},
      {1, fn -> quote(do: is_integer(unquote(make(pick(@types), env, d)))) end},
      {1, fn -> quote(do: Enum.any?(unquote(make(:list, env, d)), unquote(predicate(env, d)))) end}
    ])
  end

  defp compound(:point, env, d) do
    weighted([
      {2,
       fn ->
         quote(
           do: %ElixirScope.Program.Point{x: unquote(make(:int, env, d)), y: unquote(make(:list, env, d))}
         )
       end},
      {1,
       fn -> quote(do: %{Map.put(unquote(make(:point, env, d)), :x, 0) | x: unquote(make(:int, env, d))}) end},
      {1,
       fn ->
         quote(
           do: %ElixirScope.Program.Point{unquote(make(:point, env, d)) | y: unquote(make(:list, env, d))}
         )
       end}
    ])
  end

  defp compound(:fun, env, d), do: fun(env, d)

  # Functions

  @doc "A function of an integer that gives an integer."
  @spec fun(map(), non_neg_integer()) :: Macro.t()
  def fun(env, d) do
    weighted([
      {3, fn -> one_clause(:int, env, d) end},
      {2, fn -> many_clauses(env, d) end},
      {3, fn -> quote(do: &unquote({pick([:+, :*, :-]), [], [quote(do: &1), make(:int, env, 0)]})) end},
      {1, fn -> captured(env) end},
      {1, fn -> composed(env, d) end}
    ])
  end

  defp one_clause(type, env, d) do
    {x, names} = bind(:int)
    quote(do: fn unquote(x) -> unquote(body(type, add(env, names), d)) end)
  end

  defp many_clauses(env, d) do
    some = several(1, 2, fn -> clause([:int], :int, env, d, &body/3) end)
    rest = if chance(80), do: [{:->, [], [[quote(do: _)], make(:int, env, 0)]}], else: []
    {:fn, [], some ++ rest}
  end

  defp captured(env) do
    case for callee <- env.callees,
             callee.params == [:int],
             callee.ret == :int,
             reachable?(callee, env),
             do: callee do
      [] ->
        pick([quote(do: &abs/1), quote(do: &Kernel.-/1)])

      callees ->
        if afford?(@calls),
          do: partial(pick(callees), env),
          else: quote(do: &abs/1)
    end
  end

  defp partial(%{fuel: true} = callee, env),
    do: quote(do: &unquote(local_or_remote(callee, env, [fuel(), quote(do: &1)])))

  defp partial(callee, %{module: module}) when callee.module == module,
    do: quote(do: &unquote({:/, [], [{callee.name, [], nil}, 1]}))

  defp partial(callee, _env),
    do: quote(do: &unquote({:/, [], [{{:., [], [callee.module, callee.name]}, [no_parens: true], []}, 1]}))

  # One function in another, and one that is called by its own argument.
  defp composed(env, d) do
    pick([
      quote(
        do: fn x ->
          Enum.reduce([x, 1], 0, fn y, z ->
            y + z + unquote(make(:int, add(env, x: :int, y: :int, z: :int), d))
          end)
        end
      ),
      quote do
        fn self, x -> if x <= 0, do: unquote(make(:int, env, 0)), else: x + self.(self, x - 2) end
        |> then(fn f -> fn x -> f.(f, min(x, 9)) end end)
      end
    ])
  end

  defp predicate(env, d) do
    {x, names} = bind(:int)

    pick([
      quote(do: fn unquote(x) -> unquote(make(:bool, add(env, names), d)) end),
      quote(do: &(&1 > unquote(make(:int, env, 0))))
    ])
  end

  defp folder(env, d) do
    pick([
      quote(do: fn x, y -> unquote(body(:int, add(env, x: :int, y: :int), d)) end),
      quote(do: &(&1 + &2 - 1)),
      quote(do: &+/2),
      quote(do: &max/2)
    ])
  end

  defp applied(fun, argument) do
    pick([
      quote(do: unquote(fun).(unquote(argument))),
      quote(do: apply(unquote(fun), [unquote(argument)])),
      quote(do: unquote(argument) |> then(unquote(fun)))
    ])
  end

  defp then_(value, type, env, d) do
    {x, names} = bind(:int)
    quote(do: then(unquote(value), fn unquote(x) -> unquote(body(type, add(env, names), d)) end))
  end

  # Comprehensions

  defp comprehension(make, options, env, d) do
    {qualifiers, env} = qualifiers(env, d)
    {:for, [], qualifiers ++ [options ++ [do: make.(env)]]}
  end

  defp reducing(env, d) do
    {qualifiers, inner} = qualifiers(env, d)
    {acc, names} = bind(:int)
    clause = {:->, [], [[acc], body(:int, add(inner, names), d)]}
    {:for, [], qualifiers ++ [[reduce: make(:int, env, 0), do: [clause]]]}
  end

  defp qualifiers(env, d) do
    {first, env} = generator(env, d)

    {rest, env} =
      Enum.flat_map_reduce(several(0, 2, fn -> nil end), env, fn _, env ->
        weighted([
          {2, fn -> {[make(:bool, env, min(d, 1))], env} end},
          {1, fn -> filter_match(env) end},
          {1, fn -> generator(env, 0) end}
        ])
      end)

    {first ++ rest, env}
  end

  defp filter_match(env) do
    {x, names} = bind(:int)
    {[quote(do: unquote(x) = unquote(make(:int, env, 0)))], add(env, names)}
  end

  defp generator(env, d) do
    weighted([
      {3, fn -> drawn(:int, make(:list, env, d), env) end},
      {1, fn -> tagged_generator(env) end},
      {1,
       fn ->
         {x, names} = bind(:int)

         size =
           pick([
             quote(do: <<unquote(x) <- unquote(make(:bin, env, d))>>),
             quote(do: <<unquote(x)::4 <- unquote(make(:bin, env, d))>>)
           ])

         {[size], add(env, names)}
       end}
    ])
  end

  defp tagged_generator(env), do: drawn(:tagged, several(1, 3, fn -> literal(:tagged) end), env)

  # Whether the variables of a guard are bound before it is asked is the compiler's choice, so this one is not recorded.
  defp drawn(type, source, env) do
    if type == :int and chance(20) do
      x = variable(:_guarded)
      {arrow(x, quote(do: is_integer(unquote(x)) and unquote(x) > 1), source), add(env, _guarded: :int)}
    else
      {pattern, names} = pattern(type)
      {arrow(pattern, nil, source), add(env, names)}
    end
  end

  defp arrow(pattern, guard, source) do
    left = if guard, do: {:when, [], [pattern, guard]}, else: pattern
    [{:<-, [], [left, source]}]
  end

  # Branches: the value of each is made by the function given, which may put tail calls there.

  defp branch(type, env, depth, make) do
    d = max(depth - 1, 0)

    weighted([
      {3, fn -> case_(type, env, d, make) end},
      {2, fn -> if_(type, env, d, make) end},
      {1, fn -> cond_(type, env, d, make) end},
      {2, fn -> with_(type, env, d, make) end},
      {2, fn -> try_(type, env, d, make) end},
      {1, fn -> receive_(type, env, d, make) end}
    ])
  end

  defp clause(types, result, env, d, make) do
    {patterns, names} = types |> Enum.map(&pattern(&1, visible(env))) |> Enum.unzip()
    names = Enum.concat(names)
    guard = if chance(35), do: guard(names)
    {:->, [], [guarded(patterns, guard), make.(result, add(env, names), d)]}
  end

  defp case_(type, env, d, make) do
    of = pick([:int, :list, :bin, :map, :tagged, :tagged, :point])
    clauses = several(1, 3, fn -> clause([of], type, env, d, make) end)

    rest =
      if chance(85),
        do: [{:->, [], [[pick([quote(do: _), variable(:other)])], make.(type, env, d)]}],
        else: []

    {:case, [], [make(of, env, d), [do: clauses ++ rest]]}
  end

  defp if_(type, env, d, make) do
    {yes, no} = {make.(type, env, d), make.(type, env, d)}

    pick([
      quote(do: if(unquote(make(:bool, env, d)), do: unquote(yes), else: unquote(no))),
      quote(do: unless(unquote(make(:bool, env, d)), do: unquote(yes), else: unquote(no))),
      quote(
        do: if(unquote(variable(:found)) = unquote(make(:atom, env, d)), do: unquote(yes), else: unquote(no))
      ),
      quote(do: (unquote(make(:bool, env, d)) && unquote(yes)) || unquote(no))
    ])
  end

  defp cond_(type, env, d, make) do
    clauses = several(1, 2, fn -> {:->, [], [[make(:bool, env, d)], make.(type, env, d)]} end)
    {x, names} = bind(:atom)

    bound =
      if chance(30),
        do: [
          {:->, [], [[quote(do: unquote(x) = unquote(make(:atom, env, 0)))], make.(type, add(env, names), d)]}
        ],
        else: []

    rest = if chance(85), do: [{:->, [], [[true], make.(type, env, d)]}], else: []
    {:cond, [], [[do: clauses ++ bound ++ rest]]}
  end

  defp with_(type, env, d, make) do
    {steps, inner} = Enum.flat_map_reduce(several(1, 3, fn -> nil end), env, fn _, env -> step(env, d) end)
    rest = fn -> [{:->, [], [[quote(do: _)], make.(type, env, d)]}] end

    otherwise =
      case :rand.uniform(3) do
        1 ->
          []

        2 ->
          [else: rest.()]

        3 ->
          [
            else:
              several(1, 2, fn -> clause([:tagged], type, env, d, make) end) ++
                if(chance(80), do: rest.(), else: [])
          ]
      end

    {:with, [], Enum.map(steps, &apart/1) ++ [[do: make.(type, inner, d)] ++ otherwise]}
  end

  # Newer versions of Elixir make one match of `x <- y = z`, which is one place; older ones two.
  defp apart({:<-, meta, [{_, _, context} = variable, {:=, _, [_, value]}]}) when is_atom(context),
    do: apart({:<-, meta, [variable, value]})

  defp apart(step), do: step

  defp step(env, d) do
    weighted([
      {3, fn -> checked(:tagged, make(:tagged, env, d), env) end},
      {1, fn -> checked(pick([:int, :list, :map]), make(pick([:int, :list, :map]), env, d), env) end},
      {1, fn -> {[quote(do: true <- unquote(make(:bool, env, d)))], env} end},
      {1, fn -> filter_match(env) end}
    ])
  end

  defp try_(type, env, d, make) do
    {:try, [], [[do: make.(type, env, d)] ++ handlers(type, env, d, make)]}
  end

  defp checked(type, source, env) do
    {pattern, names} = pattern(type, visible(env))
    {arrow(pattern, chance(25) && guard(names), source), add(env, names)}
  end

  @doc "What may stand behind the body of a `try`, or of a function: at least one of its parts."
  @spec handlers(atom(), map(), non_neg_integer(), fun()) :: keyword()
  def handlers(type, env, d, make) do
    rescues = if chance(60), do: [rescue: several(1, 2, fn -> rescue_(type, env, d, make) end)], else: []

    catches =
      if chance(50) or rescues == [],
        do: [catch: several(1, 2, fn -> catch_(type, env, d, make) end)],
        else: []

    elses =
      if chance(25),
        do: [else: [clause([type], type, env, d, make), {:->, [], [[quote(do: _)], make.(type, env, d)]}]],
        else: []

    afters = if chance(25), do: [after: after_(env, d)], else: []
    rescues ++ catches ++ elses ++ afters
  end

  defp rescue_(type, env, d, make) do
    e = variable(:e)

    {pattern, names} =
      pick([
        {quote(do: unquote(e) in [ArithmeticError, RuntimeError]), []},
        {quote(do: unquote(e) in ArgumentError), []},
        {e, []},
        {quote(do: FunctionClauseError), []},
        {quote(do: [MatchError, KeyError, BadMapError]), []}
      ])

    again = if pattern == e and chance(20), do: [quote(do: reraise(unquote(e), __STACKTRACE__))], else: []
    body = if again == [], do: make.(type, add(env, names), d), else: hd(again)
    {:->, [], [[pattern], body]}
  end

  defp catch_(type, env, d, make) do
    {x, _} = bind(:int)

    pattern =
      pick([
        [:throw, x],
        [:exit, x],
        [x],
        [variable(:kind), x],
        [:error, :badarith],
        [:throw, quote(do: {:t, unquote(x)})]
      ])

    {:->, [], [pattern, make.(type, env, d)]}
  end

  defp after_(env, d) do
    pick([
      quote(do: send(self(), {:m, unquote(make(:int, env, 0))})),
      quote(do: IO.write("after")),
      body(:int, env, d)
    ])
  end

  # What is not there is never waited for.
  defp receive_(type, env, d, make) do
    clauses =
      several(1, 2, fn ->
        {pattern, names} = pattern(:int, visible(env))
        guard = if chance(30), do: guard(names)
        {:->, [], [guarded([quote(do: {:m, unquote(pattern)})], guard), make.(type, add(env, names), d)]}
      end)

    receives = {:receive, [], [[do: clauses, after: [{:->, [], [[0], make.(type, env, d)]}]]]}

    if chance(60),
      do: block([quote(do: send(self(), {:m, unquote(make(:int, env, 0))})), receives]),
      else: receives
  end

  # What does not return.
  defp failure(env) do
    i = make(:int, env, 0)

    pick([
      quote(do: raise(ArgumentError, "bad")),
      quote(do: raise("at #{unquote(i)}")),
      quote(do: throw({:t, unquote(i)})),
      quote(do: throw(unquote(i))),
      quote(do: exit({:gone, unquote(i)})),
      quote(do: :erlang.error({:boom, unquote(i)})),
      quote(do: raise(KeyError, key: :x, term: %{}))
    ])
  end

  # Calls

  @doc "A call of a function of the program that gives a value of the type; if there is none, another expression."
  @spec call(atom(), map(), non_neg_integer()) :: Macro.t()
  def call(type, env, depth) do
    callees = for callee <- env.callees, callee.ret == type, reachable?(callee, env), do: callee

    if callees != [] and env.fuel and afford?(@calls) do
      callee = pick(callees)
      arguments = Enum.map(callee.params, &make(&1, env, min(depth, 1)))
      arguments = if callee.defaults and chance(40), do: Enum.drop(arguments, -1), else: arguments
      written(callee, env, if(callee.fuel, do: [fuel() | arguments], else: arguments))
    else
      if depth > 0, do: compound(type, env, depth - 1), else: leaf(type, env)
    end
  end

  defp reachable?(callee, env),
    do: (callee.module == env.module or callee.kind == :def) and (env.fuel or not callee.fuel)

  defp fuel, do: pick([quote(do: n - 1), quote(do: div(n, 2)), quote(do: n - 2)]) |> plain()

  # The variable `n` of the program, not of this file.
  defp plain(code),
    do:
      Macro.prewalk(code, fn
        {:n, _, _} -> {:n, [], nil}
        node -> node
      end)

  defp local_or_remote(callee, env, arguments) do
    if callee.module == env.module,
      do: {callee.name, [], arguments},
      else: {{:., [], [callee.module, callee.name]}, [], arguments}
  end

  defp written(%{kind: :defp} = callee, _env, arguments) do
    case {arguments, :rand.uniform(6)} do
      {[first | rest], 1} -> quote(do: unquote(first) |> unquote({callee.name, [], rest}))
      {_, 2} -> quote(do: unquote(capture(callee.name, arguments)).(unquote_splicing(arguments)))
      _ -> {callee.name, [], arguments}
    end
  end

  defp written(callee, env, arguments) do
    remote = {{:., [], [callee.module, callee.name]}, [], arguments}
    here? = callee.module == env.module

    weighted([
      {if(here?, do: 6, else: 0), fn -> {callee.name, [], arguments} end},
      {if(here?, do: 1, else: 0), fn -> {{:., [], [{:__MODULE__, [], nil}, callee.name]}, [], arguments} end},
      {if(here?, do: 1, else: 0),
       fn -> quote(do: unquote(capture(callee.name, arguments)).(unquote_splicing(arguments))) end},
      {if(here?, do: 1, else: 5), fn -> remote end},
      {1, fn -> quote(do: apply(unquote(callee.module), unquote(callee.name), unquote(arguments))) end},
      {1, fn -> quote(do: unquote(hd(arguments)) |> unquote(put_elem(remote, 2, tl(arguments)))) end},
      {1,
       fn ->
         quote(
           do:
             then(unquote(callee.module), fn m ->
               unquote({{:., [], [variable(:m), callee.name]}, [], arguments})
             end)
         )
       end},
      {1, fn -> quote(do: (fn -> unquote(remote) end).()) end}
    ])
  end

  defp capture(name, arguments), do: {:&, [], [{:/, [], [{name, [], nil}, length(arguments)]}]}

  @doc "A value for an argument of a type, as a term."
  @spec argument(atom()) :: term()
  def argument(type) when type in @types, do: value(type)
  def argument(_other), do: %Point{}
end
