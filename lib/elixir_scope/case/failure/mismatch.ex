defmodule ElixirScope.Case.Failure.Mismatch do
  @moduledoc false
  # Where a value is not what a pattern asks for: the paths to the parts that differ, each with what was expected there.
  # Steps of paths are those of `ElixirScope.Path`, and `{:arg, n}` in front for the n-th argument of a call.

  alias ElixirScope.Case.Failure
  alias ElixirScope.Text

  @enforce_keys [:path, :expected, :got]
  defstruct [:path, :expected, :got, weight: 1]

  @typedoc """
  `expected` is text; `got` is `{:ok, value}`, or `:none` where nothing stands; `weight` is how much of the pattern it is that does not match.
  """
  @type t :: %__MODULE__{path: list, expected: String.t(), got: {:ok, term} | :none, weight: pos_integer}

  @width 60

  @doc "What differs between the arguments of a call and their patterns."
  @spec arguments(Failure.Expected.t(), [term]) :: [t]
  def arguments(%{patterns: patterns, pins: pins}, args) when length(patterns) == length(args) do
    patterns
    |> Enum.zip(args)
    |> Enum.with_index(1)
    |> Enum.flat_map(fn {{pattern, arg}, number} -> walk(pattern, arg, [{:arg, number}], pins) end)
  end

  def arguments(%{patterns: patterns}, args),
    do: [%__MODULE__{path: [], expected: "#{length(patterns)} arguments", got: {:ok, args}}]

  @doc "What differs between one value and its pattern."
  @spec value(Failure.Expected.t(), term) :: [t]
  def value(%{patterns: [pattern], pins: pins}, value), do: walk(pattern, value, [], pins)

  # Paths grow at their front.
  defp walk({:^, _, [variable]}, value, path, pins) do
    case Map.fetch(pins, Failure.Expected.key(variable)) do
      {:ok, ^value} -> []
      {:ok, pinned} -> differs(path, Text.short(pinned, width: @width), value)
      :error -> []
    end
  end

  defp walk({:=, _, [left, right]}, value, path, pins),
    do: Enum.uniq(walk(left, value, path, pins) ++ walk(right, value, path, pins))

  defp walk({:%{}, _, pairs} = pattern, value, path, pins) do
    if is_map(value), do: pairs(pairs, value, path, pins), else: differs(path, pattern, pins, value)
  end

  defp walk({:%, _, [name, {:%{}, _, pairs}]} = pattern, value, path, pins) do
    if struct?(value, name),
      do: pairs(pairs, value, path, pins),
      else: differs(path, pattern, pins, value)
  end

  defp walk({:{}, _, elements} = pattern, value, path, pins), do: tuple(elements, pattern, value, path, pins)
  defp walk({left, right} = pattern, value, path, pins), do: tuple([left, right], pattern, value, path, pins)
  defp walk(pattern, value, path, pins) when is_list(pattern), do: list(pattern, value, path, pins)

  defp walk({name, _, context}, _value, _path, _pins) when is_atom(name) and is_atom(context), do: []
  defp walk({_, _, _} = form, value, path, pins), do: asked(form, value, path, pins)
  defp walk(literal, value, _path, _pins) when literal === value, do: []
  defp walk(literal, value, path, _pins), do: differs(path, Text.short(literal, width: @width), value)

  defp differs(path, pattern, pins, value) do
    [one] = differs(path, text(pattern, pins), value)
    [%{one | weight: weight(pattern)}]
  end

  defp differs(path, expected, value),
    do: [%__MODULE__{path: Enum.reverse(path), expected: expected, got: {:ok, value}}]

  # What is written in it, variables aside.
  defp weight(pattern) do
    {_pattern, count} =
      Macro.prewalk(pattern, 0, fn
        {:^, _, [_]}, count -> {:pinned, count}
        {name, _, context} = variable, count when is_atom(name) and is_atom(context) -> {variable, count}
        form, count when is_tuple(form) or is_list(form) -> {form, count}
        literal, count -> {literal, count + 1}
      end)

    max(count, 1)
  end

  defp struct?(%{__struct__: module}, name) when is_atom(name), do: module == name
  defp struct?(value, _any_struct), do: is_struct(value)

  defp pairs(pairs, map, path, pins) do
    Enum.flat_map(pairs, fn {key, pattern} ->
      with {:ok, key} <- key(key, pins), {:at, {:ok, value}} <- {:at, fetch(map, key)} do
        walk(pattern, value, [key | path], pins)
      else
        {:at, :error} -> missing(key, pattern, path, pins)
        :unknown -> []
      end
    end)
  end

  # Of a struct no `Access` is needed for that.
  defp fetch(map, key), do: :maps.find(key, map) |> found()
  defp found({:ok, value}), do: {:ok, value}
  defp found(:error), do: :error

  defp missing(key, pattern, path, pins) do
    {:ok, key} = key(key, pins)

    [
      %__MODULE__{
        path: Enum.reverse([key | path]),
        expected: text(pattern, pins),
        got: :none,
        weight: weight(pattern)
      }
    ]
  end

  defp key({:^, _, [variable]}, pins) do
    with :error <- Map.fetch(pins, Failure.Expected.key(variable)), do: :unknown
  end

  defp key({:-, _, [number]}, _pins) when is_number(number), do: {:ok, -number}
  defp key({:{}, _, _}, _pins), do: :unknown
  defp key({_, _, _}, _pins), do: :unknown
  defp key(literal, _pins), do: {:ok, literal}

  defp tuple(elements, pattern, value, path, pins) do
    if is_tuple(value) and tuple_size(value) == length(elements),
      do: elements(elements, Tuple.to_list(value), :elem, path, pins),
      else: differs(path, pattern, pins, value)
  end

  defp list(pattern, value, path, pins) do
    {elements, rest} = heads(pattern)

    cond do
      not is_list(value) or List.improper?(value) ->
        differs(path, pattern, pins, value)

      rest == :none and length(elements) != length(value) ->
        differs(path, pattern, pins, value)

      length(elements) > length(value) ->
        differs(path, pattern, pins, value)

      true ->
        elements(elements, value, :at, path, pins) ++
          rest(rest, Enum.drop(value, length(elements)), path, pins)
    end
  end

  defp elements(patterns, values, step, path, pins) do
    patterns
    |> Enum.zip(values)
    |> Enum.with_index()
    |> Enum.flat_map(fn {{pattern, value}, at} -> walk(pattern, value, [{step, at} | path], pins) end)
  end

  # What follows the elements that are written: `[first, second | rest]`.
  defp heads(pattern) do
    case List.last(pattern) do
      {:|, _, [last, rest]} -> {Enum.drop(pattern, -1) ++ [last], {:some, rest}}
      _no_rest -> {pattern, :none}
    end
  end

  # It has no path of its own: the list as a whole is marked.
  defp rest(:none, _values, _path, _pins), do: []

  defp rest({:some, pattern}, values, path, pins) do
    case walk(pattern, values, [], pins) do
      [] -> []
      [_ | _] -> differs(path, "what remains to be #{text(pattern, pins)}", values)
    end
  end

  # Binaries, `"a" <> rest`, negative numbers and what macros make: the compiler knows. Where it does not, nothing is marked.
  defp asked(form, value, path, pins) do
    if compiled?(form, value, pins), do: [], else: differs(path, form, pins, value)
  end

  defp compiled?(form, value, pins) do
    # Nobody minds that its variables are not used.
    form = Macro.prewalk(form, &Macro.update_meta(&1, fn meta -> [generated: true] ++ meta end))
    {form, bound} = Macro.prewalk(form, [], &bind(&1, &2, pins))
    code = quote(generated: true, do: match?(unquote(form), unquote(Macro.var(:value, __MODULE__))))
    {matches?, _} = Code.eval_quoted(code, [{{:value, __MODULE__}, value} | bound])
    matches?
  rescue
    _not_known_here -> true
  end

  defp bind({:^, meta, [variable]}, bound, pins) do
    name = :"pin#{length(bound)}"

    {{:^, meta, [Macro.var(name, __MODULE__)]},
     [{{name, __MODULE__}, Map.get(pins, Failure.Expected.key(variable))} | bound]}
  end

  defp bind(form, bound, _pins), do: {form, bound}

  @doc "A pattern in words: pinned variables are shown by their values."
  @spec text(Macro.t(), map) :: String.t()
  def text(pattern, pins) do
    pattern
    |> Macro.prewalk(fn
      {:^, _, [variable]} = pin -> pinned(pin, Map.fetch(pins, Failure.Expected.key(variable)))
      form -> form
    end)
    |> Macro.to_string()
    |> String.replace(~r/\s*\n\s*/, " ")
    |> Text.Life.cut(@width)
  end

  # A term that is no form is written as the shell shows it.
  defp pinned(pin, :error), do: pin
  defp pinned(_pin, {:ok, value}) when is_atom(value) or is_number(value) or is_binary(value), do: value
  defp pinned(_pin, {:ok, value}), do: {:"^#{Text.short(value, width: 30)}", [], nil}
end
