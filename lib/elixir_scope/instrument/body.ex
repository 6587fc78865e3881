# What stands inside the functions of a module: each anonymous function gets a frame of its own, and with `locals: true`
# each place that binds variables gets a probe behind it, and each `receive` says that it waits and what it takes. This file knows which expressions there are and which
# variables are bound where; what is put there is said in Frame, Probe and Reception.
#
# Not framed are functions that are applied where they stand (`then/2` makes such), because the compiler takes them
# for a part of their surroundings, and those that the compiler makes of comprehensions.
defmodule ElixirScope.Instrument.Body do
  @moduledoc false

  alias ElixirScope.Instrument.{Closure, Flag, Frame, Options, Pattern, Plan, Probe, Reception, Site, Syntax}

  @enforce_keys [:plan, :options, :function, :frame, :origin, :prefix, :taken]
  defstruct @enforce_keys ++
              [
                closures: 0,
                receptions: 0,
                bindings: 0,
                clause: 0,
                values: 0,
                numbered: [],
                before: 0,
                keys: %{}
              ]

  @type t :: %__MODULE__{
          plan: Plan.t(),
          options: Options.t(),
          # The function that all of this stands in, and the innermost frame: that function or an anonymous one.
          function: {atom(), arity()},
          frame: {atom(), arity()},
          origin: Site.origin(),
          prefix: String.t(),
          # Every name of a variable in it.
          taken: MapSet.t(atom()),
          # So far: anonymous functions in the function, each `receive` in it, places that bind in the frame, variables of our own.
          closures: non_neg_integer(),
          receptions: non_neg_integer(),
          bindings: non_neg_integer(),
          # The clause of the frame that this stands in.
          clause: non_neg_integer(),
          values: non_neg_integer(),
          # Variables that are `&1` and so on to the user.
          numbered: [atom()],
          # The keys under which patterns found variables so far.
          keys: %{optional(atom()) => [atom() | String.t()]},
          # The place of the last call so far that has a line in the object code.
          before: :erl_anno.anno()
        }

  @typep env :: MapSet.t(atom())

  # Whether the value of an expression is that of the function, so that a call there is a tail call.
  @typep position :: :tail | :inside

  @generators [:generate, :b_generate, :m_generate, :generate_strict, :b_generate_strict, :m_generate_strict]

  @doc """
  Rewrites the clauses of a function. `server_state` is the variable of the frame that holds a server's state, or `nil`.
  """
  @spec rewrite([tuple()], Syntax.expr() | nil, t()) :: [tuple()]
  def rewrite([{:clause, anno, _, _, _} | _] = clauses, server_state, %__MODULE__{} = state) do
    {clauses, _state} = heads(clauses, MapSet.new(), %{state | before: anno}, :tail, {:frame, server_state})
    clauses
  end

  # Clauses of a function: all that their heads name is new, and nothing of it is seen outside. Those of a frame count;
  # others (:applied, :generator, and :case with the place of the whole `with`) stand within a clause of one.
  @spec heads(
          [tuple()],
          env(),
          t(),
          position(),
          {:frame, Syntax.expr() | nil} | :applied | :generator | {:case, :erl_anno.anno()}
        ) ::
          {[tuple()], t()}
  defp heads(clauses, env, state, position, {:frame, server_state}) do
    clauses
    |> Enum.with_index(1)
    |> Enum.map_reduce(state, fn {clause, number}, state ->
      head(clause, env, %{state | clause: number}, position, {:head, server_state})
    end)
  end

  defp heads(clauses, env, state, position, :applied),
    do: Enum.map_reduce(clauses, state, &head(&1, env, &2, position, {:head, nil}))

  defp heads(clauses, env, state, position, :generator),
    do: Enum.map_reduce(clauses, state, &head(&1, env, &2, position, {:generator, nil}))

  defp heads(clauses, env, state, position, {:case, whole}),
    do: Enum.map_reduce(clauses, state, &head(&1, env, &2, position, {:case, nil}, whole))

  defp head({:clause, anno, patterns, guards, body}, env, state, position, {kind, server_state}, whole \\ nil) do
    names = Pattern.binds(patterns)
    place = if kind == :case, do: place(anno, patterns, whole), else: anno
    {probe, state} = probe(names, place, keyed(state, patterns), kind, server_state)
    {body, _env, state} = body(body, bind(env, names), position, state)
    {{:clause, anno, patterns, guards, probe ++ body}, state}
  end

  # Clauses of everything else. What any of them binds may be bound behind them.
  defp clauses(clauses, env, position, state, kind) do
    {clauses, {after_all, state}} =
      Enum.map_reduce(clauses, {env, state}, fn {:clause, anno, patterns, guards, body}, {after_all, state} ->
        names = Pattern.binds(patterns)
        {probe, state} = probe(new(names, env), place(anno, patterns), keyed(state, patterns), kind)
        {body, after_this, state} = body(body, bind(env, names), position, state)
        {{:clause, anno, patterns, guards, probe ++ body}, {MapSet.union(after_all, after_this), state}}
      end)

    {clauses, after_all, state}
  end

  # As `clauses`, with what is recorded of each: the message before the variables that are bound to parts of it.
  defp receives(clauses, env, position, state, nil), do: clauses(clauses, env, position, state, :receive)

  defp receives(clauses, env, position, state, reception) do
    {clauses, {after_all, state}} =
      clauses
      |> Enum.with_index(1)
      |> Enum.map_reduce({env, state}, fn {{_, anno, patterns, _, _} = clause, number}, {after_all, state} ->
        reception = %{reception | before: state.before}
        {[clause], after_this, state} = clauses([clause], env, position, state, :receive)
        clause = Reception.clause(clause, number, place(anno, patterns), reception)
        {clause, {MapSet.union(after_all, after_this), state}}
      end)

    {clauses, after_all, state}
  end

  defp received(whole, nil), do: whole
  defp received(whole, reception), do: Reception.put(whole, reception)

  defp reception(%__MODULE__{options: %Options{receives: false}} = state), do: {nil, state}

  defp reception(%__MODULE__{} = state) do
    ordinal = state.receptions + 1

    reception = %Reception{
      plan: state.plan,
      frame: state.frame,
      clause: state.clause,
      origin: state.origin,
      prefix: state.prefix,
      ordinal: ordinal,
      before: state.before
    }

    {reception, %{state | receptions: ordinal}}
  end

  defp body([], env, _position, state), do: {[], env, state}

  defp body([last], env, position, state) do
    {last, env, state} = expr(last, env, position, state)
    {[last], env, state}
  end

  defp body([{kind, _, _, _} = match | rest], env, position, state) when kind in [:match, :maybe_match] do
    {match, names, env, state} = match(match, env, position, state)
    {probe, state} = probe(names, elem(match, 1), state, :match)
    {rest, env, state} = body(rest, env, position, state)
    {[match | probe] ++ rest, env, state}
  end

  defp body([expr | rest], env, position, state) do
    {expr, env, state} = expr(expr, env, :inside, state)
    {rest, env, state} = body(rest, env, position, state)
    {[expr | rest], env, state}
  end

  # A match, the names that it binds newly, and what is bound behind it. `a = b = c` is one place. `position` is that of
  # the expressions around it.
  defp match({kind, anno, pattern, {:match, _, _, _} = right}, env, position, state) do
    {right, inner, env_behind, state} = match(right, env, position, state)
    names = Pattern.binds(pattern)
    names_here = Enum.uniq(new(names, env) ++ inner)
    {{kind, anno, pattern, right}, names_here, bind(env_behind, names), keyed(state, pattern)}
  end

  defp match({kind, anno, pattern, right}, env, position, state) do
    {right, env, state} =
      if Closure.otherwise?(pattern, right),
        do: bare(right, env, state, {:case, elem(right, 1)}, position),
        else: expr(right, env, :inside, state)

    names = Pattern.binds(pattern)
    {{kind, anno, pattern, right}, new(names, env), bind(env, names), keyed(state, pattern)}
  end

  # An expression, and the variables that are or may be bound behind it.
  @spec expr(term(), env(), position(), t()) :: {term(), env(), t()}

  # `x = call()` at the end of a function is a tail call, and must stay one; the value is what the function returns.
  defp expr({:match, anno, {:var, _, name} = variable, right}, env, :tail, state) do
    {right, env, state} = expr(right, env, :tail, state)
    {{:match, anno, variable, right}, bind(env, [name]), state}
  end

  defp expr({:match, anno, _, _} = match, env, _position, state) do
    {match, names, env, state} = match(match, env, :inside, state)
    {probe, state} = probe(names, anno, state, :match)
    {match, state} = valued(match, probe, state)
    {match, env, state}
  end

  # As the last expression it is the value of `maybe`, and nothing may stand behind it.
  defp expr({:maybe_match, _, _, _} = match, env, _position, state) do
    {match, _names, env, state} = match(match, env, :inside, state)
    {match, env, state}
  end

  defp expr({:block, anno, body}, env, position, state) do
    {body, env, state} = body(body, env, position, state)
    {{:block, anno, body}, env, state}
  end

  defp expr({:case, anno, subject, clauses}, env, position, state) do
    {subject, env, state} = expr(subject, env, :inside, state)
    {clauses, env, state} = clauses(clauses, env, position, state, :case)
    {{:case, anno, subject, clauses}, env, state}
  end

  defp expr({kind, anno, clauses}, env, position, state) when kind in [:if, :else] do
    {clauses, env, state} = clauses(clauses, env, position, state, :case)
    {{kind, anno, clauses}, env, state}
  end

  defp expr({:receive, anno, clauses}, env, position, state) do
    {reception, state} = reception(state)
    {clauses, env, state} = receives(clauses, env, position, state, reception)
    {received({:receive, anno, clauses}, reception), env, state}
  end

  defp expr({:receive, anno, clauses, timeout, late}, env, position, state) do
    {timeout, env, state} = expr(timeout, env, :inside, state)
    {reception, state} = reception(state)
    {clauses, bound, state} = receives(clauses, env, position, state, reception)
    before = state.before
    {late, env, state} = body(late, env, position, state)
    late = if reception, do: Reception.late(late, timeout, anno, %{reception | before: before}), else: late
    whole = received({:receive, anno, clauses, timeout, late}, reception)
    {whole, MapSet.union(bound, env), state}
  end

  defp expr({:try, anno, body, of, rescues, last}, env, position, state) do
    position = if last == [], do: position, else: :inside
    {body, bound, state} = body(body, env, :inside, state)
    {of, _, state} = clauses(of, bound, position, state, :try)
    {rescues, _, state} = clauses(rescues, env, position, state, :try)
    {last, _, state} = body(last, env, :inside, state)
    {{:try, anno, body, of, rescues, last}, env, state}
  end

  defp expr({:maybe, anno, body}, env, position, state) do
    {body, env, state} = body(body, env, position, state)
    {{:maybe, anno, body}, env, state}
  end

  defp expr({:maybe, anno, body, otherwise}, env, position, state) do
    {body, env, state} = body(body, env, position, state)
    {otherwise, env, state} = expr(otherwise, env, position, state)
    {{:maybe, anno, body, otherwise}, env, state}
  end

  defp expr({:op, anno, operator, left, right}, env, position, state) when operator in [:andalso, :orelse] do
    {left, env, state} = expr(left, env, :inside, state)
    {right, env, state} = expr(right, env, position, state)
    {{:op, anno, operator, left, right}, env, state}
  end

  defp expr({kind, anno, made, qualifiers}, env, _position, state) when kind in [:lc, :bc, :mc] do
    {qualifiers, {inner, state}} = Enum.flat_map_reduce(qualifiers, {env, state}, &qualifier/2)
    {made, _inner, state} = expr(made, inner, :inside, state)
    {{kind, anno, made, qualifiers}, env, state}
  end

  defp expr({:call, anno, {:fun, place, {:clauses, clauses}} = fun, args}, env, position, state) do
    {args, env, state} = each(args, env, state)
    state = numbered(fun, clauses, state)
    {clauses, state} = heads(clauses, env, state, position, :applied)
    {{:call, anno, {:fun, place, {:clauses, clauses}}, args}, env, state}
  end

  defp expr({:call, anno, {:named_fun, place, name, clauses}, args}, env, _position, state) do
    {args, env, state} = each(args, env, state)
    {clauses, state} = heads(clauses, MapSet.put(env, name), state, :tail, :applied)
    {{:call, anno, {:named_fun, place, name, clauses}, args}, env, state}
  end

  # The compiler takes it for the same, and puts the function into its surroundings once it has a clause for everything, as
  # frames have: a FunctionClauseError would then name the function around it.
  defp expr(
         {:call, anno, {:remote, _, {:atom, _, :erlang}, {:atom, _, :apply}} = callee, [fun, args]},
         env,
         _,
         state
       )
       when elem(fun, 0) == :fun and is_tuple(elem(fun, 2)) and elem(elem(fun, 2), 0) == :clauses do
    {fun, env, state} = bare(fun, env, state, :applied)
    {args, env, state} = expr(args, env, :inside, state)
    {{:call, anno, callee, [fun, args]}, env, state}
  end

  defp expr({:call, anno, callee, args} = call, env, position, state) do
    {callee, env, state} = expr(callee, env, :inside, state)

    {args, {env, state}} =
      Enum.map_reduce(args, {env, state}, fn arg, {env, state} ->
        {arg, env, state} =
          if Closure.comprehension?(call, arg),
            do: bare(arg, env, state, :generator),
            else: expr(arg, env, :inside, state)

        {arg, {env, state}}
      end)

    {followed, state} = flagged({:call, anno, callee, args}, state)
    {followed, env, called(state, call, position)}
  end

  defp expr({:fun, anno, {:clauses, clauses}} = fun, env, _position, state) do
    framed(fun, clauses, env, state, &{:fun, anno, {:clauses, &1}})
  end

  defp expr({:named_fun, anno, name, clauses} = fun, env, _position, state) do
    {fun, _env, state} = framed(fun, clauses, MapSet.put(env, name), state, &{:named_fun, anno, name, &1})

    {fun, env, state}
  end

  # Neither holds code: functions of modules, and literals.
  defp expr({:fun, _, _} = capture, env, _position, state), do: {capture, env, state}
  defp expr({:value, _, _} = literal, env, _position, state), do: {literal, env, state}

  # All others consist of expressions alone, in the order in which they are evaluated.
  defp expr(node, env, _position, state) when is_tuple(node) and tuple_size(node) > 2 do
    [kind, anno | parts] = Tuple.to_list(node)
    {parts, env, state} = each(parts, env, state)
    {List.to_tuple([kind, anno | parts]), env, called(state, node, :inside)}
  end

  defp expr([_ | _] = parts, env, _position, state), do: each(parts, env, state)
  defp expr(leaf, env, _position, state), do: {leaf, env, state}

  defp flagged(call, state) do
    case Flag.follow(call, "#{state.prefix}V#{state.values}_", state.plan) do
      ^call -> {call, state}
      followed -> {followed, %{state | values: state.values + 1}}
    end
  end

  # The compiler gives a line to what may raise or be returned to.
  defp called(state, node, position) do
    if lined?(node, position), do: %{state | before: elem(node, 1)}, else: state
  end

  defp lined?({:call, _, {:remote, _, {:atom, _, module}, {:atom, _, name}}, args}, _position),
    do: not :erl_bifs.is_safe(module, name, length(args))

  defp lined?({:call, _, {:atom, _, _local}, _args}, position), do: position == :inside
  defp lined?({:call, _, _callee, _args}, _position), do: true
  defp lined?({:op, _, operator, _}, _position), do: :erl_internal.arith_op(operator, 1)
  defp lined?({:op, _, operator, _, _}, _position), do: :erl_internal.arith_op(operator, 2)
  defp lined?(_node, _position), do: false

  defp each(exprs, env, state) do
    {exprs, {env, state}} =
      Enum.map_reduce(exprs, {env, state}, fn expr, {env, state} ->
        {expr, env, state} = expr(expr, env, :inside, state)
        {expr, {env, state}}
      end)

    {exprs, env, state}
  end

  # Behind a generator the probe stands as one more filter, which is always true.
  defp qualifier(qualifier, {env, state}) do
    {qualifier, names, env_behind, state} = generator(qualifier, env, state)
    {probe, state} = probe(names, elem(qualifier, 1), state, :generator)
    added = Syntax.generated(elem(qualifier, 1))
    filters = for call <- probe, do: {:block, added, [call, {:atom, added, true}]}
    {[qualifier | filters], {env_behind, state}}
  end

  # Patterns of generators hide names, as heads do.
  defp generator({kind, anno, pattern, source}, env, state) when kind in @generators do
    {source, _env, state} = expr(source, env, :inside, state)
    names = pattern |> generated() |> Pattern.binds()
    {{kind, anno, pattern, source}, names, bind(env, names), keyed(state, pattern)}
  end

  defp generator({:zip, anno, generators}, env, state) do
    {generators, {names, state}} =
      Enum.map_reduce(generators, {[], state}, fn generator, {names, state} ->
        {generator, more, _env, state} = generator(generator, env, state)
        {generator, {names ++ more, state}}
      end)

    {{:zip, anno, generators}, Enum.uniq(names), bind(env, names), state}
  end

  defp generator(filter, env, state) do
    {filter, env, state} = expr(filter, env, :inside, state)
    {filter, [], env, state}
  end

  # In a generator over a map the key is a pattern too.
  defp generated({:map_field_exact, _, key, value}), do: [key, value]
  defp generated(pattern), do: pattern

  defp numbered(fun, clauses, state),
    do: %{state | numbered: Closure.numbered(fun, clauses) ++ state.numbered}

  # A function without a frame: what it binds belongs to the function around it. `position` is that of its value.
  defp bare({:fun, anno, {:clauses, clauses}} = fun, env, state, kind, position \\ :inside) do
    state = numbered(fun, clauses, state)
    {clauses, state} = heads(clauses, env, state, position, kind)
    {{:fun, anno, {:clauses, clauses}}, env, state}
  end

  defp framed(fun, clauses, env, state, make) do
    ordinal = state.closures + 1
    state = numbered(fun, clauses, state)

    case Closure.unhide(clauses, env, state.taken) do
      {:ok, clauses, taken} ->
        site = site(fun, clauses, ordinal, state)

        inner = %{
          state
          | closures: ordinal,
            taken: taken,
            frame: {elem(site, 3), elem(site, 4)},
            bindings: 0,
            before: elem(fun, 1)
        }

        {clauses, inner} = heads(clauses, env, inner, :tail, {:frame, nil})

        state = %{
          inner
          | frame: state.frame,
            bindings: state.bindings,
            clause: state.clause,
            before: state.before
        }

        {make.([Frame.closure(fun, clauses, env, site, ordinal, state)]), env, state}

      :error ->
        {clauses, state} = heads(clauses, env, %{state | closures: ordinal}, :tail, :applied)
        {make.(clauses), env, state}
    end
  end

  defp site(fun, [{:clause, _, patterns, _, _} | _] = clauses, ordinal, state) do
    {name, arity} = state.function
    mfa = {state.plan.module, name, arity}
    # What stands for `&1` has no name.
    args = if Closure.numbered(fun, clauses) == [], do: Pattern.arguments(clauses), else: []
    Site.closure(mfa, ordinal, length(patterns), state.origin, elem(fun, 1), args)
  end

  defp probe(names, anno, state, kind, server_state \\ nil) do
    shown = if state.options.locals, do: Probe.shown(names -- state.numbered), else: []

    if shown == [] do
      {[], state}
    else
      {name, arity} = state.frame
      ordinal = state.bindings + 1
      place = {{state.plan.module, name, arity}, {ordinal, kind, state.clause}, state.origin}
      {[Probe.call(shown, place, anno, state.keys, server_state)], %{state | bindings: ordinal}}
    end
  end

  defp keyed(state, patterns) do
    keys = Map.merge(state.keys, Pattern.keys(patterns), fn _name, some, more -> Enum.uniq(some ++ more) end)
    %{state | keys: keys}
  end

  # The value of a match that has a probe behind it is still the value of the match.
  defp valued(match, [], state), do: {match, state}

  defp valued(match, probe, state) do
    added = match |> elem(1) |> Syntax.generated()
    value = {:var, added, :"#{state.prefix}V#{state.values}"}
    {{:block, added, [{:match, added, value, match} | probe] ++ [value]}, %{state | values: state.values + 1}}
  end

  # Elixir gives the clauses behind the `else` of a `with` the place of the whole; their variables have their own. It says that they
  # are generated, but for a clause that stands alone and has no pattern but a variable.
  defp place(anno, patterns, whole \\ nil) do
    whole? = :erl_anno.generated(anno) or (whole && :erl_anno.location(anno) == :erl_anno.location(whole))
    if whole?, do: Pattern.place(patterns) || anno, else: anno
  end

  defp new(names, env), do: Enum.reject(names, &(&1 in env))
  defp bind(env, names), do: names |> MapSet.new() |> MapSet.union(env)
end
