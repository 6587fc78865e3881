defmodule ElixirScope.FlameGraphTest do
  use ElixirScope.Recorded

  alias ElixirScope.{Error, FlameGraph}
  alias ElixirScope.Figures.Kitchen

  defp shape(trees) do
    trees |> Enum.map(&{elem(&1.frame, 1), &1.calls, shape(&1.children)}) |> Enum.sort()
  end

  defp all(trees), do: Enum.flat_map(trees, &[&1 | all(&1.children)])

  defp weights(folded) do
    for line <- String.split(folded, "\n", trim: true) do
      [_, stack, weight] = Regex.run(~r/^(.+) (\d+)$/, line)
      {String.split(stack, ";"), String.to_integer(weight)}
    end
  end

  test "has each stack with its calls, its own time and what it called" do
    Kitchen.dinner()
    Kitchen.dinner()
    graph = ElixirScope.flame_graph()
    assert shape(graph.roots) == [{:dinner, 2, [{:course, 6, [{:chop, 6, []}, {:cook, 6, []}]}]}]

    for tree <- all(graph.roots),
        do: assert(tree.total == tree.own + (tree.children |> Enum.map(& &1.total) |> Enum.sum()))

    stats = ElixirScope.stats()
    assert graph.total == stats.functions |> Enum.map(& &1.own) |> Enum.sum()

    for tree <- all(graph.roots) do
      figures = Enum.find(stats.functions, &(&1.mfa == tree.frame))
      assert {tree.own, tree.total} == {figures.own, figures.total}
    end
  end

  test "recursion goes up, a loop of tail calls stays where it is" do
    Kitchen.factorial(5)
    Kitchen.stir(50)
    Kitchen.ping(20)
    [one, two, three] = ElixirScope.flame_graph().roots |> shape() |> Enum.sort()

    assert one ==
             {:factorial, 1,
              [
                {:factorial, 1,
                 [{:factorial, 1, [{:factorial, 1, [{:factorial, 1, [{:factorial, 1, []}]}]}]}]}
              ]}

    assert two == {:ping, 21, [{:pong, 20, []}]}
    assert three == {:stir, 51, []}
    # What is deeper than a stack has places counts to the last.
    Kitchen.factorial(2_000)
    graph = ElixirScope.flame_graph()
    factorials = for %{frame: {_, :factorial, 1}, calls: calls} <- all(graph.roots), do: calls
    assert length(factorials) == 512
    assert Enum.sum(factorials) == 2_007
  end

  test "by process, each has its own root" do
    tasks = for _ <- 1..2, do: Task.async(fn -> {Kitchen.dinner(), self()} end)
    pids = for {{:done, _}, pid} <- Task.await_many(tasks), do: pid
    graph = ElixirScope.flame_graph(by: :process)
    assert graph.roots |> Enum.map(& &1.frame) |> Enum.sort() == Enum.sort(pids)
    for root <- graph.roots, do: assert([{:dinner, 1, _}] = shape(root.children))
    assert ElixirScope.flame_graph(pid: pids).total == graph.total
    [one] = ElixirScope.flame_graph(pid: hd(pids), by: :process).roots
    assert one.frame == hd(pids)
    assert one.label =~ inspect(hd(pids))
  end

  test "what is called behind a gap has no known stack around it" do
    test = self()

    cook =
      spawn_link(fn ->
        Kitchen.serve(test)
        Kitchen.chop(1)
      end)

    assert_receive {:waiting, ^cook}
    :ok = ElixirScope.pause()
    :ok = ElixirScope.resume()
    ref = Process.monitor(cook)
    send(cook, :go)
    assert_receive {:DOWN, ^ref, :process, ^cook, :normal}
    graph = ElixirScope.flame_graph(pid: cook)
    assert graph.gaps != []
    labels = for root <- graph.roots, do: root.label
    # The last call is made with nothing around it: the ends of the others were seen.
    assert "ElixirScope.Figures.Kitchen.chop/1" in labels
    [missing] = for %{frame: :missing} = root <- graph.roots, do: root
    assert [{:wait, 0, []}] = shape(missing.children)
    assert inspect(graph) =~ "(events are missing)"
    assert inspect(graph) =~ "what happened there is in no stack"
    assert FlameGraph.svg(graph) =~ "events are missing: 1 gaps"
  end

  test "as folded stacks its weights are the microseconds of all" do
    for _ <- 1..20, do: Kitchen.dinner()
    Kitchen.factorial(50)
    graph = ElixirScope.flame_graph()
    weights = graph |> FlameGraph.folded() |> weights()
    assert weights |> Enum.map(&elem(&1, 1)) |> Enum.sum() == div(graph.total, 1_000)
    stacks = Enum.map(weights, &elem(&1, 0))
    assert stacks == Enum.uniq(stacks)
    kitchen = "ElixirScope.Figures.Kitchen."
    assert [kitchen <> "dinner/0", kitchen <> "course/1"] in stacks
  end

  test "names that other tools would take apart are written otherwise" do
    tree = %{
      frame: {A, :"a;b c", 1},
      label: "A.\"a;b  c\"/1",
      own: 5_000,
      total: 5_000,
      calls: 1,
      children: []
    }

    assert FlameGraph.folded(%FlameGraph{total: 5_000, roots: [tree]}) == "A.\"a,b c\"/1 5\n"
  end

  test "as a picture it is one well-formed SVG, with the times of each place" do
    Kitchen.dinner()
    catch_error(Kitchen.first(:burn))

    tree = %{
      frame: {A, :<, 2},
      label: "A.</2 & \"\0\"",
      own: 50_000_000,
      total: 50_000_000,
      calls: 3,
      children: []
    }

    graph = ElixirScope.flame_graph()
    graph = %{graph | total: graph.total + tree.total, roots: [tree | graph.roots]}
    svg = FlameGraph.svg(graph)
    titles = titles(svg)
    assert Enum.any?(titles, &(&1 =~ ~r/\Aall\n/))
    assert Enum.any?(titles, &(&1 =~ ~r/\AA.<\/2 & "\?"\n50.00 ms, .*, own 50.00 ms, calls: 3\z/))
    refute svg =~ "<script"
    # A box is no wider than what it stands on.
    assert [_ | _] =
             widths =
             for([_, width] <- Regex.scan(~r/width="([\d.]+)" height="17"/, svg), do: String.to_float(width))

    assert Enum.max(widths) <= 1180.0
    assert titles(FlameGraph.svg(%FlameGraph{since: 0, until: 5})) == []
  end

  # OTP's own XML parser says whether it is XML. Mix takes applications off the code path that the project does not name.
  defp titles(svg) do
    [xmerl] = [:code.root_dir(), "lib", "xmerl-*", "ebin"] |> Path.join() |> Path.wildcard()
    true = Code.append_path(xmerl)
    {document, []} = apply(:xmerl_scan, :string, [:binary.bin_to_list(svg), [quiet: true]])
    texts = apply(:xmerl_xpath, :string, [String.to_charlist("//title/text()"), document])
    for text <- texts, do: text |> elem(4) |> List.to_string()
  end

  test "is shown as bars with the function under its caller, and as much as fits" do
    Kitchen.dinner()
    text = inspect(ElixirScope.flame_graph(), width: 100)
    lines = String.split(text, "\n")
    assert hd(lines) =~ ~r/^#ElixirScope.FlameGraph<\d\d:.* in instrumented calls \(wall time\)$/
    assert Enum.at(lines, 1) =~ ~r/^  █{20} 100.0 % .* ElixirScope.Figures.Kitchen.dinner\/0$/u
    assert Enum.at(lines, 2) =~ ~r/^  \S+ .* %   .*  ElixirScope.Figures.Kitchen.course\/1$/u
    column = fn line, name -> line |> String.split(name) |> hd() |> String.length() end
    assert column.(Enum.at(lines, 2), "Elixir") == column.(Enum.at(lines, 1), "Elixir") + 2
    for line <- tl(lines), do: assert(String.length(line) <= 100, line)
    refute text =~ "\e["
    assert inspect(ElixirScope.flame_graph(), syntax_colors: [atom: :cyan]) =~ "\e[31m█"

    Kitchen.factorial(60)
    graph = ElixirScope.flame_graph()
    short = graph |> inspect() |> String.split("\n")
    assert length(short) <= 42
    assert List.last(short) =~ ~r/and \d+ more stacks, \d+.\d % of the time>/
    assert length(graph |> inspect(limit: :infinity) |> String.split("\n")) == 1 + length(all(graph.roots))
    assert inspect(%FlameGraph{}) =~ "%ElixirScope.FlameGraph{"
  end

  test "of nothing says so; what is no option is an error" do
    Kitchen.dinner()
    now = ElixirScope.now()
    graph = ElixirScope.flame_graph(since: now)
    assert {graph.total, graph.roots} == {0, []}
    assert inspect(graph) =~ "no instrumented call was open"
    assert FlameGraph.folded(graph) == ""
    assert %{reason: :bad_option} = assert_raise(Error, fn -> ElixirScope.flame_graph(by: :module) end)
    assert %{reason: :bad_option} = assert_raise(Error, fn -> ElixirScope.flame_graph(mfa: Kitchen) end)

    assert %{reason: :after_recording} =
             assert_raise(Error, fn -> ElixirScope.flame_graph(since: now + 60_000_000_000) end)
  end

  test "what is none is refused with what was expected" do
    for function <- [&ElixirScope.FlameGraph.svg/1, &ElixirScope.FlameGraph.folded/1] do
      error = assert_raise ArgumentError, fn -> function.(nil) end
      assert error.message =~ "expected an ElixirScope.FlameGraph" and error.message =~ "got: nil"
    end
  end
end
