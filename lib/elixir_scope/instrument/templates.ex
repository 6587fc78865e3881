# Functions that are templates of Phoenix: what `~H` and `.heex` files become, and the function around one that declared
# attributes make (`attr :name, :string, default: ""`). Most of what an application does between a request and its answer is
# calls of these and of the anonymous functions in them, with all assigns in and the rendered page out, again at each level. What they were given
# is seen where it was assigned.
defmodule ElixirScope.Instrument.Templates do
  @moduledoc false

  @rendered Phoenix.LiveView.Rendered

  @doc "The templates among the definitions of a module, as Elixir keeps them in the debug information, sorted."
  @spec find([tuple()]) :: [{atom(), arity()}]
  def find(definitions) do
    functions =
      for {{_, 1} = function, kind, _, clauses} <- definitions, kind in [:def, :defp], do: {function, clauses}

    written = for {function, clauses} <- functions, has?(clauses, &rendered?/1), do: function
    others = Enum.reject(functions, fn {function, _} -> function in written end)
    Enum.sort(written ++ around(others, written))
  end

  # Each layer of overriding is around the one before.
  defp around(_functions, []), do: []

  defp around(functions, inner) do
    found = for {function, clauses} <- functions, has?(clauses, &calls_overridden?(&1, inner)), do: function
    found ++ around(Enum.reject(functions, fn {function, _} -> function in found end), found)
  end

  defp has?(clauses, wanted?) do
    Enum.any?(clauses, fn {_, _, _, body} -> body |> Macro.prewalker() |> Enum.any?(wanted?) end)
  end

  defp rendered?({:%, _, [@rendered, {:%{}, _, _}]}), do: true
  defp rendered?(_node), do: false

  defp calls_overridden?({:super, meta, [_]}, inner) when is_list(meta) do
    case meta[:super] do
      {_kind, name} -> {name, 1} in inner
      _other -> false
    end
  end

  defp calls_overridden?(_node, _inner), do: false
end
