defmodule ElixirScope.Case.Flow.Parse do
  @moduledoc false
  # Steps of a flow as tests write them, to the steps that `ElixirScope.Case.Flow` runs. What is wrong is said when the test is compiled.

  alias ElixirScope.Case.{Failure, Form, Pattern}

  @forms "Mod.fun(args), returned(Mod.fun(args), pattern), raised(Mod.fun(args), pattern), message(from ~> to, pattern), " <>
           "state(server, pattern), exited(pid, pattern), each with `when guard` if need be, any_order do ... end, " <>
           "leads_to(cause, effect) or leads_to do ... end"

  @typep form :: Macro.t()

  @doc "The block of a flow and its options, which may stand before it or in one list with it."
  @spec block(form, form, Macro.Env.t(), String.t()) :: {form, keyword}
  def block(options, block, caller, macro) do
    all = if Keyword.keyword?(options) and Keyword.keyword?(block), do: options ++ block, else: []

    case Keyword.fetch(all, :do) do
      {:ok, steps} ->
        {steps, all |> Keyword.delete(:do) |> Form.options([:within], caller, macro)}

      :error ->
        Form.fail(
          caller,
          "#{macro} expects steps in a block: `#{macro} do ... end`, got: #{Macro.to_string(block)}"
        )
    end
  end

  @doc "`{steps, variables}` of the forms of a flow: what makes the list of its steps, and the variables that they bind."
  @spec parse(form, Macro.Env.t(), String.t()) :: {form, [form]}
  def parse(block, caller, macro) do
    about = %{caller: caller, macro: macro}
    groups = block |> forms() |> Enum.map(&group(&1, about))
    if groups == [], do: refuse(about, "at least one step", "an empty block")
    {steps, variables} = groups |> in_order() |> Enum.map_reduce([], &bound(&1, &2, about))
    names = Enum.map(variables, &name/1)
    {for(step <- steps, do: quoted(step, variables, names)), variables}
  end

  @doc "The same of a single step."
  @spec step(form, Macro.Env.t(), String.t()) :: {form, [form]}
  def step(form, caller, macro) do
    if match?({kind, _, _} when kind in [:any_order, :leads_to, :__block__], form),
      do: refuse(%{caller: caller, macro: macro}, "one step", Macro.to_string(form))

    parse(form, caller, macro)
  end

  defp forms({:__block__, _, forms}), do: forms
  defp forms(nil), do: []
  defp forms(form), do: [form]

  # {how its steps hang together, the steps}; those of any order may be groups themselves.
  defp group({:any_order, _, [[do: block]]} = form, about) do
    case block |> forms() |> Enum.map(&group(&1, about)) do
      [_, _ | _] = groups -> {:any_order, groups}
      _fewer -> refuse(about, "two steps or more in any_order", Macro.to_string(form))
    end
  end

  defp group({:leads_to, _, [[do: block]]} = form, about), do: block |> forms() |> causal(form, about)
  defp group({:leads_to, _, [cause, effect]} = form, about), do: causal([cause, effect], form, about)
  defp group(form, about), do: {:step, single(form, about)}

  defp causal([_, _ | _] = forms, form, about) do
    groups = Enum.map(forms, &group(&1, about))

    if Enum.all?(groups, &match?({:step, _}, &1)),
      do: {:leads_to, groups},
      else: refuse(about, "single steps in leads_to", Macro.to_string(form))
  end

  defp causal(_fewer, form, about), do: refuse(about, "two steps or more in leads_to", Macro.to_string(form))

  # A step: what it is about, its processes, its pattern and its guard.
  defp single(form, about) do
    {bare, guard} = Pattern.guarded(form)
    bare |> about_what(about) |> Map.merge(%{guard: guard, text: text(form)})
  end

  defp text(form), do: form |> Macro.to_string() |> String.replace(~r/\s*\n\s*/, " ")

  defp about_what({kind, _, [call, pattern]}, about) when kind in [:returned, :raised] do
    %{kind: :call, mfa: mfa, pattern: args} = about_what(call, about)
    pattern = if kind == :raised, do: Form.Call.exception(pattern, about.caller), else: pattern
    %{kind: kind, mfa: mfa, processes: [], pattern: {args, pattern}}
  end

  defp about_what({:message, _, [{:~>, _, [from, to]}, pattern]}, _about),
    do: %{kind: :message, mfa: nil, processes: [from, to], pattern: pattern}

  defp about_what({kind, _, [process, pattern]}, _about) when kind in [:state, :exited],
    do: %{kind: kind, mfa: nil, processes: [process], pattern: pattern}

  defp about_what({{:., _, [module, function]}, _, args}, about) when is_atom(function) do
    Form.Call.refuse_unseen(module, function, length(args), about.caller, about.macro)
    mfa = quote do: {unquote(module), unquote(function), unquote(length(args))}
    %{kind: :call, mfa: mfa, processes: [], pattern: args}
  end

  defp about_what(other, about), do: refuse(about, "a step: " <> @forms, Macro.to_string(other))

  defp refuse(about, expected, got) do
    Form.fail(about.caller, "#{about.macro} expects #{expected}; got: #{got}")
  end

  # Each step with those that it is not before and those that led to it, by their numbers.
  defp in_order(groups) do
    {steps, _count, _last} = row(groups, 0, [])
    steps
  end

  # `before` are the steps that all of these are behind.
  defp row(groups, count, before) do
    Enum.reduce(groups, {[], count, before}, fn group, {steps, count, before} ->
      {more, count} = placed(group, count, before)
      {steps ++ more, count, Enum.map(more, & &1.number)}
    end)
  end

  defp placed({:step, step}, count, before),
    do: {[Map.merge(step, %{number: count, after: before, causes: [], group: nil})], count + 1}

  defp placed({:any_order, groups}, count, before) do
    {steps, count} =
      Enum.reduce(groups, {[], count}, fn group, {steps, count} ->
        {more, count} = placed(group, count, before)
        {steps ++ more, count}
      end)

    {for(step <- steps, do: %{step | group: step.group || :any_order}), count}
  end

  # What was led to by another thing is behind it; clocks of two processors need not be asked.
  defp placed({:leads_to, [{:step, first} | effects]}, count, before) do
    first = Map.merge(first, %{number: count, after: before, causes: [], group: :leads_to})

    {steps, count} =
      Enum.reduce(effects, {[first], count + 1}, fn {:step, step}, {steps, count} ->
        {steps ++ [Map.merge(step, %{number: count, after: before, causes: [count - 1], group: :leads_to})],
         count + 1}
      end)

    {steps, count}
  end

  # Which variables a step binds, and which of those that were bound before it looks at.
  defp bound(step, earlier, about) do
    {matcher, {:{}, _, variables}} = Pattern.parse(step.pattern, step.guard, about.caller)
    known = Enum.map(earlier, &name/1)
    uses = for name <- looked_at(step), name in known, uniq: true, do: name
    new = Enum.reject(variables, &(name(&1) in known))
    step = Map.merge(step, %{matcher: matcher, binds: variables, uses: uses, earlier: earlier})
    {Map.put(step, :expected, expected(step, about.caller)), earlier ++ new}
  end

  # What a failure holds candidates against, see `ElixirScope.Case.Failure.Candidates`.
  defp expected(%{kind: :call} = step, caller),
    do: quote(do: %{args: unquote(Failure.Expected.quoted(step.pattern, step.guard, caller, step.earlier))})

  defp expected(%{kind: kind, pattern: {args, ending}} = step, caller) when kind in [:returned, :raised] do
    key = if kind == :returned, do: :return, else: :raised

    quote do
      %{
        :args => unquote(Failure.Expected.quoted(args, step.guard, caller, step.earlier)),
        unquote(key) => unquote(Failure.Expected.quoted([ending], nil, caller, step.earlier))
      }
    end
  end

  defp expected(step, caller),
    do:
      quote(do: %{value: unquote(Failure.Expected.quoted([step.pattern], step.guard, caller, step.earlier))})

  # Pins, all of the guard, and sizes in binaries.
  defp looked_at(step) do
    {_, found} =
      Macro.prewalk([step.pattern | step.processes], [], fn
        {:^, _, [variable]}, found -> {:pinned, all([variable]) ++ found}
        {:"::", _, [left, size]}, found -> {[left], all([size]) ++ found}
        node, found -> {node, found}
      end)

    all([step.guard]) ++ found
  end

  defp all(forms) do
    {_, found} =
      Macro.prewalk(forms, [], fn
        {name, _, context} = variable, found when is_atom(name) and is_atom(context) ->
          {variable, [name(variable) | found]}

        node, found ->
          {node, found}
      end)

    found
  end

  defp name({name, meta, context}), do: {name, meta[:counter], context}

  defp quoted(step, variables, names) do
    place = fn variable -> Enum.find_index(names, &(&1 == name(variable))) end
    {sources, pins} = step.processes |> Enum.map(&process(&1, step.uses)) |> Enum.unzip()

    quote generated: true do
      %{
        number: unquote(step.number),
        text: unquote(step.text),
        kind: unquote(step.kind),
        mfa: unquote(step.mfa),
        processes: unquote(sources),
        pinned: unquote(Enum.map(pins, &(&1 != nil))),
        group: unquote(step.group),
        after: unquote(step.after),
        causes: unquote(step.causes),
        uses: unquote(for(name <- step.uses, do: Enum.find_index(names, &(&1 == name)))),
        names: unquote(for({name, _counter, _context} <- step.uses, do: Atom.to_string(name))),
        match: unquote(match(step, variables, place, pins)),
        open: unquote(Macro.escape(step.uses)),
        binds: unquote(Enum.map(step.binds, place)),
        expected: unquote(within(step, variables, step.expected))
      }
    end
  end

  # A function of what was bound before.
  defp within(step, variables, form) do
    quote generated: true do
      fn elixir_scope_bound ->
        unquote(before(step, variables)) = elixir_scope_bound
        unquote(form)
      end
    end
  end

  defp before(step, variables) do
    known = Enum.map(step.earlier, &name/1)

    {:{}, [],
     for(variable <- variables, do: if(name(variable) in known, do: quiet(variable), else: {:_, [], nil}))}
  end

  # What was bound before is put into its variables, and what the pattern binds into its place.
  defp match(step, variables, place, pins) do
    new = Enum.map(step.binds, &quiet/1)
    all = quote do: elixir_scope_bound

    put =
      Enum.reduce(new, all, fn variable, bound ->
        quote do: put_elem(unquote(bound), unquote(place.(variable)), unquote(variable))
      end)

    quote generated: true do
      fn {elixir_scope_pids, elixir_scope_values}, elixir_scope_bound ->
        unquote(before(step, variables)) = elixir_scope_bound

        if ElixirScope.Case.Flow.of?(elixir_scope_pids, unquote(pins)) do
          case ElixirScope.Case.Said.match(elixir_scope_values, unquote(step.matcher)) do
            {:ok, unquote({:{}, [], new})} -> {:ok, unquote(put)}
            :error -> :error
          end
        else
          :error
        end
      end
    end
  end

  # {what the recording is asked for, what the pid must be}: `:any`, a process, or one that an earlier step bound.
  defp process({:_, _, context}, _uses) when is_atom(context), do: {:any, nil}

  defp process({:^, _, [variable]}, uses) do
    if name(variable) in uses,
      do: {:any, quiet(variable)},
      else: {quote(do: {:process, unquote(variable)}), nil}
  end

  defp process(expression, _uses), do: {quote(do: {:process, unquote(expression)}), nil}

  @doc "Variables that need not be used."
  @spec quiet(form | [form]) :: form | [form]
  def quiet(variables) when is_list(variables), do: Enum.map(variables, &quiet/1)
  def quiet(variable), do: Macro.update_meta(variable, &([generated: true] ++ &1))
end
