defmodule ElixirScope.Instrument.ReceivesTest do
  # What is recorded of `receive`: that it waits, and what it takes.
  use ExUnit.Case, async: false

  @compile {:no_warn_undefined, [Elixir.Golden.Receives, :scope_receives]}

  alias ElixirScope.{ErlangText, Golden}
  alias ElixirScope.Instrument.{Options, Transform}

  @source ~S'''
  defmodule Golden.Receives do
    # scope
    def loop(n) do
      receive do
        {:add, x} when is_integer(x) -> loop(n + x)
        {:get, from} -> send(from, {:n, n}) && loop(n)
        :stop -> n
      end
    end

    def either(ms) do
      receive do
        {:a, _} -> :a
        :b -> :b
      after
        ms * 2 ->
          :late
      end
    end

    def nap, do: receive(after: (1 -> :awake))
    def literal, do: receive(do: (:never -> :never), after: (0 -> :late))
    def bad, do: receive(do: (:never -> :never), after: (:no_number -> :late))

    def inside(tag) do
      f = fn x ->
        receive do
          {^tag, y} -> x + y
        end
      end

      for(i <- [1, 2], do: f.(i) + receive(do: (n when is_integer(n) -> n)))
    end

    def nested do
      receive do
        {:outer, x} -> receive(do: ({:inner, ^x} -> x))
      end
    end

    def with_variables do
      receive do
        {:v, x, [y]} -> {x, y}
      end
    end
  end
  '''

  @module Elixir.Golden.Receives

  # Of one process, what happened to it in `fun`, as {kind, name of the function, line, data}.
  defp happened(fun, pid \\ self()) do
    since = ElixirScope.now()
    fun.()
    told(pid, since)
  end

  defp told(pid, since) do
    kinds = [:call, :return, :raise, :tail, :binding, :wait, :take]

    for %{mfa: {_, name, _}} = event <- ElixirScope.events(pid: pid, since: since, kind: kinds),
        do: {event.kind, name, line(event.line), data(event)}
  end

  defp data(%{kind: :call, data: %{args: args}}), do: args
  defp data(%{kind: :return, data: %{value: value}}), do: value
  defp data(%{kind: :raise, data: %{reason: reason}}), do: reason
  defp data(%{data: data}), do: data

  defp line(number), do: @source |> String.split("\n") |> Enum.at(number - 1) |> String.trim()

  defp with_receives(use \\ "use ElixirScope", source \\ @source, fun) do
    Golden.with_instrumented(source, use, fn -> Golden.on(fun) end)
  end

  # Its last event, when it waits.
  defp await_wait(pid) do
    case Enum.to_list(ElixirScope.events(pid: pid, order: :newest, limit: 1)) do
      [%{kind: :wait} = wait] -> wait
      _other -> await_wait(pid)
    end
  end

  test "a process waits before the message is there, and takes it" do
    with_receives(fn ->
      since = ElixirScope.now()
      pid = spawn_link(@module, :loop, [1])
      assert %{mfa: {@module, :loop, 1}, data: %{}} = await_wait(pid)
      send(pid, :not_asked_for)
      send(pid, {:add, 2})
      send(pid, {:get, self()})
      assert_receive {:n, 3}
      ref = Process.monitor(pid)
      send(pid, :stop)
      assert_receive {:DOWN, ^ref, _, _, :normal}

      head = "def loop(n) do"
      wait = {:wait, :loop, "receive do", %{}}

      assert told(pid, since) == [
               {:call, :loop, head, [1]},
               wait,
               {:take, :loop, "{:add, x} when is_integer(x) -> loop(n + x)", %{message: {:add, 2}}},
               {:tail, :loop, head, %{}},
               {:call, :loop, head, [3]},
               wait,
               {:take, :loop, "{:get, from} -> send(from, {:n, n}) && loop(n)", %{message: {:get, self()}}},
               {:tail, :loop, head, %{}},
               {:call, :loop, head, [3]},
               wait,
               {:take, :loop, ":stop -> n", %{message: :stop}},
               {:return, :loop, head, 3}
             ]
    end)
  end

  test "it stops waiting" do
    with_receives(fn ->
      # A number has a place under newer versions of Elixir alone.
      assert [_call, {:wait, _, "receive do", %{}}, {:take, _, "ms * 2 ->", late}, {:return, _, _, :late}] =
               happened(fn -> @module.either(1) end)

      assert late == %{}

      assert [_, {:wait, :nap, line, _}, {:take, :nap, line, late}, {:return, _, _, :awake}] =
               happened(fn -> @module.nap() end)

      assert late == %{}
      assert [_, {:wait, _, _, _}, {:take, _, _, late}, _] = happened(fn -> @module.literal() end)
      assert late == %{}
    end)
  end

  test "a timeout that is none, or cannot be found out: nothing is taken, or waits" do
    with_receives(fn ->
      assert [{:call, _, _, []}, {:wait, :bad, _, %{}}, {:raise, :bad, _, :timeout_value}] =
               happened(fn -> catch_error(@module.bad()) end)

      assert [{:call, _, _, [:x]}, {:raise, :either, _, :badarith}] =
               happened(fn -> catch_error(@module.either(:x)) end)
    end)
  end

  test "what is in an anonymous function is its own, what is in a comprehension belongs to the function around" do
    with_receives(fn ->
      for message <- [{:t, 10}, 5, {:t, 20}, 6], do: send(self(), message)
      events = happened(fn -> assert @module.inside(:t) == [16, 28] end)

      assert for({kind, name, _, data} <- events, kind in [:wait, :take], do: {kind, name, data}) == [
               {:wait, :"inside/1-fn-1", %{}},
               {:take, :"inside/1-fn-1", %{message: {:t, 10}}},
               {:wait, :inside, %{}},
               {:take, :inside, %{message: 5}},
               {:wait, :"inside/1-fn-1", %{}},
               {:take, :"inside/1-fn-1", %{message: {:t, 20}}},
               {:wait, :inside, %{}},
               {:take, :inside, %{message: 6}}
             ]
    end)
  end

  test "one within another waits and takes by itself, and each place has a node of its own" do
    with_receives(fn ->
      since = ElixirScope.now()
      for message <- [{:inner, 1}, {:outer, 1}], do: send(self(), message)
      assert @module.nested() == 1
      events = Enum.to_list(ElixirScope.events(pid: self(), since: since, kind: [:wait, :take]))

      assert Enum.map(events, &{&1.kind, &1.data}) == [
               {:wait, %{}},
               {:take, %{message: {:outer, 1}}},
               {:wait, %{}},
               {:take, %{message: {:inner, 1}}}
             ]

      assert events |> Enum.uniq_by(& &1.node) |> length() == 4
    end)
  end

  test "the message comes before the variables that are bound to parts of it" do
    with_receives("use ElixirScope, locals: true", fn ->
      send(self(), {:v, 1, [2]})

      assert [
               _,
               {:wait, _, _, _},
               {:take, _, line, taken},
               {:binding, _, line, bound},
               {:return, _, _, {1, 2}}
             ] = happened(fn -> @module.with_variables() end)

      assert taken == %{message: {:v, 1, [2]}} and bound == %{bindings: [x: 1, y: 2]}
    end)
  end

  test "nothing is recorded with recording off, also by what was made while it was on" do
    source = ~S'''
    defmodule Golden.Receives do
      # scope
      def make, do: fn -> receive(do: (x -> x)) end
      def run(f), do: f.()
    end
    '''

    Golden.with_instrumented(source, fn ->
      made = Golden.on(fn -> @module.make() end)
      since = ElixirScope.now()
      send(self(), 1)
      send(self(), 2)
      assert Golden.off(fn -> {@module.run(made), @module.run(@module.make())} end) == {1, 2}
      assert Enum.to_list(ElixirScope.events(pid: self(), since: since)) == []
    end)
  end

  test "receives: false leaves them out, for a module and for a function; a counted function records none" do
    silent = fn fun ->
      send(self(), :b)
      for {kind, _, _, _} <- happened(fun), do: kind
    end

    with_receives("use ElixirScope, receives: false", fn ->
      assert silent.(fn -> @module.either(1) end) == [:call, :return]
    end)

    with_receives("use ElixirScope, count: :all", fn -> assert silent.(fn -> @module.either(1) end) == [] end)

    marked = String.replace(@source, "def either", "@scope receives: false\ndef either")

    with_receives("use ElixirScope", marked, fn ->
      assert silent.(fn -> @module.either(1) end) == [:call, :return]
      send(self(), :stop)
      assert silent.(fn -> @module.loop(0) end) == [:call, :wait, :take, :return]
    end)

    marked = String.replace(@source, "def either", "@scope receives: true\ndef either")

    with_receives("use ElixirScope, receives: false", marked, fn ->
      assert silent.(fn -> @module.either(1) end) == [:call, :wait, :take, :return]
    end)
  end

  test "nodes stay when other functions of the file change" do
    [before, behind] =
      for source <- [
            @source,
            String.replace(@source, "# scope", "# scope\n\ndef first, do: receive(do: (x -> x))")
          ] do
        with_receives("use ElixirScope", source, fn ->
          since = ElixirScope.now()
          send(self(), :b)
          @module.either(1)
          events = ElixirScope.events(pid: self(), since: since, kind: [:wait, :take])
          for event <- events, do: {event.kind, event.node, event.line}
        end)
      end

    assert [{:wait, _, _}, {:take, _, _}] = before

    for {{kind, node, line}, {other_kind, other_node, other_line}} <- Enum.zip(before, behind) do
      assert {kind, node} == {other_kind, other_node}
      assert other_line == line + 2
    end
  end

  @tag :tmp_dir
  test "a process that waits when a recording begins is introduced by what it takes", %{tmp_dir: dir} do
    on_exit(fn -> {:ok, _} = ElixirScope.start() end)

    with_receives(fn ->
      pid = spawn_link(@module, :loop, [1])
      await_wait(pid)
      {:ok, _} = ElixirScope.start(dir: dir)
      ref = Process.monitor(pid)
      send(pid, :stop)
      assert_receive {:DOWN, ^ref, _, _, :normal}

      assert [%{kind: :take, data: %{message: :stop}}, %{kind: :process}, %{kind: :return}] =
               Enum.to_list(ElixirScope.events(pid: pid, kind: [:take, :process, :return]))
    end)
  end

  @tag :tmp_dir
  test "a message is recorded under the limits of values", %{tmp_dir: dir} do
    on_exit(fn -> {:ok, _} = ElixirScope.start() end)

    with_receives(fn ->
      {:ok, _} = ElixirScope.start(dir: dir, limits: [value_bytes: 100])
      send(self(), {:a, :binary.copy("x", 10_000)})
      assert @module.either(1) == :a

      assert [%{data: %{message: {:a, %ElixirScope.Cut{kind: :binary, size: 10_000}}}}] =
               Enum.to_list(ElixirScope.events(pid: self(), kind: :take))
    end)
  end

  # The compiler gives the VM a mark where a reference is made, and a `receive` that can only match messages with it passes
  # over all that came before. This takes instructions of its own, in each of the two branches of a function.
  test "a receive on a fresh reference still passes over the messages before it" do
    source = ~S'''
    defmodule Golden.Marked do
      # scope
      def made do
        ref = make_ref()
        send(self(), {ref, :answer})
        receive(do: ({^ref, answer} -> answer))
      end

      def monitored(pid, ms) do
        ref = Process.monitor(pid)
        send(pid, {:call, self(), ref})

        receive do
          {^ref, answer} ->
            Process.demonitor(ref, [:flush])
            {:ok, answer}

          {:DOWN, ^ref, :process, _, reason} ->
            {:error, reason}
        after
          ms * 2 -> :late
        end
      end

      def twice(pid) do
        one = make_ref()
        send(pid, {:call, self(), one})
        answer = receive(do: ({^one, answer} -> answer))
        two = make_ref()
        send(pid, {:call, self(), two, answer})
        receive(do: ({^two, answer} -> answer), after: (5_000 -> :late))
      end
    end
    '''

    plain = marks(String.replace(source, "# scope", ""))

    assert for({{name, _}, [_ | _] = marks} <- plain, do: {name, Enum.uniq(Keyword.keys(marks))}) == [
             made: [:recv_marker_bind, :recv_marker_clear, :recv_marker_reserve, :recv_marker_use],
             monitored: [:recv_marker_bind, :recv_marker_clear, :recv_marker_reserve, :recv_marker_use],
             twice: [:recv_marker_bind, :recv_marker_clear, :recv_marker_reserve, :recv_marker_use]
           ]

    twice = for {function, marks} <- plain, do: {function, for({mark, count} <- marks, do: {mark, 2 * count})}
    for use <- Golden.uses(), do: assert({use, marks(Golden.instrument(source, use))} == {use, twice})
  end

  defp marks(source) do
    {[{_module, beam}], _warnings} = Golden.build(source)
    {:beam_file, _, _, _, _, functions} = :beam_disasm.file(beam)

    for {:function, name, arity, _, code} <- functions,
        name in [:made, :monitored, :twice],
        do: {{name, arity}, code |> Enum.flat_map(&mark/1) |> Enum.frequencies() |> Enum.sort()}
  end

  defp mark(instruction) when is_tuple(instruction), do: mark(elem(instruction, 0))
  defp mark(name), do: if(String.starts_with?(Atom.to_string(name), "recv_marker"), do: [name], else: [])

  test "Erlang's own: what is bound in the clauses is seen behind, and matched by value" do
    text = """
    -module(scope_receives).
    -export([f/2]).
    f(X, Ms) ->
      receive {one, X, Y} -> Z = {Y}; {two, Y} when Y > 1 -> Z = Y after Ms = 1 -> Y = none, Z = Ms end,
      {A, _} = receive {pair, _, _} = P -> {P, X}; W -> {W, X} end,
      B = try receive {try_it, T} -> T end of Y -> same; V -> {V, receive V -> again after 0 -> no end} catch _:_ -> X end,
      C = catch receive {boom, Why} -> exit(Why) after 0 -> fine end,
      F = fun(X) -> receive X -> {got, X} after 0 -> {not_got, X} end end,
      L = [receive E -> E; {in, E} -> {in, E} end || E <- [1, 2]],
      if X -> receive last -> ok after infinity -> never end; true -> no end,
      {Y, Z, A, B, C, F(k), L, X, Ms}.
    """

    messages = [
      [{:one, 1, 2}, {:one, true, 3}, {:pair, 1, 2}, {:try_it, 3}, {:boom, :x}, {:in, 2}, 1, :k, :last],
      [{:two, 1}, {:two, 2}, :w, {:try_it, 8}, 8, 2, {:in, 1}, :last],
      [:w, {:try_it, 7}, 7, 1, 2, :last]
    ]

    for sent <- messages do
      [plain, rewritten] =
        for transform <- [&Function.identity/1, &(&1 |> Transform.run(Options.new!([])) |> elem(0))] do
          {:ok, :scope_receives, binary} =
            :compile.noenv_forms(text |> ErlangText.forms() |> transform.(), [:binary])

          {:module, _} = :code.load_binary(:scope_receives, ~c"nofile", binary)
          since = ElixirScope.now()
          for message <- sent, do: send(self(), message)
          value = Golden.on(fn -> :scope_receives.f(true, 1) end)
          {:messages, left} = Process.info(self(), :messages)
          for _ <- left, do: receive(do: (_ -> :ok))
          events = ElixirScope.events(pid: self(), since: since, kind: [:wait, :take])
          {value, left, for(event <- events, do: event.data[:message])}
        end

      assert Tuple.delete_at(plain, 2) == Tuple.delete_at(rewritten, 2)
      assert elem(plain, 2) == []
      # Each message that is there no longer was taken.
      assert rewritten |> elem(2) |> Enum.reject(&is_nil/1) |> Enum.sort() ==
               Enum.sort(sent -- elem(plain, 1))
    end
  after
    :code.purge(:scope_receives)
    :code.delete(:scope_receives)
  end

  test "modules that run already" do
    {plain, _warnings} =
      @source |> String.replace("# scope", "@compile {:debug_info, true}") |> Golden.build()

    kinds = fn ->
      send(self(), :b)
      for {kind, _, _, _} <- happened(fn -> assert @module.either(1) == :b end), do: kind
    end

    Golden.with_loaded(plain, fn ->
      {:ok, _} = ElixirScope.instrument(@module)
      assert kinds.() == [:call, :wait, :take, :return]
      {:ok, _} = ElixirScope.instrument(@module, receives: false)
      assert kinds.() == [:call, :return]
      :ok = ElixirScope.uninstrument(@module)
      assert kinds.() == []
    end)
  end
end
