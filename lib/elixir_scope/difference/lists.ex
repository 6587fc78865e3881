defmodule ElixirScope.Difference.Lists do
  @moduledoc false
  # Which elements of two lists belong together. Positions are counted from 0.

  @type op ::
          {:both, non_neg_integer, old :: term, new :: term}
          | {:removed, non_neg_integer, old :: term}
          | {:put, non_neg_integer, new :: term}

  # Up to so many elements on both sides the shortest script is looked for, which costs their product at worst. Of longer
  # lists those elements that are once in each are found first, and the rest is looked at between them.
  @short 400
  # So many removed and added elements side by side are looked at for those that are alike.
  @hunk 50

  @doc """
  What became of each element, in order: `:both` with the position in the new list, `:put` too, `:removed` with the
  position in the old one. `paired?` says whether different elements at the end may stand for each other.
  """
  @spec align(list, list, boolean) :: [op]
  def align(olds, news, paired? \\ true) do
    {ops, _positions} = olds |> script(news) |> place(0, 0, paired?, [])
    Enum.reverse(ops)
  end

  # A script is `[{:eq | :del | :ins, elements}]`; those of :eq as pairs, because they are equal but not the same words.
  defp script([], []), do: []

  defp script(olds, news) do
    {equal, olds, news} = prefix(olds, news, [])
    {behind, olds, news} = prefix(Enum.reverse(olds), Enum.reverse(news), [])
    # The prefix came in turned order, what was equal behind it in that of the lists.
    eq(Enum.reverse(equal)) ++ middle(Enum.reverse(olds), Enum.reverse(news)) ++ eq(behind)
  end

  defp eq([]), do: []
  defp eq(pairs), do: [{:eq, pairs}]

  defp prefix([old | olds], [new | news], equal) when old === new,
    do: prefix(olds, news, [{old, new} | equal])

  defp prefix(olds, news, equal), do: {equal, olds, news}

  defp middle([], []), do: []
  defp middle([], news), do: [{:ins, news}]
  defp middle(olds, []), do: [{:del, olds}]

  defp middle(olds, news) do
    if length(olds) + length(news) <= @short,
      do: olds |> List.myers_difference(news) |> pairs(olds),
      else: olds |> anchors(news) |> between(olds, news)
  end

  # Myers' answer has the new elements; beside them go the old ones.
  defp pairs([], _olds), do: []

  defp pairs([{:eq, news} | rest], olds) do
    {equal, olds} = Enum.split(olds, length(news))
    [{:eq, Enum.zip(equal, news)} | pairs(rest, olds)]
  end

  defp pairs([{:del, gone} | rest], olds), do: [{:del, gone} | pairs(rest, Enum.drop(olds, length(gone)))]
  defp pairs([{:ins, come} | rest], olds), do: [{:ins, come} | pairs(rest, olds)]

  defp between([], olds, news), do: [{:del, olds}, {:ins, news}]

  defp between(anchors, olds, news) do
    {scripts, {olds, news, _, _}} =
      Enum.map_reduce(anchors, {olds, news, 0, 0}, fn {at_old, at_new}, {olds, news, old, new} ->
        {olds_before, [anchor_old | olds]} = Enum.split(olds, at_old - old)
        {news_before, [anchor_new | news]} = Enum.split(news, at_new - new)
        script = script(olds_before, news_before) ++ [{:eq, [{anchor_old, anchor_new}]}]
        {script, {olds, news, at_old + 1, at_new + 1}}
      end)

    Enum.concat(scripts) ++ script(olds, news)
  end

  # The positions of elements that are once in each list, as many as go up in both.
  defp anchors(olds, news) do
    places = once(news)

    for({element, at_old} <- once(olds), at_new = places[element], do: {at_old, at_new})
    |> Enum.sort()
    |> ascending()
  end

  defp once(list) do
    list
    |> Enum.with_index()
    |> Enum.reduce(%{}, fn {element, at}, seen -> Map.update(seen, element, at, fn _ -> nil end) end)
    |> Map.reject(fn {_element, at} -> at == nil end)
  end

  # The longest ascending part. `tops` holds, for each length, the chain of that length that ends lowest.
  defp ascending(pairs) do
    tops =
      Enum.reduce(pairs, %{}, fn {_, at} = pair, tops ->
        length = place_of(at, tops, 0, map_size(tops))
        Map.put(tops, length, [pair | Map.get(tops, length - 1, [])])
      end)

    tops |> Map.get(map_size(tops) - 1, []) |> Enum.reverse()
  end

  defp place_of(_at, _tops, low, low), do: low

  defp place_of(at, tops, low, high) do
    middle = div(low + high, 2)
    [{_, top} | _] = tops[middle]
    if top < at, do: place_of(at, tops, middle + 1, high), else: place_of(at, tops, low, middle)
  end

  # From a script to what became of each.
  defp place([], old, new, _paired?, ops), do: {ops, {old, new}}

  defp place([{:eq, pairs} | rest], old, new, paired?, ops) do
    count = length(pairs)

    ops =
      pairs |> Enum.with_index(new) |> Enum.reduce(ops, fn {{a, b}, at}, ops -> [{:both, at, a, b} | ops] end)

    place(rest, old + count, new + count, paired?, ops)
  end

  defp place(script, old, new, paired?, ops) do
    {changed, rest} = Enum.split_while(script, fn {kind, _} -> kind != :eq end)
    gone = for {:del, elements} <- changed, element <- elements, do: element
    come = for {:ins, elements} <- changed, element <- elements, do: element
    pairs = if rest == [] and not paired?, do: unpaired(gone, come), else: pair(gone, come)
    {ops, {old, new}} = Enum.reduce(pairs, {ops, {old, new}}, &number/2)
    place(rest, old, new, paired?, ops)
  end

  defp number({:both, a, b}, {ops, {old, new}}), do: {[{:both, new, a, b} | ops], {old + 1, new + 1}}
  defp number({:removed, a}, {ops, {old, new}}), do: {[{:removed, old, a} | ops], {old + 1, new}}
  defp number({:put, b}, {ops, {old, new}}), do: {[{:put, new, b} | ops], {old, new + 1}}

  defp unpaired(gone, come), do: Enum.map(gone, &{:removed, &1}) ++ Enum.map(come, &{:put, &1})

  # Where as many went as came, each was changed in its place. Else those that are alike belong together.
  defp pair(gone, come) when length(gone) == length(come), do: Enum.zip_with(gone, come, &{:both, &1, &2})
  defp pair(gone, come) when length(gone) > @hunk or length(come) > @hunk, do: unpaired(gone, come)
  defp pair([], come), do: unpaired([], come)

  defp pair([old | gone], come) do
    case Enum.split_while(come, &(not alike?(old, &1))) do
      {before, [new | come]} -> unpaired([], before) ++ [{:both, old, new} | pair(gone, come)]
      {_none, []} -> [{:removed, old} | pair(gone, come)]
    end
  end

  # Whether two elements look like one thing before and after a change.
  defp alike?(old, new) when is_map(old) and is_map(new) do
    Map.get(old, :__struct__) == Map.get(new, :__struct__) and map_size(old) <= 32 and
      Enum.count(:maps.to_list(old), fn {key, value} -> match?(%{^key => ^value}, new) end) * 2 >
        map_size(old)
  end

  defp alike?(old, new) when is_tuple(old) and is_tuple(new) and tuple_size(old) == tuple_size(new) do
    tuple_size(old) > 1 and elem(old, 0) === elem(new, 0)
  end

  defp alike?(_old, _new), do: false
end
