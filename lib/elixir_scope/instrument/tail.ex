# Tail calls. A function that records its return is no longer called in tail position, so a loop would grow the
# stack without end. This file finds what stands in tail position and rewrites it, so that the body of a
# function has for its value a description of how the function ends:
#
#     {0, Value}               it returned Value
#     {Tag, Piece, ...}        it ends in the tail call number Tag, whose evaluated pieces these are;
#                              the frame makes that call after it has left its own `try`. The tag is positive
#                              when the callee records its own return, negative when nobody will
#
# A callee that is instrumented in the same module records the return itself, so its call stays a tail call
# (kind :left). Of any other callee (kind :wrapped) the return would be lost, so the call is made inside the
# frame as long as fewer than @limit such calls lie on the stack of the process, and left from then on: loops
# through other modules grow to @limit frames and are flat afterwards.
defmodule ElixirScope.Instrument.Tail do
  @moduledoc false

  alias ElixirScope.Instrument.{Plan, Syntax}

  @limit 256

  # They never return, or throw the stack away: nothing would ever come back to a frame around them.
  @endless [
    {:erlang, :hibernate, 3},
    {:proc_lib, :hibernate, 3},
    {:gen_server, :enter_loop, 3},
    {:gen_server, :enter_loop, 4},
    {:gen_server, :enter_loop, 5},
    {:gen_statem, :enter_loop, 4},
    {:gen_statem, :enter_loop, 5},
    {:gen_statem, :enter_loop, 6},
    {:sys, :handle_system_msg, 6},
    {:sys, :handle_system_msg, 7}
  ]

  @enforce_keys [:plan, :role, :prefix]
  defstruct @enforce_keys ++ [count: 0, exits: [], wraps?: false]

  @typedoc "One tail call that is left: its tag, the variables of its pieces, the call made of them."
  @type exit_site :: {tag :: integer(), [Syntax.expr()], call :: Syntax.expr()}

  @type t :: %__MODULE__{
          plan: Plan.t(),
          role: Plan.role(),
          prefix: String.t(),
          count: non_neg_integer(),
          exits: [exit_site()],
          wraps?: boolean()
        }

  @doc """
  Rewrites the clauses of a function, around which the variables of `bound` may be bound. `:value` when no clause ends
  in a call that matters.
  """
  @spec rewrite([tuple()], MapSet.t(atom()), t()) :: :value | {[tuple()], t()}
  def rewrite(clauses, bound, %__MODULE__{} = state), do: clauses(clauses, bound, state)

  @doc "The variable that holds how many wrapped calls lay on the stack when the function was entered."
  @spec chain(t(), :erl_anno.anno()) :: Syntax.expr()
  def chain(%__MODULE__{prefix: prefix}, anno), do: {:var, anno, :"#{prefix}Chain"}

  @doc "What a call in tail position is: an ordinary `:value`, `:left` in place, `:wrapped`, or `:endless`."
  @spec kind(Syntax.expr(), t()) :: :value | :left | :wrapped | :endless
  def kind({:call, _, callee, args}, state), do: kind(callee, length(args), state)

  defp kind({:atom, _, name}, arity, state), do: local(name, arity, state)
  defp kind({:fun, _, {:function, name, arity}}, arity, state), do: local(name, arity, state)

  defp kind({:remote, _, {:atom, _, :erlang}, {:atom, _, :apply}}, arity, _) when arity in [2, 3],
    do: :wrapped

  defp kind({:remote, _, {:atom, _, module}, {:atom, _, name}}, arity, state) do
    cond do
      {module, name, arity} in @endless -> :endless
      module == :erlang -> :value
      module == state.plan.module and Plan.instruments?(state.plan, {name, arity}) -> instrumented(state)
      true -> :wrapped
    end
  end

  defp kind(_callee, _arity, _state), do: :wrapped

  defp local(name, arity, state) do
    cond do
      Plan.instruments?(state.plan, {name, arity}) -> instrumented(state)
      {name, arity} in state.plan.defined -> :wrapped
      {name, arity} == {:apply, 2} or {name, arity} == {:apply, 3} -> :wrapped
      :erl_internal.bif(name, arity) -> :value
      true -> :wrapped
    end
  end

  # The new state of a server is in what the callback returns, so a callback must see its value also when
  # another function of the module makes it. The server's loop calls callbacks, they are none of their own; should
  # one call itself all the same, the limit bounds it.
  defp instrumented(%{role: :function}), do: :left
  defp instrumented(_callback), do: :wrapped

  # From here on each function takes an expression in tail position, the variables that may be bound there and
  # the state. It answers :value when the expression holds no tail call, and {rewritten, state} otherwise.

  defp expr({:block, anno, body}, bound, state) do
    with {body, state} <- body(body, bound, state), do: {{:block, anno, body}, state}
  end

  defp expr({:case, anno, subject, clauses}, bound, state) do
    with {clauses, state} <- clauses(clauses, bind(bound, subject), state) do
      {{:case, anno, subject, clauses}, state}
    end
  end

  defp expr({:if, anno, clauses}, bound, state) do
    with {clauses, state} <- clauses(clauses, bound, state), do: {{:if, anno, clauses}, state}
  end

  defp expr({:receive, anno, clauses}, bound, state) do
    with {clauses, state} <- clauses(clauses, bound, state), do: {{:receive, anno, clauses}, state}
  end

  defp expr({:receive, anno, clauses, timeout, body}, bound, state) do
    # The part behind `after` is one more branch; as a clause it goes through the same door.
    branches = clauses ++ [{:clause, anno, [], [], body}]

    with {branches, state} <- clauses(branches, bind(bound, timeout), state) do
      {clauses, [{:clause, _, [], [], body}]} = Enum.split(branches, -1)
      {{:receive, anno, clauses, timeout, body}, state}
    end
  end

  # With an `after` part nothing inside is in tail position. Without `of` the value of the body is the value.
  defp expr({:try, anno, body, of, rescues, []}, bound, state) do
    {of_count, bound} = {length(of), bind(bound, body)}

    with {branches, state} <- clauses(of ++ rescues, bound, state) do
      {of, rescues} = Enum.split(branches, of_count)
      {of, state} = if of == [], do: value_clause(anno, state), else: {of, state}
      {{:try, anno, body, of, rescues, []}, state}
    end
  end

  defp expr({:op, anno, operator, left, right}, bound, state) when operator in [:andalso, :orelse] do
    with {right, state} <- expr(right, bind(bound, left), state) do
      added = Syntax.generated(anno)
      {other, state} = fresh(state, added)
      {go_on, stop} = if operator == :andalso, do: {true, false}, else: {false, true}
      badarg = Syntax.remote(anno, :erlang, :error, [{:tuple, added, [{:atom, added, :badarg}, other]}])

      {{:case, added, left,
        [
          Syntax.clause(added, {:atom, added, go_on}, [right]),
          Syntax.clause(added, {:atom, added, stop}, [value({:atom, added, stop}, added)]),
          Syntax.clause(added, other, [badarg])
        ]}, state}
    end
  end

  # `Var = call()` is a tail call as long as the variable is new: a bound one makes it a match that may fail.
  defp expr({:match, _, {:var, _, name}, right}, bound, state) do
    if name == :_ or name not in bind(bound, right), do: expr(right, bound, state), else: :value
  end

  defp expr({:maybe, anno, body}, bound, state) do
    # Without `else`, the value that did not match is the value of all.
    with {body, state} <- maybe_body(body, bound, state) do
      {else_clauses, state} = value_clause(anno, state)
      {{:maybe, anno, body, {:else, anno, else_clauses}}, state}
    end
  end

  defp expr({:maybe, anno, body, {:else, else_anno, clauses}}, bound, state) do
    case {maybe_body(body, bound, state), clauses} do
      {:value, clauses} ->
        with {clauses, state} <- clauses(clauses, bind(bound, body), state) do
          {body, state} = maybe_value(body, state)
          {{:maybe, anno, body, {:else, else_anno, clauses}}, state}
        end

      {{body, state}, clauses} ->
        {clauses, state} = settled(clauses(clauses, bind(bound, body), state), clauses, state)
        {{:maybe, anno, body, {:else, else_anno, clauses}}, state}
    end
  end

  # A fun that is applied where it stands is compiled into its surroundings (`then/2` is one), so its clauses
  # are in tail position too. It is kept whole: taken apart, its FunctionClauseError would read otherwise.
  defp expr({:call, anno, {:fun, fun_anno, {:clauses, clauses}}, args}, bound, state) do
    with {clauses, state} <- clauses(clauses, bind(bound, args), state) do
      {{:call, anno, {:fun, fun_anno, {:clauses, clauses}}, args}, state}
    end
  end

  defp expr({:call, _, _, _} = call, _bound, state) do
    case kind(call, state) do
      :value -> :value
      :left -> left(call, state)
      :wrapped -> wrapped(call, state)
      :endless -> endless(call, state)
    end
  end

  defp expr(_other, _bound, _state), do: :value

  defp body(exprs, bound, state) do
    {init, [last]} = Enum.split(exprs, -1)
    with {last, state} <- expr(last, bind(bound, init), state), do: {init ++ [last], state}
  end

  # Branches: if one of them ends in a tail call, all of them have to say how they end.
  defp clauses(clauses, bound, state) do
    {answers, {found?, state}} =
      Enum.map_reduce(clauses, {false, state}, fn {:clause, _, patterns, guards, body}, {found?, state} ->
        case body(body, bind(bound, [patterns, guards]), state) do
          :value -> {:value, {found?, state}}
          {body, state} -> {body, {true, state}}
        end
      end)

    if found?, do: {Enum.zip_with(clauses, answers, &put_body/2), state}, else: :value
  end

  defp put_body({:clause, anno, patterns, guards, body}, :value) do
    {:clause, anno, patterns, guards, body_value(body, anno)}
  end

  defp put_body({:clause, anno, patterns, guards, _}, body), do: {:clause, anno, patterns, guards, body}

  defp settled(:value, clauses, state), do: {Enum.map(clauses, &put_body(&1, :value)), state}
  defp settled({clauses, state}, _clauses, _state), do: {clauses, state}

  # The last expression of maybe may be `Pattern ?= Expr`, which is allowed nowhere else.
  defp maybe_body(body, bound, state) do
    if match?({:maybe_match, _, _, _}, List.last(body)), do: :value, else: body(body, bound, state)
  end

  defp maybe_value(body, state) do
    case Enum.split(body, -1) do
      {init, [{:maybe_match, anno, pattern, right}]} ->
        added = Syntax.generated(anno)
        {name, state} = fresh(state, added)
        matched = {:maybe_match, anno, pattern, {:match, added, name, right}}
        {init ++ [matched, value(name, added)], state}

      {_init, [last]} ->
        {body_value(body, elem(last, 1)), state}
    end
  end

  # The pieces of a left call are evaluated as elements of the tuple: in order, once, inside the `try`.
  # Calls of the same function share one tag, because a tail call leaves no line in any stack trace.
  defp left({:call, anno, callee, args}, state) do
    added = Syntax.generated(anno)
    target = {target(callee), length(args)}

    case Enum.find(state.exits, fn {_, _, {:call, _, callee, args}} ->
           {target(callee), length(args)} == target
         end) do
      {tag, _, _} ->
        {ended(added, tag, args), state}

      nil ->
        {names, state} = Enum.map_reduce(args, state, fn _, state -> fresh(state, added) end)
        {tag, state} = add_exit(state, 1, names, {:call, anno, callee, names})
        {ended(added, tag, args), state}
    end
  end

  # A qualified call of the own module stays one: it is where a process switches to newly loaded code.
  defp target({:atom, _, name}), do: name
  defp target({:fun, _, {:function, name, _arity}}), do: name
  defp target({:remote, _, {:atom, _, module}, {:atom, _, name}}), do: {module, name}
  defp target(_computed), do: nil

  defp wrapped({:call, anno, _, _} = call, state) do
    added = Syntax.generated(anno)
    {bindings, pieces, state} = evaluate(call, added, state)
    chain = chain(state, added)
    {result, state} = fresh(state, added)
    {ended, state} = leave_call(call, pieces, added, state)

    wrapped = [
      Syntax.remote(added, ElixirScope.Capture, :wrap, [chain]),
      {:match, added, result, put_pieces(call, pieces)},
      Syntax.remote(added, ElixirScope.Capture, :unwrap, [chain]),
      value(result, added)
    ]

    choice =
      {:case, added, {:op, added, :<, chain, {:integer, added, @limit}},
       [
         Syntax.clause(added, {:atom, added, true}, wrapped),
         Syntax.clause(added, {:atom, added, false}, [ended])
       ]}

    {block(added, bindings, choice), %{state | wraps?: true}}
  end

  defp endless({:call, anno, _, _} = call, state) do
    added = Syntax.generated(anno)
    {bindings, pieces, state} = evaluate(call, added, state)
    {ended, state} = leave_call(call, pieces, added, state)
    {block(added, bindings, ended), state}
  end

  # Literals need no carrying. Variables travel in the tuple, because what is bound inside `try` is not
  # visible behind it; the call itself is then made with new names.
  defp leave_call(call, pieces, added, state) do
    {carried, {names, state}} =
      Enum.map_reduce(pieces, {[], state}, fn piece, {names, state} ->
        if literal?(piece) do
          {piece, {names, state}}
        else
          {name, state} = fresh(state, added)
          {name, {[name | names], state}}
        end
      end)

    {tag, state} = add_exit(state, -1, Enum.reverse(names), put_pieces(call, carried))
    {ended(added, tag, Enum.reject(pieces, &literal?/1)), state}
  end

  # Each piece that is not yet a value is bound to a new variable, in the order in which the call evaluates them.
  defp evaluate(call, added, state) do
    {pairs, state} =
      call
      |> pieces()
      |> Enum.map_reduce(state, fn piece, state ->
        if literal?(piece) or match?({:var, _, _}, piece) do
          {{[], piece}, state}
        else
          {name, state} = fresh(state, added)
          {{[{:match, added, name, piece}], name}, state}
        end
      end)

    {Enum.flat_map(pairs, &elem(&1, 0)), Enum.map(pairs, &elem(&1, 1)), state}
  end

  defp pieces({:call, _, {:remote, _, module, function}, args}), do: [module, function | args]
  defp pieces({:call, _, callee, args}), do: [callee | args]

  defp put_pieces({:call, anno, {:remote, remote, _, _}, _}, [module, function | args]) do
    {:call, anno, {:remote, remote, module, function}, args}
  end

  defp put_pieces({:call, anno, _, _}, [callee | args]), do: {:call, anno, callee, args}

  defp literal?({kind, _, _}) when kind in [:atom, :integer, :char, :float, :string], do: true
  defp literal?({nil, _}), do: true
  defp literal?({:fun, _, {:function, _, _}}), do: true

  defp literal?({:fun, _, {:function, module, name, arity}}) do
    literal?(module) and literal?(name) and literal?(arity)
  end

  defp literal?(_expr), do: false

  defp block(_anno, [], expr), do: expr
  defp block(anno, bindings, expr), do: {:block, anno, bindings ++ [expr]}

  defp body_value(body, anno) do
    {init, [last]} = Enum.split(body, -1)
    init ++ [value(last, Syntax.generated(anno))]
  end

  defp value_clause(anno, state) do
    added = Syntax.generated(anno)
    {name, state} = fresh(state, added)
    {[Syntax.clause(added, name, [value(name, added)])], state}
  end

  defp value(expr, anno), do: ended(anno, 0, [expr])

  defp ended(anno, tag, pieces), do: {:tuple, anno, [{:integer, anno, tag} | pieces]}

  defp add_exit(state, sign, names, call) do
    tag = sign * (length(state.exits) + 1)
    {tag, %{state | exits: state.exits ++ [{tag, names, call}]}}
  end

  @doc "A variable of this name stands nowhere else in the function."
  @spec fresh(t(), :erl_anno.anno()) :: {Syntax.expr(), t()}
  def fresh(%__MODULE__{count: count} = state, anno) do
    {{:var, anno, :"#{state.prefix}#{count}"}, %{state | count: count + 1}}
  end

  defp bind(bound, code), do: MapSet.union(bound, Syntax.variables(code))
end
