defmodule ElixirScope.Servers.Change do
  @moduledoc false
  # Changes of states as data. A server and the test that keeps its states outside run the same ones, each in its own
  # process, so that what is shared in memory, and what is not, is different in both.
  #
  #     {:put, state}             another state altogether
  #     {:at, path, step}         something within it: see `step/2`
  #     {:copy, path, path}       what lies at the one path lies at the other too, the same words
  #     :mark, :back              remembers a state; goes back to it, to the same words
  #     :rebuild                  an equal state of other words
  #     :collect                  the same state, moved in memory

  alias ElixirScope.Servers.Box
  alias ElixirScope.Terms

  @mark :servers_mark
  @most_bytes 150_000
  @opaque_fields [:queue, :tree, :set]

  @doc "A state to begin with."
  def state do
    case :rand.uniform(20) do
      n when n <= 8 -> box()
      n when n <= 12 -> Terms.random(5)
      13 -> Terms.leaf()
      14 -> wide(1_000 + :rand.uniform(2_000))
      15 -> Terms.bytes(20_000 + :rand.uniform(60_000))
      16 -> for(n <- 1..:rand.uniform(60), do: {:row, n, Terms.leaf(), %{n => n}})
      17 -> Enum.reduce(1..:rand.uniform(30), Terms.leaf(), &{&1, &2})
      18 -> Enum.reduce(1..:rand.uniform(30), :end, &[&1, Terms.leaf() | &2])
      _ -> nested(4)
    end
  end

  defp box do
    %Box{
      queue: :queue.from_list(several(8)),
      tree: for(n <- 1..:rand.uniform(40), do: {n, Terms.leaf()}) |> :gb_trees.from_orddict(),
      set: MapSet.new(1..:rand.uniform(60)),
      record: {:record, :rand.uniform(9), Terms.leaf()},
      binary: Terms.bytes(:rand.uniform(300)),
      # At 32 keys a map becomes one of the other kind.
      brink: wide(26 + :rand.uniform(12)),
      wide: if(:rand.uniform(8) == 1, do: wide(2_000), else: wide(:rand.uniform(200))),
      nested: nested(3),
      rest: Terms.random(4)
    }
  end

  defp wide(size), do: for(n <- 1..size, into: %{}, do: {key(n), n})
  defp key(n) when rem(n, 7) == 0, do: {:key, n}
  defp key(n) when rem(n, 11) == 0, do: n * 1.0
  defp key(n), do: n

  defp nested(0), do: Terms.leaf()

  defp nested(depth) do
    case :rand.uniform(3) do
      1 -> for(_ <- 1..4, into: %{}, do: {Enum.random([:a, :b, "c", 1, 1.0, nil, {:d}]), nested(depth - 1)})
      2 -> %Box.Line{item: nested(depth - 1), amount: :rand.uniform(5), notes: %{depth => nested(depth - 1)}}
      3 -> for(_ <- 1..:rand.uniform(4), do: nested(depth - 1))
    end
  end

  defp several(most), do: for(_ <- 1..:rand.uniform(most), do: Terms.leaf())

  @doc "A change that can be made to this state."
  def random(state) do
    if :erlang.external_size(state) > @most_bytes, do: {:put, box()}, else: chosen(state)
  end

  defp chosen(state) do
    case :rand.uniform(40) do
      n when n <= 2 -> {:put, state()}
      3 -> :mark
      4 -> :back
      5 -> :rebuild
      6 -> :collect
      n when n <= 9 -> copy(state)
      _ -> within(state)
    end
  end

  defp copy(state) do
    {from, _there} = path(state, [])
    {to, _there} = path(state, [])

    if to == [] or match?({:key, field} when field in @opaque_fields, List.last(to)),
      do: :collect,
      else: {:copy, from, to}
  end

  defp within(state) do
    {path, there} = path(state, [])
    {:at, path, step_for(path, there)}
  end

  # Where a change may be made: down from the top, the further the less likely.
  defp path(%MapSet{} = term, walked), do: {Enum.reverse(walked), term}

  defp path(%Box{} = box, walked) do
    field = Enum.random([:queue, :tree, :set, :record, :improper, :binary, :brink, :wide, :nested, :rest])
    walked = [{:key, field} | walked]
    there = Map.fetch!(box, field)
    if field in @opaque_fields, do: {Enum.reverse(walked), there}, else: path(there, walked)
  end

  defp path(term, walked) do
    with true <- :rand.uniform(4) > 1, {step, there} <- child(term) do
      path(there, [step | walked])
    else
      _stay -> {Enum.reverse(walked), term}
    end
  end

  defp child(%_{} = struct) do
    {key, value} = struct |> Map.from_struct() |> Enum.random()
    {{:key, key}, value}
  end

  defp child(map) when map_size(map) > 0 do
    {key, value} = Enum.random(map)
    {{:key, key}, value}
  end

  defp child(tuple) when is_tuple(tuple) and tuple_size(tuple) > 0 do
    index = :rand.uniform(tuple_size(tuple)) - 1
    {{:elem, index}, elem(tuple, index)}
  end

  defp child([_ | _] = list) do
    cells = cells(list, 0)
    index = :rand.uniform(cells) - 1
    if index == cells - 1 and :rand.uniform(3) == 1, do: {{:tail, cells}, tail(list)}, else: item(list, index)
  end

  defp child(_leaf), do: nil

  defp item(list, index), do: {{:at, index}, at(list, index)}

  defp cells([_ | rest], count), do: cells(rest, count + 1)
  defp cells(_end, count), do: count
  defp tail([_ | rest]), do: tail(rest)
  defp tail(last), do: last
  defp at([first | _], 0), do: first
  defp at([_ | rest], index), do: at(rest, index - 1)

  defp step_for(path, there) do
    case {List.last(path), there} do
      {{:key, :queue}, {l, r}} when is_list(l) and is_list(r) ->
        Enum.random([{:in, Terms.leaf()}, :out])

      {{:key, :tree}, {size, _}} when is_integer(size) ->
        Enum.random([{:enter, :rand.uniform(40), Terms.leaf()}, {:leave, :rand.uniform(40)}])

      {_, %MapSet{}} ->
        Enum.random([{:member, :rand.uniform(80)}, {:no_member, :rand.uniform(80)}])

      {_, %_{}} ->
        {:swap, Terms.leaf()}

      {_, map} when is_map(map) ->
        key = key(:rand.uniform(map_size(map) + 5))

        Enum.random([
          {:key, key, Terms.leaf()},
          {:no_key, key},
          {:keys, key(3), key(4)},
          {:swap, Terms.leaf()}
        ])

      {_, list} when is_list(list) ->
        Enum.random([{:push, Terms.leaf()}, {:push, Terms.random(3)}, :pop, :reverse])

      {_, binary} when is_binary(binary) ->
        Enum.random([{:append, Terms.bytes(:rand.uniform(400))}, {:part, 2}, {:swap, Terms.leaf()}])

      {_, number} when is_number(number) ->
        Enum.random([:other_number, :increment])

      _ ->
        {:swap, Enum.random([Terms.leaf(), Terms.random(4)])}
    end
  end

  @doc "Makes the change."
  def run({:put, state}, _old), do: state
  def run({:at, path, step}, state), do: update(state, path, &step(step, &1))
  def run({:copy, from, to}, state), do: copied(state, from, to)
  def run(:rebuild, state), do: state |> :erlang.term_to_binary() |> :erlang.binary_to_term()

  def run(:collect, state) do
    :erlang.garbage_collect()
    state
  end

  def run(:mark, state) do
    Process.put(@mark, state)
    state
  end

  def run(:back, state), do: Process.get(@mark, state)

  @doc "A process that begins anew remembers nothing."
  def forget, do: Process.delete(@mark)

  defp copied(state, from, to) do
    value = get(state, from)
    update(state, to, fn _old -> value end)
  end

  defp get(term, []), do: term
  defp get(map, [{:key, key} | path]), do: map |> Map.fetch!(key) |> get(path)
  defp get(tuple, [{:elem, index} | path]), do: tuple |> elem(index) |> get(path)
  defp get(list, [{:at, index} | path]), do: list |> at(index) |> get(path)
  defp get(list, [{:tail, _cells} | path]), do: list |> tail() |> get(path)

  defp update(term, [], fun), do: fun.(term)
  defp update(map, [{:key, key} | path], fun), do: %{map | key => update(Map.fetch!(map, key), path, fun)}

  defp update(tuple, [{:elem, index} | path], fun),
    do: put_elem(tuple, index, update(elem(tuple, index), path, fun))

  defp update([first | rest], [{:at, 0} | path], fun), do: [update(first, path, fun) | rest]
  defp update([first | rest], [{:at, n} | path], fun), do: [first | update(rest, [{:at, n - 1} | path], fun)]
  defp update(last, [{:tail, 0} | path], fun), do: update(last, path, fun)

  defp update([first | rest], [{:tail, n} | path], fun),
    do: [first | update(rest, [{:tail, n - 1} | path], fun)]

  defp step({:swap, value}, _old), do: value
  defp step({:in, value}, queue), do: :queue.in(value, queue)
  defp step(:out, queue), do: queue |> :queue.out() |> elem(1)
  defp step({:enter, key, value}, tree), do: :gb_trees.enter(key, value, tree)
  defp step({:leave, key}, tree), do: :gb_trees.delete_any(key, tree)
  defp step({:member, value}, set), do: MapSet.put(set, value)
  defp step({:no_member, value}, set), do: MapSet.delete(set, value)
  defp step({:key, key, value}, map), do: Map.put(map, key, value)
  defp step({:no_key, key}, map), do: Map.delete(map, key)
  defp step({:keys, one, other}, map), do: map |> Map.delete(one) |> Map.put(other, one)
  defp step({:push, value}, list), do: [value | list]
  defp step(:pop, []), do: []
  defp step(:pop, [_ | rest]), do: rest
  defp step(:reverse, list), do: if(List.improper?(list), do: [list], else: Enum.reverse(list))
  defp step({:append, bytes}, binary), do: binary <> bytes
  defp step({:part, by}, binary), do: binary_part(binary, 0, div(byte_size(binary), by))
  defp step(:increment, number), do: number + 1
  # 1 and 1.0 are equal to `==`, not to a state.
  defp step(:other_number, number) when is_float(number),
    do: if(abs(number) < 1.0e15, do: trunc(number), else: 0)

  defp step(:other_number, number), do: if(abs(number) < 1_000_000_000, do: number * 1.0, else: 1)
end
