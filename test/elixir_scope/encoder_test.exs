defmodule ElixirScope.EncoderTest do
  # How terms are read is switched for the whole VM.
  use ExUnit.Case, async: false

  alias ElixirScope.Servers.Change
  alias ElixirScope.{Native, Terms}
  alias ElixirScope.Traced.Echo

  @moduletag :tmp_dir

  setup %{tmp_dir: dir} = context do
    {:ok, _} = ElixirScope.start(dir: dir, limits: Map.get(context, :limits, []))

    on_exit(fn ->
      Native.layout(true)
      {:ok, _} = ElixirScope.start()
    end)
  end

  test "the layout of terms is known on every VM that we test on" do
    assert Native.layout(true) == {true, true, true}
    assert Native.layout(false) == {false, false, false}
    assert Native.layout(true) == {true, true, true}
  end

  test "what is read where it lies is what the VM answers, for terms of every kind and size" do
    assert_same(every_size(), false)
    assert_same(every_size(), true)
  end

  test "and for random terms" do
    seed = :rand.seed(:exsss, {1, 2, System.unique_integer()})
    terms = for _ <- 1..3_000, do: Terms.random(7)
    assert_same(terms, false, seed)
    assert_same(terms, true, seed)
  end

  @tag limits: [value_bytes: 300, depth: 3, elements: 25]
  test "also where limits cut them" do
    seed = :rand.seed(:exsss, {1, 2, System.unique_integer()})
    terms = every_size() ++ for _ <- 1..3_000, do: Terms.random(9)
    assert_same(terms, true, seed)
    assert Enum.any?(terms, &(Native.encoded(&1, true) != Native.encoded(&1, false))), "nothing was cut"
  end

  test "and for terms that came from elsewhere: literals, messages, other terms, bytes" do
    seed = :rand.seed(:exsss, {1, 2, System.unique_integer()})
    terms = for _ <- 1..300, do: Terms.random(6)
    :persistent_term.put(__MODULE__, terms)
    on_exit(fn -> :persistent_term.erase(__MODULE__) end)
    parent = self()
    spawn_link(fn -> send(parent, {:terms, terms}) end)
    assert_receive {:terms, sent}, 10_000
    read = terms |> :erlang.term_to_binary() |> :erlang.binary_to_term()
    <<_::binary-size(3), tail::binary>> = bytes = :rand.bytes(1_000)
    parts = for from <- 0..20, size <- [0, 1, 7, 8, 63, 64, 65, 300], do: binary_part(bytes, from, size)
    whole = [tail, for(<<part::binary-size(9) <- tail>>, do: part), parts]
    assert_same([:persistent_term.get(__MODULE__), sent, read | whole], false, seed)
    :erlang.garbage_collect()
    assert_same([:persistent_term.get(__MODULE__), sent, read | whole], false, seed)
  end

  test "a function that closes over too much is cut by its name, and the next ones from there are not looked at" do
    rows = Enum.to_list(1..200_000)
    large = for number <- 1..3, do: fn -> {number, rows} end
    small = fn -> :small end
    for fun <- large ++ [small, &String.length/1], do: Echo.echo(fun)

    assert [first, second, third, fourth, fifth] =
             for(call <- ElixirScope.calls(&Echo.echo/1), do: hd(call.args))

    assert %ElixirScope.Cut{kind: :term, size: size, kept: "#Fun<Elixir.ElixirScope.EncoderTest." <> _} =
             first

    assert size > 64 * 1024
    # Its size would be known if the VM had been asked to write all of it again.
    for cut <- [second, third], do: assert(cut == %{first | size: nil})
    assert inspect(second) =~ ~r/#ElixirScope.Cut<term, #Fun<Elixir.ElixirScope.EncoderTest[^>]*>>/
    assert fourth.() == :small
    assert fifth == (&String.length/1)
  end

  test "a VM whose layout is not known records the same" do
    seed = :rand.seed(:exsss, {1, 2, System.unique_integer()})
    terms = every_size() ++ for _ <- 1..200, do: Terms.random(6)
    assert Native.layout(false) == {false, false, false}
    Enum.each(terms, &Echo.echo/1)
    calls = ElixirScope.calls(&Echo.echo/1)
    assert length(calls) == length(terms)
    kept = for {call, term} <- Enum.zip(calls, terms), call.args === [term] and call.return === term, do: term
    assert kept === terms, inspect(seed)
  end

  # One of each size at which a VM could lay a term out in another way.
  defp every_size do
    numbers = [
      0,
      63,
      64,
      -64,
      -65,
      8_191,
      8_192,
      -8_193,
      2 ** 59 - 1,
      2 ** 59,
      -(2 ** 59),
      -(2 ** 59) - 1,
      2 ** 64
    ]

    lists = for size <- 0..70, do: Enum.to_list(1..size//1)
    improper = for size <- 1..20, do: Enum.reduce(1..size, {:tail, size}, &[&1 | &2])

    [numbers, 1.5, -0.0, self(), make_ref(), hd(Port.list()), &String.trim/1, fn -> numbers end, <<5::3>>] ++
      lists ++
      improper ++
      Enum.map(lists, &List.to_tuple/1) ++
      Enum.map(lists, fn list -> Map.new(list, &{&1, {&1}}) end) ++
      Enum.map(lists, fn list -> Map.new(list, &{{&1}, [&1 | 1.5]}) end) ++
      for(size <- 0..130, do: String.duplicate("x", size))
  end

  test "a patch makes the new term of the old one, and any other bytes make a term or nothing" do
    :rand.seed(:exsss, {1, 2, System.unique_integer()})

    for round <- 1..400 do
      # Also where the VM has to be asked for what terms are.
      Native.layout(rem(round, 2) == 0)
      old = plain(Change.state())
      new = plain(Change.run(Change.random(old), old))
      {:ok, patch} = Native.difference(old, new)
      # `nil` is what cannot be patched, and no term that `plain/1` gives.
      assert Native.patched(old, patch) === new
      for _ <- 1..40, do: Native.patched(Enum.random([old, new, [], %{}, {}, 1]), broken(patch))
    end

    assert Native.layout(true) == {true, true, true}

    # Levels without end, counts that no memory holds, an element that is not there.
    for bytes <- [
          :binary.copy(<<17>>, 100_000),
          :binary.copy(<<16, 1, 1, 0>>, 100_000),
          <<15, 255, 255, 255, 255, 255, 255, 255, 255, 127, 1>>,
          <<18, 255, 255, 255, 255, 15>>,
          <<17, 19, 9, 20>>,
          <<17, 18, 255, 255, 255, 255, 15, 8>>,
          <<16, 1, 1, 200, 1>>
        ],
        old <- [[1, 2], [[[[]]]], {1}, %{1 => 2}, :atom],
        do: Native.patched(old, bytes)
  end

  test "a patch holds at its edges: as deep as it nests, from and to nothing, where maps and lists change their form" do
    deep = fn levels, leaf -> Enum.reduce(1..levels, leaf, fn n, inner -> %{n => {n, [inner]}} end) end
    wide = fn size -> Map.new(1..size//1, &{{&1}, &1}) end

    pairs =
      for(levels <- [20, 21, 22, 23, 1_000], do: {deep.(levels, 1), deep.(levels, 2)}) ++
        for(
          one <- [0, 1, 31, 32, 33, 34, 1_000],
          other <- [0, 1, 32, 33, 1_000],
          do: {wide.(one), wide.(other)}
        ) ++
        [
          {[], {}},
          {%{}, []},
          {[1 | 2], [1 | 3]},
          {[1 | 2], [1, 2]},
          {[], [1 | 2]},
          {Enum.to_list(1..10_000), Enum.to_list(10_000..1//-1)},
          {List.duplicate(0, 1_000), List.duplicate(0, 999)},
          {{1, {2, {3}}}, {1, {2, {3, 4}}}},
          {1.0, 1},
          {%{1 => :one_float}, %{1.0 => :one_float}},
          {"", :binary.copy("x", 100_000)},
          {<<1::3>>, <<1::4>>}
        ]

    for {one, other} <- pairs, {old, new} <- [{one, other}, {other, one}] do
      {old, new} = {plain(old), plain(new)}
      {:ok, patch} = Native.difference(old, new)
      assert Native.patched(old, patch) === new
      # And where nothing but what changed is another term.
      {:ok, patch} = Native.difference([old, {old, 1}], [old, {new, 1}])
      assert Native.patched([old, {old, 1}], patch) === [old, {new, 1}]
    end
  end

  # Atoms, pids and ports have no meaning outside of a recording.
  defp plain(term) when is_atom(term) or is_pid(term) or is_port(term), do: 0
  defp plain([head | tail]), do: [plain(head) | if(tail == [], do: [], else: plain(tail))]
  defp plain(term) when is_tuple(term), do: term |> Tuple.to_list() |> Enum.map(&plain/1) |> List.to_tuple()

  defp plain(term) when is_map(term),
    do: term |> Map.to_list() |> Map.new(fn {key, value} -> {plain(key), plain(value)} end)

  defp plain(term), do: term

  defp broken(patch) do
    at = :rand.uniform(byte_size(patch)) - 1
    {before, <<byte, rest::binary>>} = :erlang.split_binary(patch, at)

    case :rand.uniform(4) do
      1 -> before
      2 -> <<before::binary, :rand.uniform(256) - 1, rest::binary>>
      3 -> <<before::binary, :rand.uniform(21) - 1, byte, rest::binary>>
      4 -> <<before::binary, rest::binary>>
    end
  end

  defp assert_same(terms, limited?, seed \\ nil) do
    assert Native.layout(true) == {true, true, true}
    read = Enum.map(terms, &Native.encoded(&1, limited?))
    assert Native.layout(false) == {false, false, false}

    for {term, read} <- Enum.zip(terms, read) do
      assert read == Native.encoded(term, limited?), "#{inspect(term, limit: 50)} with #{inspect(seed)}"
    end

    assert Native.layout(true) == {true, true, true}
  end
end
