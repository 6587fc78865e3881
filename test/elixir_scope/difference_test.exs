defmodule ElixirScope.DifferenceTest do
  use ExUnit.Case, async: true

  alias ElixirScope.{Cut, Difference, Terms}

  doctest ElixirScope.Difference
  doctest ElixirScope.Path
  doctest ElixirScope.Cut

  defp of(old, new), do: Difference.of(old, new).entries

  describe "of any two terms" do
    setup do
      %{seed: :rand.seed(:exsss, {3, 4, System.unique_integer()})}
    end

    test "a key or member that was cut may be any of the other side" do
      cut = %ElixirScope.Cut{kind: :tuple, size: 2}

      for make <- [&Map.new(&1, fn key -> {key, 1} end), &MapSet.new/1] do
        kinds = fn old, new ->
          for {_, kind, _, _} <- Difference.of(make.(old), make.(new)).entries, do: kind
        end

        assert kinds.([cut], [{1, 2}]) == [:unknown, :unknown]
        assert kinds.([cut, :a], [:a]) == [:unknown]
        assert kinds.([cut], [cut, {1, 2}]) |> Enum.uniq() == [:unknown]
        assert kinds.([:a], [:b]) == [:removed, :put]
        # Also where it is among many that both have.
        many = Enum.to_list(1..1_000)
        assert kinds.([cut | many], [cut, :a | many]) |> Enum.uniq() == [:unknown]
      end
    end

    test "a map with a cut key may have been of any size" do
      cut = %ElixirScope.Cut{kind: :map, size: 2}
      assert [{[], :unknown, _, _}] = of(%{%ElixirScope.Cut{kind: :tuple} => 1, a: 1, b: 2}, cut)
      assert [{[], :changed, _, _}] = of(%{a: 1, b: 2, c: 3}, cut)
    end

    test "applied to the old one it gives the new one, and it is empty when they are equal alone", %{
      seed: seed
    } do
      for round <- 1..3_000 do
        old = Terms.random(rem(round, 8))
        new = if rem(round, 3) == 0, do: Terms.random(rem(round, 8)), else: change(old, 1 + rem(round, 4))
        difference = Difference.of(old, new)
        assert Difference.apply(old, difference) === new, inspect({seed, old, new, difference})
        assert Difference.empty?(difference) == (old === new), inspect({seed, old, new})
      end
    end

    test "that are equal and share nothing in memory it is empty", %{seed: seed} do
      for _ <- 1..500 do
        old = Terms.random(7)
        # Ports and functions come back from bytes as well.
        new = old |> :erlang.term_to_binary() |> :erlang.binary_to_term()
        assert of(old, new) == [], inspect({seed, old})
      end
    end

    test "each path leads to what is said to be there", %{seed: seed} do
      for _ <- 1..1_000 do
        old = Terms.random(6)
        new = change(old, 2)

        for {path, kind, before, now} <- of(old, new), List.last(path) not in [:tail, :split] do
          case kind do
            :removed ->
              assert Enum.count(path) > 0, inspect({seed, before})

            _put_or_changed ->
              assert ElixirScope.Path.fetch(new, path) == {:ok, now}, inspect({seed, old, new, path})
          end
        end
      end
    end

    test "queues are rebuilt exactly", %{seed: seed} do
      for _ <- 1..500 do
        old = queue(:queue.new(), 20)
        new = queue(old, 10)
        difference = Difference.of(%{queue: old}, %{queue: new})
        assert Difference.apply(%{queue: old}, difference) === %{queue: new}, inspect({seed, old, new})
        assert Difference.empty?(difference) == (old === new)
      end
    end

    test "large maps and sets too, also where branches of their trees come and go", %{seed: seed} do
      for size <- [31, 32, 33, 34, 100, 1_000, 5_000], _ <- 1..20 do
        old = Map.new(1..size, &{&1, {&1}})
        new = Enum.reduce(1..:rand.uniform(40), old, fn _, map -> change_map(map, size) end)
        difference = Difference.of(old, new)
        assert Difference.apply(old, difference) === new, inspect({seed, size})
        assert length(difference.entries) == length(plain_difference(old, new)), inspect({seed, size})

        {old, new} = {MapSet.new(Map.keys(old)), MapSet.new(Map.keys(new))}
        difference = Difference.of(old, new)
        assert Difference.apply(old, difference) === new

        assert length(difference.entries) ==
                 MapSet.size(MapSet.difference(MapSet.union(old, new), MapSet.intersection(old, new)))
      end
    end

    test "keys of one hash are found", %{seed: _} do
      # Integers and floats of one value, and many keys: whatever the VM does with them, pairs stay pairs.
      old = for n <- 1..2_000, key <- [n, n / 1, {n}, [n], "#{n}"], into: %{}, do: {key, n}
      new = old |> Map.put(7, :seven) |> Map.delete(8.0) |> Map.put({:new}, 1)
      assert of(old, new) == [{[7], :changed, 7, :seven}, {[8.0], :removed, 8, nil}, {[{:new}], :put, nil, 1}]
    end

    test "lists of thousands are aligned", %{seed: seed} do
      old = Enum.to_list(1..20_000)
      assert of(old, [0 | old]) == [{[{:at, 0}], :put, nil, 0}]
      assert of(old, old ++ [0]) == [{[{:at, 20_000}], :put, nil, 0}]
      assert of(old, List.delete_at(old, 9_999)) == [{[{:at, 9_999}], :removed, 10_000, nil}]
      new = old |> List.delete_at(10) |> List.insert_at(15_000, :x) |> List.replace_at(5_000, :y)

      assert of(old, new) == [
               {[{:at, 10}], :removed, 11, nil},
               {[{:at, 5_000}], :changed, 5_002, :y},
               {[{:at, 15_000}], :put, nil, :x}
             ]

      for _ <- 1..20 do
        old = for _ <- 1..1_000, do: :rand.uniform(300)

        new =
          Enum.flat_map(old, fn n -> Enum.random([[n], [n], [n], [n], [], [n, :rand.uniform(300)], [{n}]]) end)

        assert Difference.apply(old, Difference.of(old, new)) === new, inspect(seed)
      end
    end
  end

  describe "what it shows" do
    test "of structs the fields, with the name only in the container" do
      old = %URI{host: "a", port: 1}
      assert of(old, %URI{host: "a", port: 2}) == [{[:port], :changed, 1, 2}]
      assert of(old, Map.from_struct(old)) == [{[], :changed, old, Map.from_struct(old)}]
    end

    test "of lists what went and came, not what moved" do
      assert of([1, 2, 3], [0, 1, 2, 3]) == [{[{:at, 0}], :put, nil, 0}]
      assert of([1, 2, 3], [1, 2, 3, 4]) == [{[{:at, 3}], :put, nil, 4}]
      assert of([1, 2, 3], [1, 3]) == [{[{:at, 1}], :removed, 2, nil}]
      assert of([1, 2, 3], [2, 3, 4]) == [{[{:at, 0}], :removed, 1, nil}, {[{:at, 2}], :put, nil, 4}]
      assert of([1, 2, 3], [1, :two, 3]) == [{[{:at, 1}], :changed, 2, :two}]
      assert of([1 | 2], [1 | 3]) == [{[:tail], :changed, 2, 3}]
      assert of([1 | 2], [1]) == [{[:tail], :changed, 2, []}]
    end

    test "of an element that was changed beside others that came, the change alone" do
      old = [%{id: 1, name: "a", count: 1}, %{id: 2, name: "b", count: 1}]
      new = [%{id: 0, name: "n", count: 7}, %{id: 1, name: "a", count: 2}, %{id: 2, name: "b", count: 1}]
      assert of(old, new) == [{[{:at, 0}], :put, nil, hd(new)}, {[{:at, 1}, :count], :changed, 1, 2}]
    end

    test "of a queue what entered and left, also when it was laid out anew" do
      queue = Enum.reduce(1..10, :queue.new(), &:queue.in/2)
      assert [{[{:elem, 0}, {:at, 0}], :put, nil, 11}] = of(queue, :queue.in(11, queue))
      # Nine of ten go from one list to the other.
      {{:value, 1}, shorter} = :queue.out(queue)
      {{:value, 2}, shorter} = :queue.out(shorter)
      assert [{[queue: 0], :removed, 1, nil}, {[queue: 1], :removed, 2, nil} | _] = of(queue, shorter)
      assert length(of(queue, shorter)) <= 3
    end

    test "a cut as unknown, unless it cannot be equal" do
      cut = %Cut{kind: :binary, size: 10, kept: "ab"}
      same = %Cut{kind: :binary, size: 10, kept: "ab"}
      # Built anew, or the compiler would make one of both.
      same = :erlang.binary_to_term(:erlang.term_to_binary(same))
      assert of(%{a: cut}, %{a: same}) == [{[:a], :unknown, cut, same}]
      assert of([1, %{a: cut}], [1, %{a: same}]) == [{[{:at, 1}, :a], :unknown, cut, same}]
      assert of(%{a: cut}, %{a: cut}) == []
      assert of(%{a: cut}, %{a: %{cut | size: 11}}) == [{[:a], :changed, cut, %{cut | size: 11}}]
      assert of(%{a: cut}, %{a: "short"}) == [{[:a], :changed, cut, "short"}]
      assert of(%{a: %Cut{}}, %{a: 1}) == [{[:a], :unknown, %Cut{}, 1}]
      assert of(%{a: 1}, %{a: %Cut{kind: :list}}) == [{[:a], :changed, 1, %Cut{kind: :list}}]
    end

    test "of a list that was cut nothing that may lie behind the limit" do
      old = [2, 3, 4 | %Cut{kind: :list}]
      new = [1, 2, 3 | %Cut{kind: :list, size: nil}]
      assert [{[{:at, 0}], :put, nil, 1}, {[:tail], :unknown, [4 | %Cut{}], %Cut{}}] = of(old, new)
      assert [{[:tail], :unknown, _, _}] = of([1, 2, 3], [1, 2 | %Cut{kind: :list}])
    end
  end

  test "a map of 100,000 keys is compared in no more than some steps where both share their branches" do
    compare = fn ->
      old = Map.new(1..100_000, &{&1, {&1}})
      new = Map.put(old, 5_000, :changed)
      # What it calls is loaded by then.
      [_] = of(%{1 => 1}, %{1 => 2})
      {:reductions, before} = Process.info(self(), :reductions)
      found = of(old, new)
      {:reductions, later} = Process.info(self(), :reductions)
      exit({found, later - before})
    end

    # With room for all of it: a garbage collection of such maps counts as tens of thousands of steps.
    {pid, ref} = :erlang.spawn_opt(compare, [:monitor, min_heap_size: 8_000_000])
    assert_receive {:DOWN, ^ref, :process, ^pid, {found, steps}}
    assert found == [{[5_000], :changed, {5_000}, :changed}]
    assert steps < 20_000
  end

  # A term near another: the same parts, some of them changed.
  defp change(term, 0), do: term
  defp change(term, times), do: term |> change() |> change(times - 1)

  defp change(%MapSet{} = set),
    do: Enum.random([MapSet.put(set, Terms.leaf()), set |> Enum.drop(1) |> MapSet.new()])

  defp change(%File.Stat{} = stat), do: %{stat | Enum.random([:size, :mode]) => Terms.leaf()}

  defp change(map) when is_map(map) and map_size(map) > 0 do
    key = map |> Map.keys() |> Enum.random()

    case :rand.uniform(4) do
      1 -> Map.delete(map, key)
      2 -> Map.put(map, Terms.leaf(), Terms.leaf())
      _ -> Map.update!(map, key, &change/1)
    end
  end

  defp change(tuple) when is_tuple(tuple) and tuple_size(tuple) > 0 do
    index = :rand.uniform(tuple_size(tuple)) - 1
    put_elem(tuple, index, change(elem(tuple, index)))
  end

  defp change([first | rest]) do
    case :rand.uniform(5) do
      1 -> [Terms.leaf(), first | rest]
      2 -> rest
      3 -> [change(first) | rest]
      4 when is_list(rest) and length(rest) >= 0 -> [first | rest] ++ [Terms.leaf()]
      _ -> [first | change(rest)]
    end
  end

  defp change(_leaf), do: Terms.leaf()

  defp change_map(map, size) do
    key = :rand.uniform(size + 50)

    Enum.random([
      Map.delete(map, key),
      Map.put(map, key, :changed),
      Map.put(map, {:rand.uniform(1_000_000)}, 1)
    ])
  end

  defp plain_difference(old, new) do
    for key <- Enum.uniq(Map.keys(old) ++ Map.keys(new)), Map.fetch(old, key) != Map.fetch(new, key), do: key
  end

  defp queue(queue, 0), do: queue

  defp queue(queue, steps) do
    case :rand.uniform(3) do
      1 -> queue |> :queue.out() |> elem(1)
      _ -> :queue.in(steps, queue)
    end
    |> queue(steps - 1)
  end
end
