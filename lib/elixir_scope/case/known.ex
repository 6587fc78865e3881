defmodule ElixirScope.Case.Known do
  @moduledoc false
  # Whether a pattern is known to match what was recorded, known not to match it, or nobody knows: where it looks at what a limit or the
  # redaction kept out, what stands there instead decides nothing. All assertions ask here.
  #
  # A variable, or `_`, takes whatever stands there, so it looks at nothing, unless a guard looks at that variable or it stands there twice. The
  # pattern `%ElixirScope.Cut{}` is about the recording itself, so that decides.

  alias ElixirScope.Case.Failure.Expected
  alias ElixirScope.Cut

  # Stands in a text for a part that was secret.
  @mark "[redacted]"

  @typedoc "What a matcher says of a value; `:unknown` where it would have to know more."
  @type verdict :: {:ok, term} | :error | :unknown

  @typedoc "A pattern of `Expected` and what is held against it."
  @type pair :: {Expected.t(), [term]}

  @doc "What is known, of what a matcher says of the same."
  @spec verdict({:ok, term} | :error, [pair]) :: verdict
  def verdict(said, pairs) do
    case {said, compare(pairs)} do
      {:error, :no} -> :error
      {_said, :unknown} -> :unknown
      # What the matcher finds the pattern says; this here does not know all forms.
      {said, _known} -> said
    end
  end

  @doc "The same of one value."
  @spec value({:ok, term} | :error, Expected.t(), term) :: verdict
  def value(said, expected, value), do: verdict(said, [{expected, [value]}])

  @doc "The first of some verdicts that is a match; else whether one is unknown."
  @spec any(Enumerable.t()) :: verdict
  def any(verdicts) do
    Enum.reduce_while(verdicts, :error, fn
      {:ok, _} = found, _others -> {:halt, found}
      :unknown, _others -> {:cont, :unknown}
      :error, others -> {:cont, others}
    end)
  end

  @doc """
  Without a matcher: `:no` where a part that is known does not match, `:unknown` where the pattern looks at one that is not, and else `:perhaps`. Of a
  pin that is not among the pins of the pattern the value is open.
  """
  @spec compare([pair]) :: :no | :unknown | :perhaps
  def compare(pairs) do
    found = Enum.reduce(pairs, %{unknown?: false, bound: %{}}, &pair/2)
    if found.unknown? or Enum.any?(pairs, &guard?(&1, found.bound)), do: :unknown, else: :perhaps
  catch
    {__MODULE__, :no} -> :no
  end

  # Whether a guard looks at what is not known.
  defp guard?({%{guarded: guarded, pins: pins}, _values}, bound),
    do: Enum.any?(guarded, &(hidden?(bound[&1]) or hidden?(pins[&1])))

  defp pair({%{patterns: patterns, pins: pins}, values}, found) do
    if length(patterns) == length(values), do: zip(patterns, values, pins, found), else: no()
  end

  defp no, do: throw({__MODULE__, :no})
  defp unknown(found), do: %{found | unknown?: true}

  defp zip(patterns, values, pins, found) do
    patterns
    |> Enum.zip(values)
    |> Enum.reduce(found, fn {pattern, value}, acc -> walk(pattern, value, pins, acc) end)
  end

  defp walk({:^, _, [variable]}, value, pins, found) do
    case Map.fetch(pins, Expected.key(variable)) do
      {:ok, pinned} -> same(pinned, value, found)
      :error -> if hidden?(value), do: unknown(found), else: found
    end
  end

  defp walk({:=, _, [left, right]}, value, pins, found),
    do: walk(right, value, pins, walk(left, value, pins, found))

  defp walk({:_, _, context}, _value, _pins, found) when is_atom(context), do: found

  defp walk({name, _, context} = variable, value, _pins, found) when is_atom(name) and is_atom(context) do
    again(Expected.key(variable), value, found)
  end

  # This one asks what the recording has.
  defp walk({:%, _, [Cut, {:%{}, _, pairs}]}, value, pins, found) do
    if is_struct(value, Cut), do: keys(pairs, value, pins, found), else: no()
  end

  defp walk(pattern, %Cut{} = cut, _pins, found) do
    cond do
      literal?(pattern) -> same(pattern, cut, found)
      unlike?(pattern, cut) -> no()
      true -> unknown(found)
    end
  end

  defp walk({:%{}, _, pairs}, value, pins, found),
    do: if(is_map(value), do: keys(pairs, value, pins, found), else: no())

  defp walk({:%, _, [name, {:%{}, _, pairs}]}, value, pins, found) do
    case value do
      %{__struct__: module} when is_atom(name) and module != name ->
        no()

      %{__struct__: module} ->
        keys(pairs, value, pins, if(is_atom(name), do: found, else: walk(name, module, pins, found)))

      _no_struct ->
        no()
    end
  end

  defp walk({:{}, _, elements}, value, pins, found), do: tuple(elements, value, pins, found)
  defp walk({left, right}, value, pins, found), do: tuple([left, right], value, pins, found)
  defp walk(pattern, value, pins, found) when is_list(pattern), do: list(pattern, value, pins, found)

  # The beginning of a text, binaries, negative numbers and what macros make: the matcher knows, where all is there.
  defp walk({:-, _, [number]}, value, _pins, found) when is_number(number), do: same(-number, value, found)

  defp walk({:<>, _, [begin, _rest]}, value, _pins, found) when is_binary(begin),
    do: begins(begin, value, found)

  defp walk({_, _, _}, value, _pins, found), do: if(hidden?(value), do: unknown(found), else: found)
  defp walk(literal, value, _pins, found), do: same(literal, value, found)

  # What a limit cut tells of what kind it was, and how it began. Patterns of maps are open: the matcher may
  # take the `Cut` itself for one.

  defp unlike?({:<>, _, [begin, _rest]}, %Cut{kind: :binary, kept: kept}) when is_binary(begin),
    do: not (marked?(kept) or String.starts_with?(kept, begin) or String.starts_with?(begin, kept))

  defp unlike?({:<>, _, _parts}, %Cut{kind: kind}), do: kind in [:list, :tuple, :map]
  defp unlike?({:<<>>, _, _parts}, %Cut{kind: kind}), do: kind in [:list, :tuple, :map]
  defp unlike?({:-, _, [_number]}, %Cut{kind: kind}), do: kind in [:binary, :list, :tuple, :map]
  defp unlike?(pattern, %Cut{kind: kind}) when is_list(pattern), do: kind in [:binary, :tuple, :map]

  defp unlike?({:{}, _, elements}, %Cut{kind: kind, size: size}),
    do: kind in [:binary, :list, :map] or (kind == :tuple and size not in [nil, length(elements)])

  defp unlike?({_, _}, %Cut{kind: kind, size: size}),
    do: kind in [:binary, :list, :map] or (kind == :tuple and size not in [nil, 2])

  defp unlike?(_pattern, _cut), do: false

  defp literal?(pattern), do: is_atom(pattern) or is_number(pattern) or is_binary(pattern)

  defp again(key, value, %{bound: bound} = found) do
    case bound do
      %{^key => before} -> same(before, value, found)
      _first -> %{found | bound: Map.put(bound, key, value)}
    end
  end

  defp keys(pairs, map, pins, found) do
    Enum.reduce(pairs, found, fn {key, pattern}, acc ->
      with {:ok, key} <- key(key, pins), {:at, {:ok, value}} <- {:at, Map.fetch(map, key)} do
        walk(pattern, value, pins, acc)
      else
        # It may be one of those that are not known.
        {:at, :error} -> if hidden_key?(map), do: unknown(acc), else: no()
        :unknown -> if hidden?(map), do: unknown(acc), else: acc
      end
    end)
  end

  defp key({:^, _, [variable]}, pins),
    do: with(:error <- Map.fetch(pins, Expected.key(variable)), do: :unknown)

  defp key({:-, _, [number]}, _pins) when is_number(number), do: {:ok, -number}
  defp key({_, _, _}, _pins), do: :unknown
  defp key({_, _}, _pins), do: :unknown
  defp key(list, _pins) when is_list(list), do: :unknown
  defp key(literal, _pins), do: {:ok, literal}

  defp hidden_key?(map), do: Enum.any?(Map.keys(map), &(not is_atom(&1) and hidden?(&1)))

  defp tuple(elements, value, pins, found) do
    if is_tuple(value) and tuple_size(value) == length(elements),
      do: zip(elements, Tuple.to_list(value), pins, found),
      else: no()
  end

  defp list(pattern, value, pins, found) do
    if charlist?(value), do: unknown(found), else: elements(pattern, value, pins, found)
  end

  defp elements([{:|, _, [first, rest]}], value, pins, found) do
    case value do
      [head | tail] -> elements_rest(rest, tail, pins, walk(first, head, pins, found))
      %Cut{} -> unknown(found)
      _other -> no()
    end
  end

  defp elements([first | more], value, pins, found) do
    case value do
      [head | tail] -> elements(more, tail, pins, walk(first, head, pins, found))
      %Cut{} -> unknown(found)
      _other -> no()
    end
  end

  defp elements([], [], _pins, found), do: found
  defp elements([], %Cut{}, _pins, found), do: unknown(found)
  defp elements([], _more, _pins, _found), do: no()

  defp elements_rest(pattern, tail, pins, found) when is_list(pattern),
    do: elements(pattern, tail, pins, found)

  defp elements_rest(pattern, tail, pins, found), do: walk(pattern, tail, pins, found)

  defp begins(begin, value, found) when is_binary(value) do
    cond do
      not marked?(value) -> if String.starts_with?(value, begin), do: found, else: no()
      match?([_, _ | _], String.split(begin, @mark)) -> unknown(found)
      true -> begins_marked(begin, value |> String.split(@mark, parts: 2) |> hd(), found)
    end
  end

  defp begins(_begin, _value, _found), do: no()

  # Behind the mark anything may have stood.
  defp begins_marked(begin, known, found) do
    cond do
      String.starts_with?(known, begin) -> unknown(found)
      String.starts_with?(begin, known) -> unknown(found)
      true -> no()
    end
  end

  # Two values, of which parts may not be known.
  defp same(%Cut{} = cut, value, found), do: if(Cut.may_equal?(cut, value), do: unknown(found), else: no())
  defp same(value, %Cut{} = cut, found), do: if(Cut.may_equal?(cut, value), do: unknown(found), else: no())

  defp same(left, right, found) when is_binary(left) and is_binary(right) do
    case {marked?(left), marked?(right)} do
      {false, false} -> if left == right, do: found, else: no()
      {true, true} -> unknown(found)
      {true, false} -> like(left, right, found)
      {false, true} -> like(right, left, found)
    end
  end

  defp same([_ | _] = left, [_ | _] = right, found) do
    if charlist?(left) or charlist?(right), do: unknown(found), else: lists(left, right, found)
  end

  defp same(left, right, found)
       when is_tuple(left) and is_tuple(right) and tuple_size(left) == tuple_size(right),
       do: lists(Tuple.to_list(left), Tuple.to_list(right), found)

  defp same(left, right, found) when is_map(left) and is_map(right), do: maps(left, right, found)
  defp same(same, same, found), do: found
  defp same(_left, _right, _found), do: no()

  defp lists([left | more], [right | others], found), do: lists(more, others, same(left, right, found))
  defp lists(left, right, found), do: same(left, right, found)

  defp maps(left, right, found) do
    cond do
      :maps.keys(left) === :maps.keys(right) -> lists(:maps.values(left), :maps.values(right), found)
      hidden_key?(left) or hidden_key?(right) -> unknown(found)
      true -> alike(left, right, found)
    end
  end

  # Large maps with the same keys may have them in another order. Structs are no enumerables, whatever they implement.
  defp alike(left, right, found) when map_size(left) == map_size(right) do
    left
    |> :maps.to_list()
    |> Enum.reduce(found, fn {key, value}, acc ->
      case right do
        %{^key => other} -> same(value, other, acc)
        _without -> no()
      end
    end)
  end

  defp alike(_left, _right, _found), do: no()

  # Whether a text may be that of which parts are marked.
  defp like(marked, text, found) do
    [first | rest] = String.split(marked, @mark)
    {last, between} = List.pop_at(rest, -1)

    if String.starts_with?(text, first) and String.ends_with?(text, last) and
         byte_size(text) >= byte_size(first) + byte_size(last) and
         in_order?(
           between,
           binary_part(text, byte_size(first), byte_size(text) - byte_size(first) - byte_size(last))
         ),
       do: unknown(found),
       else: no()
  end

  defp in_order?([], _text), do: true
  defp in_order?(["" | more], text), do: in_order?(more, text)

  defp in_order?([part | more], text) do
    case String.split(text, part, parts: 2) do
      [_before, rest] -> in_order?(more, rest)
      [_without] -> false
    end
  end

  @doc "Whether a part of a value is not known."
  @spec hidden?(term) :: boolean
  def hidden?(value), do: hidden(value) != nil

  @doc "The first part of a value that is not known, which is a `Cut` or a text with a mark."
  @spec hidden(term) :: Cut.t() | String.t() | nil
  def hidden(%Cut{} = cut), do: cut
  def hidden(text) when is_binary(text), do: if(marked?(text), do: text)
  def hidden([_ | _] = list), do: if(charlist?(list), do: @mark, else: in_list(list))
  def hidden(tuple) when is_tuple(tuple), do: in_list(Tuple.to_list(tuple))

  def hidden(map) when is_map(map),
    do: map |> :maps.to_list() |> Enum.find_value(fn {key, value} -> hidden(key) || hidden(value) end)

  def hidden(_whole), do: nil

  defp in_list([part | rest]), do: hidden(part) || in_list(rest)
  defp in_list([]), do: nil
  defp in_list(tail), do: hidden(tail)

  defp marked?(text), do: byte_size(text) >= byte_size(@mark) and :binary.match(text, @mark) != :nomatch

  # A list of characters with the mark in it.
  defp charlist?([first | rest] = list) when is_integer(first) do
    match?(~c"[redacted]" ++ _, list) or charlist?(rest)
  end

  defp charlist?(_other), do: false
end
