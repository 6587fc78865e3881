defmodule ElixirScope.Instrument.ProposalTest do
  # Kinds of modules and hot loops, from what the compiler says of real ones.
  use ExUnit.Case, async: true

  alias ElixirScope.Instrument.{Beam, Proposal, Request}

  doctest ElixirScope.Instrument.Kind
  doctest ElixirScope.Instrument.Purity
  doctest ElixirScope.Instrument.Request

  for {module, kind, record?} <- [
        {Logger.App, :application, true},
        {DynamicSupervisor, :gen_server, true},
        {ExUnit.Server, :gen_server, true},
        {Enumerable, :protocol, true},
        {Enumerable.Map, :implementation, true},
        {KeyError, :exception, false},
        {Mix.Tasks.Compile, :mix_task, false},
        {Date.Range, :struct, true},
        {Keyword, :pure, true},
        {File, :functions, true}
      ] do
    test "#{inspect(module)} is of the kind #{kind}" do
      proposal = unquote(module) |> describe() |> Proposal.new()
      assert {proposal.kind, proposal.record?} == {unquote(kind), unquote(record?)}
      assert proposal.why != ""
    end
  end

  test "kinds that only libraries which are not here have, and files" do
    module = %{attributes: [], definitions: [], relative_file: "lib/x.ex"}
    kind = &Proposal.new(Map.merge(module, &1)).kind

    assert kind.(%{attributes: [behaviour: Plug]}) == :plug
    assert kind.(%{attributes: [behaviour: [Phoenix.LiveView]]}) == :live_view
    assert kind.(%{attributes: [behaviour: Supervisor]}) == :supervisor
    assert kind.(%{definitions: [{{:__schema__, 1}, :def, [], []}]}) == :schema
    assert kind.(%{attributes: [behaviour: GenServer], relative_file: "test/support/x.ex"}) == :test_support

    calls_agent = {{{:., [], [Agent, :start_link]}, [], []}, []}
    agent = [{{:child_spec, 1}, :def, [], []}, {{:start_link, 1}, :def, [], [{[], [], [], calls_agent}]}]
    assert kind.(%{definitions: agent}) == :agent
  end

  test "hot inner loops are private, small, call only themselves and do nothing else" do
    proposal =
      propose("""
      def start(list), do: {sum(list, 0), wait(0), each(list, & &1), even(4), tell(list), clock(3), once(1)}
      defp sum([], acc), do: acc
      defp sum([x | rest], acc), do: sum(rest, acc + Map.get(%{a: 1}, x, 0))
      defp wait(n), do: receive(do: (:go -> wait(n + 1)), after: (0 -> n))
      defp each([], _), do: :ok
      defp each([x | rest], fun), do: (fun.(x); each(rest, fun))
      defp even(0), do: true
      defp even(n), do: odd(n - 1)
      defp odd(0), do: false
      defp odd(n), do: even(n - 1)
      defp tell([]), do: :ok
      defp tell([x | rest]), do: (send(self(), x); tell(rest))
      defp clock(0), do: []
      defp clock(n), do: [System.monotonic_time() | clock(n - 1)]
      defp once(x), do: x + 1
      def public(0), do: 0
      def public(n), do: public(n - 1)
      """)

    assert {proposal.except, proposal.count} == {[], [sum: 2]}
  end

  test "private functions that read a binary and hand on the rest are hot inner loops, whatever else they do" do
    proposal =
      propose("""
      def parse(<<x, rest::binary>>), do: [x | parse(rest)]
      def start(text), do: {words(text, []), bits(text), sized(text), kept(text), whole(text), head(text)}
      defp words(<<?\\s, rest::binary>>, words), do: words(rest, words)
      defp words(<<x::utf8, rest::bits>>, words), do: word(rest, [x], words)
      defp words(<<>>, words), do: words
      defp word(<<x, rest::bitstring>>, word, words) when x > 32, do: word(rest, [x | word], words)
      defp word(rest, word, words) do
        send(self(), word)
        words(rest, [word | words])
      end
      defp bits(<<bit::1, rest::bitstring>>), do: [bit | bits(rest)]
      defp bits(_), do: []
      defp sized(<<size, text::binary-size(size), _::binary>>), do: whole(text)
      defp kept(<<_, rest::binary>>), do: rest
      defp whole(text), do: text
      defp head(<<x, _::binary>>), do: whole(x)
      """)

    assert proposal.count == [bits: 1, word: 3, words: 2]
  end

  test "a loop with much in it is no small one" do
    body = Enum.map_join(1..30, " + ", &"x * #{&1}")
    assert propose("def f(x), do: g(x)\ndefp g(0), do: 0\ndefp g(x), do: g(#{body})").count == []
  end

  test "templates of Phoenix, whatever macros made around them, are counted" do
    page =
      {:%, [line: 3],
       [Phoenix.LiveView.Rendered, {:%{}, [line: 3], [static: ["<p>"], dynamic: {:dynamic, [], nil}]}]}

    super = fn name -> {:super, [super: {:def, name}, line: 1], [{:assigns, [], nil}]} end

    definitions = [
      definition({:"button (overridable 1)", 1}, {:__block__, [], [{:log, [], []}, page]}),
      definition({:"button (overridable 2)", 1}, {:case, [], [super.(:"button (overridable 1)")]}),
      definition({:button, 1}, super.(:"button (overridable 2)")),
      definition({:icon, 1}, :defp, page),
      definition({:mount, 3}, page),
      definition({:"child_spec (overridable 1)", 1}, {:%{}, [], [id: 1]}),
      definition({:child_spec, 1}, super.(:"child_spec (overridable 1)")),
      definition({:shown, 1}, {:==, [], [{:assigns, [], nil}, Phoenix.LiveView.Rendered]}),
      definition({:button, 2}, {:button, [], [{:assigns, [], nil}]})
    ]

    proposal = Proposal.new(%{attributes: [], definitions: definitions, relative_file: "lib/x.ex"})
    templates = ["button (overridable 1)": 1, "button (overridable 2)": 1, button: 1, icon: 1]

    assert proposal.record?
    assert {proposal.count, proposal.templates} == {Enum.sort(templates), Enum.sort(templates)}
  end

  test "of an endpoint its requests, and what is written in it" do
    made = fn name, arity, by -> {{name, arity}, :def, [line: 1, context: by], []} end

    definitions = [
      made.(:call, 2, Phoenix.Endpoint),
      made.(:config, 2, Phoenix.Endpoint),
      made.(:plug_builder_call, 2, Plug.Builder),
      made.(:"call (overridable 2)", 2, Plug.Builder),
      made.(:"call (overridable 3)", 2, Plug.Debugger),
      {{:"call (overridable 4)", 2}, :defp, [line: 3], []},
      made.(:locale, 2, Shop.Plugs),
      {{:health, 2}, :def, [line: 9], []}
    ]

    module = %{attributes: [behaviour: Phoenix.Endpoint, behaviour: Plug], relative_file: "lib/x.ex"}
    proposal = Proposal.new(Map.put(module, :definitions, definitions))

    left = [:"call (overridable 2)", :"call (overridable 3)", :config, :plug_builder_call]
    assert {proposal.kind, Enum.sort(proposal.except)} == {:endpoint, for(name <- left, do: {name, 2})}

    assert Proposal.new(Map.merge(module, %{attributes: [behaviour: Plug], definitions: definitions})).except ==
             []
  end

  test "of a protocol its functions, not the dispatch" do
    proposal = Proposal.new(describe(Enumerable))

    assert {Enum.sort(proposal.except), proposal.count} ==
             {[impl_for: 1, impl_for!: 1, struct_impl_for: 1], []}
  end

  test "what the plan file lists is followed to the letter; a proposal takes the kind into account" do
    loop = source("def f(x), do: g(x)\ndefp g(0), do: 0\ndefp g(x), do: g(x - 1)")
    assert {:project, %{except: [], count: []}} = Request.project(:listed, [], loop)

    assert {:project, %{except: [h: :any], count: [g: 1]}} = Request.project(:proposed, [except: [:h]], loop)
    assert Request.project(:proposed, [], describe(KeyError)) == :nothing
    assert {:project, %{except: []}} = Request.project(:listed, [], describe(KeyError))
  end

  defp definition({_, arity} = function, kind \\ :def, body) do
    {function, kind, [], [{[], Macro.generate_arguments(arity, __MODULE__), [], body}]}
  end

  defp propose(body), do: body |> source() |> Proposal.new()

  defp source(body) do
    name = "ProposalSample#{System.unique_integer([:positive])}"

    [{module, beam}] =
      Code.compile_string("defmodule #{name} do\n@compile {:debug_info, true}\n#{body}\nend", "lib/x.ex")

    :code.purge(module)
    :code.delete(module)
    {:ok, map} = Beam.debug_info(beam)
    map
  end

  defp describe(module) do
    {^module, beam, _} = :code.get_object_code(module)
    {:ok, map} = Beam.debug_info(beam)
    map
  end
end
