defmodule ElixirScope.Case.Form do
  @moduledoc false
  # What the forms of all assertions have in common: a pattern with its guard, and options.

  alias ElixirScope.Case.{Failure, Pattern}

  @doc "`{matcher, variables, expected, text}` of a pattern that may have a guard."
  @spec pattern(Macro.t(), Macro.Env.t()) :: {Macro.t(), Macro.t(), Macro.t(), String.t()}
  def pattern(form, caller) do
    {pattern, guard} = Pattern.guarded(form)
    {matcher, variables} = Pattern.parse(pattern, guard, caller)
    {matcher, variables, Failure.Expected.quoted([pattern], guard, caller), Macro.to_string(form)}
  end

  @doc "Checks options as they are written."
  @spec options(Macro.t(), [atom], Macro.Env.t(), String.t()) :: keyword
  def options(options, allowed, caller, macro) do
    cond do
      not Keyword.keyword?(options) ->
        fail(
          caller,
          "#{macro} expects options as a keyword list behind the rest, got: #{Macro.to_string(options)}"
        )

      unknown = Enum.find(Keyword.keys(options), &(&1 not in allowed)) ->
        fail(
          caller,
          "#{macro} has no option #{unknown}:; it takes #{Enum.map_join(allowed, ", ", &"#{&1}:")}"
        )

      true ->
        options
    end
  end

  @doc "Says what is wrong where the test is compiled."
  @spec fail(Macro.Env.t(), String.t()) :: no_return
  def fail(caller, description),
    do: raise(CompileError, file: caller.file, line: caller.line, description: description)
end
