defmodule ElixirScope.Case.Failure.Bound do
  @moduledoc false
  # Why something does not match though each part of it is as the pattern says: a variable that stands twice stands for two values, or the
  # guard is not true.

  alias ElixirScope.Case.Failure
  alias ElixirScope.Text

  @width 60

  @typedoc "A variable of a pattern, where it stands, and for what."
  @type place :: {{atom, term, term}, path :: list, value :: term}

  @doc "What differs of values with their patterns; `values` are `{pattern, value, path}`."
  @spec differences([{Macro.t(), term, list}], [String.t() | nil]) :: [Failure.Mismatch.t()]
  def differences(values, guards) do
    places =
      Enum.flat_map(values, fn {pattern, value, path} -> places(pattern, value, Enum.reverse(path)) end)

    with [] <- twice(places) do
      guards |> Enum.reject(&is_nil/1) |> Enum.flat_map(&untrue(&1, places))
    end
  end

  defp twice(places) do
    for {_key, [{_, _, first} | more]} <- Enum.group_by(places, &elem(&1, 0)),
        {{name, _, _}, path, value} <- more,
        value !== first,
        do: differs(path, "#{Text.short(first, width: @width)}, as #{name} is before", value)
  end

  # Each variable that the guard looks at.
  defp untrue(guard, places) do
    names = names(guard)

    case for({{name, _, _}, path, value} <- places, name in names, do: differs(path, guard, value)) do
      [] -> [%Failure.Mismatch{path: [:guard], expected: guard, got: :none}]
      found -> Enum.uniq_by(found, & &1.path)
    end
  end

  defp differs(path, expected, value),
    do: %Failure.Mismatch{path: path, expected: expected, got: {:ok, value}}

  defp names(guard) do
    {_form, names} =
      guard
      |> Code.string_to_quoted!()
      |> Macro.prewalk([], fn
        {name, _, context} = variable, names when is_atom(context) -> {variable, [name | names]}
        form, names -> {form, names}
      end)

    names
  end

  # Paths grow at their front.
  @spec places(Macro.t(), term, list) :: [place]
  defp places({:^, _, _}, _value, _path), do: []

  defp places({:=, _, [left, right]}, value, path),
    do: places(left, value, path) ++ places(right, value, path)

  defp places({:%, _, [_name, {:%{}, _, pairs}]}, value, path), do: pairs(pairs, value, path)
  defp places({:%{}, _, pairs}, value, path), do: pairs(pairs, value, path)
  defp places({:{}, _, elements}, value, path), do: elements(elements, Tuple.to_list(value), :elem, path)
  defp places({left, right}, value, path), do: elements([left, right], Tuple.to_list(value), :elem, path)
  defp places(list, value, path) when is_list(list), do: elements(list, value, :at, path)

  defp places({name, meta, context}, value, path) when is_atom(name) and is_atom(context) do
    if name == :_, do: [], else: [{{name, meta[:counter], context}, Enum.reverse(path), value}]
  end

  defp places(_other, _value, _path), do: []

  defp pairs(pairs, map, path) do
    for {key, pattern} <- pairs,
        not is_tuple(key),
        {:ok, value} <- [Map.fetch(map, key)],
        place <- places(pattern, value, [key | path]),
        do: place
  end

  defp elements(patterns, values, step, path) do
    patterns
    |> Enum.map(fn
      {:|, _, [last, _rest]} -> last
      pattern -> pattern
    end)
    |> Enum.zip(values)
    |> Enum.with_index()
    |> Enum.flat_map(fn {{pattern, value}, at} -> places(pattern, value, [{step, at} | path]) end)
  end
end
