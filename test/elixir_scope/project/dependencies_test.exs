defmodule ElixirScope.Project.DependenciesTest do
  # One project with dependencies, Elixir's and Erlang's, and with modules of its own that no tracer sees.
  use ExUnit.Case, async: true

  import ElixirScope.MixSample

  alias ElixirScope.Project.Rewrite

  @all "Enum.map([Shop, Shop.Made, :shop_erl, :shop_lex, Tiny, Tiny.Name, Tiny.Name.Integer, Tiny.Bare, Tiny.Error, :erly], " <>
         "&{&1, ElixirScope.Instrument.functions(&1)})"

  @tiny """
  defmodule Tiny do
    @moduledoc "Documented."
    @spec double(integer) :: integer
    def double(x), do: x * 2
    defmacro twice(x), do: quote(do: Tiny.double(unquote(double(x))))
    def secret(x), do: x
  end

  defprotocol Tiny.Name do
    def name(x)
  end

  defimpl Tiny.Name, for: Integer do
    def name(_), do: :integer
  end

  defmodule Tiny.Bare do
    @compile {:debug_info, false}
    def f, do: 1
  end

  defmodule Tiny.Error do
    defexception [:message]
  end
  """

  setup_all do
    shelf = shelf()

    write(Path.join(shelf, "tiny"), %{
      "mix.exs" =>
        "defmodule Tiny.MixProject do\nuse Mix.Project\ndef project, do: [app: :tiny, version: \"0.1.0\"]\nend",
      "lib/tiny.ex" => @tiny
    })

    write(Path.join(shelf, "erly"), %{
      "src/erly.erl" =>
        "-module(erly).\n-export([sum/1]).\nsum(L) -> self() ! L, receive L -> sum(L, 0) end.\nsum([], S) -> S;\nsum([H | T], S) -> sum(T, S + H).\n",
      "src/erly.app" =>
        "{application, erly, [{description, \"\"}, {vsn, \"1\"}, {registered, []}, {modules, [erly]}, {applications, [kernel, stdlib]}]}.\n"
    })

    compile = "mkdir -p ebin && erlc +debug_info -o ebin src/erly.erl && cp src/erly.app ebin"

    shop =
      create(shelf, "dependent", %{
        "mix.exs" =>
          mix_exs("shop", "compilers: [:elixir_scope] ++ Mix.compilers()", "", [
            "{:tiny, path: \"../tiny\"}",
            "{:erly, path: \"../erly\", compile: #{inspect(compile)}}"
          ]),
        "lib/shop.ex" => """
        defmodule Shop do
          require Tiny
          def gross(n), do: Tiny.double(n) + Tiny.twice(4)
          def names, do: Tiny.Name.name(1)
        end

        Module.create(Shop.Made, quote(do: def(made(x), do: x)), Macro.Env.location(__ENV__))
        """,
        "src/shop_erl.erl" =>
          "-module(shop_erl).\n-export([f/1]).\nf(X) -> self() ! X, receive X -> X + 1 end.\n",
        "src/shop_lex.xrl" =>
          "Definitions.\nRules.\n[a-z]+ : {token, {word, TokenLine, TokenChars}}.\nErlang code.\n"
      })

    %{shop: shop}
  end

  test "dependencies are instrumented when they are named, and put back bit for bit when they are not", %{
    shop: shop
  } do
    configure(shop, "[apps: [:shop]]")
    mix!(shop, ["compile"])
    plain = beams(shop)
    assert Enum.all?(plain, fn {_file, beam} -> Rewrite.original(beam) == {beam, nil} end)
    refute Enum.any?(eval!(shop, @all), fn {module, functions} -> module == Tiny and functions != [] end)

    assert mix!(shop, ["scope.plan"]) =~
             "Dependencies are instrumented when apps: names them, as in apps: [:shop, :erly]: :erly, :tiny"

    configure(shop, "[apps: [:shop, :tiny, :erly], except: [{Tiny, :secret}]]")
    output = mix!(shop, ["compile", "--warnings-as-errors"])
    assert output =~ "ElixirScope: instruments 3 modules of :tiny"
    assert output =~ "ElixirScope: instruments 1 module of :erly"

    assert output =~
             "of :tiny, these modules are left alone, because they have no debug information: Tiny.Bare. Compile it with"

    assert eval!(shop, @all) == [
             {Shop, [gross: 1, names: 0]},
             {Shop.Made, [made: 1]},
             {:shop_erl, [f: 1]},
             # What leex makes is a table.
             {:shop_lex, []},
             {Tiny, [double: 1]},
             {Tiny.Name, [name: 1]},
             {Tiny.Name.Integer, [name: 1]},
             {Tiny.Bare, []},
             {Tiny.Error, []},
             {:erly, [sum: 1, sum: 2]}
           ]

    assert eval!(shop, """
           {20, :integer, 6, 1, 2} = {Shop.gross(2), Shop.names(), :erly.sum([1, 2, 3]), Shop.Made.made(1), :shop_erl.f(1)}
           recorded = for f <- [{Tiny, :double}, {Tiny.Name, :name}, {:erly, :sum}, {Shop.Made, :made}, {:shop_erl, :f}],
             do: {f, for(call <- ElixirScope.calls(f), do: {call.args, call.return})}
           # Consolidated in the folder of the project, and compiled in its own.
           {:ok, text} = Tiny.Name |> ElixirScope.calls() |> hd() |> ElixirScope.source()
           taken = for event <- ElixirScope.events(kind: :take), do: {event.mfa, event.data.message}
           {Protocol.consolidated?(Tiny.Name), text =~ "defprotocol Tiny.Name", recorded, taken}
           """) ==
             {true, true,
              [
                {{Tiny, :double}, [{[2], 4}, {[8], 16}]},
                {{Tiny.Name, :name}, [{[1], :integer}]},
                {{:erly, :sum},
                 [{[[1, 2, 3]], 6}, {[[1, 2, 3], 0], 6}, {[[2, 3], 1], 6}, {[[3], 3], 6}, {[[], 6], 6}]},
                {{Shop.Made, :made}, [{[1], 1}]},
                {{:shop_erl, :f}, [{[1], 2}]}
              ], [{{:erly, :sum, 1}, [1, 2, 3]}, {{:shop_erl, :f, 1}, 1}]}

    # All but the code is as it was. (The debug information of protocols also asks for the hook, for their consolidation.)
    rewritten = beams(shop)
    {:ok, _, before} = :beam_lib.all_chunks(plain["Elixir.Tiny.beam"])
    {:ok, _, now} = :beam_lib.all_chunks(rewritten["Elixir.Tiny.beam"])

    for id <- [~c"Docs", ~c"ExCk", ~c"Dbgi", ~c"Attr", ~c"CInf"],
        do: assert(List.keyfind(now, id, 0) == List.keyfind(before, id, 0))

    for {file, beam} <- rewritten, do: assert({file, elem(Rewrite.original(beam), 0)} == {file, plain[file]})

    # Nothing to do the second time, also for Mix. (What is built by a command, Mix builds each time.)
    # Newer versions of Mix also say that files of leex are there and that their compiler is not asked for.
    said = shop |> mix!(["compile"]) |> String.split("\n", trim: true) |> Enum.reject(&(&1 =~ ".xrl"))
    assert said in [[], ["ElixirScope: instruments 1 module of :erly"]]
    assert beams(shop) == rewritten

    # The dependency works where this library is not in the code path, as when Mix compiles another dependency.
    assert {"4\n", 0} = System.cmd("elixir", ["-pa", ebin(shop), "-e", "IO.inspect Tiny.double(2)"])

    plan = mix!(shop, ["scope.plan", "--write"])
    assert plan =~ ~r"^Tiny +pure functions +calls +1 of 2 .*; not secret/1"m
    assert plan =~ ~r"^:erly +functions +calls, receives +2 of 2 "m
    assert plan =~ ~r"^:shop_lex +parser +nothing "m

    # The plan file holds for dependencies too, and only what it changes is written again.
    write(shop, %{"scope.plan.exs" => "%{Tiny => [only: [:double, :gone]], Shop => true, :erly => false}"})
    output = mix!(shop, ["compile"])
    assert output =~ "ElixirScope: instruments 1 module of :tiny"
    assert output =~ "only: names Tiny.gone, which does not exist"
    assert output =~ "scope.plan.exs does not know these modules"
    refute output =~ ":erly. Run"
    functions = eval!(shop, @all)
    assert {functions[Tiny], functions[Tiny.Name], functions[:erly]} == {[double: 1], [name: 1], []}
    File.rm!(Path.join(shop, "scope.plan.exs"))

    # A dependency that was compiled again is noticed by what is in its files.
    write(Path.dirname(ebin(shop)), %{"ebin/Elixir.Tiny.beam" => plain["Elixir.Tiny.beam"]})
    mix!(shop, ["compile"])
    assert {_, digest} = Rewrite.original(beams(shop)["Elixir.Tiny.beam"])
    assert digest != nil

    mix!(shop, ["clean"])
    assert beams(shop) == plain

    mix!(shop, ["compile"])
    configure(shop, "false")
    mix!(shop, ["compile"])
    assert beams(shop) == plain
    assert Enum.all?(eval!(shop, @all), &match?({_, []}, &1))
  end

  test "a release has them", %{shop: shop} do
    configure(shop, "[apps: [:shop, :tiny]]")
    mix!(shop, ["release", "--quiet"], "prod")

    code =
      "{:ok, _} = Application.ensure_all_started(:elixir_scope); Shop.gross(2); Shop.names(); " <>
        "IO.inspect(for f <- [{Tiny, :double}, {Tiny.Name, :name}], do: length(ElixirScope.calls(f)))"

    release = Path.join(shop, "_build/prod/rel/shop/bin/shop")
    assert System.cmd(release, ["eval", code], cd: shop, stderr_to_stdout: true) == {"[2, 1]\n", 0}
    # Stripped, and without the originals.
    [beam] = Path.wildcard(Path.join(shop, "_build/prod/rel/shop/lib/tiny-*/ebin/Elixir.Tiny.beam"))
    assert {_, nil} = beam |> File.read!() |> Rewrite.original()
  end

  test "names in apps: that cannot be", %{shop: shop} do
    for {app, expected} <- [
          elixir_scope: "got: :elixir_scope, which must not record itself. Take it out",
          logger:
            "got: :logger, which is a part of Erlang or Elixir. Take it out, and instrument its modules while they run",
          wrogn: "got: :wrogn, which is neither. Correct its name, or take it out"
        ] do
      configure(shop, "[apps: [#{inspect(app)}]]")
      assert {output, 1} = mix(shop, ["compile"])

      assert output =~
               "config :elixir_scope, instrument: expected apps: to name :shop or its dependencies, " <>
                 expected
    end
  end

  defp ebin(shop), do: Path.join(shop, "_build/dev/lib/tiny/ebin")

  defp beams(shop) do
    for file <- Path.wildcard(Path.join(ebin(shop), "*.beam")),
        into: %{},
        do: {Path.basename(file), File.read!(file)}
  end
end
