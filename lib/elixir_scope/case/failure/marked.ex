defmodule ElixirScope.Case.Failure.Marked do
  @moduledoc false
  # A value as text of which some parts are marked. Parts that are not marked are shortened; what is marked is shown even if much stands
  # before it.

  alias ElixirScope.Text

  @typedoc "Pieces of one line, each with whether it is marked."
  @type t :: [{String.t(), boolean}]

  # Parts of a map, list or tuple that are shown beside the marked ones.
  @beside 3
  @least 12

  @doc "A value with the parts at some paths marked, in about so many columns."
  @spec value(term, [list], pos_integer) :: t
  def value(value, paths, width) do
    cond do
      paths == [] -> [{Text.short(value, width: max(width, @least)), false}]
      [] in paths -> [{Text.short(value, width: max(width, @least)), true}]
      true -> parts(value, Enum.group_by(paths, &hd/1, &tl/1), width)
    end
  end

  @doc "A call with parts of its arguments marked."
  @spec call(mfa, [term], [list], pos_integer) :: t
  def call({module, function, arity} = mfa, args, paths, width) do
    marks = Enum.group_by(paths, &hd/1, &tl/1)
    name = mfa |> Text.call(List.duplicate(:_, arity)) |> String.replace(~r/\(.*\z/, "")
    name = if String.starts_with?(name, "fn/"), do: "fn in #{inspect(module)}.#{function}", else: name
    room = share(width - String.length(name), args)

    pieces =
      for {arg, number} <- Enum.with_index(args, 1), do: value(arg, Map.get(marks, {:arg, number}, []), room)

    [{name <> "(", false}] ++ joined(pieces) ++ [{")", false}]
  end

  @doc "The same without marks, for what has none."
  @spec plain(t) :: String.t()
  def plain(pieces), do: Enum.map_join(pieces, &elem(&1, 0))

  @doc """
  The lines of a text behind an indentation: with colours the marked parts are green, as ExUnit shows what came; without, a line of
  `^` stands below.
  """
  @spec lines(t, String.t(), boolean) :: [String.t()]
  def lines(pieces, indent, true) do
    [
      indent <>
        Enum.map_join(pieces, fn {text, marked?} ->
          if marked?, do: Text.paint(text, :green, color: true), else: text
        end)
    ]
  end

  def lines(pieces, indent, false) do
    below =
      Enum.map_join(pieces, fn {text, marked?} ->
        String.duplicate(if(marked?, do: "^", else: " "), Text.width(text))
      end)

    marker = if String.contains?(below, "^"), do: [String.trim_trailing(indent <> below)], else: []
    [indent <> plain(pieces) | marker]
  end

  defp parts(%module{} = struct, marks, width) do
    fields = struct |> Map.from_struct() |> pairs(marks, width)
    [{"%#{inspect(module)}{", false}] ++ fields ++ [{"}", missing?(struct, marks)}]
  end

  defp parts(map, marks, width) when is_map(map),
    do: [{"%{", false}] ++ pairs(map, marks, width) ++ [{"}", missing?(map, marks)}]

  defp parts(tuple, marks, width) when is_tuple(tuple),
    do: [{"{", false}] ++ elements(Tuple.to_list(tuple), :elem, marks, width) ++ [{"}", false}]

  defp parts(list, marks, width) when is_list(list),
    do: [{"[", false}] ++ elements(list, :at, marks, width) ++ [{"]", false}]

  defp parts(value, _marks, width), do: [{Text.short(value, width: max(width, @least)), true}]

  # A key that is not there is marked where it would stand.
  defp missing?(map, marks), do: Enum.any?(marks, fn {key, _paths} -> not is_map_key(map, key) end)

  defp pairs(map, marks, width) do
    {marked, others} =
      map |> :maps.to_list() |> Enum.sort() |> Enum.split_with(&is_map_key(marks, elem(&1, 0)))

    shown = Enum.take(others, @beside)
    more = if length(others) > length(shown), do: [[{"...", false}]], else: []
    room = share(width, marked ++ shown)

    pieces =
      for {key, value} <- Enum.sort(marked ++ shown),
          do: [{key(key), false} | value(value, Map.get(marks, key, []), room - String.length(key(key)))]

    joined(pieces ++ more)
  end

  defp key(key) when is_atom(key) do
    case inspect(key) do
      ":" <> name -> name <> ": "
      other -> other <> " => "
    end
  end

  defp key(key), do: Text.short(key, width: 30) <> " => "

  # Of many elements those that are marked, and the first few.
  defp elements(elements, step, marks, width) do
    numbered = Enum.with_index(elements)
    shown = Enum.filter(numbered, fn {_element, at} -> at < @beside or is_map_key(marks, {step, at}) end)
    room = share(width, shown)

    {pieces, next} =
      Enum.map_reduce(shown, 0, fn {element, at}, next ->
        gap = if at > next, do: [[{"...", false}]], else: []
        {gap ++ [value(element, Map.get(marks, {step, at}, []), room)], at + 1}
      end)

    more = if next < length(elements), do: [[{"...", false}]], else: []
    joined(Enum.concat(pieces) ++ more)
  end

  defp joined(pieces), do: pieces |> Enum.intersperse([{", ", false}]) |> Enum.concat()
  defp share(width, parts), do: max(div(width, max(length(parts), 1)) - 2, @least)
end
