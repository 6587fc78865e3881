# Random programs: two modules of functions that call each other, and calls that enter them. A seed makes the same
# program again, on the same version of Elixir.
#
# Every program ends: each of its calls passes on less fuel than it was given, what it waits for in `receive` is not
# waited for long, and the loops are over data. It is deterministic: no value holds a pid, a reference or a time.
defmodule ElixirScope.Program do
  @moduledoc false

  import ElixirScope.Program.Dice

  alias ElixirScope.Program.{Expression, Loops, Shape}

  @modules [Golden.Random.A, Golden.Random.B]
  @enforce_keys [:seed, :scopes, :functions, :entries]
  defstruct @enforce_keys

  @typedoc """
  `scopes` has for each module the options of its `use ElixirScope`, or `nil` where it has none. `functions` are
  definitions in the order of the source, `entries` the calls that are made of them.
  """
  @type t :: %__MODULE__{
          seed: integer(),
          scopes: [{module(), keyword() | nil}],
          functions: [{module(), Macro.t()}],
          entries: [{module(), atom(), [term()]}]
        }

  @options [
    [],
    [],
    [locals: true],
    [locals: true],
    [locals: true],
    [args: false, receives: false],
    [returns: false],
    [locals: true, args: false, returns: false]
  ]

  @doc "The program of a seed. `groups` says how large it is: functions of one group call each other."
  @spec new(integer(), pos_integer()) :: t()
  def new(seed, groups) do
    :rand.seed(:exsss, {seed, seed, seed})
    options = pick(@options)
    scopes = Enum.zip(@modules, if(chance(70), do: [options, options], else: [options, nil]))
    made = for number <- 1..groups, do: group(number)
    loops = Loops.make()

    %__MODULE__{
      seed: seed,
      scopes: scopes,
      functions: Enum.flat_map(made, &elem(&1, 0)) ++ loops.functions,
      entries: Enum.flat_map(made, &elem(&1, 1)) ++ loops.entries
    }
  end

  defp group(number) do
    callees =
      for index <- 1..(2 + :rand.uniform(3)) do
        %{
          module: alias_of(if(chance(65), do: hd(@modules), else: List.last(@modules))),
          name: :"f#{number}_#{index}",
          kind: if(index > 1 and chance(30), do: :defp, else: :def),
          params: several(0, 2, fn -> pick(Expression.types()) end),
          ret: pick(Expression.types() ++ [:int, :list]),
          fuel: true,
          defaults: false
        }
      end

    callees = for callee <- callees, do: %{callee | defaults: callee.params != [] and chance(20)}
    {functions, entries} = callees |> Enum.map(&function(&1, callees)) |> Enum.unzip()
    {Enum.concat(functions), Enum.concat(entries)}
  end

  defp alias_of(module), do: {:__aliases__, [], module |> Module.split() |> Enum.map(&String.to_atom/1)}
  defp module_of({:__aliases__, _, parts}), do: Module.concat(parts)

  defp function(callee, callees) do
    module = module_of(callee.module)

    definitions =
      if delegates?(callee, callees), do: delegate(callee, callees), else: clauses(callee, callees)

    entries =
      if callee.kind == :def,
        do:
          several(1, 2, fn ->
            {module, callee.name, [:rand.uniform(5) - 1 | Enum.map(callee.params, &Expression.argument/1)]}
          end),
        else: []

    {Enum.map(definitions, &{module, &1}), entries}
  end

  # A delegate has no fuel of its own, so it may only lead away from where fuel is checked once.
  defp delegates?(callee, callees), do: targets(callee, callees) != [] and chance(15)

  defp targets(callee, callees) do
    for other <- callees,
        callee.kind == :def and not callee.defaults,
        other.name > callee.name and other.kind == :def and other.module != callee.module,
        other.params == callee.params,
        do: other
  end

  defp delegate(callee, callees) do
    target = pick(targets(callee, callees))
    arguments = Macro.generate_arguments(length(callee.params) + 1, nil)

    [
      quote(
        do:
          defdelegate(unquote({callee.name, [], arguments}),
            to: unquote(target.module),
            as: unquote(target.name)
          )
      )
    ]
  end

  defp clauses(callee, callees) do
    Expression.allow(calls: 4, size: 16)
    env = %{vars: [], callees: callees, module: callee.module, fuel: true}
    n = Shape.variable(:n)

    empty =
      define(callee, [n | Enum.map(callee.params, fn _ -> quote(do: _) end)], quote(do: unquote(n) <= 0), [
        {:do, Expression.make(callee.ret, %{env | callees: []}, 1)}
      ])

    some = several(0, 2, fn -> clause(callee, env, &Shape.pattern/1) end)
    total = if chance(85), do: [clause(callee, env, &Shape.bind/1)], else: []
    header(callee) ++ [empty | some] ++ total
  end

  # Default arguments and several clauses need a head of their own.
  defp header(%{defaults: false}), do: []

  defp header(callee) do
    names = Macro.generate_arguments(length(callee.params) + 1, nil)
    value = callee.params |> List.last() |> Shape.literal()
    arguments = List.update_at(names, -1, &quote(do: unquote(&1) \\ unquote(value)))
    [{callee.kind, [], [{callee.name, [], arguments}]}]
  end

  defp clause(callee, env, make) do
    {patterns, names} = heads(callee.params, make)
    # A name that stands twice in one head is compared, so it keeps the type that it has first.
    env = %{env | vars: Enum.uniq_by(names, &elem(&1, 0))}
    guard = if chance(30), do: Shape.guard(names)
    depth = 1 + :rand.uniform(2)
    rest = if chance(15), do: Expression.handlers(callee.ret, env, 1, &Expression.body/3), else: []

    define(callee, [Shape.variable(:n) | patterns], guard, [
      {:do, Expression.body(callee.ret, env, depth)} | rest
    ])
  end

  # A name that is compared in a head cannot be the size of a part of a binary in the same head, nor can it be that of two
  # parameters as a whole, which may depend on each other then.
  defp heads(params, make) do
    {patterns, names} = params |> Enum.map(make) |> Enum.unzip()
    names = names |> Enum.concat()
    twice = names -- Enum.uniq_by(names, &elem(&1, 0))
    wholes? = Enum.any?(twice, fn {name, _type} -> name in Shape.wholes() end)

    if wholes? or (twice != [] and Macro.to_string(patterns) =~ "size("),
      do: heads(params, make),
      else: {patterns, names}
  end

  defp define(callee, patterns, nil, body), do: {callee.kind, [], [{callee.name, [], patterns}, body]}

  defp define(callee, patterns, guard, body) do
    {callee.kind, [], [{:when, [], [{callee.name, [], patterns}, guard]}, body]}
  end

  @doc "The modules of all programs."
  @spec modules() :: [module()]
  def modules, do: @modules

  @doc "The source text, with the comment `# scope` where the options of ElixirScope stand."
  @spec source(t()) :: String.t()
  def source(%__MODULE__{} = program) do
    Enum.map_join(program.scopes, "\n", fn {module, _options} ->
      functions = for {^module, definition} <- program.functions, do: definition
      text = Enum.map_join(functions, "\n\n", &Macro.to_string/1)

      """
      defmodule #{inspect(module)} do
        # scope #{inspect(module)}
        defguard is_small(x) when is_integer(x) and x < 4
        #{text}
      end
      """
    end)
  end

  @doc "The source as it is compiled without ElixirScope, with more options of the compiler."
  @spec plain(t(), [atom()]) :: String.t()
  def plain(program, options \\ []),
    do: scoped(program, fn _ -> "@compile #{inspect([{:debug_info, true} | options])}" end)

  @doc "The source as it is compiled with it."
  @spec instrumented(t()) :: String.t()
  def instrumented(program) do
    scoped(program, fn
      nil -> "@compile {:debug_info, true}"
      options -> "use ElixirScope, #{inspect(options)}"
    end)
  end

  defp scoped(program, line) do
    Enum.reduce(program.scopes, source(program), fn {module, options}, source ->
      String.replace(source, "# scope #{inspect(module)}\n", "#{line.(options)}\n")
    end)
  end
end
