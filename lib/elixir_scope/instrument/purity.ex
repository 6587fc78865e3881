# Whether expanded code is without side effects, as far as reading tells. Only what is known to be harmless counts as
# such, so the answer may be "no" for code that has none; it must never be "yes" for code that has some.
defmodule ElixirScope.Instrument.Purity do
  @moduledoc false

  @modules [Access, Bitwise, Enum, Float, Integer, Kernel, Keyword, List, Map, MapSet, Range, Regex, Stream] ++
             [String, String.Chars, Tuple, URI, Version] ++
             [:binary, :lists, :maps, :math, :ordsets, :queue, :string, :unicode]
  # They draw from the process's random numbers.
  @random [:random, :shuffle, :take_random]
  @bifs [:++, :--, :andalso, :append, :error, :max, :min, :orelse, :phash2, :raise, :setelement, :throw]
  # Guards all, but their answer depends on where they are asked.
  @placed [:node, :self]

  @doc """
  Whether nothing in the code sends, receives, or calls a function that may.

      iex> ElixirScope.Instrument.Purity.pure?(quote do: :erlang.+(x, Map.get(y, :z)))
      true
      iex> ElixirScope.Instrument.Purity.pure?(quote do: :erlang.send(x, 1))
      false
  """
  @spec pure?(Macro.t()) :: boolean()
  def pure?(code) do
    {_, pure?} = Macro.prewalk(code, true, fn node, pure? -> {node, pure? and harmless?(node)} end)
    pure?
  end

  defp harmless?({:receive, _, _}), do: false
  defp harmless?({{:., _, [:erlang, name]}, _, _}), do: bif?(name)

  defp harmless?({{:., _, [Enum, name]}, _, _}) when name in @random, do: false
  # A part of `raise`.
  defp harmless?({{:., _, [module, :exception]}, _, [_]}) when is_atom(module), do: true
  defp harmless?({{:., _, [module, _name]}, _, _}) when is_atom(module), do: module in @modules
  # In a quoted form that is not expanded.
  defp harmless?({{:., _, [{:__aliases__, _, parts}, _name]}, _, _}), do: Module.concat(parts) in @modules
  # Of a field (`cart.items`), or of a module that only the run will tell.
  defp harmless?({{:., _, [_computed, _name]}, meta, []}), do: meta[:no_parens] == true
  defp harmless?({{:., _, [_computed, _name]}, _, _}), do: false
  defp harmless?(_node), do: true

  defp bif?(name) when name in @placed, do: false

  defp bif?(name) do
    name in @bifs or String.contains?(Atom.to_string(name), "_to_") or
      Enum.any?(0..3, fn arity ->
        :erl_internal.guard_bif(name, arity) or :erl_internal.arith_op(name, arity) or
          :erl_internal.bool_op(name, arity) or :erl_internal.comp_op(name, arity)
      end)
  end
end
