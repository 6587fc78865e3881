# Anonymous functions: which of those in the forms the user wrote, what they are called, and how a copy of one is
# made that can stand in a frame.
defmodule ElixirScope.Instrument.Closure do
  @moduledoc false

  alias ElixirScope.Instrument.{Pattern, Syntax}

  @doc """
  The name by which the anonymous function number `ordinal` of a function is recorded, its arity left out. Numbers
  count from 1, in the order of the forms, those inside others too; what other functions hold does not count. Of an `if`
  the forms hold the `else` first.

      iex> ElixirScope.Instrument.Closure.name({:total, 1}, 2)
      :"total/1-fn-2"
  """
  @spec name({atom(), arity()}, pos_integer()) :: atom()
  def name({function, arity}, ordinal), do: :"#{function}/#{arity}-fn-#{ordinal}"

  @doc """
  The function in which the one with this name stands; `nil` for names that are no such names.

      iex> ElixirScope.Instrument.Closure.around(:"total/1-fn-2")
      {:total, 1}
      iex> ElixirScope.Instrument.Closure.around(:total)
      nil
  """
  @spec around(atom()) :: {atom(), arity()} | nil
  def around(name) do
    case Regex.run(~r"\A(.+)/(\d{1,3})-fn-\d+\z"su, Atom.to_string(name)) do
      [_, function, arity] -> {String.to_atom(function), String.to_integer(arity)}
      nil -> nil
    end
  end

  @doc """
  Whether the compiler made a function that stands among the arguments of a call, out of a comprehension. It gives
  the function the place of the call itself, or, where places have no columns, an accumulator without a name.
  """
  @spec comprehension?(call :: Syntax.expr(), closure :: Syntax.expr()) :: boolean()
  def comprehension?(
        {:call, anno, {:remote, _, {:atom, _, Enum}, {:atom, _, name}}, _},
        {:fun, place, clauses}
      ) do
    made? =
      if :erl_anno.column(anno) == :undefined, do: accumulates?(name, clauses), else: same_place?(anno, place)

    name in [:map, :reduce] and made?
  end

  def comprehension?(_call, _fun), do: false

  @doc """
  Whether the compiler made a function, of which this is the match that names it, out of the `else` of a `with`, as Elixir
  1.18 and later do. Its name is the compiler's, and so is its place.
  """
  @spec otherwise?(pattern :: Syntax.expr(), right :: Syntax.expr()) :: boolean()
  def otherwise?({:var, _, name}, {:fun, anno, {:clauses, _}}),
    do: :erl_anno.generated(anno) and unnamed?(name)

  def otherwise?(_pattern, _right), do: false

  defp same_place?(anno, place) do
    :erl_anno.column(anno) != :undefined and :erl_anno.location(anno) == :erl_anno.location(place)
  end

  defp accumulates?(:reduce, {:clauses, clauses}) do
    Enum.all?(clauses, fn
      {:clause, _, [_element, {:var, anno, name}], _, _} -> unnamed?(name) and :erl_anno.line(anno) > 0
      _other -> false
    end)
  end

  defp accumulates?(_name, _clauses), do: false

  # `_acc` of the user has a name, and so has `_`. `&2` has none, but no line either.
  defp unnamed?(name), do: Atom.to_string(name) =~ ~r/\A_@?\d+\z/

  @doc """
  The variables that stand for `&1`, `&2` and so on in a function written with `&`. Some versions of Elixir name them
  `capture`, as a user may; but a clause stands at the very place of its function in such a function alone.
  """
  @spec numbered(closure :: Syntax.expr(), [tuple()]) :: [atom()]
  def numbered(closure, [{:clause, anno, patterns, _, _}]) do
    if same_place?(anno, elem(closure, 1)),
      do: for({:var, _, name} <- patterns, Syntax.user_name(name) == :capture, do: name),
      else: []
  end

  def numbered(_closure, _clauses), do: []

  @doc """
  The clauses with the names of their heads made new where those hide names around the function. A frame turns heads
  into patterns of a `case`, where a name that is bound already is compared, not hidden. `:error` when a head also
  reads a name that it hides.
  """
  @spec unhide([tuple()], MapSet.t(atom()), MapSet.t(atom())) :: {:ok, [tuple()], MapSet.t(atom())} | :error
  def unhide(clauses, around, taken) do
    Enum.reduce_while(clauses, {:ok, [], taken}, fn {:clause, _, patterns, _, _} = clause,
                                                    {:ok, done, taken} ->
      hidden = patterns |> Pattern.binds() |> Enum.filter(&(&1 in around))

      if Enum.any?(Pattern.reads(patterns), &(&1 in hidden)) do
        {:halt, :error}
      else
        {names, taken} = Enum.map_reduce(hidden, taken, &new_name/2)
        {:cont, {:ok, done ++ [Syntax.rename(clause, Map.new(names))], taken}}
      end
    end)
  end

  # It ends like Elixir's own names, so that the user's name is still to be read from it.
  defp new_name(name, taken) do
    base = name |> Atom.to_string() |> String.replace(~r/@\d+\z/, "")
    base = if String.starts_with?(base, "_"), do: base, else: "_" <> base
    new = 1 |> Stream.iterate(&(&1 + 1)) |> Stream.map(&:"#{base}@#{&1}") |> Enum.find(&(&1 not in taken))
    {{name, new}, MapSet.put(taken, new)}
  end
end
