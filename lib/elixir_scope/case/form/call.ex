defmodule ElixirScope.Case.Form.Call do
  @moduledoc false
  # Calls as assertions write them, `Mod.fun(pattern) when guard` and options, to what `ElixirScope.Case.Called` is given. What is wrong
  # with them is said when the test is compiled.

  alias ElixirScope.Case.{Failure, Form, Pattern, Seen}

  @typedoc "The forms of what is asked for, and of the variables that a match binds."
  @type t :: {asked :: Macro.t(), variables :: Macro.t()}

  @doc "Reads a call and its options, of which only those in `allowed` may be there."
  @spec parse(Macro.t(), Macro.t(), [atom], Macro.Env.t(), String.t()) :: t
  def parse(form, options, allowed, caller, macro) do
    {call, guard} = Pattern.guarded(form)
    {module, function, patterns} = called(call, caller, macro)
    options = options(options, allowed, caller, macro)
    refuse_unseen(module, function, length(patterns), caller, macro)
    {outcome, ends_with, ending} = ending(options, caller)
    {matcher, variables} = Pattern.parse({patterns, outcome}, both(guard, ends_with), caller)

    asked =
      quote do
        %{
          mfa: {unquote(module), unquote(function), unquote(length(patterns))},
          matcher: unquote(matcher),
          pattern: %{unquote_splicing([args: Failure.Expected.quoted(patterns, guard, caller)] ++ ending)},
          text: unquote(text(form, options)),
          variables: unquote(count(variables)),
          times: unquote(options[:times]),
          within: unquote(options[:within])
        }
      end

    {asked, variables}
  end

  defp count({:{}, _, variables}), do: length(variables)

  defp called({{:., _, [module, function]}, _, patterns}, _caller, _macro) when is_atom(function),
    do: {module, function, patterns}

  defp called(other, caller, macro) do
    Form.fail(
      caller,
      "#{macro} expects a call with its module, such as `#{macro} Cart.add(_, %{id: 1})`, got: #{Macro.to_string(other)}"
    )
  end

  defp options(options, allowed, caller, macro) do
    options = Form.options(options, allowed, caller, macro)

    cond do
      Keyword.has_key?(options, :returning) and Keyword.has_key?(options, :raising) ->
        Form.fail(caller, "#{macro} expects one of returning: and raising:, got both: a call ends in one way")

      Keyword.get(options, :times) == 0 ->
        Form.fail(caller, "#{macro} expects times: 1 or more; that there was no call says refute_called")

      true ->
        options
    end
  end

  @doc """
  Fails when a function is named whose calls cannot be seen. A module that is named by a variable is looked at when the test runs: it may be
  instrumented only then.
  """
  @spec refuse_unseen(Macro.t(), atom, arity, Macro.Env.t(), String.t()) :: term
  def refuse_unseen(module, function, arity, caller, macro) do
    with module when is_atom(module) <- Macro.expand(module, caller),
         true <- module != caller.module,
         reason when is_binary(reason) <- Seen.when_compiled({module, function, arity}) do
      Form.fail(caller, "#{macro} cannot be answered: #{reason}")
    end
  end

  # The pattern of how it ends, its guard, and the same for the failure.
  defp ending(options, caller) do
    case {Keyword.fetch(options, :returning), Keyword.fetch(options, :raising)} do
      {{:ok, form}, _} ->
        {pattern, guard} = Pattern.guarded(form)
        {{:returned, pattern}, guard, [return: Failure.Expected.quoted([pattern], guard, caller)]}

      {_, {:ok, form}} ->
        {pattern, guard} = Pattern.guarded(form)
        pattern = exception(pattern, caller)
        {{:raised, pattern}, guard, [raised: Failure.Expected.quoted([pattern], guard, caller)]}

      _neither ->
        {quote(do: _), true, []}
    end
  end

  defp both(true, guard), do: guard
  defp both(guard, true), do: guard

  # Of guards that are alternatives (`when a when b`) each fails for itself: `or` would say something else.
  defp both(guard, other) do
    all =
      for one <- alternatives(guard),
          another <- alternatives(other),
          do: quote(do: unquote(one) and unquote(another))

    all |> Enum.reverse() |> Enum.reduce(fn one, rest -> {:when, [], [one, rest]} end)
  end

  defp alternatives({:when, _, [one, rest]}), do: [one | alternatives(rest)]
  defp alternatives(guard), do: [guard]

  @doc "The pattern of what is raised: the name of an exception stands for all of its kind, as in `assert_raise`."
  @spec exception(Macro.t(), Macro.Env.t()) :: Macro.t()
  def exception({:__aliases__, _, _} = alias_, caller) do
    module = Macro.expand(alias_, caller)
    if why = no_exception(module, caller), do: Form.fail(caller, why)
    quote(do: %{__struct__: unquote(alias_), __exception__: true})
  end

  def exception(pattern, _caller), do: pattern

  # A name that is none would match nothing, and nothing is easily refuted. A module around the test may define it later.
  defp no_exception(module, caller) when is_atom(module) do
    cond do
      module == caller.module ->
        nil

      not match?({:module, _}, Code.ensure_compiled(module)) ->
        "no module #{inspect(module)} is there" <> as_exception()

      not function_exported?(module, :exception, 1) ->
        "the module #{inspect(module)} is no exception" <> as_exception()

      true ->
        nil
    end
  end

  defp no_exception(_not_known, _caller), do: nil

  defp as_exception,
    do: "; what was raised is named by an exception (raising: ArgumentError), or by a pattern of it"

  # As it was written, with what belongs to the pattern.
  defp text(form, options) do
    shown = Keyword.take(options, [:times, :returning, :raising])
    call = Macro.to_string(form)
    Enum.join([call | for({key, value} <- shown, do: "#{key}: #{Macro.to_string(value)}")], ", ")
  end
end
