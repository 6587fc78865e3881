defmodule ElixirScope.TextTest do
  # The recording of this VM is asked for names.
  use ElixirScope.Recorded

  alias ElixirScope.Text
  alias ElixirScope.Traced.{Echo, Store}

  describe "process/2" do
    test "names the registered name, else what it runs and the pid", %{recording: recording} do
      {:ok, named} = Store.start_link(1, name: :elixir_scope_text)
      {:ok, server} = Store.start_link(1)
      task = Task.async(Echo, :echo, [1])
      Task.await(task)
      plain = spawn(fn -> Echo.echo(1) end)
      ref = Process.monitor(plain)
      assert_receive {:DOWN, ^ref, _, _, _}
      :ok = ElixirScope.flush()

      assert Text.process(recording, named) == ":elixir_scope_text"
      assert Text.process(recording, server) == "ElixirScope.Traced.Store #{inspect(server)}"
      assert Text.process(recording, task.pid) == "ElixirScope.Traced.Echo.echo/1 #{inspect(task.pid)}"
      assert Text.process(recording, plain) == inspect(plain)
      assert Text.process(nil, named) == inspect(named)
    end

    test "takes a label of any form, and pids that it never saw", %{recording: recording} do
      {:ok, unseen} = Task.Supervisor.start_link()

      for {label, text} <- [{"cart of ann", "cart of ann"}, {{:cart, 7}, "{:cart, 7}"}, {<<255>>, "<<255>>"}] do
        {pid, ref} = spawn_monitor(fn -> {Process.put(:"$process_label", label), Echo.echo(1)} end)
        receive do: ({:DOWN, ^ref, _, _, _} -> :ok)
        :ok = ElixirScope.flush()
        assert Text.process(recording, pid) =~ ~r/^#{Regex.escape(text)} #PID/
      end

      assert Text.process(recording, unseen) == inspect(unseen)
      other_node = :erlang.binary_to_term(<<131, 88, 119, 5, "a@b.c", 7::32, 0::32, 1::32>>)
      assert Text.process(recording, other_node) == inspect(other_node)
    end
  end

  describe "short/2" do
    test "shows fewer elements rather than the middle of one" do
      long = Map.new(1..20, &{&1, String.duplicate("x", 20)})
      assert String.length(Text.short(long, width: 60)) <= 60
      assert Text.short(long, width: 60) =~ ~r/\A%\{1 => "x+", .*\.\.\.\}\z/
      refute Text.short(Enum.to_list(1..1_000) |> List.duplicate(50)) =~ "\n"
    end

    test "shows a struct whose Inspect fails as the map that it is" do
      date = Map.delete(~D[2026-01-01], :year)
      assert Text.short(date, width: 200) =~ "__struct__: Date"
      assert Text.short({:ok, [date]}, width: 200) =~ "month: 1"
      assert Text.short(%{__struct__: NoSuchModule, a: 1}, width: 200) =~ "NoSuchModule"
      assert Text.short(%{__struct__: 7}) == "%{__struct__: 7}"
    end

    test "is coloured only when asked" do
      refute Text.short(%{a: 1}) =~ "\e["
      assert Text.short(%{a: 1}, color: true) =~ "\e["
      assert Text.short(%{a: 1}, color: %Inspect.Opts{syntax_colors: [atom: :red]}) =~ "\e[31m"
      refute Text.short(%{a: 1}, color: %Inspect.Opts{}) =~ "\e["
    end
  end

  test "table/2 aligns what is coloured too" do
    rows = [[Text.paint("a", :red, color: true), "x"], ["bbb", "y"], []]
    assert ["\e[31ma\e[0m    x", "bbb  y", ""] = Text.table(rows)
    assert Text.table([]) == []
  end

  test "table/2 aligns what terminals show wide, and what they show upon another character" do
    assert Text.table([["水", "1"], ["tea", "2"], ["한글", "3"], ["e\u0301e", "4"], ["☕", "5"]]) ==
             ["水    1", "tea   2", "한글  3", "e\u0301e    4", "☕    5"]

    assert Text.table([["1", "水"], ["2", "tea"]], right: [1]) == ["1   水", "2  tea"]

    assert Enum.map(["❤️", "👩‍👩‍👧", "🇩🇪", "👍🏽", "ｱ", "Ａ", "\u0301", <<255>>, "\e[31m水\e[0m"], &Text.width/1) ==
             [2, 2, 2, 2, 1, 2, 0, 1, 2]
  end

  test "short/2 counts columns" do
    assert Text.width(Text.short(List.duplicate("水水水水", 50), width: 40)) <= 40
    assert Text.short(String.duplicate("水", 100), width: 20) == ~s("水水水水水水水水...)
  end

  test "exception/3 shows errors of Erlang as Elixir does, also where their stack was cut" do
    assert Text.exception(:error, :undef, stack: [{Shop, :close, 0, []}]) =~
             "** (UndefinedFunctionError) function Shop.close/0"

    assert Text.exception(:error, {:odd, 1}) == "** (ErlangError) Erlang error: {:odd, 1}"
    cut = %ElixirScope.Cut{kind: :list, size: 9}

    for stack <- [[cut], [{Shop, :close, cut, cut}], [{Shop, cut, [1], []} | cut]],
        reason <- [:undef, :badarg, :function_clause],
        do: assert(Text.exception(:error, reason, stack: stack) =~ ~r/\A\*\* \(\w+Error\) /)
  end

  test "a difference in one line begins with what says most, not with what LiveView notes down of every change" do
    old = %{assigns: %{__changed__: %{}, page: 1, password: %ElixirScope.Cut{kind: :redacted}}}
    changed = %{list: true, page: true, title: true}
    new = %{assigns: %{__changed__: changed, page: 2, password: %ElixirScope.Cut{kind: :redacted}}}
    line = old |> ElixirScope.Difference.of(new) |> Text.Difference.line(width: 30)

    assert line ==
             ".assigns.page 1 -> 2, ? .assigns.password #Redacted<> -> #Redacted<>, + .assigns.__changed__.list -> true, and 2 more"
  end
end
