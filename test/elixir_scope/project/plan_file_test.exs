defmodule ElixirScope.Project.PlanFileTest do
  use ExUnit.Case, async: true

  alias ElixirScope.Project.{PlanFile, Rules, Selection}

  doctest ElixirScope.Project.PlanFile

  test "what is written is read back, and formatted" do
    long = [except: for(n <- 1..40, do: {:"function_#{n}", n})]
    entries = [{Shop.Web, false, "plug: x"}, {Shop.Cart, long, "GenServer: y"}, {:erl, true, "z"}]
    text = PlanFile.format(entries)

    assert PlanFile.parse(text) == {:ok, %{Shop.Cart => long, Shop.Web => false, :erl => true}}
    assert text =~ "  # plug: x\n  Shop.Web => false"
    assert text |> String.split("\n") |> Enum.all?(&(String.length(&1) <= 120))
    assert PlanFile.parse(PlanFile.format([])) == {:ok, %{}}
  end

  test "a file that is not in order" do
    for {text, expected} <- [
          {"%{Shop => ", "it does not evaluate: "},
          {"raise \"no\"", "it does not evaluate: no"},
          {"throw(:no)", "it does not evaluate: ** (throw) :no"},
          {"[]", "expected a map of modules, %{Shop.Cart => true}, got: []"},
          {"%{\"Shop\" => true}", "expected modules as keys, got: \"Shop\""},
          {"%{Shop => [args: 1]}", "Shop: use ElixirScope: expected args: to be true or false, got: 1"}
        ] do
      assert {:error, "scope.plan.exs: " <> message} = PlanFile.parse(text)
      assert message =~ expected
      assert message =~ "Correct the file, or delete it and run mix scope.plan --write"
    end
  end

  test "a plan that no longer fits says which modules it is about" do
    {:ok, selection} = Selection.new(except: [Shop.Left])
    rules = %Rules{selection: selection, plan: %{Shop => true, Shop.Gone => false}}

    assert [gone, unknown] =
             Rules.stale(rules, [Shop, Shop.Left, Shop.New, Shop.Struct], &(&1 != Shop.Struct))

    assert gone =~
             "scope.plan.exs names modules that do not exist (any more): Shop.Gone. Run mix scope.plan --write"

    assert unknown =~
             "scope.plan.exs does not know these modules, which are recorded by their kind: Shop.New. Run"

    assert Rules.stale(%{rules | plan: nil}, [Shop], fn _ -> true end) == []
    assert Rules.stale(%{rules | plan: %{Shop => true}}, [Shop], fn _ -> true end) == []
  end
end
