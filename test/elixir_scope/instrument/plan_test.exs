defmodule ElixirScope.Instrument.PlanTest do
  use ExUnit.Case, async: true
  doctest ElixirScope.Instrument.Plan

  alias ElixirScope.Instrument.{Options, Plan}

  defp forms(functions, attributes \\ []) do
    [{:attribute, 1, :module, :sample}] ++
      for({name, value} <- attributes, do: {:attribute, 1, name, value}) ++
      for {name, arity} <- functions, do: {:function, 1, name, arity, []}
  end

  test "every function that is left out has its reason" do
    functions = ["MACRO-m": 2, __info__: 1, __struct__: 0, a: 1, b: 1, c: 1, _d: 1]
    options = Options.new!(only: [:a, :b, :_d], except: [b: 1])
    plan = Plan.new(forms(functions), options, %{{:a, 1} => "why not"})

    assert plan.roles == %{{:_d, 1} => :function}

    assert plan.skipped == %{
             {:"MACRO-m", 2} => :macro,
             {:__info__, 1} => :reserved_name,
             {:__struct__, 0} => :reserved_name,
             {:a, 1} => {:unable, "why not"},
             {:b, 1} => :excluded,
             {:c, 1} => :not_in_only
           }

    for {_function, reason} <- plan.skipped, do: assert(is_binary(Plan.explain(reason)))
  end

  test "callbacks of GenServer have a role of their own, in a GenServer only" do
    functions = [init: 1, handle_call: 3, handle_cast: 2, code_change: 3, handle_call: 2]

    for behaviour <- [[behaviour: GenServer], [behavior: [:gen_server]]] do
      assert Plan.new(forms(functions, behaviour), %Options{}).roles == %{
               {:init, 1} => :init,
               {:handle_call, 3} => {:callback, 3},
               {:handle_cast, 2} => {:callback, 2},
               {:code_change, 3} => {:callback, 2},
               {:handle_call, 2} => :function
             }
    end

    for {attributes, options} <- [{[behaviour: Other], []}, {[behaviour: GenServer], [state: false]}] do
      roles = Plan.new(forms(functions, attributes), Options.new!(options)).roles
      assert Enum.uniq(Map.values(roles)) == [:function]
    end
  end
end
