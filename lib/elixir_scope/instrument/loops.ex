# Hot inner loops, of two kinds. Small private functions that do nothing but call themselves and compute; and private
# functions that read a binary piece by piece and hand on the rest, as parsers do. They make most of the events and say
# least; whoever called them records the arguments and the result. The second kind is also what a frame costs most, since
# the compiler can no longer read on where it stopped, but makes a new binary of each rest.
defmodule ElixirScope.Instrument.Loops do
  @moduledoc false

  alias ElixirScope.Instrument.Purity

  # Nodes of expanded code. A loop over a list with an accumulator has about 20; beyond this there is something to see.
  @small 80

  @doc "The hot inner loops among the definitions of a module, as Elixir keeps them in the debug information, sorted."
  @spec find([tuple()]) :: [{atom(), arity()}]
  def find(definitions) do
    defined = for {function, _, _, _} <- definitions, do: function

    Enum.sort(
      for {function, :defp, _, clauses} <- definitions,
          loop?(function, clauses, defined) or reader?(clauses, defined),
          do: function
    )
  end

  # Whether any clause takes a binary apart and calls a function of the module with the rest of it.
  defp reader?(clauses, defined) do
    Enum.any?(clauses, fn {_, args, _, body} ->
      case args |> nodes() |> Enum.flat_map(&rest/1) do
        [] -> false
        rests -> body |> nodes() |> Enum.any?(&(local_call(&1, defined) != [] and hands_on?(&1, rests)))
      end
    end)
  end

  defp rest({:<<>>, _, [_, _ | _] = segments}) do
    case List.last(segments) do
      {:"::", _, [{_name, _, context} = variable, {kind, _, _}]}
      when is_atom(context) and kind in [:binary, :bitstring, :bits, :bytes] ->
        [variable(variable)]

      _no_rest ->
        []
    end
  end

  defp rest(_node), do: []

  defp hands_on?({_name, _, args}, rests) do
    Enum.any?(args, fn
      {name, _, context} = variable when is_atom(name) and is_atom(context) -> variable(variable) in rests
      _other -> false
    end)
  end

  # Two variables of one name, of which a macro made one, differ in their counter.
  defp variable({name, meta, context}), do: {name, meta[:counter], meta[:version], context}

  defp loop?(function, clauses, defined) do
    bodies = for {_, _, _, body} <- clauses, do: body
    code = for {_, args, guards, body} <- clauses, do: [args, guards, body]
    calls = bodies |> nodes() |> Enum.flat_map(&local_call(&1, defined)) |> Enum.uniq()

    calls == [function] and length(nodes(code)) <= @small and Purity.pure?(bodies) and
      not Enum.any?(nodes(bodies), &fun?/1)
  end

  defp nodes(code) do
    {_, nodes} = Macro.prewalk(code, [], &{&1, [&1 | &2]})
    Enum.filter(nodes, &is_tuple/1)
  end

  defp local_call({name, _, args}, defined) when is_atom(name) and is_list(args) do
    if {name, length(args)} in defined, do: [{name, length(args)}], else: []
  end

  defp local_call(_node, _defined), do: []

  # What a fun does is not known here.
  defp fun?({:fn, _, _}), do: true
  defp fun?({:&, _, _}), do: true
  defp fun?({{:., _, [_fun]}, _, _}), do: true
  defp fun?(_node), do: false
end
