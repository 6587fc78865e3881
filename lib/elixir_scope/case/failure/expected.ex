defmodule ElixirScope.Case.Failure.Expected do
  @moduledoc false
  # Patterns of an assertion as data, for its failure: a matcher only says that something does not match, and people want to know where.
  # A map of `patterns` (their forms, with aliases and attributes resolved), `guard` (its text) and `pins` (the values of pinned variables).

  @type t :: %{patterns: [Macro.t()], guard: String.t() | nil, pins: %{optional(tuple) => term}}

  @doc """
  Code that makes a map of this kind where it stands: it reads the pinned variables. `guard` is `true` or `nil` where there is none.
  """
  @spec quoted([Macro.t()], Macro.t(), Macro.Env.t()) :: Macro.t()
  def quoted(patterns, guard, caller) do
    patterns = Macro.prewalk(patterns, &expand(&1, caller))
    pins = for variable <- pinned(patterns), do: {Macro.escape(key(variable)), variable}
    text = if guard in [true, nil], do: nil, else: Macro.to_string(guard)

    quote do
      %{
        patterns: unquote(Macro.escape(patterns)),
        guard: unquote(text),
        pins: unquote({:%{}, [], pins})
      }
    end
  end

  @doc "What tells a variable from others."
  @spec key(Macro.t()) :: tuple
  def key({name, meta, context}), do: {name, meta[:counter], context}

  defp expand({:__aliases__, _, _} = alias, caller), do: Macro.expand(alias, caller)
  defp expand({:__MODULE__, _, context}, caller) when is_atom(context), do: caller.module

  # Attributes and sigils stand for values. What else a macro makes is left to `Expected.Mismatch`, which asks the compiler.
  defp expand({name, _, [_ | _]} = form, caller) when name == :@ do
    Macro.expand(form, caller)
  rescue
    _not_here -> form
  end

  defp expand({name, _, [_, modifiers]} = form, caller) when is_atom(name) and is_list(modifiers) do
    if name |> Atom.to_string() |> String.starts_with?("sigil_"), do: Macro.expand(form, caller), else: form
  end

  defp expand(form, _caller), do: form

  defp pinned(patterns) do
    {_patterns, found} =
      Macro.prewalk(patterns, [], fn
        {:^, _, [{name, _, context} = variable]} = form, found when is_atom(name) and is_atom(context) ->
          {form, [variable | found]}

        form, found ->
          {form, found}
      end)

    Enum.uniq_by(found, &key/1)
  end
end
