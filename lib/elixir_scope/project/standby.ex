# Rewritten dependencies are also used where this library is not at hand: Mix compiles each dependency with nothing but
# its own ones in sight, and what it calls while it compiles (macros of another, rewritten, dependency) must then work
# as written. So their question to the gate has an answer also when there is no gate.
defmodule ElixirScope.Project.Standby do
  @moduledoc false

  alias ElixirScope.Gate

  @doc "Each function that asks the gate takes its absence for a no."
  @spec add([tuple()]) :: [tuple()]
  def add(forms), do: Enum.map(forms, &form/1)

  defp form({:function, a, name, arity, [{:clause, b, args, [], [{:case, c, asked, cases}]}]} = form) do
    case asked do
      {:call, anno, {:remote, _, {:atom, _, Gate}, {:atom, _, :on}}, []} ->
        {:function, a, name, arity, [{:clause, b, args, [], [{:case, c, safely(asked, anno), cases}]}]}

      _not_rewritten ->
        form
    end
  end

  defp form(form), do: form

  # try Gate:on() catch error:undef -> false end
  defp safely(asked, anno) do
    undef = {:tuple, anno, [{:atom, anno, :error}, {:atom, anno, :undef}, {:var, anno, :_}]}
    {:try, anno, [asked], [], [{:clause, anno, [undef], [], [{:atom, anno, false}]}], []}
  end
end
