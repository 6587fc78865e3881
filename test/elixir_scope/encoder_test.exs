defmodule ElixirScope.EncoderTest do
  # How terms are read is switched for the whole VM.
  use ExUnit.Case, async: false

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
    assert Native.layout(true) == {true, true}
    assert Native.layout(false) == {false, false}
    assert Native.layout(true) == {true, true}
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
    assert Native.layout(false) == {false, false}
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

  defp assert_same(terms, limited?, seed \\ nil) do
    assert Native.layout(true) == {true, true}
    read = Enum.map(terms, &Native.encoded(&1, limited?))
    assert Native.layout(false) == {false, false}

    for {term, read} <- Enum.zip(terms, read) do
      assert read == Native.encoded(term, limited?), "#{inspect(term, limit: 50)} with #{inspect(seed)}"
    end

    assert Native.layout(true) == {true, true}
  end
end
