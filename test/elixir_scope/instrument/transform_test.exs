defmodule ElixirScope.Instrument.TransformTest do
  # Erlang text in, Erlang text out.
  use ExUnit.Case, async: true
  doctest ElixirScope.Instrument.Transform

  import ElixirScope.ErlangText, only: [forms: 1]

  alias ElixirScope.Instrument.{Options, Transform}

  @header "-module(m). -compile(export_all). "

  # The printed function, its blanks squeezed, sites and the library's own names shortened.
  defp rewritten(text, options \\ []) do
    {forms, _report} = Transform.run(forms(@header <> text), Options.new!(options))
    {:ok, _} = compile(forms)

    forms
    |> Enum.find(&match?({:function, _, _, _, _}, &1))
    |> :erl_pp.form()
    |> IO.chardata_to_string()
    |> String.replace("'Elixir.ElixirScope.", "'")
    |> String.replace(~r/'(Gate|Native|Capture)'/, "\\1")
    |> String.replace(~r/\s+/, " ")
    |> String.replace(
      ~r/\{\d+, \d+, m, \w+, \d, <<[\d, ]*>>, 1, 0, function, 0, 0, \[\](, \[[^{}]*\])?\}/,
      "Site"
    )
    |> String.replace(
      ~r/\{\d+, \d+, m, '\w+\/\d-fn-\d', \d, <<[\d, ]*>>, 1, 0, fn, 0, 0, \[\](, \[[^{}]*\])?\}/,
      "FnSite"
    )
    |> String.replace("erlang:error", "error")
    |> String.trim()
  end

  defp compile(forms) do
    case :compile.noenv_forms(forms, [:binary, :return_errors]) do
      {:ok, :m, binary} -> {:ok, binary}
      {:ok, :m, binary, _warnings} -> {:ok, binary}
      other -> other
    end
  end

  # The part behind the arguments of enter, where the recorded branch begins.
  defp recorded(text, options \\ []) do
    introduced = "ScopeUnknown -> Capture:introduce(ScopeUnknown, []) end, "
    [_off, on] = String.split(rewritten(text, options), introduced, parts: 2)
    on
  end

  test "the whole of a small function" do
    assert rewritten("f(X, 1) when X > 0 -> X.") ==
             "f(ScopeA1, ScopeA2) -> case Gate:on() of " <>
               "false -> case {ScopeA1, ScopeA2} of {X, 1} when X > 0 -> X; " <>
               "_ -> Capture:unmatched(Site), error(function_clause, [ScopeA1, ScopeA2]) end; " <>
               "_ -> case Native:enter(Site, ScopeA1, ScopeA2) of ok -> ok; " <>
               "ScopeUnknown -> Capture:introduce(ScopeUnknown, []) end, " <>
               "try case {ScopeA1, ScopeA2} of {X, 1} when X > 0 -> X; " <>
               "_ -> Capture:unmatched(Site), error(function_clause, [ScopeA1, ScopeA2]) end " <>
               "of ScopeValue -> Native:leave(Site, ScopeValue) " <>
               "catch ScopeKind:ScopeReason:ScopeStack -> Native:raised(Site, ScopeKind, ScopeReason, ScopeStack), " <>
               "erlang:raise(ScopeKind, ScopeReason, ScopeStack) end end."
  end

  test "a local tail call leaves the frame first; its arguments are evaluated inside" do
    assert recorded("f(X) -> f(X + 1).") ==
             "try case {ScopeA1} of {X} -> {1, X + 1} end of {0, ScopeValue} -> Native:leave(Site, ScopeValue); " <>
               "ScopeEnded -> case Native:tail(Site, ScopeEnded) of {1, Scope0} -> f(Scope0) end " <>
               "catch ScopeKind:ScopeReason:ScopeStack -> Native:raised(Site, ScopeKind, ScopeReason, ScopeStack), " <>
               "erlang:raise(ScopeKind, ScopeReason, ScopeStack) end end."
  end

  test "a tail call into other code is wrapped as long as the chain allows" do
    assert recorded("f(X) -> lists:map(g(X), [X]). g(X) -> X.") ==
             "ScopeChain = Capture:chain(), try case {ScopeA1} of {X} -> " <>
               "begin Scope0 = g(X), Scope1 = [X], case ScopeChain < 256 of " <>
               "true -> Capture:wrap(ScopeChain), Scope2 = lists:map(Scope0, Scope1), " <>
               "Capture:unwrap(ScopeChain), {0, Scope2}; " <>
               "false -> {-1, Scope0, Scope1} end end end " <>
               "of {0, ScopeValue} -> Native:leave(Site, ScopeValue); " <>
               "ScopeEnded -> case Native:tail(Site, ScopeEnded) of {-1, Scope3, Scope4} -> lists:map(Scope3, Scope4) end " <>
               "catch ScopeKind:ScopeReason:ScopeStack -> Capture:unwrap(ScopeChain), " <>
               "Native:raised(Site, ScopeKind, ScopeReason, ScopeStack), " <>
               "erlang:raise(ScopeKind, ScopeReason, ScopeStack) end end."
  end

  test "an anonymous function has a frame of its own, without a gate, only where recording is on" do
    [off, on] = String.split(rewritten("f(X) -> fun(1) -> X end."), "_ -> case Native:enter", parts: 2)
    assert off =~ "{X} -> fun(1) -> X end end;"

    assert on =~
             "{X} -> fun(ScopeFn1_A1) -> case Native:enter(FnSite, ScopeFn1_A1) of ok -> ok; " <>
               "ScopeFn1_Unknown -> Capture:introduce(ScopeFn1_Unknown, []) end, try case {ScopeFn1_A1} of {1} -> X; " <>
               "_ -> Capture:unmatched(FnSite), error(function_clause, [ScopeFn1_A1]) end " <>
               "of ScopeFn1_Value -> Native:leave(FnSite, ScopeFn1_Value) catch " <>
               "ScopeFn1_Kind:ScopeFn1_Reason:ScopeFn1_Stack -> " <>
               "Native:raised(FnSite, ScopeFn1_Kind, ScopeFn1_Reason, ScopeFn1_Stack), " <>
               "erlang:raise(ScopeFn1_Kind, ScopeFn1_Reason, ScopeFn1_Stack) end end end"
  end

  test "a tail call inside an anonymous function is its own, not that of the function around it" do
    code = recorded("f(X) -> fun() -> f(X) end.")
    assert code =~ "try case {} of {} -> {1, X} end of {0, ScopeFn1_Value}"
    assert code =~ "of ScopeValue -> Native:leave(Site, ScopeValue)"
  end

  test "callbacks hand over their state and see every value" do
    server = "-behaviour(gen_server). "

    assert rewritten(server <> "handle_cast(M, S) -> g({M, S}). g(X) -> X.") =~
             "_ -> {ScopeServes, ScopeAnswer} = Capture:enter_callback(Site, [ScopeA1, ScopeA2], ScopeA2, {[gen_server], callback, answer}), case ScopeAnswer of"

    cast = rewritten(server <> "handle_cast(M, S) -> g({M, S}). g(X) -> X.")

    assert cast =~
             "true -> Capture:wrap(ScopeChain), Scope1 = g(Scope0), Capture:unwrap(ScopeChain), {0, Scope1};"

    assert cast =~ "{0, ScopeValue} -> Capture:leave_callback(Site, ScopeServes, ScopeValue)"

    init = rewritten(server <> "init(X) -> {ok, X}.", returns: false)

    assert init =~
             "_ -> {ScopeServes, ScopeAnswer} = Capture:enter_init(Site, [ScopeA1], {[gen_server], init, started}), case ScopeAnswer of"

    assert init =~ "ScopeValue -> Capture:leave_callback(Site, ScopeServes, ScopeValue)"

    for text <- ["handle_cast(_, S) -> {noreply, S}.", "init(X) -> {ok, X}."] do
      assert rewritten(text) =~ "Native:enter(Site, "
      assert rewritten(server <> text, state: false) =~ "Native:enter(Site, "
    end
  end

  test "args: false and returns: false" do
    code = rewritten("f(X) -> X.", args: false, returns: false)
    assert code =~ "case Native:enter_bare(Site) of"
    assert code =~ "ScopeValue -> begin Native:left(Site), ScopeValue end"
  end

  test "names that the function already uses are avoided" do
    assert rewritten("f(Scope0, ScopeA1) -> g({Scope0, ScopeA1}). g(X) -> X.") =~ "f(Scope_A1, Scope_A2) -> "
  end

  # What stands in tail position: {code, tags that stand in the rewritten code}. Tag 0 is a plain value.
  @positions [
    {"f(X) -> X.", []},
    {"f(X) -> X + 1.", []},
    {"f(X) -> length(X).", []},
    {"f(X) -> erlang:length(X).", []},
    {"f(X) -> erlang:error(X).", []},
    {"f(X) -> [f(X)].", []},
    {"f(X) -> f(X), X.", []},
    {"f(X) -> try f(X) of Y -> Y catch _:_ -> X end.", []},
    {"f(X) -> try X of Y -> f(Y) catch _:_ -> X after g(X) end. g(X) -> X.", []},
    {"f(X) -> (catch f(X)).", []},
    {"f(X) -> X = f(X).", []},
    {"f(X) -> {ok, _} = f(X).", []},
    {"f(X) -> begin g(1), f(X) end. g(X) -> X.", [1]},
    {"f(X) -> case f(X) of 1 -> X; _ -> f(X) end.", [0, 1]},
    {"f(X) -> if X > 1 -> f(X); true -> X end.", [0, 1]},
    {"f(X) -> receive X -> f(X) after 1 -> X end.", [0, 1]},
    {"f(X) -> receive X -> X after X -> f(X) end.", [0, 1]},
    {"f(X) -> receive X -> f(X) end.", [1]},
    {"f(X) -> try g(X) of Y -> f(Y) catch _:_ -> X end. g(X) -> X.", [0, 1]},
    {"f(X) -> try g(X) catch _:_ -> f(X) end. g(X) -> X.", [0, 1]},
    {"f(X) -> X andalso f(X).", [0, 1]},
    {"f(X) -> X orelse f(X).", [0, 1]},
    {"f(X) -> Y = f(X).", [1]},
    {"f(X) -> _ = f(X).", [1]},
    {"f(X) -> (fun(Y) -> f(Y) end)(X).", [1]},
    {"f(X) -> (fun f/1)(X).", [1]},
    {"f(X) -> m:f(X).", [1]},
    {"f(X) -> case X of 1 -> g(X); 2 -> f(X); 3 -> g(3) end. g(X) -> X.", [1, 2]},
    {"f(X) -> erlang:hibernate(m, f, [X]).", [-1]},
    {"f(X) -> proc_lib:hibernate(m, f, [X]).", [-1]},
    {"f(X) -> lists:reverse(X).", [-1, 0]},
    {"f(X) -> X:f(X).", [-1, 0]},
    {"f(X) -> X(X).", [-1, 0]},
    {"f(X) -> apply(m, f, X).", [-1, 0]},
    {"f(X) -> erlang:apply(X, X).", [-1, 0]}
  ]

  for {text, tags} <- @positions do
    test "tail position: #{text}" do
      code = rewritten(unquote(text))
      [_off, on] = String.split(code, "try", parts: 2)
      [body | _] = String.split(on, "of {0, ScopeValue}")
      tags = for [_, tag] <- Regex.scan(~r/\{(-?\d)(?:,|\})/, body), uniq: true, do: String.to_integer(tag)
      assert {Enum.sort(tags), code =~ "{0, ScopeValue}"} == {unquote(tags), unquote(tags != [])}
    end
  end

  test "a call of a function that is not instrumented is wrapped, since nobody else sees its return" do
    assert rewritten("f(X) -> g(X). g(X) -> X.", except: [:g]) =~ "Scope0 = g(X)"
    assert rewritten("f(X) -> m:g(X). g(X) -> X.", except: [:g]) =~ "Scope0 = m:g(X)"
  end

  describe "run" do
    defp call(text, args, options \\ []) do
      {forms, _} =
        Transform.run(forms("-module(scope_run). -export([f/1, f/2]). " <> text), Options.new!(options))

      {:ok, :scope_run, binary} = :compile.noenv_forms(forms, [:binary, :return_errors])
      {:module, :scope_run} = :code.load_binary(:scope_run, ~c"nofile", binary)

      try do
        apply(:scope_run, :f, args)
      catch
        kind, reason -> {kind, reason}
      after
        :code.purge(:scope_run)
        :code.delete(:scope_run)
      end
    end

    test "operators keep their errors" do
      for {operator, x, expected} <- [
            {"andalso", true, :last},
            {"andalso", false, false},
            {"andalso", 1, {:error, {:badarg, 1}}},
            {"orelse", true, true},
            {"orelse", false, :last},
            {"orelse", 1, {:error, {:badarg, 1}}}
          ] do
        text = "f(X) -> X #{operator} f(X, last). f(_, Y) -> Y."
        assert {operator, x, call(text, [x])} == {operator, x, expected}
      end
    end

    test "maybe" do
      # Written as forms: the text needs a feature switch on OTP 25.
      var = fn name -> {:var, 1, name} end
      tuple = fn tag, name -> {:tuple, 1, [{:atom, 1, tag}, var.(name)]} end
      match = {:maybe_match, 1, tuple.(:ok, :Y), var.(:X)}
      call = {:call, 1, {:atom, 1, :f}, [var.(:Y), {:atom, 1, :last}]}
      else_clause = {:clause, 1, [{:tuple, 1, [{:atom, 1, :error}, var.(:E)]}], [], [var.(:E)]}
      else_call = {:clause, 1, [var.(:E)], [], [{:call, 1, {:atom, 1, :f}, [var.(:E), {:atom, 1, :else}]}]}
      [module, export, second] = forms("-module(scope_maybe). -export([f/1, f/2]). f(X, Y) -> {X, Y}.")

      for {expr, results} <- [
            {{:maybe, 1, [match, call]}, [{1, :last}, {:error, 2}]},
            {{:maybe, 1, [match, call], {:else, 1, [else_clause]}}, [{1, :last}, 2]},
            {{:maybe, 1, [match], {:else, 1, [else_call]}}, [{:ok, 1}, {{:error, 2}, :else}]},
            {{:maybe, 1, [match, var.(:Y)], {:else, 1, [else_call]}}, [1, {{:error, 2}, :else}]}
          ] do
        first = {:function, 1, :f, 1, [{:clause, 1, [var.(:X)], [], [expr]}]}
        {forms, _} = Transform.run([module, export, first, second], %Options{})
        {:ok, :scope_maybe, binary} = :compile.noenv_forms(forms, [:binary, :return_errors])
        {:module, _} = :code.load_binary(:scope_maybe, ~c"nofile", binary)
        assert Enum.map([{:ok, 1}, {:error, 2}], &apply(:scope_maybe, :f, [&1])) == results
      end
    after
      :code.purge(:scope_maybe)
      :code.delete(:scope_maybe)
    end
  end

  describe "what is left alone" do
    test "a function that cannot be rewritten, and then its callers know" do
      # No parser gives such an annotation.
      broken = {:function, 2, :g, 1, [{:clause, :nowhere, [{:var, 2, :X}], [], [{:var, 2, :X}]}]}
      forms = forms(@header <> "f(X) -> g(X).") ++ [broken]
      {rewritten, report} = Transform.run(forms, %Options{})

      assert List.last(rewritten) == broken
      assert report.instrumented == [f: 1]
      assert %{{:g, 1} => {:unable, text}} = report.skipped
      assert is_binary(text)
      assert rewritten |> Enum.at(2) |> inspect(limit: :infinity) =~ ":wrap"
    end

    test "every other form; options of the compiler lose what would start the hook again" do
      compile =
        {:attribute, 1, :compile,
         [:inline, {:core_transform, :x}, {:elixir_scope, []}, {:no_auto_import, []}]}

      other = {:attribute, 1, :kept, [1]}
      {forms, _} = Transform.run([{:attribute, 1, :module, :m}, compile, other], %Options{})

      assert forms == [
               {:attribute, 1, :module, :m},
               {:attribute, 1, :compile, [:inline, {:no_auto_import, []}]},
               other
             ]
    end
  end

  test "what clauses call the arguments stands in the site, and a site without such names is as it was" do
    site = fn text ->
      {forms, _report} = Transform.run(forms(@header <> text), %Options{})
      {:function, _, :f, _, _} = form = List.keyfind(forms, :function, 0)
      [[_, args]] = Regex.scan(~r/function,0,0,\[\](?:,(\[[^{}]*\]))?\}/, printed(form)) |> Enum.uniq()
      args
    end

    assert site.(~S|f(Password, {login, _Name, 1}, #{k := V}, [H]) -> {Password, V, H}.|) ==
             "[['Password'],['Name'],[],[]]"

    assert site.("f(X) when X > 0 -> X; f(Y) -> Y.") == "[['X','Y']]"
    {forms, _report} = Transform.run(forms(@header <> ~S|f([H], #{k := V}) -> {H, V}.|), %Options{})
    assert printed(List.keyfind(forms, :function, 0)) =~ "function,0,0,[]}"
  end

  defp printed(form), do: form |> :erl_pp.form() |> IO.chardata_to_string() |> String.replace(~r/\s+/, "")

  describe "process_flag" do
    test "is followed where it may be about the flag sensitive" do
      for call <- ["process_flag(sensitive, X)", "erlang:process_flag(sensitive, X)"] do
        assert recorded("f(X) -> #{call}.") =~
                 "{X} -> begin ScopeV0_R = process_flag(sensitive, X), Capture:flagged(sensitive, X), ScopeV0_R end"
      end

      assert recorded("f(X) -> {ok, process_flag(g(X), h(X))}. g(X) -> X. h(X) -> X.") =~
               "{ok, begin ScopeV0_0 = g(X), ScopeV0_1 = h(X), ScopeV0_R = process_flag(ScopeV0_0, ScopeV0_1), " <>
                 "Capture:flagged(ScopeV0_0, ScopeV0_1), ScopeV0_R end}"

      assert recorded("f(X) -> apply(erlang, process_flag, X).") =~
               "begin ScopeV0_R = apply(erlang, process_flag, X), Capture:flagged(X), ScopeV0_R end"
    end

    test "is left alone where it is not" do
      for call <- [
            "process_flag(trap_exit, X)",
            "process_flag(X, save_calls, 0)",
            "erlang:apply(erlang, self, X)"
          ] do
        refute rewritten("f(X) -> #{call}.") =~ "flagged"
      end

      own = "-compile({no_auto_import, [process_flag/2]}). process_flag(_, X) -> X. "
      refute rewritten(own <> "f(X) -> process_flag(sensitive, X).", only: [:f]) =~ "flagged"
    end
  end

  test "a counted function is as written, with the count before each clause" do
    counts =
      "case Gate:on() of false -> ok; _ -> case Native:count(Counted) of ok -> ok; " <>
        "ScopeUnknown -> Capture:introduce(ScopeUnknown, []) end end"

    code = rewritten("f(0) -> done; f(X) when X > 0 -> f(X - 1).", count: [:f])
    counted = ~r/\{\d+, \d+, m, f, 1, <<[\d, ]*>>, 1, 0, counted, 0, 0, \[\]\}/

    assert Regex.replace(counted, code, "Counted") ==
             "f(0) -> #{counts}, done; f(X) when X > 0 -> #{counts}, f(X - 1)."
  end

  test "the text of the source stands once, in a function of its own" do
    source = ElixirScope.Instrument.Source.new("f(X) -> g(X). g(X) -> X.")

    {forms, _report} =
      Transform.run(forms(@header <> "f(X) -> g(X). g(X) -> X."), %Options{}, %{"nofile" => source})

    assert {:function, _, :"-elixir_scope_sources-", 0, _} = List.last(forms)
    {:ok, binary} = compile(forms)
    {_digest, packed} = source
    {:ok, {:m, [{_, <<_size::32, table::binary>>}]}} = :beam_lib.chunks(binary, [~c"LitT"])
    table = if match?(<<0::32, _::binary>>, table), do: table, else: unpacked(table)
    assert [{_, _}] = :binary.matches(table, packed)
  end

  defp unpacked(table) do
    :zlib.uncompress(table)
  rescue
    # Since OTP 28 it is stored as it is.
    ErlangError -> table
  end
end
