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

  defp where(functions, attributes, options \\ %Options{}) do
    roles = Plan.new(forms(functions, attributes), options).roles
    for {function, {:callback, where, _callback}} <- roles, into: %{}, do: {function, where}
  end

  test "callbacks of a server have a role of their own, in a server only" do
    functions = [init: 1, handle_call: 3, handle_cast: 2, code_change: 3, handle_call: 2]
    found = %{{:init, 1} => :nowhere, {:handle_call, 3} => 3, {:handle_cast, 2} => 2, {:code_change, 3} => 2}

    for behaviour <- [[behaviour: GenServer], [behavior: [:gen_server]]],
        do: assert(where(functions, behaviour) == found)

    assert where(functions, behaviour: Other) == %{}
  end

  test "with state: false no kind of server has callbacks" do
    functions = [init: 1, handle_call: 3, handle_event: 4, handle_demand: 2, mount: 3, open: 3]
    options = Options.new!(state: false)

    for behaviour <- [GenServer, :gen_statem, GenStage, Phoenix.LiveView, Phoenix.Channel],
        do: assert(where(functions, [behaviour: behaviour, export: functions], options) == %{})
  end

  test "the states of a state machine are its exported functions of three arguments, where states are functions" do
    functions = [open: 3, hidden: 3, handle_event: 4, terminate: 3]
    machine = [behaviour: :gen_statem, export: [open: 3, handle_event: 4, terminate: 3]]
    common = %{{:handle_event, 4} => [3, 4], {:terminate, 3} => [2, 3]}
    assert where(functions, machine) == Map.put(common, {:open, 3}, [:function, 3])

    mode_form = fn mode ->
      {:function, 1, :callback_mode, 0, [{:clause, 1, [], [], [:erl_parse.abstract(mode)]}]}
    end

    roles = fn mode ->
      Plan.new(forms(functions, machine) ++ [mode_form.(mode)], %Options{}).roles |> Map.fetch!({:open, 3})
    end

    assert {:callback, [:function, 3], _} = roles.([:state_functions, :state_enter])
    assert roles.([:handle_event_function, :state_enter]) == :function
  end
end
