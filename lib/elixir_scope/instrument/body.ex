# What stands inside the functions of a module: each anonymous function gets a frame of its own. This file knows which
# expressions there are and which variables are bound where; what a frame looks like is said in Frame.
#
# Not framed are functions that are applied where they stand (`then/2` makes such), because the compiler takes them
# for a part of their surroundings, and those that the compiler makes of comprehensions.
defmodule ElixirScope.Instrument.Body do
  @moduledoc false

  alias ElixirScope.Instrument.{Closure, Frame, Pattern, Plan, Site}

  @enforce_keys [:plan, :function, :file, :prefix, :taken]
  defstruct @enforce_keys ++ [closures: 0]

  @type t :: %__MODULE__{
          plan: Plan.t(),
          # The function that all of this stands in.
          function: {atom(), arity()},
          file: String.t(),
          prefix: String.t(),
          # Every name of a variable in it.
          taken: MapSet.t(atom()),
          # Anonymous functions so far.
          closures: non_neg_integer()
        }

  @typep env :: MapSet.t(atom())

  @generators [:generate, :b_generate, :m_generate, :generate_strict, :b_generate_strict, :m_generate_strict]

  @doc "Rewrites the clauses of a function."
  @spec rewrite([tuple()], t()) :: [tuple()]
  def rewrite(clauses, %__MODULE__{} = state) do
    {clauses, _state} = heads(clauses, MapSet.new(), state)
    clauses
  end

  # Clauses of a function: all that their heads name is new, and nothing of it is seen outside.
  @spec heads([tuple()], env(), t()) :: {[tuple()], t()}
  defp heads(clauses, env, state) do
    Enum.map_reduce(clauses, state, fn {:clause, anno, patterns, guards, body}, state ->
      {body, _env, state} = body(body, bind(env, patterns), state)
      {{:clause, anno, patterns, guards, body}, state}
    end)
  end

  # Clauses of everything else. What any of them binds may be bound behind them.
  defp clauses(clauses, env, state) do
    {clauses, {after_all, state}} =
      Enum.map_reduce(clauses, {env, state}, fn {:clause, anno, patterns, guards, body}, {after_all, state} ->
        {body, after_this, state} = body(body, bind(env, patterns), state)
        {{:clause, anno, patterns, guards, body}, {MapSet.union(after_all, after_this), state}}
      end)

    {clauses, after_all, state}
  end

  defp body(exprs, env, state) do
    {exprs, {env, state}} =
      Enum.map_reduce(exprs, {env, state}, fn expr, {env, state} ->
        {expr, env, state} = expr(expr, env, state)
        {expr, {env, state}}
      end)

    {exprs, env, state}
  end

  # An expression, and the variables that are or may be bound behind it.
  @spec expr(term(), env(), t()) :: {term(), env(), t()}
  defp expr({kind, anno, pattern, right}, env, state) when kind in [:match, :maybe_match] do
    {right, env, state} = expr(right, env, state)
    {{kind, anno, pattern, right}, bind(env, pattern), state}
  end

  defp expr({:case, anno, subject, clauses}, env, state) do
    {subject, env, state} = expr(subject, env, state)
    {clauses, env, state} = clauses(clauses, env, state)
    {{:case, anno, subject, clauses}, env, state}
  end

  defp expr({kind, anno, clauses}, env, state) when kind in [:if, :receive] do
    {clauses, env, state} = clauses(clauses, env, state)
    {{kind, anno, clauses}, env, state}
  end

  defp expr({:receive, anno, clauses, timeout, late}, env, state) do
    {timeout, env, state} = expr(timeout, env, state)
    {clauses, bound, state} = clauses(clauses, env, state)
    {late, env, state} = body(late, env, state)
    {{:receive, anno, clauses, timeout, late}, MapSet.union(bound, env), state}
  end

  defp expr({:try, anno, body, of, rescues, last}, env, state) do
    {body, bound, state} = body(body, env, state)
    {of, _, state} = clauses(of, bound, state)
    {rescues, _, state} = clauses(rescues, env, state)
    {last, _, state} = body(last, env, state)
    {{:try, anno, body, of, rescues, last}, env, state}
  end

  defp expr({:else, anno, clauses}, env, state) do
    {clauses, env, state} = clauses(clauses, env, state)
    {{:else, anno, clauses}, env, state}
  end

  defp expr({kind, anno, made, qualifiers}, env, state) when kind in [:lc, :bc, :mc] do
    {qualifiers, inner, state} = body(qualifiers, env, state)
    {made, _inner, state} = expr(made, inner, state)
    {{kind, anno, made, qualifiers}, env, state}
  end

  defp expr({kind, anno, pattern, source}, env, state) when kind in @generators do
    {source, _env, state} = expr(source, env, state)
    {{kind, anno, pattern, source}, bind(env, pattern), state}
  end

  defp expr({:call, anno, {:fun, place, {:clauses, clauses}}, args}, env, state) do
    {args, env, state} = body(args, env, state)
    {clauses, state} = heads(clauses, env, state)
    {{:call, anno, {:fun, place, {:clauses, clauses}}, args}, env, state}
  end

  defp expr({:call, anno, {:named_fun, place, name, clauses}, args}, env, state) do
    {args, env, state} = body(args, env, state)
    {clauses, state} = heads(clauses, MapSet.put(env, name), state)
    {{:call, anno, {:named_fun, place, name, clauses}, args}, env, state}
  end

  defp expr({:call, anno, callee, args} = call, env, state) do
    {callee, env, state} = expr(callee, env, state)

    {args, {env, state}} =
      Enum.map_reduce(args, {env, state}, fn arg, {env, state} ->
        {arg, env, state} =
          if Closure.comprehension?(call, arg), do: bare(arg, env, state), else: expr(arg, env, state)

        {arg, {env, state}}
      end)

    {{:call, anno, callee, args}, env, state}
  end

  defp expr({:fun, anno, {:clauses, clauses}} = fun, env, state) do
    framed(fun, clauses, env, state, &{:fun, anno, {:clauses, &1}})
  end

  defp expr({:named_fun, anno, name, clauses} = fun, env, state) do
    framed(fun, clauses, MapSet.put(env, name), state, &{:named_fun, anno, name, &1})
  end

  # Neither holds code: functions of modules, and literals.
  defp expr({:fun, _, _} = capture, env, state), do: {capture, env, state}
  defp expr({:value, _, _} = literal, env, state), do: {literal, env, state}

  # All others consist of expressions alone, in the order in which they are evaluated.
  defp expr(node, env, state) when is_tuple(node) and tuple_size(node) > 2 do
    [kind, anno | parts] = Tuple.to_list(node)
    {parts, env, state} = body(parts, env, state)
    {List.to_tuple([kind, anno | parts]), env, state}
  end

  defp expr([_ | _] = parts, env, state), do: body(parts, env, state)
  defp expr(leaf, env, state), do: {leaf, env, state}

  defp bare({:fun, anno, {:clauses, clauses}}, env, state) do
    {clauses, state} = heads(clauses, env, state)
    {{:fun, anno, {:clauses, clauses}}, env, state}
  end

  defp framed(fun, clauses, env, state, make) do
    ordinal = state.closures + 1

    case Closure.unhide(clauses, env, state.taken) do
      {:ok, clauses, taken} ->
        {clauses, state} = heads(clauses, env, %{state | closures: ordinal, taken: taken})

        {make.([Frame.closure(fun, clauses, env, site(fun, clauses, ordinal, state), ordinal, state)]), env,
         state}

      :error ->
        {clauses, state} = heads(clauses, env, %{state | closures: ordinal})
        {make.(clauses), env, state}
    end
  end

  defp site(fun, [{:clause, _, patterns, _, _} | _], ordinal, state) do
    {name, arity} = state.function
    line = fun |> elem(1) |> :erl_anno.line()
    Site.closure({state.plan.module, name, arity}, ordinal, length(patterns), state.file, line)
  end

  defp bind(env, patterns), do: patterns |> Pattern.binds() |> MapSet.new() |> MapSet.union(env)
end
