defmodule ElixirScope.ProgramTest do
  # What a recording knows of the code: nodes and the texts that they stand in.
  use ExUnit.Case, async: false

  alias ElixirScope.{Error, Golden}

  @moduletag :tmp_dir

  # A recording of its own, which knows nothing of what other tests compiled.
  setup %{tmp_dir: dir} do
    {:ok, recording} = ElixirScope.start(dir: Path.join(dir, "recording"))
    on_exit(fn -> {:ok, _} = ElixirScope.start() end)
    %{recording: recording}
  end

  @cart """
  defmodule Golden.Placed do
    use ElixirScope, locals: true
    def total(items) do
      sum = Enum.reduce(items, 0, fn {price, count}, sum -> sum + price * count end)
      with {:ok, rate} <- rate(sum), do: sum * rate
    end

    defp rate(sum) when sum > 10, do: {:ok, 2}
    defp rate(_sum), do: {:ok, 3}
  end
  """

  # Compiled from a file, as a project's modules are; the file is gone when the recording is asked.
  defp in_file(text, %{tmp_dir: dir}, fun) do
    file = Path.join(dir, "placed.ex")
    File.write!(file, text)
    modules = Code.compile_file(file)
    File.rm!(file)

    try do
      Golden.with_loaded(modules, fn -> modules |> hd() |> elem(0) |> fun.() end)
    after
      for {module, _} <- modules, do: :code.purge(module)
    end
  end

  defp nodes(function), do: ElixirScope.nodes(mfa: function)

  test "every event resolves to its node, and every node to the text as it was compiled", context do
    in_file(@cart, context, fn placed ->
      since = ElixirScope.now()
      assert placed.total([{2, 3}]) == 18
      events = ElixirScope.events(pid: self(), since: since) |> Enum.filter(& &1.mfa)
      assert length(events) > 8
      nodes = Map.new(nodes(placed), &{&1.id, &1})

      for event <- events do
        node = Map.fetch!(nodes, event.node)

        assert {node.mfa, node.file, node.line, node.column} ==
                 {event.mfa, event.file, event.line, event.column}

        assert {:ok, @cart} = ElixirScope.source(event)
        assert {:ok, @cart} = ElixirScope.source(node)
      end

      [call] = ElixirScope.calls({placed, :total, 1}, since: since)
      assert ElixirScope.source(call) == {:ok, @cart}
    end)
  end

  test "nodes say what they are, in which clause, and what the variables are called", context do
    in_file(@cart, context, fn placed ->
      placed.total([{2, 3}])
      placed.total([{20, 3}])

      found =
        for node <- nodes(placed),
            do: {node.kind, elem(node.mfa, 1), node.clause, node.line, node.names}

      assert Enum.sort(found) ==
               Enum.sort([
                 {:function, :total, nil, 3, []},
                 {:head, :total, 1, 3, [:items]},
                 {:fn, :"total/1-fn-1", nil, 4, []},
                 {:head, :"total/1-fn-1", 1, 4, [:price, :count, :sum]},
                 {:match, :total, 1, 4, [:sum]},
                 {:case, :total, 1, 5, [:rate]},
                 {:function, :rate, nil, 8, []},
                 {:head, :rate, 1, 8, [:sum]}
               ])

      # Elixir 1.14 forgets columns before the forms are made.
      columns = for %{kind: kind, column: column} <- nodes({placed, :total, 1}), do: {kind, column}

      known = if Version.match?(System.version(), "< 1.15.0"), do: nil, else: [7, 9]
      assert [columns[:function], columns[:match]] |> Enum.reject(&is_nil/1) == List.wrap(known)
    end)
  end

  test "a function keeps its ids when others in the file change", context do
    ids = fn text ->
      in_file(text, context, fn placed ->
        placed.total([{2, 3}])
        placed.total([{20, 3}])
        for node <- nodes(placed), uniq: true, do: {node.mfa, node.kind, node.names, node.id}
      end)
    end

    before = ids.(@cart)

    changed =
      String.replace(@cart, "  def total", "  def more(x), do: Enum.map([x], fn y -> y end)\n\n  def total")

    assert Enum.sort(ids.(changed)) == Enum.sort(before)
  end

  test "two versions of a file in one recording: each event has the text that it came from", context do
    newer = String.replace(@cart, "sum * rate", "{sum, rate}")

    for text <- [@cart, newer, @cart] do
      in_file(text, context, fn placed ->
        since = ElixirScope.now()
        placed.total([{2, 3}])
        assert [call] = ElixirScope.calls({placed, :total, 1}, since: since)
        assert ElixirScope.source(call) == {:ok, text}
      end)
    end
  end

  test "the text is there once, in a recording that is opened elsewhere too",
       %{recording: recording} = context do
    in_file(@cart, context, fn placed ->
      for _ <- 1..3, do: placed.total([{2, 3}])
    end)

    :ok = ElixirScope.stop()
    {:ok, opened} = ElixirScope.open(recording.path)
    assert [file] = Path.wildcard(Path.join(recording.path, "sources/*"))
    [call | _] = ElixirScope.calls({Elixir.Golden.Placed, :total, 1}, in: opened)
    assert ElixirScope.source(call, in: opened) == {:ok, @cart}

    File.write!(file, "harmed")
    assert {:error, %Error{reason: :damaged, message: message}} = ElixirScope.source(call, in: opened)
    assert message =~ "is not what was written there"
    File.rm!(file)
    assert {:error, %Error{reason: :no_source, message: message}} = ElixirScope.source(call, in: opened)
    assert message =~ "is not in #{recording.path}"
  end

  test "a function of which nothing is in an opened recording is said to be missing",
       %{recording: recording} = context do
    in_file(@cart, context, fn placed -> placed.total([{2, 3}]) end)
    :ok = ElixirScope.stop()
    {:ok, opened} = ElixirScope.open(recording.path)
    message = fn question -> assert_raise(Error, fn -> question.(in: opened) end).message end

    absent =
      &"#{&1} is not in the recording #{recording.path}: it did not run while that was made, or was not instrumented then"

    assert message.(&ElixirScope.calls({NoSuch, :f, 2}, &1)) ==
             absent.("NoSuch.f/2") <> "; of NoSuch nothing is in it"

    gone = Elixir.Golden.Placed
    [call] = ElixirScope.calls(gone, in: opened) |> Enum.filter(&(elem(&1.mfa, 1) == :total))

    for question <- [
          &ElixirScope.calls({gone, :sum, 1}, &1),
          &ElixirScope.nodes([mfa: {gone, :sum, 1}] ++ &1),
          &ElixirScope.stats([mfa: {gone, :sum, 1}] ++ &1)
        ] do
      assert message.(question) =~
               absent.("Golden.Placed.sum/1") <> "; of Golden.Placed there is Golden.Placed."

      assert message.(question) =~ "Golden.Placed.total/1"
    end

    # It did run, and its program is there: it was not called then.
    assert ElixirScope.calls({gone, :total, 1}, in: opened, until: call.started - 1) == []
    assert ElixirScope.calls(&ElixirScope.Traced.Store.start_link/1, in: opened) == []
  end

  test "a function without a line has that of what it stands in" do
    source = "\n\ndefmodule Golden.Lineless do use ElixirScope; def f(x), do: x end"

    Golden.with_instrumented(source, fn ->
      {3, _} = Code.eval_string("Golden.Lineless.f(3)")
      assert [%{line: 3}] = nodes(Elixir.Golden.Lineless)
    end)
  end

  test "a file that no person wrote is too large to be kept, and its modules record all the same", context do
    filler = String.duplicate("  # filler\n", 100_000)

    in_file(String.replace(@cart, "  def total", filler <> "  def total"), context, fn placed ->
      assert placed.total([{2, 3}]) == 18
      [call] = ElixirScope.calls({Elixir.Golden.Placed, :total, 1})
      assert {:error, %Error{reason: :no_source, message: message}} = ElixirScope.source(call)
      assert message =~ "has more than a million bytes"
    end)
  end

  test "an empty answer is none where nothing could have been seen" do
    assert_raise Error, ~r/Enum is not instrumented/, fn -> nodes(Enum) end
    assert_raise Error, ~r/Nope/, fn -> nodes(Nope) end
  end

  test "where no text is known, that is said" do
    Golden.with_instrumented("defmodule Golden.Textless do\n# scope\ndef f(x), do: x\nend", fn ->
      Code.eval_string("Golden.Textless.f(1)")
      [call | _] = ElixirScope.calls({Elixir.Golden.Textless, :f, 1})
      assert {:error, %Error{reason: :no_source, message: message}} = ElixirScope.source(call)
      assert message =~ "the text of test/golden.ex was not known when its module was instrumented"
      [process] = ElixirScope.events(pid: self(), kind: :process) |> Enum.take(1)

      assert {:error, %Error{message: "this event comes from no place in the code"}} =
               ElixirScope.source(process)

      assert {:error, %Error{message: "expected an event, a call or a node" <> _}} = ElixirScope.source(:f)
      assert_raise Error, ~r/unknown filter :pid/, fn -> ElixirScope.nodes(pid: self()) end
      assert_raise Error, ~r/unknown filter :limit/, fn -> ElixirScope.counts(limit: 1) end
    end)
  end

  test "a tail call names the call that began its chain" do
    source = """
    defmodule Golden.Chained do
      # scope
      def a(x), do: b(x + 1)
      def b(x), do: c(x + 1)
      def c(x), do: {:c, x}
      def around(x), do: {a(x)}
    end
    """

    Golden.with_instrumented(source, fn ->
      since = ElixirScope.now()
      Code.eval_string("Golden.Chained.around(1)")
      calls = ElixirScope.calls(Elixir.Golden.Chained, since: since, pid: self())
      assert [around, a, b, c] = calls
      assert {around.chain, a.chain, b.chain, c.chain} == {nil, nil, a.id, a.id}
      assert {a.return, b.return, c.return} == {{:c, 3}, {:c, 3}, {:c, 3}}
      assert Enum.map([a, b, c], & &1.parent) == [around.id, around.id, around.id]
    end)
  end
end
