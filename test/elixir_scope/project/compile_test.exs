defmodule ElixirScope.Project.CompileTest do
  # Whole projects, compiled by `mix` in VMs of their own.
  use ExUnit.Case, async: true

  import ElixirScope.MixSample

  @sources %{
    "lib/cart.ex" => """
    defmodule Shop.Cart do
      use GenServer
      def start_link(items), do: GenServer.start_link(__MODULE__, items)
      def add(cart, item), do: GenServer.call(cart, {:add, item})
      def peek(cart), do: :sys.get_state(cart)
      @impl true
      def init(items), do: receive(do: ({:more, more} -> {:ok, more ++ items}), after: (0 -> {:ok, items}))
      @impl true
      def handle_call({:add, item}, _from, items), do: {:reply, total([item | items], 0), [item | items]}
      defp total([], sum), do: sum
      defp total([item | rest], sum), do: total(rest, sum + item)
    end
    """,
    "lib/size.ex" => """
    defprotocol Shop.Size do
      def size(thing)
    end

    defimpl Shop.Size, for: List do
      def size(list), do: length(list)
    end
    """,
    "lib/own.ex" => """
    defmodule Shop.Own do
      def first(x), do: x
      use ElixirScope, only: [:second], args: false
      def second(x), do: x
    end
    """,
    "lib/rest.ex" => """
    defmodule Shop.Error do
      defexception [:message]
    end

    defmodule Shop.Item do
      defstruct [:id]
    end

    defmodule Shop.Secret do
      def key, do: 42
    end

    defmodule Shop.Price do
      def gross(net), do: net * 2
    end

    defmodule Shop.Bare do
      @compile {:debug_info, false}
      def f, do: 1
    end
    """
  }

  @all "Enum.map([Shop.Cart, Shop.Size, Shop.Size.List, Shop.Own, Shop.Secret, Shop.Price, Shop.Error, Shop.Bare], " <>
         "&{&1, Keyword.keys(ElixirScope.Instrument.functions(&1))})"

  setup_all do
    %{shelf: shelf()}
  end

  defp shop(shelf, name, instrument), do: shelf |> create(name, @sources) |> configure(instrument)

  test "what the configuration names is instrumented; the rest, and modules with options of their own, are as they were",
       %{shelf: shelf} do
    shop = shop(shelf, "shop", "[apps: [:shop], except: [Shop.Secret, {Shop.Cart, :peek, 1}]]")
    output = mix!(shop, ["compile", "--warnings-as-errors"])
    refute output =~ "warning"
    refute output =~ "ElixirScope:"

    functions = eval!(shop, @all)
    assert :handle_call in functions[Shop.Cart] and :add in functions[Shop.Cart]
    refute :peek in functions[Shop.Cart]
    refute :total in functions[Shop.Cart]

    assert Keyword.delete(functions, Shop.Cart) == [
             {Shop.Size, [:size]},
             {Shop.Size.List, [:size]},
             {Shop.Own, [:second]},
             {Shop.Secret, []},
             {Shop.Price, [:gross]},
             {Shop.Error, []},
             {Shop.Bare, []}
           ]

    # What is recorded, through the consolidated protocol too.
    assert eval!(shop, """
           {:ok, cart} = Shop.Cart.start_link([1])
           10 = Shop.Cart.add(cart, 9)
           1 = Shop.Size.size([:x])
           {:ok, state} = ElixirScope.get_state_at(cart, ElixirScope.now())
           {state, Enum.map(ElixirScope.calls({Shop.Size.List, :size}), & &1.args), Protocol.consolidated?(Shop.Size)}
           """) == {[9, 1], [[[:x]]], true}

    # Nothing to do the second time; then only the file that changed.
    assert mix!(shop, ["compile"]) == ""
    write(shop, %{"lib/own.ex" => @sources["lib/own.ex"] <> "\n# changed and longer"})
    assert mix!(shop, ["compile"]) =~ "Compiling 1 file (.ex)"

    # Changes of what is asked for.
    configure(shop, "[only: [\"Shop.P*\"], args: false]")
    assert mix!(shop, ["compile"]) =~ "Compiling 4 files (.ex)"

    assert [{Shop.Own, [:second]}, {Shop.Price, [:gross]}] =
             Enum.reject(eval!(shop, @all), &match?({_, []}, &1))

    assert eval!(
             shop,
             "Shop.Price.gross(2); Enum.map(ElixirScope.calls({Shop.Price, :gross}), &{&1.args, &1.return})"
           ) ==
             [{nil, 4}]

    for nothing <- ["false", "[apps: []]"] do
      configure(shop, nothing)
      mix!(shop, ["compile"])
      assert Enum.reject(eval!(shop, @all), &match?({_, []}, &1)) == [{Shop.Own, [:second]}]
    end
  end

  test "the plan: shown, written, obeyed, and named when it no longer fits", %{shelf: shelf} do
    shop = shop(shelf, "plan", "[except: [Shop.Secret], locals: true]")

    write(shop, %{
      "lib/counted.ex" =>
        "defmodule Shop.Counted do\n  use ElixirScope, count: [sum: 2]\n  def sum(a, b), do: a + b\nend\n"
    })

    output = mix!(shop, ["scope.plan", "--write"])

    for row <- [
          ~r"^MODULE +KIND +RECORDS +FUNCTIONS +WHY",
          ~r"^Shop.Cart +GenServer +calls, locals, receives, states +10 of 11 +its callbacks, .*; not total/2 \(hot inner loop: counted\)$",
          ~r"^Shop.Error +exception +nothing +0 of 2 ",
          ~r"^Shop.Counted +pure functions +nothing +0 of 1 +asked for in the module: use ElixirScope; not sum/2 \(counted\)$",
          ~r"^Shop.Item +struct +nothing +0 of 0 +it has no functions of its own$",
          ~r"^Shop.Own +pure functions +calls +1 of 2 +asked for in the module: use ElixirScope; not first/1",
          ~r"^Shop.Price +pure functions +calls, locals +1 of 1 ",
          ~r"^Shop.Secret +pure functions +nothing +0 of 1 +except: of the configuration names it$",
          ~r"^Shop.Bare +other code +nothing +0 of 0 +no debug information",
          ~r"^Shop.Size +protocol +calls, locals +1 of 4 ",
          ~r"^Shop.Size.List +implementation +calls, locals +1 of 1 "
        ] do
      assert output |> String.split("\n") |> Enum.count(&(&1 =~ row)) == 1, inspect(row) <> "\n" <> output
    end

    File.rm!(Path.join(shop, "lib/counted.ex"))

    # Aligned: the column of kinds begins at one place.
    lines = for line <- String.split(output, "\n"), line =~ ~r/^(MODULE|Shop\.)/, do: line
    assert [_] = lines |> Enum.map(&(Regex.run(~r/^\S+ +/, &1) |> hd() |> String.length())) |> Enum.uniq()
    refute output =~ "\e["

    written = File.read!(Path.join(shop, "scope.plan.exs"))
    {plan, _} = Code.eval_string(written)
    assert plan[Shop.Cart] == [count: [total: 2]]
    assert {plan[Shop.Error], plan[Shop.Price]} == {false, true}
    for module <- [Shop.Own, Shop.Secret, Shop.Item, Shop.Bare], do: refute(is_map_key(plan, module))

    # It says what was the case anyway; then a person edits it.
    refute mix!(shop, ["compile"]) =~ "ElixirScope:"

    edited = %{
      Shop.Cart => [only: [:total, :gone]],
      Shop.Gone => true,
      Shop.Price => false,
      Shop.Error => true
    }

    write(shop, %{"scope.plan.exs" => inspect(edited)})
    output = mix!(shop, ["compile", "--warnings-as-errors"])
    assert output =~ "Compiling 4 files (.ex)"

    assert output =~
             "scope.plan.exs names modules that do not exist (any more): Shop.Gone. Run mix scope.plan --write"

    assert output =~
             "scope.plan.exs does not know these modules, which are recorded by their kind: Shop.Size, Shop.Size.List. Run"

    assert output =~ "only: names Shop.Cart.gone, which does not exist"
    refute mix!(shop, ["compile"]) =~ "Compiling"

    functions = eval!(shop, @all)
    assert {functions[Shop.Cart], functions[Shop.Price]} == {[:total], []}
    assert :message in functions[Shop.Error]
    assert functions[Shop.Size] == [:size]

    # What a person wrote stays, the rest is brought up to date.
    mix!(shop, ["scope.plan", "--write"])
    {plan, _} = shop |> Path.join("scope.plan.exs") |> File.read!() |> Code.eval_string()
    assert Map.delete(edited, Shop.Gone) == Map.take(plan, Map.keys(edited))
    assert Enum.sort(Map.keys(plan) -- Map.keys(edited)) == [Shop.Size, Shop.Size.List]

    # A file that is not in order ends the compilation and names the place.
    write(shop, %{"scope.plan.exs" => "%{Shop.Cart => [onyl: []]}"})
    assert {output, 1} = mix(shop, ["compile"])
    assert output =~ "scope.plan.exs: Shop.Cart: use ElixirScope: expected the options only:"
    assert {output, 1} = mix(shop, ["scope.plan", "--wirte"])
    assert output =~ "mix scope.plan: expected --write or nothing, got: --wirte"

    # Coloured for those who ask for it.
    File.rm!(Path.join(shop, "scope.plan.exs"))

    write(shop, %{
      "color.exs" => "Application.put_env(:elixir, :ansi_enabled, true); Mix.Task.run(\"scope.plan\")"
    })

    assert mix!(shop, ["run", "color.exs"]) =~ "\e[32mShop.Cart"
  end

  test "wrong configuration ends the compilation and says what to do", %{shelf: shelf} do
    shop = shop(shelf, "wrong", "[only: Shop.Cart]")
    assert {output, 1} = mix(shop, ["compile"])

    assert output =~
             "(Mix) config :elixir_scope, instrument: expected only: to be a list of modules and patterns, got: Shop.Cart"

    # Without debug information there is nothing to start from.
    configure(shop, "[except: [Shop.Secret]]")

    assert mix!(shop, ["compile", "--no-debug-info"]) =~
             "ElixirScope: nothing is instrumented, because the project is"

    configure(shop, "[apps: [:wrogn]]")
    assert {output, 1} = mix(shop, ["compile"])

    assert output =~
             "expected apps: to name :wrong or its dependencies, got: :wrogn, which is neither"

    assert output =~ "Correct its name"

    # Without the line in mix.exs the plan says so, and instruments nothing.
    configure(shop, "[apps: [:wrong]]")
    write(shop, %{"mix.exs" => mix_exs("wrong", "compilers: Mix.compilers()")})

    assert mix!(shop, ["scope.plan"]) =~
             "Nothing of this is in force: mix.exs lacks compilers: [:elixir_scope] ++"

    assert eval!(shop, "ElixirScope.Instrument.functions(Shop.Price)") == []
  end

  test "what IEx compiles again is instrumented again and obeys a new plan; what is typed is not", %{
    shelf: shelf
  } do
    shop = shop(shelf, "reload", "[except: [Shop.Secret]]")

    assert eval!(shop, """
           {:ok, _} = Application.ensure_all_started(:iex)
           first = Shop.Price.gross(2)
           File.write!("lib/rest.ex", String.replace(File.read!("lib/rest.ex"), "net * 2", "net * 300"))
           recompiled = IEx.Helpers.recompile()
           second = {Shop.Price.gross(2), ElixirScope.Instrument.functions(Shop.Price)}
           File.write!("scope.plan.exs", "%{Shop.Price => false}")
           planned = IEx.Helpers.recompile()
           third = {Shop.Price.gross(2), ElixirScope.Instrument.functions(Shop.Price)}
           nothing = IEx.Helpers.recompile()
           File.write!("lib/own.ex", File.read!("lib/own.ex") <> "\ndefmodule Shop.New do\ndef new(x), do: x\nend")
           Code.put_compiler_option(:ignore_module_conflict, true)
           IEx.Helpers.c("lib/own.ex")
           defmodule Shop.Typed do
             def typed(x), do: x
           end
           {first, recompiled, second, planned, third, nothing,
            ElixirScope.Instrument.functions(Shop.New), ElixirScope.Instrument.functions(Shop.Typed)}
           """) == {4, :ok, {600, [gross: 1]}, :ok, {600, []}, :noop, [new: 1], []}
  end

  test "in an umbrella each application has its own line, and apps: chooses", %{shelf: shelf} do
    root = Path.join(shelf, "umbrella")

    write(root, %{
      "mix.exs" =>
        "defmodule U.MixProject do\nuse Mix.Project\ndef project, do: [apps_path: \"apps\", deps: []]\nend"
    })

    configure(root, "[apps: [:two]]")

    for app <- ["one", "two"] do
      line = "compilers: [:elixir_scope] ++ Mix.compilers()"

      shared =
        "build_path: \"../../_build\", config_path: \"../../config/config.exs\", deps_path: \"../../deps\", " <>
          "lockfile: \"../../mix.lock\", #{if app == "two", do: "# umbrella"}"

      write(Path.join([root, "apps", app]), %{
        "mix.exs" => mix_exs(app, line, shared),
        "lib/#{app}.ex" => "defmodule #{Macro.camelize(app)} do\ndef f(x), do: x\nend"
      })
    end

    both = "{ElixirScope.Instrument.functions(One), ElixirScope.Instrument.functions(Two)}"
    assert eval!(root, both) == {[], [f: 1]}
    refute mix!(root, ["compile"]) =~ "Compiling"

    configure(root, "[apps: [:one, :two]]")
    assert eval!(root, both) == {[f: 1], [f: 1]}
    plan = mix!(root, ["scope.plan"])
    assert plan =~ ~r"^One +pure functions +calls"m and plan =~ ~r"^Two +pure functions +calls"m
  end

  test "mix test records the project, and leaves what serves the tests alone", %{shelf: shelf} do
    test_paths = "elixirc_paths: if(Mix.env() == :test, do: [\"lib\", \"test/support\"], else: [\"lib\"])"

    shop =
      create(shelf, "tested", %{
        "mix.exs" => mix_exs("tested", "compilers: [:elixir_scope] ++ Mix.compilers()", test_paths <> ","),
        "lib/price.ex" => "defmodule Shop.Price do\ndef gross(net), do: net * 2\nend",
        "test/support/help.ex" => "defmodule Shop.Help do\ndef help, do: 1\nend",
        "test/test_helper.exs" => "ExUnit.start()",
        "test/price_test.exs" => """
        defmodule PriceTest do
          use ElixirScope.Case, async: true
          def of_the_test, do: 1

          test "recorded" do
            Shop.Price.gross(Shop.Help.help())
            assert_called Shop.Price.gross(1)
            assert ElixirScope.Instrument.functions(Shop.Help) == []
            assert ElixirScope.Instrument.functions(__MODULE__) == []
          end
        end
        """
      })

    configure(shop, "[apps: [:tested]]")
    assert mix!(shop, ["test"], "test") =~ ~r/1 test, 0 failures|1 passed/
  end

  test "a release of prod has it, without the debug information", %{shelf: shelf} do
    shop = shop(shelf, "released", "[apps: [:released]]")
    mix!(shop, ["release", "--quiet"], "prod")

    {output, status} =
      System.cmd(
        Path.join(shop, "_build/prod/rel/released/bin/released"),
        [
          "eval",
          "{:ok, _} = Application.ensure_all_started(:elixir_scope); Shop.Price.gross(21); " <>
            "[call] = ElixirScope.calls({Shop.Price, :gross}); IO.inspect({call.args, call.return})"
        ],
        cd: shop,
        stderr_to_stdout: true
      )

    assert {status, output} == {0, "{[21], 42}\n"}
  end
end
