defmodule ElixirScope.LocalsTest do
  # The variables of one call, where they are recorded. Each test begins a new recording.
  use ElixirScope.Recorded

  alias ElixirScope.{Error, Locals}
  alias ElixirScope.Ledger.Sums
  alias ElixirScope.Traced.Echo

  defp at(event_or_call, options \\ []) do
    assert {:ok, %Locals{} = locals} = ElixirScope.locals_at(event_or_call, options)
    locals
  end

  test "of a recursive call are those of that call alone, line by line" do
    6 = Sums.fact(3)
    calls = ElixirScope.calls(&Sums.fact/1)
    assert length(calls) == 4
    [three, two, one, zero] = Enum.map(calls, &at/1)

    assert three.visible == [number: 3, less: 2, rest: 2, product: 6]
    assert two.visible == [number: 2, less: 1, rest: 1, product: 2]
    assert one.visible == [number: 1, less: 0, rest: 1, product: 1]
    assert zero.visible == []
    assert [{head, [number: 3]}, {less, [less: 2]}, {rest, [rest: 2]}, {product, [product: 6]}] = three.lines
    assert [head, less, rest, product] == Enum.to_list(head..(head + 3))
    assert three.mfa == {Sums, :fact, 1} and three.pid == self() and three.complete?
    assert three.call == hd(calls).id
    assert Path.basename(three.file) == "ledger.ex"
  end

  test "at an event are those that were bound by then" do
    2 = Sums.fact(2)
    events = Enum.to_list(ElixirScope.events(mfa: &Sums.fact/1))
    [call | _] = ElixirScope.calls(&Sums.fact/1)

    for event <- events, event.kind == :binding do
      {names, values} = Enum.unzip(event.data.bindings)
      locals = at(event)
      assert Enum.map(names, &locals.visible[&1]) == values
      assert List.last(locals.lines) == {event.line, event.data.bindings}
    end

    outer = Enum.filter(events, &(&1.kind == :binding and at(&1).call == call.id))

    assert Enum.map(outer, &Keyword.keys(at(&1).visible)) == [
             [:number],
             [:number, :less],
             [:number, :less, :rest],
             [:number, :less, :rest, :product]
           ]

    last = List.last(events)
    assert last.kind == :return
    assert at(last).visible == [number: 2, less: 1, rest: 1, product: 2]
    assert at(hd(events)).visible == []
  end

  test "of a call that failed, of anonymous functions, and of a loop by tail calls" do
    assert_raise ArgumentError, fn -> Sums.fails(9) end
    [failed] = ElixirScope.calls(&Sums.fails/1)
    assert at(failed).visible == [number: 9, half: 4]

    12 = Sums.maps([1, 2, 3])
    [call] = ElixirScope.calls(&Sums.maps/1)
    assert at(call).visible == [numbers: [1, 2, 3], doubled: [2, 4, 6], sum: 12]

    inner =
      for %{mfa: {Sums, name, 1}} = call <- ElixirScope.calls(Sums),
          name |> to_string() |> String.contains?("maps/1-fn"),
          do: call

    assert Enum.map(inner, &at(&1).visible) == [
             [number: 1, other: 2],
             [number: 2, other: 4],
             [number: 3, other: 6]
           ]

    6 = Sums.loop(3, 0)
    assert [three, two, one, _zero] = ElixirScope.calls(&Sums.loop/2)
    assert at(three).visible == [number: 3, sum: 0, next: 3]
    assert at(two).visible == [number: 2, sum: 3, next: 5]
    assert at(one).visible == [number: 1, sum: 5, next: 6]
  end

  test "names that were bound at several places may be a branch's own" do
    2 = Sums.branches(1)
    [call] = ElixirScope.calls(&Sums.branches/1)
    locals = at(call)
    assert locals.ambiguous == [:sum]
    assert locals.visible[:sum] == 10 and locals.visible[:total] == 2
    assert for({_line, bindings} <- locals.lines, {:sum, sum} <- bindings, do: sum) == [1, 10]
    assert inspect(locals) =~ "bound at more than one place, of which the last may be a branch's own: sum"

    0 = Sums.branches(-1)
    1 = Sums.branches(0)
    assert [_, _, straight] = ElixirScope.calls(&Sums.branches/1)
    assert at(straight).ambiguous == []
    6 = Sums.fact(3)
    assert Enum.all?(ElixirScope.calls(&Sums.fact/1), &(at(&1).ambiguous == []))
    refute inspect(at(straight)) =~ "more than one place"
  end

  test "of a call that has not ended" do
    me = self()
    task = Task.async(fn -> Sums.waits(me, 20) end)
    assert_receive :bound
    assert [call] = ElixirScope.calls(&Sums.waits/2)
    assert call.outcome == :open
    assert at(call).visible == [asker: me, number: 20, double: 40]
    send(task.pid, :go)
    assert Task.await(task) == 41
    [call] = ElixirScope.calls(&Sums.waits/2)
    assert at(call).visible == [asker: me, number: 20, double: 40, result: 41]
  end

  test "of a recording that was opened, and where events are missing", %{recording: recording} do
    2 = Sums.fact(2)
    :ok = ElixirScope.pause()
    :ok = ElixirScope.resume()
    1 = Sums.fact(1)
    calls = ElixirScope.calls(&Sums.fact/1)
    assert Enum.all?(calls, &at(&1).complete?)
    :ok = ElixirScope.stop()
    {:ok, opened} = ElixirScope.open(recording.path)
    [first | _] = ElixirScope.calls(&Sums.fact/1, in: opened)
    assert at(first, in: opened).visible == at(hd(calls), in: opened).visible
    assert at(first, in: opened).visible[:product] == 2
  end

  test "of a cursor are those at its event, in its recording", %{recording: recording} do
    2 = Sums.fact(2)
    [binding | _] = Enum.to_list(ElixirScope.events(mfa: &Sums.fact/1, kind: :binding))
    assert at(ElixirScope.at(binding)) == at(binding)
    :ok = ElixirScope.stop()
    {:ok, opened} = ElixirScope.open(recording.path)
    cursor = ElixirScope.at(binding, in: opened)
    assert at(cursor) == at(binding, in: opened)
    assert {:error, %Error{reason: :bad_option}} = ElixirScope.locals_at(cursor, :options)
    assert {:error, %Error{reason: :bad_option}} = ElixirScope.locals_at(%{cursor | event: nil})
  end

  test "are not there of a function that is recorded without them" do
    Echo.echo(1)
    [call] = ElixirScope.calls(&Echo.echo/1)
    assert {:error, %Error{reason: :not_instrumented, message: message}} = ElixirScope.locals_at(call)
    assert message =~ "no variable of ElixirScope.Traced.Echo.echo/1 is recorded"
    assert message =~ "locals: true"
    [event | _] = ElixirScope.events(kind: :call) |> Enum.to_list()
    assert {:error, %{reason: :not_instrumented}} = ElixirScope.locals_at(event)
  end

  test "refuses what is no event of a function, and what is of another recording", %{tmp_dir: dir} do
    assert {:error, %{reason: :bad_option, message: message}} = ElixirScope.locals_at(1)
    assert message =~ "expected a call, or an event that has a function"
    1 = Sums.fact(1)
    [call | _] = ElixirScope.calls(&Sums.fact/1)
    [process] = Enum.to_list(ElixirScope.events(kind: :process))
    assert {:error, %{reason: :bad_option}} = ElixirScope.locals_at(process)
    assert {:error, %{reason: :bad_option}} = ElixirScope.locals_at(call, line: 3)
    {:ok, _} = ElixirScope.start(dir: dir)
    assert {:error, %{reason: :unknown_process, message: message}} = ElixirScope.locals_at(call)
    assert message =~ "give the recording that it is of with in:"
    for _ <- 1..20, do: Echo.echo(1)
    1 = Sums.fact(1)
    assert {:error, %{reason: :lost}} = ElixirScope.locals_at(call)
  end
end
