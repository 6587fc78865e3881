defmodule ElixirScope.Case.Form.Invariant do
  @moduledoc false
  # The function of `assert_invariant` as it is written: what its clauses look at. Of a state it sees what the pattern of a clause asks for, and what
  # stands in those variables of it that the guard or the body has.

  alias ElixirScope.Case.{Failure, Form, Pattern}

  @doc "The options, and of each clause `{expected, whether the pattern alone says if it is taken}`; `nil`: of a function that is no `fn`."
  @spec parse(Macro.t(), Macro.t(), Macro.Env.t()) :: {keyword, Macro.t()}
  def parse(function, options, caller) do
    options = Form.options(options, [:ignoring], caller, "assert_invariant")

    if Keyword.get(options, :ignoring, :redacted) != :redacted,
      do:
        Form.fail(
          caller,
          "assert_invariant expects ignoring: :redacted, got: #{Macro.to_string(options[:ignoring])}"
        )

    {options, clauses(function, caller)}
  end

  defp clauses({:fn, _, clauses}, caller) do
    if Enum.all?(clauses, &match?({:->, _, [[_one], _body]}, &1)),
      do: for({:->, _, [[head], body]} <- clauses, do: clause(Pattern.guarded(head), body, caller))
  end

  defp clauses(_other, _caller), do: nil

  defp clause({pattern, guard}, body, caller),
    do: {Failure.Expected.quoted([pattern], looks_at(guard, body), caller), guard == true and plain?(pattern)}

  # All that a body has in it, it may look at.
  defp looks_at(true, body), do: body
  defp looks_at(guard, body), do: {guard, body}

  @known [:%{}, :%, :{}, :^, :=, :|, :-, :__aliases__]

  # Whether nobody but the compiler could know what it matches.
  defp plain?(pattern) do
    {_pattern, plain?} =
      Macro.prewalk(pattern, true, fn
        {name, _, arguments} = form, plain? when is_list(arguments) -> {form, plain? and name in @known}
        form, plain? -> {form, plain?}
      end)

    plain?
  end
end
