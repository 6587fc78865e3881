# A program that writes down itself what happens in it. It starts from the same source text as the compiler, and
# stands on nothing of the instrumentation: probes are put into the quoted code before it is expanded, frames are
# functions around functions. So it says the same as a recording should, by another way.
#
# It behaves like the program, but for tail calls, stack traces, and the functions that a FunctionClauseError names.
defmodule ElixirScope.Program.Probed do
  @moduledoc false

  alias ElixirScope.Program.Log

  @definitions [:def, :defp, :defdelegate]

  @doc "The source text as quoted code with probes."
  @spec quoted(String.t()) :: Macro.t()
  def quoted(source) do
    source |> Code.string_to_quoted!() |> Macro.prewalk(&module/1)
  end

  defp module({:defmodule, meta, [{:__aliases__, _, parts} = name, [do: body]]}) do
    module = Module.concat(parts)
    {items, _seen} = body |> statements() |> Enum.flat_map_reduce([], &item(&1, &2, module))
    {:defmodule, meta, [name, [do: {:__block__, [], items}]]}
  end

  defp module(node), do: node

  defp statements({:__block__, _, statements}), do: statements
  defp statements(one), do: [one]

  # Before its first clause each function gets its frame.
  defp item({kind, _, [head | _]} = definition, seen, module) when kind in @definitions do
    {name, args, _guard} = head(head)
    function = {name, length(args)}
    frames = if function in seen, do: [], else: frames(definition, {module, name, length(args)})
    {frames ++ inner(definition, module), [function | seen]}
  end

  defp item(other, seen, _module), do: {[other], seen}

  defp head({:when, _, [head, guard]}), do: head(head) |> put_elem(2, guard)
  defp head({name, _, args}), do: {name, if(is_list(args), do: args, else: []), nil}

  defp frames({:defdelegate, meta, [{name, _, args}, [to: to, as: target]]}, {module, name, arity} = mfa) do
    call = {{:., [], [to, target]}, [], args}
    code = block(probe(args, meta, %{frame: mfa}) ++ [call])
    [{:def, [], [{name, [], args}, [do: frame({module, name, arity}, args, code)]]}]
  end

  defp frames({kind, _, [head | _]}, {module, name, arity}) do
    {_, args, _} = head(head)
    hidden = for {:\\, _, [_, value]} <- args, do: value

    defaults =
      for {missing, _} <- Enum.with_index(Enum.reverse(hidden), 1) do
        framed(kind, {module, name, arity - 1}, &{name, [], &1 ++ [missing]})
      end

    defaults ++ [framed(kind, {module, name, arity}, &{inner_name(name), [], &1})]
  end

  defp framed(kind, {_, name, arity} = mfa, call) do
    args = arguments(arity)

    {kind, [],
     [
       {name, [], args},
       [do: frame(mfa, args, call.(args))]
     ]}
  end

  defp frame(mfa, args, body) do
    quote(do: unquote(Log).frame(unquote(Macro.escape(mfa)), unquote(args), fn -> unquote(body) end))
  end

  defp arguments(0), do: []
  defp arguments(arity), do: for(n <- 1..arity, do: {:"probed_#{n}", [], nil})

  defp inner_name(name), do: :"#{name}_probed"

  defp inner({:defdelegate, _, _}, _module), do: []
  defp inner({_kind, _, [_head_of_defaults]}, _module), do: []

  defp inner({_kind, meta, [head, parts]}, module) do
    {name, args, guard} = head(head)
    mfa = {module, name, length(args)}
    state = %{module: module, function: "#{name}/#{length(args)}", frame: mfa}
    new = {inner_name(name), [], args}
    head = if guard, do: {:when, [], [new, guard]}, else: new

    code =
      case attempt(parts, :tail, state) do
        [do: code] -> code
        parts -> {:try, [], [parts]}
      end

    [{:defp, meta, [head, [do: block(probe(args, meta, state) ++ [code])]]}]
  end

  defp block([one]), do: one
  defp block(some), do: {:__block__, [], some}

  # The probe behind a pattern, or nothing when it binds nothing.
  defp probe(patterns, meta, state) do
    case names(patterns) do
      [] -> []
      names -> [note(names, meta, state)]
    end
  end

  defp note(names, meta, state) do
    variables = for name <- names, do: {name, {name, [], nil}}
    quote(do: unquote(Log).bind(unquote(Macro.escape(state.frame)), unquote(meta[:line]), unquote(variables)))
  end

  # The variables of a pattern, each once, in the order in which they stand.
  defp names(patterns), do: patterns |> found([]) |> Enum.reverse() |> Enum.uniq()

  defp found({:^, _, _}, names), do: names
  defp found({:when, _, parts}, names), do: found(Enum.drop(parts, -1), names)
  defp found({:"::", _, [left, _type]}, names), do: found(left, names)
  defp found({:%, _, [_struct, map]}, names), do: found(map, names)
  defp found({:\\, _, [left, _]}, names), do: found(left, names)
  defp found({:%{}, _, pairs}, names), do: pairs |> Enum.map(&elem(&1, 1)) |> found(names)
  defp found({:__aliases__, _, _}, names), do: names

  defp found({name, _, context}, names) when is_atom(name) and is_atom(context) do
    if String.starts_with?(Atom.to_string(name), "_"), do: names, else: [name | names]
  end

  defp found({_, _, parts}, names) when is_list(parts), do: found(parts, names)
  defp found({left, right}, names), do: found(right, found(left, names))
  defp found([first | rest], names), do: found(rest, found(first, names))
  defp found(_literal, names), do: names

  # Expressions. `position` is :tail where the value of the expression is that of the function: a variable that is bound
  # there has no event.

  defp body(code, position, state) do
    {first, [last]} = code |> statements() |> Enum.split(-1)
    block(Enum.flat_map(first, &statement(&1, state)) ++ [expr(last, position, state)])
  end

  defp statement({:=, meta, [_, _]} = match, state) do
    {match, names} = match(match, state)
    [match | if(names == [], do: [], else: [note(names, meta, state)])]
  end

  defp statement(other, state), do: [expr(other, :inside, state)]

  defp match({:=, meta, [pattern, {:=, _, _} = right]}, state) do
    {right, names} = match(right, state)
    {{:=, meta, [pattern, right]}, names(pattern) ++ names}
  end

  defp match({:=, meta, [pattern, right]}, state) do
    {{:=, meta, [pattern, expr(right, :inside, state)]}, names(pattern)}
  end

  defp expr({:__block__, _, _} = block, position, state), do: body(block, position, state)

  defp expr({:=, meta, [{name, _, context} = variable, right]}, :tail, state)
       when is_atom(name) and is_atom(context) do
    {:=, meta, [variable, expr(right, :tail, state)]}
  end

  defp expr({:=, meta, [_, _]} = match, _position, state) do
    case match(match, state) do
      {match, []} -> match
      {match, names} -> {:__block__, [], [{:=, [], [value(), match]}, note(names, meta, state), value()]}
    end
  end

  defp expr({:case, meta, [subject, [do: clauses]]}, position, state) do
    {:case, meta, [expr(subject, :inside, state), [do: clauses(clauses, position, state)]]}
  end

  defp expr({:cond, meta, [[do: clauses]]}, position, state) do
    clauses =
      for {:->, meta, [[test], code]} <- clauses do
        {:->, meta, [[expr(test, :inside, state)], body(code, position, state)]}
      end

    {:cond, meta, [[do: clauses]]}
  end

  defp expr({kind, meta, [test, parts]}, position, state) when kind in [:if, :unless] do
    {kind, meta,
     [expr(test, :inside, state), for({key, code} <- parts, do: {key, body(code, position, state)})]}
  end

  defp expr({operator, meta, [left, right]}, position, state) when operator in [:&&, :||, :and, :or] do
    {operator, meta, [expr(left, :inside, state), expr(right, position, state)]}
  end

  defp expr({:with, meta, parts}, position, state) do
    {steps, [ends]} = Enum.split(parts, -1)

    ends =
      for {key, code} <- ends do
        {key, if(key == :do, do: body(code, position, state), else: clauses(code, position, state))}
      end

    {:with, meta, Enum.flat_map(steps, &step(&1, state)) ++ [ends]}
  end

  defp expr({:try, meta, [parts]}, position, state), do: {:try, meta, [attempt(parts, position, state)]}

  # The timeouts of programs are numbers, whose places not every version of Elixir keeps.
  defp expr({:receive, meta, [[do: clauses, after: [{:->, late, [[time], code]}]]]}, position, state)
       when is_integer(time) do
    clauses = for clause <- clauses(clauses, position, state), do: taking(clause, state)
    code = [log(:take, [[meta[:line], late[:line]], nil], state), body(code, position, state)]
    receives = {:receive, meta, [[do: clauses, after: [{:->, late, [[time], block(code)]}]]]}
    block([log(:wait, [[meta[:line]]], state), receives])
  end

  defp expr({:for, meta, parts}, _position, state) do
    {qualifiers, [options]} = Enum.split(parts, -1)

    options =
      for {key, code} <- options do
        case code do
          [{:->, _, _} | _] -> {key, clauses(code, :inside, state)}
          code -> {key, body(code, :inside, state)}
        end
      end

    {:for, meta, Enum.flat_map(qualifiers, &qualifier(&1, state)) ++ [options]}
  end

  # Applied where it stands it is a part of what is around it.
  defp expr({:then, meta, [value, fun]}, position, state) do
    {:then, meta, [expr(value, :inside, state), applied(fun, position, state)]}
  end

  defp expr({:apply, meta, [fun, args]}, _position, state) do
    {:apply, meta, [applied(fun, :inside, state), expr(args, :inside, state)]}
  end

  defp expr({:|>, meta, [value, {:then, then_meta, [fun]}]}, position, state) do
    {:|>, meta, [expr(value, :inside, state), {:then, then_meta, [applied(fun, position, state)]}]}
  end

  defp expr({{:., dot, [fun]}, meta, args}, position, state) do
    {{:., dot, [applied(fun, position, state)]}, meta, Enum.map(args, &expr(&1, :inside, state))}
  end

  defp expr({:match?, meta, [pattern, value]}, _position, state) do
    {:match?, meta, [pattern, expr(value, :inside, state)]}
  end

  defp expr({:fn, meta, clauses}, _position, state) do
    [{:->, _, [patterns, _]} | _] = clauses
    inner = %{state | frame: anonymous(meta, arity(patterns), state)}
    around(inner.frame, {:fn, meta, clauses(clauses, :tail, inner)})
  end

  defp expr({:&, _, [{:/, _, _}]} = named, _position, _state), do: named

  defp expr({:&, meta, [body]} = capture, _position, state) do
    {_, arity} =
      Macro.prewalk(body, 0, fn
        {:&, _, [n]} = node, arity when is_integer(n) -> {node, max(n, arity)}
        node, arity -> {node, arity}
      end)

    around(anonymous(meta, arity, state), capture)
  end

  defp expr({:"::", meta, [value, type]}, _position, state),
    do: {:"::", meta, [expr(value, :inside, state), type]}

  defp expr({callee, meta, args}, _position, state) when is_list(args) do
    {expr(callee, :inside, state), meta, Enum.map(args, &expr(&1, :inside, state))}
  end

  defp expr({left, right}, _position, state), do: {expr(left, :inside, state), expr(right, :inside, state)}
  defp expr(list, _position, state) when is_list(list), do: Enum.map(list, &expr(&1, :inside, state))
  defp expr(leaf, _position, _state), do: leaf

  defp taking({:->, meta, [[pattern], code]}, state) do
    taken = log(:take, [[meta[:line]], {:ok, message()}], state)
    {:->, meta, [[whole(pattern)], block([taken, code])]}
  end

  defp whole({:when, meta, [pattern, guard]}), do: {:when, meta, [whole(pattern), guard]}
  defp whole(pattern), do: {:=, [], [message(), pattern]}

  defp log(function, args, state) do
    quote(do: unquote(Log).unquote(function)(unquote_splicing([Macro.escape(state.frame) | args])))
  end

  defp message, do: {:probed_message, [], nil}
  defp value, do: {:probed_value, [], nil}

  defp clauses(clauses, position, state) do
    for {:->, meta, [patterns, code]} <- clauses do
      {:->, meta, [patterns, block(probe(shown(patterns), meta, state) ++ [body(code, position, state)])]}
    end
  end

  # Of `e in [Error]` in a rescue, the variable.
  defp shown([{:in, _, [variable, _]}]), do: [variable]
  defp shown(patterns), do: patterns

  defp attempt(parts, position, state) do
    position = if Keyword.has_key?(parts, :after), do: :inside, else: position
    alone? = Keyword.keys(parts) == [:do]

    for {key, code} <- parts do
      case key do
        :do -> {key, body(code, if(alone?, do: position, else: :inside), state)}
        :after -> {key, body(code, :inside, state)}
        _ -> {key, clauses(code, position, state)}
      end
    end
  end

  defp step({:<-, meta, [pattern, value]}, state) do
    [{:<-, meta, [pattern, expr(value, :inside, state)]} | probe([pattern], meta, state)]
  end

  defp step({:=, _, _} = match, state), do: statement(match, state)

  defp qualifier({:<-, meta, [pattern, value]}, state) do
    [{:<-, meta, [pattern, expr(value, :inside, state)]} | probe([pattern], meta, state)]
  end

  defp qualifier({:<<>>, meta, parts}, state) do
    {first, [{:<-, arrow, [last, value]}]} = Enum.split(parts, -1)
    drawn = {:<<>>, meta, first ++ [{:<-, arrow, [last, expr(value, :inside, state)]}]}
    [drawn | probe(first ++ [last], meta, state)]
  end

  defp qualifier(filter, state), do: [expr(filter, :inside, state)]

  defp applied({:fn, meta, clauses}, position, state), do: {:fn, meta, clauses(clauses, position, state)}
  defp applied({:&, _, _} = capture, _position, _state), do: capture
  defp applied(other, _position, state), do: expr(other, :inside, state)

  defp anonymous(meta, arity, state), do: {state.module, {:fn, state.function, meta[:line]}, arity}

  defp arity([{:when, _, parts}]), do: length(parts) - 1
  defp arity(patterns), do: length(patterns)

  defp around({_, _, arity} = mfa, fun) do
    args = arguments(arity)
    body = frame(mfa, args, {{:., [], [fun]}, [], args})
    {:fn, [], [{:->, [], [args, body]}]}
  end
end
