defmodule ElixirScope.CursorTest do
  # Marks and ends are of the whole recording, so each test begins a new one.
  use ExUnit.Case, async: false

  alias ElixirScope.{Cursor, Error, Listener, Walked}

  @moduletag :tmp_dir

  setup %{tmp_dir: dir} do
    {:ok, recording} = ElixirScope.start(dir: dir)
    on_exit(fn -> {:ok, _} = ElixirScope.start() end)
    {:ok, shop} = Walked.start_link(%{tea: 7})
    %{recording: recording, shop: shop}
  end

  defp kinds(cursor, move, count) do
    cursor |> Stream.iterate(move) |> Stream.drop(1) |> Enum.take(count) |> Enum.map(&name/1)
  end

  defp name(%Cursor{event: %{mfa: {_, function, _}, kind: kind}}), do: {kind, function}
  defp name(%Cursor{event: %{kind: kind}}), do: kind

  defp first(shop, options \\ []) do
    [event] = ElixirScope.events(pid: shop, limit: 1) |> Enum.to_list()
    ElixirScope.at(event, options)
  end

  defp inside(test) do
    send(test, :inside)
    Process.sleep(:infinity)
  end

  describe "next/3 and prev/3" do
    test "walk over all events of a process and back", %{shop: shop} do
      Walked.take(shop, :tea, 2)
      events = Enum.to_list(ElixirScope.events(pid: shop))
      cursor = first(shop, pid: shop)
      on = cursor |> Stream.iterate(&ElixirScope.next/1) |> Enum.take(length(events))
      assert Enum.map(on, & &1.event) == events
      back = on |> List.last() |> Stream.iterate(&ElixirScope.prev/1) |> Enum.take(length(events))
      assert Enum.map(back, & &1.event) == Enum.reverse(events)
      assert Enum.all?(on ++ back, &(&1.ended == nil and &1.over == []))
    end

    test "move by what is asked for", %{shop: shop} do
      Walked.take(shop, :tea, 2)
      GenServer.cast(shop, {:put, :cup, 1})
      send(shop, {:put, :pot, 1})
      Walked.take(shop, :pot, 1)
      cursor = ElixirScope.at(hd(Enum.to_list(ElixirScope.events(pid: shop))), pid: shop)

      messages = for {:call, name} <- kinds(cursor, &ElixirScope.next(&1, :message), 4), do: name
      assert messages == [:handle_call, :handle_cast, :handle_info, :handle_call]

      states =
        cursor
        |> Stream.iterate(&ElixirScope.next(&1, :state))
        |> Stream.drop(1)
        |> Stream.take_while(&(&1.ended == nil))
        |> Enum.map(& &1.event.data.state)

      assert states ==
               [%{tea: 7}, %{tea: 5}, %{tea: 5, cup: 1}, %{tea: 5, cup: 1, pot: 1}] ++
                 [%{tea: 5, cup: 1, pot: 1, noted: true}, %{tea: 5, cup: 1, pot: 0, noted: true}]

      assert name(ElixirScope.next(cursor, :return)) == {:return, :init}
      assert name(ElixirScope.prev(ElixirScope.next(cursor, :return), :call)) == {:call, :init}
      assert ElixirScope.next(cursor, :raise).ended == :end
    end

    test "move by line where variables are recorded", %{shop: shop} do
      Walked.take(shop, :tea, 2)
      [call] = ElixirScope.calls(&Walked.handle_call/3)
      cursor = ElixirScope.at(call, pid: shop)

      lines = fn cursor, move, count ->
        for %{event: event} <- cursor |> Stream.iterate(move) |> Stream.drop(1) |> Enum.take(count),
            do: event.line
      end

      expected =
        for text <- [
              "defp left(",
              "have = Map",
              "when have >= count",
              "left = left(",
              "stock = Map.put(stock, item, left)"
            ],
            do: Walked.line(text)

      assert lines.(cursor, &ElixirScope.next(&1, :line), 5) == expected
      last = cursor |> Stream.iterate(&ElixirScope.next(&1, :line)) |> Enum.at(5)
      back = lines.(last, &ElixirScope.prev(&1, :line), 5)
      assert back == Enum.reverse([call.line | Enum.take(expected, 4)])
    end

    test "stop at the messages that a `receive` takes, and show it wait" do
      for message <- [{:word, "a"}, {:word, "b"}, :end], do: send(self(), message)
      assert Listener.all([]) == ["a", "b"]
      assert Listener.within(0) == :nothing
      send(self(), :last)
      assert Listener.within(0) == :last
      first = (&Listener.all/1) |> ElixirScope.calls() |> hd() |> ElixirScope.at(pid: self())

      taken = fn cursor, move ->
        moved = cursor |> Stream.iterate(&move.(&1, :message)) |> Stream.drop(1) |> Enum.take(5)
        {for(%{ended: nil, event: event} <- moved, do: event.data.message), List.last(moved)}
      end

      assert {[{:word, "a"}, {:word, "b"}, :end, :last], %{ended: :end} = last} =
               taken.(first, &ElixirScope.next/2)

      assert {[:end, {:word, "b"}, {:word, "a"}], %{ended: :beginning}} = taken.(last, &ElixirScope.prev/2)

      waits = ElixirScope.next(first, :line)
      assert waits.event.kind == :wait
      assert inspect(waits) =~ "waits for a message"
      takes = ElixirScope.next(waits, :line)
      assert {takes.event.kind, takes.event.line} == {:take, waits.event.line + 1}
      assert inspect(takes) =~ ~s(takes {:word, "a"})
      assert [%{mfa: {Listener, :all, 1}}] = ElixirScope.where(takes).calls
      assert inspect(ElixirScope.where(takes)) =~ "{:word, word} -> all([word | got])"
      assert {:ok, %{visible: [got: []]}} = ElixirScope.locals_at(takes.event)
      assert ElixirScope.step_into(takes).event.data == %{bindings: [word: "a"]}
      assert ElixirScope.prev(takes, :line).event == waits.event

      [late] = Enum.filter(ElixirScope.events(pid: self(), kind: :take), &(&1.data == %{}))
      assert inspect(late) =~ "stops waiting"
    end

    test "of all processes follow the order of the recording", %{shop: shop} do
      {:ok, other} = Walked.start_link(%{})
      for _ <- 1..3, server <- [shop, other], do: Walked.take(server, :tea, 1)
      calls = ElixirScope.calls(&Walked.handle_call/3)
      cursor = ElixirScope.at(hd(calls))

      walked =
        cursor
        |> Stream.iterate(&ElixirScope.next(&1, :message))
        |> Enum.take_while(&(&1.ended == nil))
        |> Enum.map(& &1.event.pid)

      assert walked == [shop, other, shop, other, shop, other]
      # One process for one move.
      assert ElixirScope.next(cursor, :message, pid: other).event.pid == other
      assert ElixirScope.next(cursor, :message, pid: shop).event.pid == shop
    end

    test "stay at the ends and say so; of a recording that goes on, the end moves", %{shop: shop} do
      Walked.take(shop, :tea, 1)
      cursor = ElixirScope.at({:ago, 0, :second}, pid: shop)
      assert %Cursor{ended: :end} = stayed = ElixirScope.next(cursor)
      assert {stayed.event, stayed.time} == {cursor.event, cursor.time}
      Walked.take(shop, :tea, 2)
      assert %Cursor{ended: nil, event: %{kind: :call, mfa: {_, :handle_call, _}}} = ElixirScope.next(stayed)

      start = ElixirScope.prev(cursor, :call) |> ElixirScope.prev(:event)
      begin = Stream.iterate(start, &ElixirScope.prev/1) |> Enum.find(& &1.ended)
      assert begin.ended == :beginning
      assert begin.event == hd(Enum.to_list(ElixirScope.events(pid: shop)))
    end

    test "before the first event of a process there is none, and then it comes", %{recording: recording} do
      {_, started, _} = ElixirScope.Native.bounds(recording.handle)
      before = ElixirScope.now()
      {:ok, late} = Walked.start_link(%{})
      cursor = ElixirScope.at(before, pid: late)
      assert {cursor.event, cursor.time} == {nil, before}
      assert name(ElixirScope.next(cursor)) == {:call, :init}
      assert ElixirScope.prev(cursor).ended == :beginning
      assert inspect(cursor) =~ "before the first event"
      assert %Cursor{event: nil} = ElixirScope.at(started, pid: late)
      assert %{calls: [], state: {:error, %Error{reason: :no_state}}} = ElixirScope.where(cursor)
    end

    test "say what is missing between", %{shop: shop} do
      Walked.take(shop, :tea, 1)
      cursor = ElixirScope.at({:ago, 0, :second}, pid: shop)
      :ok = ElixirScope.pause()
      Walked.take(shop, :tea, 1)
      :ok = ElixirScope.resume()
      assert {:gap, %{cause: :paused}} = ElixirScope.next(cursor, :call).ended
      Walked.take(shop, :tea, 1)
      moved = ElixirScope.next(cursor, :message)
      assert {moved.ended, name(moved)} == {nil, {:call, :handle_call}}
      assert [%{cause: :paused, from: from, to: to}] = moved.over
      assert cursor.time <= from and from <= to and to <= moved.time
      assert inspect(moved) =~ "moved over what is missing: events are missing (paused)"
      assert [%{cause: :paused}] = ElixirScope.prev(moved, :return).over
      assert ElixirScope.next(moved).over == []
    end

    test "in an opened recording are the same", %{shop: shop, recording: recording} do
      Walked.take(shop, :tea, 1)

      times = fn cursor ->
        cursor |> Stream.iterate(&ElixirScope.next/1) |> Enum.take_while(&(&1.ended == nil))
      end

      live = shop |> first(pid: shop) |> times.() |> Enum.map(& &1.event)
      :ok = ElixirScope.stop()
      {:ok, opened} = ElixirScope.open(recording.path)
      text = inspect(shop)
      cursor = ElixirScope.at(hd(live).time, pid: text, in: opened)
      assert Enum.map(times.(cursor), & &1.event) == live
      assert %{calls: [%{mfa: {Walked, :init, 1}}], state: state} = ElixirScope.where(cursor)
      assert match?({:error, %Error{}}, state) or state == {:ok, %{tea: 7}}
      assert {:ok, [_ | _]} = ElixirScope.where(cursor).source
    end

    test "events of one time keep their order", %{recording: recording} do
      # Many processes at once: the clock gives some of their events the same time.
      1..8
      |> Enum.map(fn _ -> Task.async(fn -> for _ <- 1..500, do: Walked.down(0) end) end)
      |> Enum.each(&Task.await/1)

      ElixirScope.flush()
      events = Enum.to_list(ElixirScope.events(in: recording))
      newest = Enum.to_list(ElixirScope.events(in: recording, order: :newest))
      assert newest == Enum.reverse(events)
      walked = events |> hd() |> ElixirScope.at() |> Stream.iterate(&ElixirScope.next/1)
      some = Enum.take(walked, 300)
      assert Enum.map(some, & &1.event) == Enum.take(events, 300)
      back = some |> List.last() |> Stream.iterate(&ElixirScope.prev/1) |> Enum.take(300)
      assert Enum.map(back, & &1.event.id) == Enum.map(Enum.reverse(some), & &1.event.id)
    end
  end

  describe "steps" do
    setup %{shop: shop} do
      Walked.take(shop, :tea, 2)
      Walked.take(shop, :tea, 9)
      [first, second] = ElixirScope.calls(&Walked.handle_call/3)
      %{first: first, second: second}
    end

    test "go into calls, over them and out of them", %{first: first, second: second, shop: shop} do
      inside = ElixirScope.at(first)
      assert name(inside) == {:call, :handle_call}
      # Its variables, the call of left/3, and so on.
      into = kinds(inside, &ElixirScope.step_into/1, 6)
      assert [{:binding, :handle_call}, {:call, :left}, {:binding, :left}, {:binding, :left} | _] = into

      over = inside |> ElixirScope.step_over() |> ElixirScope.step_over()
      assert name(over) == {:return, :left}
      assert name(ElixirScope.step_over(over)) == {:binding, :handle_call}

      left = inside |> ElixirScope.step_into() |> ElixirScope.step_into()
      assert name(left) == {:call, :left}
      assert name(ElixirScope.step_out(left)) == {:return, :left}
      out = left |> ElixirScope.step_out() |> ElixirScope.step_out()
      assert name(out) == {:return, :handle_call}
      assert out.time == first.finished
      assert ElixirScope.step_out(out).ended == :outermost

      assert ElixirScope.step_over(out).event.id == ElixirScope.step_over(ElixirScope.at(second)).event.id or
               name(ElixirScope.step_over(out)) == {:return, :handle_call}

      assert out.event.pid == shop
    end

    test "have twins that go back", %{first: first, second: second} do
      out = second |> ElixirScope.at() |> ElixirScope.step_out()
      assert out.time == second.finished
      assert ElixirScope.back_out(out).event.id == second.id

      assert out |> ElixirScope.back_out() |> ElixirScope.back_over() |> Map.fetch!(:event) |> Map.fetch!(:id) ==
               first.id

      assert out |> ElixirScope.back_out() |> ElixirScope.back_out() |> Map.fetch!(:ended) == :outermost

      # Back over left/3 from behind it.
      behind =
        second
        |> ElixirScope.at()
        |> ElixirScope.step_over()
        |> ElixirScope.step_over()
        |> ElixirScope.step_over()

      assert name(behind) == {:binding, :handle_call}
      assert name(ElixirScope.back_over(behind)) == {:call, :left}
      assert name(ElixirScope.back_into(behind)) == {:return, :left}
      assert name(behind |> ElixirScope.back_into() |> ElixirScope.back_out()) == {:call, :left}
    end

    test "take a chain of tail calls for one call" do
      Walked.down(50)
      [call | _] = ElixirScope.calls(&Walked.down/1)
      assert call.outcome == :returned
      cursor = ElixirScope.at(call)
      out = ElixirScope.step_out(cursor)
      assert {out.event.kind, out.event.data} == {:return, %{value: :done}}
      later = ElixirScope.at(ElixirScope.now(), pid: self())
      assert ElixirScope.back_over(ElixirScope.next(later)).event.kind in [:call, :return]
      Walked.down(0)
      [after_chain] = ElixirScope.calls(&Walked.down/1, since: out.time + 1)
      assert ElixirScope.back_over(ElixirScope.at(after_chain)).event.id == call.id
    end

    @tag :capture_log
    test "end with an exception", %{shop: shop} do
      Process.unlink(shop)
      catch_exit(GenServer.call(shop, {:fail, "oh"}))
      cursor = ElixirScope.at({:ago, 0, :second}, pid: shop) |> ElixirScope.prev(:message)
      out = ElixirScope.step_out(cursor)
      assert %{kind: :raise, data: %{reason: %ArgumentError{message: "oh"}}} = out.event
      assert {:raised, %{reason: %ArgumentError{}}} = ElixirScope.where(out).result
    end

    test "of a call that has not ended stay" do
      test = self()

      task =
        Task.async(fn ->
          {:ok, shop} = Walked.start_link(%{})

          spawn(fn ->
            GenServer.call(shop, {:run, fn -> inside(test) end}, :infinity)
          end)

          shop
        end)

      shop = Task.await(task)
      assert_receive :inside
      cursor = ElixirScope.at({:ago, 0, :second}, pid: shop)
      assert ElixirScope.step_out(cursor).ended == :end
      assert [%{mfa: {Walked, :handle_call, 3}} | _] = Enum.reverse(ElixirScope.where(cursor).calls)
    end
  end

  describe "where/2" do
    test "shows source, values, calls and state of the moment", %{shop: shop} do
      Walked.take(shop, :tea, 2)
      [call] = ElixirScope.calls(&Walked.handle_call/3)
      have = Walked.line("have = Map")

      cursor =
        call
        |> ElixirScope.at(pid: shop)
        |> Stream.iterate(&ElixirScope.next(&1, :line))
        |> Enum.find(&(&1.event.line == have))

      where = ElixirScope.where(cursor)

      assert {where.line, where.pid, where.mailbox} == {have, shop, :not_recorded}

      assert [%{mfa: {Walked, :left, 3}, args: [%{tea: 7}, :tea, 2]}, %{mfa: {Walked, :handle_call, 3}}] =
               where.calls

      assert where.whole?
      assert {_, [have: 7]} = List.keyfind(where.values, have, 0)
      assert where.state == {:ok, %{tea: 7}}
      text = inspect(where)
      assert text =~ ~r/-> +#{have}  +have = Map.get\(stock, item, 0\) +# have = 7/
      assert text =~ "state     %{tea: 7}"
      assert text =~ "mailbox   not recorded"
      assert text =~ "Walked.left(%{tea: 7}, :tea, 2)"

      assert {:ok, [{^have, _}]} = ElixirScope.where(cursor, lines: 0).source
      finished = ElixirScope.at(call.finished, pid: shop)
      assert ElixirScope.where(finished).state == {:ok, %{tea: 5}}
      assert {:returned, {:reply, 5, %{tea: 5}}} = ElixirScope.where(finished).result
      # Variables of calls within are not those of the call.
      assert finished
             |> ElixirScope.where()
             |> Map.fetch!(:values)
             |> Enum.flat_map(&elem(&1, 1))
             |> Keyword.keys()
             |> Enum.sort() ==
               [:count, :item, :left, :stock, :stock]
    end

    test "between two callbacks shows no call", %{shop: shop} do
      # An event of nobody's call.
      ElixirScope.mark(:between)
      where = :between |> ElixirScope.at() |> ElixirScope.where()
      assert {where.calls, where.pid} == {[], self()}
      assert inspect(where) =~ "none is open"
      kept = ElixirScope.where(ElixirScope.at(:between, pid: shop))
      assert {kept.pid, kept.state} == {shop, {:ok, %{tea: 7}}}
    end
  end

  describe "marks" do
    test "are events, times, and places to move to", %{shop: shop} do
      assert ElixirScope.mark(:start) == :ok
      Walked.take(shop, :tea, 1)
      assert ElixirScope.mark("half time") == :ok
      Walked.take(shop, :tea, 1)
      assert [%{label: :start, pid: pid}, %{label: "half time"}] = ElixirScope.marks()
      assert pid == self()
      assert ElixirScope.get_state_at(shop, :start) == {:ok, %{tea: 7}}
      assert ElixirScope.get_state_at(shop, "half time") == {:ok, %{tea: 6}}
      assert ElixirScope.get_state_at(shop, :"half time") == {:ok, %{tea: 6}}
      assert [_] = ElixirScope.calls(&Walked.handle_call/3, since: :start, until: "half time")
      assert [%{data: %{label: :start}}, _] = Enum.to_list(ElixirScope.events(kind: :mark))

      first = shop |> first(pid: shop) |> ElixirScope.next(:mark)
      assert first.event.data.label == :start
      assert ElixirScope.next(first, :mark).event.data.label == "half time"
      assert first |> ElixirScope.next(:mark) |> ElixirScope.next(:mark) |> Map.fetch!(:ended) == :end
      assert first |> ElixirScope.next(:mark) |> ElixirScope.prev(:mark) |> Map.fetch!(:event) == first.event
      assert ElixirScope.next(first, :mark, pid: shop).ended == :end
    end

    test "and cursors are times of every question", %{shop: shop} do
      Walked.take(shop, :tea, 1)
      ElixirScope.mark(:first)
      Walked.take(shop, :tea, 1)
      ElixirScope.mark(:second)
      Walked.take(shop, :tea, 1)
      history = ElixirScope.state_history(shop, since: :first, until: "second")
      assert [%{state: %{tea: 5}}] = Enum.to_list(history)
      assert {:ok, %{entries: [{[:tea], :changed, 6, 5}]}} = ElixirScope.diff_state(shop, :first, :second)
      assert {:ok, %{value: {:ok, 5}}} = ElixirScope.who_set(shop, [:tea], :second)
      cursor = ElixirScope.at(:first)
      assert ElixirScope.get_state_at(shop, cursor) == {:ok, %{tea: 6}}
      assert ElixirScope.get_state_at(shop, hd(ElixirScope.marks())) == {:ok, %{tea: 6}}
      [call] = ElixirScope.calls(&Walked.handle_call/3, since: :second)
      assert ElixirScope.get_state_at(shop, call) == {:ok, %{tea: 5}}
    end

    test "of a process that has made no other event say who it is" do
      task = Task.async(fn -> {ElixirScope.mark(:alone), self()} end)
      {:ok, pid} = Task.await(task)
      assert [%{kind: :mark}, %{kind: :process}] = Enum.to_list(ElixirScope.events(pid: pid))
    end

    test "of one label: the newest counts; an unknown one names those that are known", %{shop: shop} do
      ElixirScope.mark(:here)
      Walked.take(shop, :tea, 1)
      ElixirScope.mark(:here)
      assert ElixirScope.get_state_at(shop, :here) == {:ok, %{tea: 6}}
      assert {:error, %Error{reason: :unknown_mark} = error} = ElixirScope.get_state_at(shop, :there)
      assert error.message =~ ":there; the marks are :here"
      assert {:error, %Error{reason: :bad_option}} = ElixirScope.mark(nil)
      assert {:error, %Error{reason: :bad_option}} = ElixirScope.mark({:a, 1})
    end

    test "too long to be found again are refused" do
      longest = String.duplicate("x", 255)
      assert ElixirScope.mark(longest) == :ok
      assert %Cursor{event: %{kind: :mark}} = ElixirScope.at(longest)

      for options <- [[], [at: ElixirScope.now()]],
          label <- [longest <> "x", String.duplicate("x", 100_000)] do
        assert {:error, %Error{reason: :bad_option} = error} = ElixirScope.mark(label, options)
        assert error.message =~ "at most 255 bytes, got one of #{byte_size(label)}"
        assert byte_size(error.message) < 200
      end

      assert {:error, %Error{reason: :bad_option}} =
               ElixirScope.mark(String.to_atom(String.duplicate("水", 255)))

      assert length(ElixirScope.marks()) == 1
    end

    test "without any the error says how to set one", %{shop: shop} do
      assert {:error, error} = ElixirScope.get_state_at(shop, :there)
      assert error.message =~ "has no marks; ElixirScope.mark(label) sets one"
    end

    test "of the past are kept beside the recording, and in it when it is opened again", %{
      shop: shop,
      recording: recording
    } do
      ElixirScope.mark(:live)
      Walked.take(shop, :tea, 1)
      time = ElixirScope.now()
      Walked.take(shop, :tea, 1)
      assert ElixirScope.mark("it was\nhere, 100 %", at: time) == :ok
      assert Enum.map(ElixirScope.marks(), & &1.label) == [:live, "it was\nhere, 100 %"]
      :ok = ElixirScope.stop()
      {:ok, opened} = ElixirScope.open(recording.path)
      assert ElixirScope.mark(:again, at: time, in: opened) == :ok
      assert Enum.map(ElixirScope.marks(in: opened), & &1.label) == [:live, "it was\nhere, 100 %", :again]
      assert ElixirScope.get_state_at(shop, :again, in: opened) == {:ok, %{tea: 6}}
      cursor = ElixirScope.at("it was\nhere, 100 %", in: opened, pid: shop)
      assert {cursor.time, cursor.event.kind} == {time, :return}
      assert ElixirScope.prev(cursor, :mark).event.data.label == :live

      assert {:error, %Error{reason: :bad_option}} = ElixirScope.mark(:no_time, in: opened)
      assert {:error, %Error{reason: :before_recording}} = ElixirScope.mark(:early, at: 0, in: opened)
      assert {:error, %Error{reason: :not_recording} = error} = ElixirScope.mark(:late)
      assert error.message =~ ~r/\Anothing is recorded now.*mark\(label, at: time\)\z/
    end

    test "while recording is paused are kept too", %{shop: shop} do
      :ok = ElixirScope.pause()
      assert ElixirScope.mark(:paused) == :ok
      assert [%{label: :paused, id: nil}] = ElixirScope.marks()
      :ok = ElixirScope.resume()
      assert {:error, %Error{reason: :lost}} = ElixirScope.get_state_at(shop, :paused)
    end

    test "a torn or foreign line beside the recording is left out", %{recording: recording} do
      File.write!(Path.join(recording.path, "bookmarks"), "12 atom\nx y z\n17 string fine%20one\n99 at")
      assert [%{label: "fine one", time: 17}] = ElixirScope.marks()
    end
  end

  describe "bad input" do
    test "is said", %{shop: shop} do
      assert_raise Error, ~r/expected a time/, fn -> ElixirScope.at({:in, 5, :second}) end
      assert_raise Error, ~r/within the recording/, fn -> ElixirScope.at(0) end
      assert_raise Error, ~r/unknown filter :from/, fn -> ElixirScope.at({:ago, 0, :second}, from: 1) end
      cursor = first(shop)
      assert_raise Error, ~r/by as one of :event, :call/, fn -> ElixirScope.next(cursor, :hop) end
      assert_raise Error, ~r/by as one of :event.* got: "x"/, fn -> ElixirScope.next(cursor, "x") end
      assert_raise Error, ~r/by as one of :event.* got: 1/, fn -> ElixirScope.prev(cursor, 1) end
      assert_raise Error, ~r/expected a cursor/, fn -> ElixirScope.next(:cursor) end
      assert_raise Error, ~r/expected a cursor/, fn -> ElixirScope.step_into(nil) end
      assert_raise Error, ~r/expected a cursor/, fn -> ElixirScope.where(nil) end
      assert_raise Error, ~r/lines: how many/, fn -> ElixirScope.where(cursor, lines: -1) end
      assert_raise Error, ~r/:order to be/, fn -> ElixirScope.events(order: :up) end
      {:ok, unseen} = Task.Supervisor.start_link()

      assert_raise Error, ~r/no event of it was recorded/, fn ->
        ElixirScope.at({:ago, 0, :second}, pid: unseen)
      end

      assert_raise Error, ~r/no event of it was recorded/, fn ->
        ElixirScope.next(cursor, :call, pid: unseen)
      end

      foreign = %{cursor.event | id: cursor.event.id + 1}
      assert_raise Error, ~r/one that is not in it/, fn -> ElixirScope.at(foreign) end
    end
  end
end
