defmodule ElixirScope.SequenceTest do
  use ExUnit.Case, async: false

  alias ElixirScope.{Error, Message, Sequence}
  alias ElixirScope.Query
  alias ElixirScope.Traced.Store

  @second 1_000_000_000

  defp pid(number), do: :erlang.list_to_pid(~c"<0.#{number}.0>")

  defp message(from, to, content, id, more \\ []) do
    {kind, ref} = Message.about(content)

    struct!(
      %Message{
        from: from,
        to: to,
        content: content,
        kind: kind,
        ref: ref,
        sent: %{id: id, time: id * @second},
        delivered: %{id: id + 1, time: id * @second + 10},
        outcome: :delivered
      },
      more
    )
  end

  defp made(steps, pids, more \\ []) do
    names = pids |> Enum.zip(["shop", "stock", "till"]) |> Map.new()
    struct!(%Sequence{processes: pids, names: names, steps: steps}, more)
  end

  defp lines(sequence, options \\ []),
    do: sequence |> inspect([width: 80] ++ options) |> String.split("\n") |> Enum.map(&String.trim_trailing/1)

  defp example do
    [a, b, c] = pids = Enum.map([901, 902, 903], &pid/1)
    ref = make_ref()

    steps = [
      {@second, {:message, message(a, b, {:"$gen_call", {a, [:alias | ref]}, {:sell, 1}}, 1)}},
      {2 * @second, {:message, message(b, a, {[:alias | ref], :ok}, 2)}},
      {3 * @second, {:message, message(c, a, :tick, 3, outcome: :pending)}},
      {4 * @second, {:message, message(nil, c, :timeout, 4, sent: nil)}},
      {5 * @second, {:message, message(b, b, :again, 5)}},
      {6 * @second, {:spawn, b, pid(999)}},
      {7 * @second, {:exit, c, :shutdown}},
      {8 * @second, {:message, message(a, c, :late, 8, outcome: :unknown)}}
    ]

    made(steps, pids)
  end

  test "a diagram: a column for each process, a row for each step" do
    [first, heads | rows] = lines(example())
    assert first == "#ElixirScope.Sequence<"
    assert [shop, stock, till] = Enum.map(["shop", "stock", "till"], &(heads |> :binary.match(&1) |> elem(0)))
    columns = [shop, stock, till]
    assert stock - shop == till - stock

    [call, reply, pending, timer, self, spawn, exit, unknown] = rows
    assert call =~ ~r/^  00:00:01\.000000  │─+ {:sell, 1} ─+>│ +│$/u
    assert reply =~ ~r/^  00:00:02\.000000  │<·+ :ok ·+│ +│$/u
    assert pending =~ ~r/│x─+ :tick ─+│/u
    assert timer =~ ~r/│ +│ +o :timeout$/u
    assert self =~ ~r/│ +@ :again +│/u
    assert spawn =~ ~r/│ +\+ spawns #PID<0\.999\.0>/u
    assert exit =~ ~r/│ +│ +X ends: :shutdown$/u or String.starts_with?(exit, "  00:00:07.000000  │")
    assert unknown =~ ~r/│─+ :late ─+\?│/u
    # The lifelines stand under the names.
    for row <- [call, reply], at <- columns, do: assert(String.at(row, at) == "│")
  end

  test "no row is wider than the terminal, and there are so many at most" do
    [a, b] = pids = [pid(901), pid(902)]

    steps =
      for number <- 1..100, do: {number, {:message, message(a, b, String.duplicate("long ", 50), number)}}

    sequence = made(steps, pids)
    shown = lines(sequence, limit: 50)
    assert Enum.all?(shown, &(String.length(&1) <= 81))
    assert Enum.any?(shown, &(&1 =~ "and 50 more steps"))
    assert length(lines(sequence, limit: :infinity)) == 102
  end

  test "those without a column are named" do
    a = pid(901)
    sequence = made([], [a], left_out: [{pid(5), 1_200}, {pid(6), 34}])
    assert Enum.any?(lines(sequence), &(&1 =~ "2 other processes have a part in 1,234 messages"))
    assert inspect(made([], [])) =~ "no message between processes"
  end

  test "Mermaid" do
    text = Sequence.mermaid(example())

    assert text == """
           sequenceDiagram
             participant p1 as shop
             participant p2 as stock
             participant p3 as till
             p1->>p2: {:sell, 1}
             p2-->>p1: :ok
             p3-xp1: :tick
             Note right of p3: :timeout
             p2-)p2: :again
             Note over p2: spawns #35;PID#lt;0.999.0#gt;
             Note over p3: ends: :shutdown
             p1-)p3: :late ?
           """

    assert Sequence.mermaid(example(), limit: 2) =~ "p2-->>p1: :ok\n  Note over p1,p3: and 6 more\n"
  end

  test "what Mermaid would read as its own is written otherwise" do
    [a, b] = pids = [pid(901), pid(902)]
    sequence = made([{1, {:message, message(a, b, "a;b#c\n<d>", 1)}}], pids, names: %{a => "x;y", b => "end"})
    text = Sequence.mermaid(sequence)
    assert text =~ "participant p1 as x#59;y"
    refute text =~ "a;b#c"
    assert length(String.split(text, "\n")) == 5
  end

  test "the most active processes have columns, in the order in which they took part" do
    [a, b, c] = Enum.map([901, 902, 903], &pid/1)
    messages = [message(c, a, 1, 1), message(a, b, 2, 2), message(b, a, 3, 3), message(a, b, 4, 4)]
    assert Query.Sequence.cast(messages, nil, 2) == {[a, b], [{c, 1}]}
    assert Query.Sequence.cast(messages, nil, 9) == {[c, a, b], []}
    assert Query.Sequence.cast(messages, [b, c], 1) == {[c, b], [{a, 4}]}
  end

  describe "of a program" do
    @describetag :tmp_dir

    setup %{tmp_dir: dir} do
      {:ok, _recording} = ElixirScope.start(dir: dir, watch: false)
      on_exit(fn -> {:ok, _} = ElixirScope.start() end)
    end

    test "calls and replies between servers that are named" do
      name = :"stock_#{System.unique_integer([:positive])}"
      {:ok, store} = Store.start_link(%{}, name: name)
      # Its module is loaded by then, which the code server is asked for.
      Store.put(store, %{})
      {:ok, _} = ElixirScope.watch([store, self()])
      since = ElixirScope.now()
      Store.put(store, %{tea: 1})
      sequence = ElixirScope.sequence(pid: [self(), name], since: since, until: ElixirScope.now())
      assert Enum.sort(sequence.processes) == Enum.sort([self(), store])
      assert [{_, {:message, %{kind: :call}}}, {_, {:message, %{kind: :reply}}}] = sequence.steps
      assert sequence.names[store] == inspect(name)
      assert inspect(sequence) =~ "{:put, %{tea: 1}}"
      assert Sequence.mermaid(sequence) =~ "->>"
    end

    test "bad options" do
      error = assert_raise Error, fn -> ElixirScope.sequence(columns: 0) end
      assert error.message =~ ":columns to be a number of processes"
      error = assert_raise Error, fn -> ElixirScope.sequence(rows: 1) end
      assert error.message =~ "unknown filter :rows"
      assert %Error{reason: :not_watched} = assert_raise(Error, fn -> ElixirScope.sequence() end)
    end
  end

  test "what is none is refused with what was expected" do
    error = assert_raise ArgumentError, fn -> ElixirScope.Sequence.mermaid(nil) end
    assert error.message =~ "expected an ElixirScope.Sequence" and error.message =~ "got: nil"
  end
end
