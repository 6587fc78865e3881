defmodule ElixirScope.Case.Failure.Expected do
  @moduledoc false
  # Patterns of an assertion as data, for its failure: a matcher only says that something does not match, and people want to know where.
  # A map of `patterns` (their forms, with aliases and attributes resolved), `guard` (its text), `guarded` (the variables that it looks
  # at) and `pins` (the values of pinned variables, and of those of the guard that are not bound by the patterns).

  @type t :: %{
          patterns: [Macro.t()],
          guard: String.t() | nil,
          guarded: [tuple],
          pins: %{optional(tuple) => term}
        }

  @doc """
  Code that makes a map of this kind where it stands: it reads the pinned variables. `guard` is `true` or `nil` where there is none. `known` are
  variables that are there, beside those of the caller.
  """
  @spec quoted([Macro.t()], Macro.t(), Macro.Env.t(), [Macro.t()]) :: Macro.t()
  def quoted(patterns, guard, caller, known \\ []) do
    patterns = Macro.prewalk(patterns, &expand(&1, caller))
    guarded = variables(guard)
    outside = outside(guarded, variables(patterns), caller, Enum.map(known, &key/1))
    read = Enum.uniq_by(pinned(patterns) ++ outside, &key/1)
    pins = for variable <- read, do: {Macro.escape(key(variable)), variable}
    text = if guard in [true, nil], do: nil, else: Macro.to_string(guard)

    # Written down in one piece: the compiler takes long over large terms.
    written = :erlang.term_to_binary({Enum.map(patterns, &bare/1), text, Enum.map(guarded, &key/1)})

    quote do
      unquote(__MODULE__).read(unquote(written), unquote({:%{}, [], pins}))
    end
  end

  @doc false
  @spec read(binary, map) :: t
  def read(written, pins) do
    {patterns, guard, guarded} = :erlang.binary_to_term(written)
    %{patterns: patterns, guard: guard, guarded: guarded, pins: pins}
  end

  # Without lines and the like.
  defp bare(pattern),
    do:
      Macro.prewalk(
        pattern,
        &Macro.update_meta(&1, fn meta -> Keyword.take(meta, [:counter, :import, :imports, :context]) end)
      )

  # What a guard looks at that is not of the pattern.
  defp outside(guarded, bound, caller, known) do
    bound = Enum.map(bound, &key/1)

    Enum.filter(guarded, fn {name, _, context} = variable ->
      key(variable) not in bound and (key(variable) in known or Macro.Env.has_var?(caller, {name, context}))
    end)
  end

  defp variables(form) do
    {_form, found} =
      Macro.prewalk(form, [], fn
        {name, _, context} = variable, found when is_atom(name) and is_atom(context) ->
          {variable, [variable | found]}

        form, found ->
          {form, found}
      end)

    Enum.uniq_by(found, &key/1)
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
