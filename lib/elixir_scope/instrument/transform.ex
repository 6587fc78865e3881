# Forms of a module in, forms that record out. Pure: nothing is loaded, written or printed here, and it never
# raises. A function that cannot be rewritten stays as it is and is named in the report.
defmodule ElixirScope.Instrument.Transform do
  @moduledoc false

  alias ElixirScope.Instrument.{Frame, Options, Plan, Request, Source}

  @type report :: %{
          module: module(),
          instrumented: [{atom(), arity()}],
          skipped: %{{atom(), arity()} => Plan.reason()}
        }

  # `instrumented` are those that are recorded. Of those that are skipped, the counted ones are rewritten too.

  @doc """
  Rewrites every function of the plan. `sources` are the texts of the files that the forms come from.

      iex> forms = for text <- ["-module(cart).", "-export([one/0]).", "one() -> 1."] do
      ...>   {:ok, tokens, _} = :erl_scan.string(String.to_charlist(text))
      ...>   {:ok, form} = :erl_parse.parse_form(tokens)
      ...>   form
      ...> end
      iex> {forms, report} = ElixirScope.Instrument.Transform.run(forms, %ElixirScope.Instrument.Options{})
      iex> {length(forms), report}
      {3, %{module: :cart, instrumented: [one: 0], skipped: %{}}}
  """
  @spec run([tuple()], Options.t(), %{optional(String.t()) => Source.t()}) :: {[tuple()], report()}
  def run(forms, %Options{} = options, sources \\ %{}), do: run(forms, options, sources, %{})

  # A function that fails leaves the plan, and its callers must know: to them it is no longer a callee that
  # records its own return. So all begins again; each round has one function less.
  defp run(forms, options, sources, unable) do
    plan = %{Plan.new(forms, options, unable) | sources: sources}
    {rewritten, {_file, failed}} = Enum.map_reduce(forms, {"nofile", %{}}, &form(&1, &2, plan))

    if failed == %{} do
      {rewritten ++ Frame.sources(plan), report(plan)}
    else
      run(forms, options, sources, Map.merge(unable, failed))
    end
  end

  defp form({:attribute, _, :file, {file, _line}} = form, {_file, failed}, _plan) do
    {form, {IO.chardata_to_string(file), failed}}
  end

  defp form({:attribute, anno, :compile, options}, acc, _plan) do
    {{:attribute, anno, :compile, options |> List.wrap() |> Enum.reject(&own_option?/1)}, acc}
  end

  defp form({:function, _, name, arity, _} = form, {file, failed}, plan) do
    cond do
      Plan.instruments?(plan, {name, arity}) -> {Frame.build(form, plan, file), {file, failed}}
      Plan.counts?(plan, {name, arity}) -> {Frame.count(form, plan, file), {file, failed}}
      true -> {form, {file, failed}}
    end
  rescue
    error -> {form, {file, Map.put(failed, {name, arity}, Exception.message(error))}}
  end

  defp form(form, acc, _plan), do: {form, acc}

  # The rewritten forms are compiled again: what started the rewriting must not start it once more.
  defp own_option?({key, _}) when key in [:core_transform, :parse_transform], do: true
  defp own_option?({key, _}), do: key in Request.keys()
  defp own_option?(_option), do: false

  defp report(plan) do
    %{module: plan.module, instrumented: plan.roles |> Map.keys() |> Enum.sort(), skipped: plan.skipped}
  end
end
