defmodule ElixirScope.Case.Pattern do
  @moduledoc false
  # Patterns as tests write them: functions that match, and the variables that they bind.

  @typedoc "The form of a pattern, as a macro is given it."
  @type form :: Macro.t()

  @doc """
  `{matcher, variables}` of a pattern and a guard (`true`: none), as forms. The matcher is a function from a value to `{:ok, values}` or
  `:error`; the variables are a tuple, to be matched against those values. Pins compare, and variables that begin with an underscore are not
  bound.

      {matcher, variables} = Pattern.parse(pattern, guard, __CALLER__)
      quote do
        {:ok, unquote(variables)} = unquote(matcher).(value)
      end
  """
  @spec parse(form, form, Macro.Env.t()) :: {form, form}
  def parse(pattern, guard, caller) do
    variables = pattern |> variables(caller) |> tuple()

    matcher =
      quote generated: true do
        fn
          unquote(pattern) when unquote(guard) -> {:ok, unquote(variables)}
          _ -> :error
        end
      end

    {matcher, quiet(variables)}
  end

  @doc "A pattern with its guard: `{pattern, guard}`."
  @spec guarded(form) :: {form, form}
  def guarded({:when, _, [pattern, guard]}), do: {pattern, guard}
  def guarded(pattern), do: {pattern, true}

  # Variables that a pattern binds: not the pinned ones, nor those that begin with an underscore, nor sizes in
  # binaries, which are used there. Those that a macro in it binds too.
  defp variables(pattern, caller) do
    caller = %{caller | context: :match}

    {_pattern, found} =
      Macro.prewalk(pattern, [], fn
        {used, _, [_]}, found when used in [:^, :@] ->
          {:used, found}

        # In a list, because the node that is handed back is not visited itself, only what is in it.
        {:"::", _, [left, _size]}, found ->
          {[left], found}

        {name, _, context} = variable, found when is_atom(name) and is_atom(context) ->
          {variable, [variable | found]}

        {name, _, arguments} = node, found when is_atom(name) and is_list(arguments) ->
          {expanded(node, caller), found}

        node, found ->
          {node, found}
      end)

    found
    |> Enum.reject(fn {name, _, _} -> name in [:_, :__MODULE__] or match?("_" <> _, Atom.to_string(name)) end)
    |> Enum.uniq_by(fn {name, meta, context} -> {name, meta[:counter], context} end)
  end

  # What a macro gives may be a macro again, or a variable; so it is looked at as well.
  defp expanded(node, caller) do
    case Macro.expand_once(node, caller) do
      ^node -> node
      expanded -> [expanded]
    end
  end

  defp tuple(variables), do: {:{}, [], variables}

  # A variable that the test does not use later is no mistake.
  defp quiet(variables),
    do: Macro.prewalk(variables, &Macro.update_meta(&1, fn meta -> [generated: true] ++ meta end))
end
