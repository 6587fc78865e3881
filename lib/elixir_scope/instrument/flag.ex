# A process that sets its flag `sensitive` wants not to be looked at, and nothing tells the recorder of it but the call itself. So
# behind each call of `process_flag/2` that may be about that flag stands one of the recorder, which is told what was set:
#
#     process_flag(F, V)   ->   begin X = F, Y = V, R = process_flag(X, Y), Capture:flagged(X, Y), R end
#
# The call stays what it was: its arguments are evaluated once and in their order, what it raises leaves it from the same place with
# the same stack (a function of the VM keeps no tail position that it could lose), and its value is the value of all. `process_flag/3`
# has no such flag.
defmodule ElixirScope.Instrument.Flag do
  @moduledoc false

  alias ElixirScope.Capture
  alias ElixirScope.Instrument.{Plan, Syntax}

  @doc """
  The call with what follows it, or the call as it is. No variable of the function begins with the prefix.
  """
  @spec follow(Syntax.expr(), String.t(), Plan.t()) :: Syntax.expr()
  def follow({:call, anno, callee, args} = call, prefix, plan) do
    case told(callee, args, plan) do
      :nothing -> call
      told -> followed({:call, anno, callee, args}, told, prefix)
    end
  end

  # Which arguments of the call the recorder is told: by their places.
  defp told({:remote, _, {:atom, _, module}, {:atom, _, name}}, args, _plan), do: told({module, name}, args)

  defp told({:atom, _, name}, args, plan) do
    arity = length(args)

    if MapSet.member?(plan.defined, {name, arity}) or not :erl_internal.bif(name, arity),
      do: :nothing,
      else: told({:erlang, name}, args)
  end

  defp told(_computed, _args, _plan), do: :nothing

  defp told(flag, [{:atom, _, name}, _value])
       when flag in [{:erlang, :process_flag}, {Process, :flag}] and name != :sensitive,
       do: :nothing

  defp told(flag, [_flag, _value]) when flag in [{:erlang, :process_flag}, {Process, :flag}], do: [0, 1]

  defp told({:erlang, :apply}, [{:atom, _, module}, {:atom, _, name}, _args])
       when {module, name} in [{:erlang, :process_flag}, {Process, :flag}],
       do: [2]

  defp told(_other, _args), do: :nothing

  defp followed({:call, anno, callee, args}, told, prefix) do
    added = Syntax.generated(anno)

    {args, bound} =
      args
      |> Enum.with_index()
      |> Enum.map_reduce([], fn {arg, at}, bound ->
        if fixed?(arg) do
          {arg, bound}
        else
          name = {:var, added, :"#{prefix}#{at}"}
          {name, [{:match, added, name, arg} | bound]}
        end
      end)

    result = {:var, added, :"#{prefix}R"}
    set = {:match, added, result, {:call, anno, callee, args}}
    tell = Syntax.remote(added, Capture, :flagged, Enum.map(told, &Enum.at(args, &1)))
    {:block, added, Enum.reverse(bound) ++ [set, tell, result]}
  end

  defp fixed?({kind, _, _}), do: kind in [:atom, :var, :integer]
  defp fixed?(_expr), do: false
end
