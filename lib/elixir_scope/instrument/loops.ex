# Hot inner loops: small private functions that do nothing but call themselves and compute. They make most of the
# events and say least; whoever called them records the arguments and the result.
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
      for {function, :defp, _, clauses} <- definitions, loop?(function, clauses, defined), do: function
    )
  end

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
