defmodule ElixirScope.Project.SelectionTest do
  use ExUnit.Case, async: true

  alias ElixirScope.Project.Selection

  doctest ElixirScope.Project.Selection
  doctest ElixirScope.Project.Pattern
  doctest ElixirScope.Project.Rules

  defp selection(given) do
    {:ok, selection} = Selection.new(given)
    selection
  end

  test "what is not in order is named, with what was expected and what to write" do
    for {given, texts} <- [
          {:all, ["expected a keyword list, or false, got: :all", "Write for example"]},
          {[apps: :shop], ["expected apps: to be a list of applications, got: :shop"]},
          {[only: "Shop.*"], ["expected only: to be a list of modules and patterns, got: \"Shop.*\""]},
          {[only: [{Shop, :f}]], ["expected only:", "got: [{Shop, :f}]"]},
          {[except: Shop], ["expected except:", "got: Shop. Write"]},
          {[except: [Shop, 7]], ["expected except:", "got: 7. Write"]},
          {[except: [{Shop, :f, -1}]], ["expected except:", "got: {Shop, :f, -1}"]},
          {[except: [fn -> 1 end]], ["expected except:", "got: #Function"]},
          {[args: 1], ["expected args: to be true or false, got: 1"]},
          {[onyl: [Shop]], ["got: onyl: [Shop]. Remove or rename it"]}
        ] do
      assert {:error, "config :elixir_scope, instrument: " <> message} = Selection.new(given)
      for text <- texts, do: assert(message =~ text)
    end
  end

  test "functions in except: by name, with arity, and as captures" do
    selection = selection(except: [{Shop, :f}, {Shop, :g, 1}, &Map.put/3])
    assert Selection.options(selection, Shop) == [except: [:f, g: 1]]
    assert Selection.options(selection, Map, except: [:x]) == [except: [:x, put: 3]]
    assert Selection.reason(selection, Shop) == nil
  end

  test "options of the project, unless the plan file has others" do
    selection = selection(args: false, state: false)
    assert Enum.sort(Selection.options(selection, Shop, args: true)) == [args: true, state: false]
  end

  test "names that no module has" do
    selection = selection(only: [Shop, "Web.*"], except: [Shopp, {Shop.Crat, :add}])
    assert Selection.unmatched(selection, [Shop, Web.Page]) == [Shopp, Shop.Crat]
    assert Selection.unmatched(selection([]), [Shop]) == []
  end
end
