# One function, rewritten. This is the shape, with [..] for what stands there only when it is needed:
#
#     f(A1, A2) ->
#       case Gate:on() of
#         false -> case {A1, A2} of <the clauses as they were>; _ -> <no clause matched> end;
#         _ ->
#           [Agents:ensure(),]
#           case Native:enter(Site, A1, A2) of ok -> ok; Unknown -> Capture:introduce(Unknown, Sources()) end,
#           [C = Capture:chain(),]
#           try case {A1, A2} of <the clauses, tail calls rewritten by Tail>; _ -> <no clause matched> end
#           of {0, V} -> Native:leave(Site, V);
#              [Ended -> case Native:tail(Site, Ended) of {1, X, Y} -> f(X, Y) end]
#           catch K:E:S -> [Capture:unwrap(C),] Native:raised(Site, K, E, S), erlang:raise(K, E, S)
#           end
#       end.
#
# One frame a function, not one a clause: heads that do not match belong to the same call. Anonymous functions inside
# the recorded branch have frames of the same kind, without the gate; those in the other branch are as written.
defmodule ElixirScope.Instrument.Frame do
  @moduledoc false

  alias ElixirScope.{Capture, Gate, Native}
  alias ElixirScope.Instrument.{Agents, Body, Options, Plan, Site, Syntax, Tail}

  # Native has one enter/n for each arity up to here; more arguments go in a list.
  @most_arguments 12

  # Its name begins like those of the compiler's own functions.
  @sources :"-elixir_scope_sources-"

  @doc "Rewrites one function form. The plan must hold it."
  @spec build(tuple(), Plan.t(), file :: String.t()) :: tuple()
  def build({:function, _, name, arity, clauses} = form, %Plan{} = plan, file) do
    # Of the first clause: a head without body may stand lines above it, and errors name the clause.
    anno = clause_anno(clauses)
    prefix = Syntax.fresh_prefix(form)
    role = Map.fetch!(plan.roles, {name, arity})
    origin = Plan.origin(plan, file)
    named = Plan.arguments(plan, {name, arity}, clauses)
    site = Site.new({plan.module, name, arity}, :function, origin, place(anno, form, plan), named)
    options = Plan.options(plan, {name, arity})
    frame = Map.put(frame(anno, arity, site, role, prefix, {plan, options}), :name, name)
    taken = Syntax.variables(form)

    # A state that is made of several arguments is among no variables.
    state =
      case role do
        {:callback, position, _} when is_integer(position) -> Enum.at(frame.args, position - 1)
        _other -> nil
      end

    inside =
      Body.rewrite(clauses, state, %Body{
        plan: plan,
        options: options,
        function: {name, arity},
        frame: {name, arity},
        origin: origin,
        prefix: prefix,
        taken: taken
      })

    # The compiler warns of clauses that cannot match in a pass behind the hook, and should do so once.
    recorded = inside |> recorded(MapSet.new(), frame, plan) |> Syntax.quiet()
    recorded = agents(form, options, frame) ++ recorded

    gate =
      {:case, frame.added, Syntax.remote(frame.added, Gate, :on, []),
       [
         Syntax.clause(frame.added, {:atom, frame.added, false}, [dispatch(clauses, frame)]),
         Syntax.clause(frame.added, {:var, frame.added, :_}, recorded)
       ]}

    put_elem(form, 4, [{:clause, anno, frame.args, [], [gate]}])
  end

  @doc """
  A function whose calls are counted: the code is as written, with one thing more at the beginning of each clause.

      f(X) -> case Gate:on() of false -> ok; _ -> case Native:count(Site) of ok -> ok; U -> Capture:introduce(U, Sources) end end, ...
  """
  @spec count(tuple(), Plan.t(), file :: String.t()) :: tuple()
  def count({:function, _, name, arity, clauses} = form, %Plan{} = plan, file) do
    site =
      Site.new(
        {plan.module, name, arity},
        :counted,
        Plan.origin(plan, file),
        place(clause_anno(clauses), form, plan)
      )

    prefix = Syntax.fresh_prefix(form)

    clauses =
      for {:clause, anno, patterns, guards, body} <- clauses do
        added = Syntax.generated(anno)
        counted = Syntax.remote(added, Native, :count, [Syntax.literal(site, added)])
        unknown = {:var, added, :"#{prefix}Unknown"}

        gate =
          {:case, added, Syntax.remote(added, Gate, :on, []),
           [
             Syntax.clause(added, {:atom, added, false}, [{:atom, added, :ok}]),
             Syntax.clause(added, {:var, added, :_}, [introduced(counted, unknown, added, plan)])
           ]}

        {:clause, anno, patterns, guards, [gate | body]}
      end

    put_elem(form, 4, clauses)
  end

  @doc """
  The function of the module that holds the texts it was compiled from, where there are any. Every frame names it, for the
  case that the recorder does not have them yet, so they stand once in the object code.
  """
  @spec sources(Plan.t()) :: [tuple()]
  def sources(%Plan{sources: sources}) when sources == %{}, do: []

  def sources(%Plan{sources: sources}) do
    anno = Syntax.generated(0)
    texts = sources |> Map.values() |> Enum.uniq()
    [{:function, anno, @sources, 0, [{:clause, anno, [], [], [Syntax.literal(texts, anno)]}]}]
  end

  @doc """
  The one clause of an anonymous function that stands for all of its clauses, rewritten by Body already. It asks no gate:
  what was made while recording was on records, and what was made while it was off is the function as written.
  """
  @spec closure(tuple(), [tuple()], MapSet.t(atom()), Site.t(), pos_integer(), Body.t()) :: tuple()
  def closure(fun, [{:clause, _, patterns, _, _} | _] = clauses, bound, site, ordinal, %Body{} = body) do
    anno = elem(fun, 1)
    # Frames stand in frames, so each has names of its own.
    prefix = "#{body.prefix}Fn#{ordinal}_"
    frame = frame(anno, length(patterns), site, :function, prefix, {body.plan, body.options})

    {:clause, anno, frame.args, [], recorded(clauses, bound, frame, body.plan)}
  end

  defp frame(anno, arity, site, role, prefix, {plan, options}) do
    added = Syntax.generated(anno)

    %{
      anno: anno,
      added: added,
      args: for(n <- numbers(arity), do: {:var, added, :"#{prefix}A#{n}"}),
      site: Syntax.literal(site, added),
      options: options,
      role: role,
      prefix: prefix,
      plan: plan
    }
  end

  defp numbers(0), do: []
  defp numbers(arity), do: 1..arity

  # Elixir gives no line to clauses that a macro made, or that stand in the line of their module.
  defp place(anno, form, plan) do
    Enum.find([anno, elem(form, 1), plan.anno], anno, &(:erl_anno.line(&1) > 0))
  end

  defp clause_anno([{:clause, anno, _, _, _} | _]), do: anno

  defp agents(form, %Options{state: true, agents: true}, frame) do
    if Agents.named?(form), do: [Syntax.remote(frame.added, Agents, :ensure, [])], else: []
  end

  defp agents(_form, _options, _frame), do: []

  # `bound`: the variables that may be bound around the clauses.
  defp recorded(clauses, bound, frame, plan) do
    tail = Tail.rewrite(clauses, bound, %Tail{plan: plan, role: frame.role, prefix: frame.prefix})
    recorded(clauses, tail, frame)
  end

  defp recorded(clauses, :value, frame) do
    value = variable(frame, "Value")

    enter(frame) ++
      [
        attempt(
          dispatch(clauses, frame),
          [Syntax.clause(frame.added, value, [leave(value, frame)])],
          [],
          frame
        )
      ]
  end

  defp recorded(_clauses, {clauses, tail}, frame) do
    chain = Tail.chain(tail, frame.added)
    unwrap = if tail.wraps?, do: [Syntax.remote(frame.added, Capture, :unwrap, [chain])], else: []

    read_chain =
      if tail.wraps?,
        do: [{:match, frame.added, chain, Syntax.remote(frame.added, Capture, :chain, [])}],
        else: []

    enter(frame) ++ read_chain ++ [attempt(dispatch(clauses, frame), endings(tail, frame), unwrap, frame)]
  end

  # The ways in which the rewritten body says that it ended; see Tail.
  defp endings(tail, %{added: added} = frame) do
    value = variable(frame, "Value")
    returned = Syntax.clause(added, tagged(added, 0, [value]), [leave(value, frame)])

    ended = variable(frame, "Ended")

    # The compiler follows types through tuples, but less far with each of its passes, and in some modules it
    # trips over that (all of OTP 25 to 29). What comes back from another module has no type to lose, so the
    # tuple goes through the recorder's call, which answers with its second argument.
    left = for {tag, names, call} <- tail.exits, do: Syntax.clause(added, tagged(added, tag, names), [call])
    [returned, Syntax.clause(added, ended, [{:case, added, native(:tail, [ended], frame), left}])]
  end

  defp attempt(body, endings, unwrap, %{added: added} = frame) do
    [kind, reason, stack] = names = Enum.map(["Kind", "Reason", "Stack"], &variable(frame, &1))

    caught =
      {:clause, added, [{:tuple, added, [kind, reason, stack]}], [],
       unwrap ++ [raised(names, frame), Syntax.remote(added, :erlang, :raise, names)]}

    {:try, added, [body], endings, [caught], []}
  end

  defp enter(%{role: :function} = frame),
    do: [introduced(enter_call(frame), variable(frame, "Unknown"), frame.added, frame.plan)]

  # Whether this is the server's own callback is found once, at its entry, and kept in a variable.
  defp enter(%{role: {:callback, :nowhere, callback}} = frame) do
    serves(capture(:enter_init, [arguments(frame), literal(callback, frame)], frame), frame)
  end

  defp enter(%{role: {:callback, where, callback}} = frame) do
    given = [arguments(frame), state(where, frame), literal(callback, frame)]
    serves(capture(:enter_callback, given, frame), frame)
  end

  defp state(:function, frame), do: {:atom, frame.added, frame.name}
  defp state(position, frame) when is_integer(position), do: Enum.at(frame.args, position - 1)
  defp state(parts, frame), do: {:tuple, frame.added, Enum.map(parts, &state(&1, frame))}

  defp literal(callback, frame), do: Syntax.literal(callback, frame.added)

  defp serves(call, %{added: added} = frame) do
    [serves, answer, unknown] = Enum.map(["Serves", "Answer", "Unknown"], &variable(frame, &1))
    [{:match, added, {:tuple, added, [serves, answer]}, call}, introduced(answer, unknown, added, frame.plan)]
  end

  @doc "The call of a capture function that answers what the recorder does not know yet, which is then said."
  @spec introduced(Syntax.expr(), Syntax.expr(), :erl_anno.anno(), Plan.t()) :: Syntax.expr()
  def introduced(call, unknown, added, plan) do
    sources = if plan.sources == %{}, do: {nil, added}, else: {:call, added, {:atom, added, @sources}, []}

    {:case, added, call,
     [
       Syntax.clause(added, {:atom, added, :ok}, [{:atom, added, :ok}]),
       Syntax.clause(added, unknown, [Syntax.remote(added, Capture, :introduce, [unknown, sources])])
     ]}
  end

  defp enter_call(%{options: %Options{args: false}} = frame), do: native(:enter_bare, [], frame)

  defp enter_call(%{args: args} = frame) when length(args) <= @most_arguments,
    do: native(:enter, args, frame)

  defp enter_call(%{args: args} = frame), do: native(:enter_list, [Syntax.list(args, frame.added)], frame)

  # Of a callback: a list, or nil when arguments are not wanted.
  defp arguments(%{options: %Options{args: true}, args: args} = frame), do: Syntax.list(args, frame.added)
  defp arguments(%{options: %Options{args: false}, added: added}), do: {:atom, added, nil}

  # A callback's return is looked at also with `returns: false`: the new state is in it.
  defp leave(value, %{role: :function, options: %Options{returns: true}} = frame) do
    native(:leave, [value], frame)
  end

  defp leave(value, %{role: :function, added: added} = frame) do
    {:block, added, [native(:left, [], frame), value]}
  end

  defp leave(value, frame), do: capture(:leave_callback, [variable(frame, "Serves"), value], frame)

  defp raised(names, %{role: :function} = frame), do: native(:raised, names, frame)
  defp raised(names, frame), do: capture(:raised_callback, [variable(frame, "Serves") | names], frame)

  # Heads become the clauses of one case over a tuple, which the compiler takes apart again.
  defp dispatch(clauses, %{added: added, args: args} = frame) do
    cases =
      for {:clause, anno, patterns, guards, body} <- clauses,
          do: {:clause, anno, [{:tuple, added, patterns}], guards, body}

    total = if total?(List.last(clauses)), do: [], else: [unmatched(frame)]
    {:case, added, {:tuple, added, args}, cases ++ total}
  end

  # A FunctionClauseError must show the line of the function. The compiler drops the line of the error when the
  # code before it has the same one and then moves the block to the end; a call on another line prevents that.
  defp unmatched(%{anno: anno, added: added, args: args} = frame) do
    elsewhere = :erl_anno.set_line(:erl_anno.line(anno) + 1, added)

    Syntax.clause(added, {:var, added, :_}, [
      Syntax.remote(elsewhere, Capture, :unmatched, [frame.site]),
      Syntax.remote(added, :erlang, :error, [{:atom, added, :function_clause}, Syntax.list(args, added)])
    ])
  end

  # Whether a clause takes every argument list: new variables only and no guard.
  defp total?({:clause, _, patterns, [], _}) do
    names = for {:var, _, name} <- patterns, do: name
    named = Enum.reject(names, &(&1 == :_))
    length(names) == length(patterns) and named == Enum.uniq(named)
  end

  defp total?(_clause), do: false

  defp variable(%{added: added, prefix: prefix}, role), do: {:var, added, :"#{prefix}#{role}"}

  defp tagged(added, tag, names), do: {:tuple, added, [{:integer, added, tag} | names]}

  defp native(function, args, frame), do: Syntax.remote(frame.added, Native, function, [frame.site | args])
  defp capture(function, args, frame), do: Syntax.remote(frame.added, Capture, function, [frame.site | args])
end
