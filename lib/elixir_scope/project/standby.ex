# Rewritten dependencies are also used where this library is not at hand: Mix compiles each dependency with nothing but
# its own ones in sight, and what it calls while it compiles (macros of another, rewritten, dependency) must then work
# as written. So their question to the gate has an answer also when there is no gate.
defmodule ElixirScope.Project.Standby do
  @moduledoc false

  alias ElixirScope.Gate

  @doc "Each function that asks the gate takes its absence for a no."
  @spec add([tuple()]) :: [tuple()]
  def add(forms), do: Enum.map(forms, &form/1)

  # A frame asks in its only clause, a counted function at the beginning of each.
  defp form({:function, anno, name, arity, clauses}),
    do: {:function, anno, name, arity, Enum.map(clauses, &clause/1)}

  defp form(form), do: form

  defp clause(
         {:clause, anno, args, guards,
          [{:case, place, {:call, called, {:remote, _, module, name}, []} = asked, cases} | rest]} = clause
       ) do
    case {module, name} do
      {{:atom, _, Gate}, {:atom, _, :on}} ->
        {:clause, anno, args, guards, [{:case, place, safely(asked, called), cases} | rest]}

      _not_rewritten ->
        clause
    end
  end

  defp clause(clause), do: clause

  # try Gate:on() catch error:undef -> false end
  defp safely(asked, anno) do
    undef = {:tuple, anno, [{:atom, anno, :error}, {:atom, anno, :undef}, {:var, anno, :_}]}
    {:try, anno, [asked], [], [{:clause, anno, [undef], [], [{:atom, anno, false}]}], []}
  end
end
