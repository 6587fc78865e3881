defmodule ElixirScope.FailureTest do
  # What a failed assertion shows.
  use ElixirScope.Case, async: true

  alias ElixirScope.Case.Failure
  alias ElixirScope.{Recorder, Text}
  alias ElixirScope.Traced.{Echo, Store}

  defmacrop pattern(patterns, guard \\ true), do: Failure.Expected.quoted(patterns, guard, __CALLER__)

  describe "what differs" do
    test "is each part that is not as the pattern says, with its path" do
      two = 2
      expected = pattern([{:order, %{id: ^two, lines: [%{count: 1}, _ | _]}}])

      assert paths(expected, {:order, %{id: 2, lines: [%{count: 1}, :x, :y]}}) == []

      assert paths(expected, {:order, %{id: 3, lines: [%{count: 4}, :x]}}) == [
               {[{:elem, 1}, :id], "2", {:ok, 3}},
               {[{:elem, 1}, :lines, {:at, 0}, :count], "1", {:ok, 4}}
             ]

      assert [{[{:elem, 1}, :lines], _text, {:ok, [1]}}] = paths(expected, {:order, %{id: 2, lines: [1]}})

      assert [{[{:elem, 1}, :id], "2", :none}, {[{:elem, 1}, :lines], _, :none}] =
               paths(expected, {:order, %{}})

      assert [{[], "{:order, " <> _, {:ok, :none}}] = paths(expected, :none)
    end

    test "of a struct, a binary, a negative number, a sigil, an attribute and a string key is known too" do
      assert [{[], "%URI{" <> _, {:ok, "x"}}] = paths(pattern([%URI{host: "a"}]), "x")
      assert [{[:host], ~s("a"), {:ok, "b"}}] = paths(pattern([%URI{host: "a"}]), %URI{host: "b"})
      assert [{["k"], "-1", {:ok, 1}}] = paths(pattern([%{"k" => -1}]), %{"k" => 1})
      assert [{[], ~s("ab" <> rest), {:ok, "xyz"}}] = paths(pattern(["ab" <> rest]), "xyz")
      assert paths(pattern(["ab" <> rest]), "abc") == []
      assert [{[], "<<1, _::binary>>", {:ok, <<2>>}}] = paths(pattern([<<1, _::binary>>]), <<2>>)
      assert [{[{:at, 0}], ~s("a"), {:ok, "c"}}] = paths(pattern([~w(a b)]), ~w(c b))
      assert [{[], "{1, 2}", {:ok, {1, 2, 3}}}] = paths(pattern([{1, 2}]), {1, 2, 3})
    end

    test "is told by the names of pins and modules where the pattern stands, not where it is shown" do
      id = make_ref()
      expected = pattern([%{id: ^id, of: Echo}])
      assert paths(expected, %{id: id, of: ElixirScope.Traced.Echo}) == []
      assert [{[:id], shown, {:ok, 1}}] = paths(expected, %{id: 1, of: Echo})
      assert shown == inspect(id)
    end
  end

  test "what a failure needs of a pattern is one literal for the compiler, however large the pattern is" do
    size = fn pattern ->
      quoted = Failure.Expected.quoted([pattern], true, __ENV__)
      {_code, count} = Macro.prewalk(quoted, 0, &{&1, &2 + 1})
      count
    end

    large = Macro.escape(Map.new(1..100, &{&1, [&1, {&1, %{}}]}))
    assert size.(large) == size.(1)
  end

  describe "candidates" do
    test "come nearest first, with a line of marks under what differs" do
      Echo.pair(3, "four")
      Echo.pair(2, %{id: 7, name: "cup"})
      calls = ElixirScope.calls(&Echo.pair/2, pid: self())
      two = 2
      lines = Failure.Candidates.lines(calls, %{args: pattern([^two, %{id: 8, name: "cup"}])}, nil)

      assert [who, call, marks, difference, "", _who, other | _] = lines
      assert who =~ inspect(self())
      assert call =~ ~s|Echo.pair(2, %{id: 7, name: "cup"}) -> |
      assert at(call, marks) == "7"
      assert difference == "      argument 2 at .id: expected 8, got 7"
      assert other =~ ~s|Echo.pair(3, "four")|
    end

    test "are marked in what was returned and raised as well" do
      Echo.echo({:ok, 1})
      assert_raise ArgumentError, fn -> Echo.fail("so") end
      [echo] = ElixirScope.calls(&Echo.echo/1, pid: self())
      [fail] = ElixirScope.calls(&Echo.fail/1, pid: self())

      lines = Failure.Candidates.lines([echo], %{args: pattern([_]), return: pattern([{:ok, 2}])}, nil)
      assert "      what it returned at {1}: expected 2, got 1" in lines

      lines = Failure.Candidates.lines([fail], %{args: pattern([_]), return: pattern([:ok])}, nil)
      assert "      expected it to return :ok" in lines
      assert Enum.any?(lines, &(&1 =~ "^^^^^"))

      lines = Failure.Candidates.lines([fail], %{raised: pattern([%ArgumentError{message: "no"}])}, nil)
      assert ~s|      what it raised at .message: expected "no", got "failed: so"| in lines
    end

    test "are few, and their lines short, however many and large they are" do
      large = Map.new(1..500, &{:"key#{&1}", "long "})
      for n <- 1..50, do: Echo.pair(n, large)
      calls = ElixirScope.calls(&Echo.pair/2, pid: self())
      expected = pattern([0, %{key250: 1, key400: [_], gone: 2}])
      lines = Failure.Candidates.lines(calls, %{args: expected}, nil)
      assert length(lines) < 50
      assert List.last(lines) == "    and 45 more"
      for line <- lines, do: assert(Text.width(line) < 200, line)
    end

    test "with colours are not marked below: what came is green" do
      pieces = Failure.Marked.value(%{a: 1, b: 2}, [[:b]], 80)
      assert Failure.Marked.lines(pieces, "", false) == ["%{a: 1, b: 2}", "           ^"]
      assert Failure.Marked.lines(pieces, "", true) == ["%{a: 1, b: \e[32m2\e[0m}"]
      # A key that is not there has its mark at the end.
      assert Failure.Marked.lines(Failure.Marked.value(%{a: 1}, [[:c]], 80), "", false) == [
               "%{a: 1}",
               "      ^"
             ]

      # Of a long list what differs, and what stands first.
      [line, marks] =
        Failure.Marked.lines(Failure.Marked.value(Enum.to_list(1..90), [[{:at, 80}]], 80), "", false)

      assert {line, at(line, marks)} == {"[1, 2, 3, ..., 81, ...]", "81"}
    end
  end

  describe "a report" do
    test "shows the processes of the test, its messages, states, and the way into the recording" do
      {:ok, server} = start_supervised({Store, 0})
      {:ok, _watched} = ElixirScope.watch([self(), server])
      Store.put(server, 5)
      Store.put(server, 7)
      message = report(%{server: server})

      assert message =~ "Failure.Expected this"
      assert message =~ ~r/^Processes of the test:\n    the test #{inspect(self())}\n    └─ /m
      assert message =~ ~r/    └─ ElixirScope.Traced.Store #{inspect(server)} +\(GenServer\)/
      assert message =~ ~r/^States of ElixirScope.Traced.Store #{inspect(server)}:\n.*init 0 .*-> 0\n/m
      assert message =~ ~r/call \{:put, 7\} from .* \. 5 -> 7$/m
      assert message =~ ~r/^Messages:\n +the test +ElixirScope.Traced/m
      assert message =~ ~r/─ \{:put, 5\} ─+>│/u

      assert [_, path, label] = Regex.run(~r/^    iex -S mix scope.open (\S+) --at "(.*)"$/m, message)

      assert label ==
               "ElixirScope.FailureTest: a report shows the processes of the test, its messages, states, and the way"

      {:ok, recording} = Recorder.current()
      assert Path.expand(path) == recording.path
      # Retention passes over it for a day.
      assert File.exists?(Path.join(recording.path, "failed"))
      # The label stands for the moment of the failure: no later event is behind it.
      assert {:ok, 7} = ElixirScope.get_state_at(server, label)
      Store.put(server, 8)
      assert {:ok, 7} = ElixirScope.get_state_at(server, label)
    end

    test "does not show what reports before it have read and written" do
      {:ok, server} = start_supervised({Store, 0})
      {:ok, _watched} = ElixirScope.watch([self(), server])
      Store.put(server, 5)
      _first = report(%{server: server})
      Store.put(server, 7)
      second = report(%{server: server})
      assert second =~ ~r/─ \{:put, 5\} ─+>│/u
      assert second =~ ~r/─ \{:put, 7\} ─+>│/u
      refute second =~ "_reply"
      refute second =~ "#{inspect(to_charlist(File.cwd!()))}"
    end

    test "does not show what sockets tell the functions that use them" do
      {:ok, server} = start_supervised({Store, 0})
      {:ok, _watched} = ElixirScope.watch([self(), server])
      {:ok, listener} = :gen_tcp.listen(0, [:binary, active: false, ip: {127, 0, 0, 1}])
      {:ok, port} = :inet.port(listener)
      {:ok, near} = :gen_tcp.connect({127, 0, 0, 1}, port, [:binary, active: false])
      {:ok, far} = :gen_tcp.accept(listener)

      for _ <- 1..30 do
        :ok = :gen_tcp.send(near, "ping")
        {:ok, "ping"} = :gen_tcp.recv(far, 4)
      end

      Store.put(server, 5)

      assert [_ | _] =
               for(
                 %{content: content} <- ElixirScope.messages(to: self()),
                 elem(content, 0) == :inet_async,
                 do: content
               )

      message = report(%{server: server})
      refute message =~ ":inet_"
      assert message =~ ~r/^Messages:\n +the test +ElixirScope.Traced/m
      assert message =~ ~r/─ \{:put, 5\} ─+>│/u
    end

    test "is bounded: a test with many processes, messages and states shows the last of them" do
      {:ok, server} = start_supervised({Store, 0})
      {:ok, _watched} = ElixirScope.watch([self(), server])
      for n <- 1..100, do: Store.put(server, %{n: n, text: String.duplicate("x", 200)})
      for n <- 1..60, do: Task.await(Task.async(fn -> Echo.echo(n) end))
      message = report(%{server: server})
      assert message =~ "the last 6:"
      assert message =~ ~r/^Messages, the last of them:/m
      assert message =~ ~r/^    and \d+ more$/m
      assert length(String.split(message, "\n")) < 80
      for line <- String.split(message, "\n"), do: assert(Text.width(line) < 200, line)
    end

    test "says what it cannot show, and shows the rest" do
      message = report(%{server: :nobody_has_this_name, candidates: [:no_candidate]})
      assert message =~ "candidates cannot be shown: "
      assert message =~ "States: "
      assert message =~ "iex -S mix scope.open "
    end

    test "is raised by the line of the test, not by what asks for it" do
      failure = fn ->
        Enum.each([1], fn _ -> apply(Failure, :fail, [%{expected: "Failure.Expected this"}]) |> is_nil() end)
      end

      stack =
        try do
          failure.()
          []
        rescue
          ExUnit.AssertionError -> __STACKTRACE__
        end

      assert [{__MODULE__, _, _, _}, {Enum, :"-each/2-lists^foreach/1-0-", _, _} | _] = stack
    end

    test "without a recording shows what was expected" do
      error =
        assert_raise ExUnit.AssertionError, fn ->
          Failure.fail(%{expected: "Failure.Expected this", found: "Not that"})
        end

      assert error.message == "Failure.Expected this\n\nNot that"
    end
  end

  test "a VM that records does not ask what was opened instead" do
    {:ok, own} = Recorder.current()
    :ok = ElixirScope.flush()
    {:ok, opened} = ElixirScope.open(own.path)
    assert {:error, %ElixirScope.Error{reason: :in_use} = error} = Recorder.ask(opened)
    assert error.message =~ "say ElixirScope.stop() first, or give the one that you opened: in: recording"
    assert Recorder.current() == {:ok, own}
  end

  defp report(more) do
    {:ok, recording} = Recorder.current()
    :ok = ElixirScope.flush()

    family = %{
      recording: recording,
      test: self(),
      since: ElixirScope.Case.Scope.since(),
      pids: pids(recording)
    }

    failure = Map.merge(%{expected: "Failure.Expected this", family: family}, more)
    assert_raise(ExUnit.AssertionError, fn -> Failure.fail(failure) end).message
  end

  # Who names this test as one of those that it comes from.
  defp pids(recording) do
    me = self()

    [me] ++
      for {pid, who} <- ElixirScope.Query.processes(recording),
          pid != me,
          me in (Map.get(who, :parents, []) ++ Map.get(who, :ancestors, []) ++ Map.get(who, :callers, [])),
          do: pid
  end

  defp paths(expected, value) do
    for %{path: path, expected: text, got: got} <- Failure.Mismatch.value(expected, value),
        do: {path, text, got}
  end

  # What stands above the marks.
  defp at(line, marks) do
    for({char, "^"} <- Enum.zip(String.graphemes(line), String.graphemes(marks)), do: char) |> Enum.join()
  end
end
