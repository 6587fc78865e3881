defmodule ElixirScope.Difference do
  @moduledoc """
  What makes one term another, and nothing else: `entries` is empty when nothing does.

  An entry is `{path, kind, old, new}`:

  | kind | meaning |
  |---|---|
  | `:put` | it is there now, and was not (`old` is `nil`) |
  | `:changed` | it was `old`, and is `new` |
  | `:removed` | it was there, and is no more (`new` is `nil`) |
  | `:unknown` | a limit, or redaction, kept something out there, so it may be equal or not |

  Paths are those of `ElixirScope.Path`: `{:at, 2}` is a position in a list, `{:elem, 1}` one in a tuple, `{:member, x}` a member of
  a `MapSet`, anything else a key. Positions in lists are those in the new list; only the last step of a
  `:removed` element is its position in the old one. Elements that were put in or taken out move the others without an entry.

  A `:queue` that was laid out anew has entries at `{:queue, 0}`, counted from its front, and one at `:split` that says how many
  elements stand in its front list.

      iex> ElixirScope.Difference.of(%{sum: 1, items: [:b, :c]}, %{sum: 2, items: [:a, :b, :c]}).entries
      [{[:items, {:at, 0}], :put, nil, :a}, {[:sum], :changed, 1, 2}]
      iex> ElixirScope.Difference.of(MapSet.new([1, 2]), MapSet.new([2, 3])).entries
      [{[{:member, 1}], :removed, 1, nil}, {[{:member, 3}], :put, nil, 3}]
  """

  alias ElixirScope.{Cut, Path}
  alias ElixirScope.Difference.{Lists, Maps}

  @type entry :: {ElixirScope.Path.t(), :put | :changed | :removed | :unknown, old :: term, new :: term}
  @type t :: %__MODULE__{entries: [entry]}

  defstruct entries: []

  @doc """
  The difference between two terms. Parts that are the same words in memory are not looked at.

      iex> ElixirScope.Difference.of({:idle, %{tries: 0}}, {:busy, %{tries: 0}}).entries
      [{[{:elem, 0}], :changed, :idle, :busy}]
  """
  @spec of(term, term) :: t
  def of(old, new), do: %__MODULE__{entries: old |> walk(new, [], []) |> Enum.reverse()}

  @doc """
  As `of/2`, of parts that may be there or not, under the path that leads to them.

      iex> ElixirScope.Difference.between(:error, {:ok, 1}, [:count]).entries
      [{[:count], :put, nil, 1}]
  """
  @spec between(part | :none, part, list) :: t
        when part: {:ok, term} | :error | {:cut, Cut.t()} | {:within, Cut.t()}
  def between({:within, %Cut{kind: :left_out}}, {:within, %Cut{kind: :left_out}}, _path), do: %__MODULE__{}

  # Whether there was anything is not known either.
  def between({:within, _cut} = old, new, path), do: unknown_part(old, new, path)
  def between(old, {:within, _cut} = new, path), do: unknown_part(old, new, path)

  def between(old, new, path) do
    at = Enum.reverse(path)

    entries =
      case {part(old), part(new)} do
        {{:ok, old}, {:ok, new}} -> walk(old, new, at, [])
        {:none, {:ok, new}} -> [{path, :put, nil, new}]
        {{:ok, old}, :none} -> [{path, :removed, old, nil}]
        {:none, :none} -> []
      end

    %__MODULE__{entries: Enum.reverse(entries)}
  end

  defp unknown_part(old, new, path) do
    [old, new] =
      for side <- [old, new] do
        case side do
          {_known_or_cut, part} -> part
          _none -> nil
        end
      end

    %__MODULE__{entries: [{path, :unknown, old, new}]}
  end

  defp part({:cut, cut}), do: {:ok, cut}
  defp part({:ok, part}), do: {:ok, part}
  defp part(_none), do: :none

  @doc """
  Whether nothing differs, as far as limits let anybody know.

      iex> ElixirScope.Difference.empty?(ElixirScope.Difference.of([1, 2], [1, 2]))
      true
  """
  @spec empty?(t) :: boolean
  def empty?(%__MODULE__{entries: entries}), do: entries == []

  # Paths are turned round while they grow, and entries too.
  defp walk(old, new, path, found) do
    if :erts_debug.same(old, new), do: found, else: differ(old, new, path, found)
  end

  # What the view of a struct leaves out is not looked at.
  defp differ(%Cut{kind: :left_out}, %Cut{kind: :left_out}, _path, found), do: found
  defp differ(%Cut{} = old, new, path, found), do: unknown(Cut.may_equal?(old, new), old, new, path, found)
  defp differ(old, %Cut{} = new, path, found), do: unknown(Cut.may_equal?(new, old), old, new, path, found)

  defp differ(%MapSet{} = old, %MapSet{} = new, path, found) do
    members(Map.from_struct(old), Map.from_struct(new), path, found) || pairs(old, new, path, found)
  end

  defp differ(old, new, path, found) when is_map(old) and is_map(new) do
    if Map.get(old, :__struct__) === Map.get(new, :__struct__),
      do: pairs(old, new, path, found),
      else: changed(old, new, path, found)
  end

  defp differ({rear, front} = old, {new_rear, new_front} = new, path, found)
       when is_list(rear) and is_list(front) and is_list(new_rear) and is_list(new_front) do
    plain = elements(old, new, path, [])

    # A queue that was laid out anew would show each element that went from one of its lists to the other.
    queued = if match?([_, _ | _], plain) and queue?(old) and queue?(new), do: queued(old, new, path)
    if queued && length(queued) < length(plain), do: queued ++ found, else: plain ++ found
  end

  defp differ(old, new, path, found)
       when is_tuple(old) and is_tuple(new) and tuple_size(old) == tuple_size(new) do
    elements(old, new, path, found)
  end

  defp differ(old, new, path, found) when is_list(old) and is_list(new), do: lists(old, new, path, found)
  defp differ(old, new, _path, found) when old === new, do: found
  defp differ(old, new, path, found), do: changed(old, new, path, found)

  defp changed(old, new, path, found), do: entry(path, :changed, old, new, found)

  defp unknown(true, old, new, path, found), do: entry(path, :unknown, old, new, found)
  defp unknown(false, old, new, path, found), do: changed(old, new, path, found)

  defp entry(path, kind, old, new, found), do: [{Enum.reverse(path), kind, old, new} | found]

  # In the order of their keys, so that the same question has the same answer.
  defp pairs(old_map, new_map, path, found) do
    {old, new} = Maps.apart(old_map, new_map)
    gone = for {key, value} <- :maps.to_list(old), not is_map_key(new, key), do: {key, :removed, value, nil}
    come = for {key, value} <- :maps.to_list(new), not is_map_key(old, key), do: {key, :put, nil, value}
    {gone, come} = {perhaps(gone, new_map), perhaps(come, old_map)}

    both =
      for {key, value} <- :maps.to_list(old),
          {:ok, other} <- [Map.fetch(new, key)],
          kind = if(Path.cut_in(key), do: :both_cut, else: :both),
          kind == :both_cut or not :erts_debug.same(value, other) do
        {key, kind, value, other}
      end

    (gone ++ come ++ both)
    |> Enum.sort_by(&elem(&1, 0))
    |> Enum.reduce(found, fn
      # Two keys that were cut may be two.
      {key, :both_cut, value, other}, found -> entry([key | path], :unknown, value, other, found)
      {key, :both, value, other}, found -> walk(value, other, [key | path], found)
      {key, kind, value, other}, found -> entry([key | path], kind, value, other, found)
    end)
  end

  # A key that was cut may be any, those that both maps have among them: what is known of a map may have come after it was cut.
  defp perhaps([], _other), do: []

  defp perhaps(entries, other) do
    hidden? = Enum.any?(:maps.keys(other), &Path.cut_in/1)

    for {key, _kind, old, new} = entry <- entries do
      if hidden? or Path.cut_in(key), do: {key, :unknown, old, new}, else: entry
    end
  end

  # Of sets of this Elixir: members are the keys of a map, with nothing for values. Of any other version, field by field.
  defp members(%{map: old_map} = olds, %{map: new_map} = news, path, found)
       when is_map(old_map) and is_map(new_map) do
    {old, new} = Maps.apart(old_map, new_map)

    if Map.delete(olds, :map) === Map.delete(news, :map) and plain?(old) and plain?(new) do
      gone =
        for {member, _} <- :maps.to_list(old),
            not is_map_key(new, member),
            do: {member, :removed, member, nil}

      come =
        for {member, _} <- :maps.to_list(new), not is_map_key(old, member), do: {member, :put, nil, member}

      cut =
        for {member, _} <- :maps.to_list(old),
            is_map_key(new, member) and Path.cut_in(member) != nil,
            do: {member, :unknown, member, member}

      {gone, come} = {perhaps(gone, new_map), perhaps(come, old_map)}

      (gone ++ come ++ cut)
      |> Enum.sort_by(&elem(&1, 0))
      |> Enum.reduce(found, fn {member, kind, a, b}, found ->
        entry([{:member, member} | path], kind, a, b, found)
      end)
    end
  end

  defp members(_olds, _news, _path, _found), do: nil

  defp plain?(members), do: Enum.all?(members, fn {_member, filler} -> filler === [] end)

  defp elements(old, new, path, found) do
    Enum.reduce(0..(tuple_size(old) - 1)//1, found, fn index, found ->
      walk(elem(old, index), elem(new, index), [{:elem, index} | path], found)
    end)
  end

  defp queue?({rear, front}) when length(rear) >= 0 and length(front) >= 0 do
    # With two elements and more, neither list of a queue is empty.
    (rear != [] and front != []) or length(rear) + length(front) < 2
  end

  defp queue?(_other), do: false

  defp queued({_, front} = old, {_, new_front} = new, path) do
    found = aligned(Lists.align(:queue.to_list(old), :queue.to_list(new)), :queue, path, [])

    if length(front) == length(new_front),
      do: found,
      else: entry([:split | path], :changed, length(front), length(new_front), found)
  end

  defp lists(old, new, path, found) do
    {olds, old_tail} = proper(old)
    {news, new_tail} = proper(new)

    if cut?(old_tail) or cut?(new_tail) do
      open_lists({olds, old_tail}, {news, new_tail}, path, found)
    else
      found = aligned(Lists.align(olds, news), :at, path, found)
      walk(old_tail, new_tail, [:tail | path], found)
    end
  end

  # Behind the last element that is in both, nobody knows what went and came: it may lie behind the limit of the other.
  defp open_lists({olds, old_tail}, {news, new_tail}, path, found) do
    {behind, ops} =
      olds |> Lists.align(news, false) |> Enum.reverse() |> Enum.split_while(&(elem(&1, 0) != :both))

    behind = Enum.reverse(behind)
    old_rest = for({:removed, _, element} <- behind, do: element) ++ old_tail
    new_rest = for({:put, _, element} <- behind, do: element) ++ new_tail
    found = aligned(Enum.reverse(ops), :at, path, found)

    if :erts_debug.same(old_rest, new_rest),
      do: found,
      else: entry([:tail | path], :unknown, old_rest, new_rest, found)
  end

  defp cut?(tail), do: is_struct(tail, Cut)

  defp proper(list) when length(list) >= 0, do: {list, []}
  defp proper(list), do: improper(list, [])

  defp improper([element | rest], elements), do: improper(rest, [element | elements])
  defp improper(tail, elements), do: {Enum.reverse(elements), tail}

  defp aligned(ops, step, path, found) do
    Enum.reduce(ops, found, fn
      {:both, at, old, new}, found -> walk(old, new, [{step, at} | path], found)
      {:removed, at, old}, found -> entry([{step, at} | path], :removed, old, nil, found)
      {:put, at, new}, found -> entry([{step, at} | path], :put, nil, new, found)
    end)
  end

  @doc """
  Makes the new term of the old one. What is `:unknown` stays as it was.

      iex> difference = ElixirScope.Difference.of([1, 2, 3], [0, 1, 3])
      iex> ElixirScope.Difference.apply([1, 2, 3], difference)
      [0, 1, 3]
  """
  @spec apply(term, t) :: term
  def apply(old, %__MODULE__{entries: entries}), do: put(old, entries)

  defp put(old, entries) do
    case List.keyfind(entries, [], 0) do
      {[], :unknown, _old, _new} -> old
      {[], _kind, _old, new} -> new
      nil -> put_parts(old, entries)
    end
  end

  defp put_parts(old, []), do: old

  defp put_parts(%MapSet{} = set, [{[{:member, _}], _, _, _} | _] = entries) do
    Enum.reduce(entries, set, fn
      {_, :put, _, member}, set -> MapSet.put(set, member)
      {_, :removed, member, _}, set -> MapSet.delete(set, member)
      {_, :unknown, _, _}, set -> set
    end)
  end

  defp put_parts(map, entries) when is_map(map) do
    entries
    |> Enum.group_by(fn {[key | _], _, _, _} -> key end, &shorter/1)
    |> Enum.reduce(map, fn
      {key, [{[], :removed, _, _}]}, map -> Map.delete(map, key)
      {key, entries}, map -> Map.put(map, key, put(Map.get(map, key), entries))
    end)
  end

  defp put_parts({_, front} = queue, [{[step | _], _, _, _} | _] = entries)
       when step == :split or elem(step, 0) == :queue do
    {split, entries} = Enum.split_with(entries, fn {path, _, _, _} -> path == [:split] end)
    at = with [{_, _, _, new}] <- split, do: new, else: (_ -> length(front))
    {front, rear} = queue |> :queue.to_list() |> put_list(entries) |> Enum.split(at)
    {Enum.reverse(rear), front}
  end

  defp put_parts(tuple, entries) when is_tuple(tuple) do
    entries
    |> Enum.group_by(fn {[{:elem, index} | _], _, _, _} -> index end, &shorter/1)
    |> Enum.reduce(tuple, fn {index, entries}, tuple ->
      put_elem(tuple, index, put(elem(tuple, index), entries))
    end)
  end

  defp put_parts(list, entries) when is_list(list) do
    {tails, entries} = Enum.split_with(entries, fn {[step | _], _, _, _} -> step == :tail end)
    {elements, tail} = proper(list)

    case Enum.map(tails, &shorter/1) do
      [{[], :unknown, _, _}] -> put_list(elements, entries) ++ tail
      tails -> put_list(elements, entries) ++ put(tail, tails)
    end
  end

  defp shorter({[_ | path], kind, old, new}), do: {path, kind, old, new}

  defp put_list(elements, entries) do
    gone = for {[{_, at}], :removed, _, _} <- entries, into: MapSet.new(), do: at
    come = for {[{_, at}], :put, _, new} <- entries, into: %{}, do: {at, new}

    changed =
      entries
      |> Enum.reject(fn {path, kind, _, _} -> match?([_], path) and kind in [:put, :removed] end)
      |> Enum.group_by(fn {[{_, at} | _], _, _, _} -> at end, &shorter/1)

    kept = for {element, at} <- Enum.with_index(elements), at not in gone, do: element
    weave(kept, 0, come, changed)
  end

  defp weave(kept, at, come, changed) do
    case {come, kept} do
      {%{^at => new}, _} -> [new | weave(kept, at + 1, Map.delete(come, at), changed)]
      {_, [element | kept]} -> [put(element, Map.get(changed, at, [])) | weave(kept, at + 1, come, changed)]
      {_, []} -> []
    end
  end
end
