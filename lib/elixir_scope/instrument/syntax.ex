# Small pieces of Erlang abstract format: what the rewriter builds its code from, and what it asks of code it
# is given. Every node built here is marked as generated, so that no tool blames the user for it.
defmodule ElixirScope.Instrument.Syntax do
  @moduledoc false

  @type expr :: tuple()

  @doc """
  An annotation for added code: the place of the given one, marked as generated.

      iex> ElixirScope.Instrument.Syntax.generated(7)
      [generated: true, location: 7]
  """
  @spec generated(:erl_anno.anno()) :: :erl_anno.anno()
  def generated(anno), do: :erl_anno.set_generated(true, anno)

  @doc "A call of a function of another module."
  @spec remote(:erl_anno.anno(), module(), atom(), [expr()]) :: expr()
  def remote(anno, module, function, args) do
    {:call, anno, {:remote, anno, {:atom, anno, module}, {:atom, anno, function}}, args}
  end

  @doc "A clause of case, try or receive with one pattern and no guard."
  @spec clause(:erl_anno.anno(), expr(), [expr()]) :: expr()
  def clause(anno, pattern, body), do: {:clause, anno, [pattern], [], body}

  @doc """
  Code whose clauses are marked as generated, so that the compiler does not warn of them.

      iex> ElixirScope.Instrument.Syntax.quiet({:case, 1, {:var, 1, :X}, [{:clause, 2, [{:var, 2, :_}], [], [{:nil, 2}]}]})
      {:case, 1, {:var, 1, :X}, [{:clause, [generated: true, location: 2], [{:var, 2, :_}], [], [{nil, 2}]}]}
  """
  @spec quiet(term()) :: term()
  def quiet({:clause, anno, patterns, guards, body}) do
    {:clause, generated(anno), patterns, guards, quiet(body)}
  end

  # A literal holds no code, and may hold anything that looks like code.
  def quiet({:value, _anno, _literal} = value), do: value
  def quiet([head | tail]), do: [quiet(head) | quiet(tail)]
  def quiet(tuple) when is_tuple(tuple), do: tuple |> Tuple.to_list() |> quiet() |> List.to_tuple()
  def quiet(leaf), do: leaf

  @doc "A list of expressions as one expression."
  @spec list([expr()], :erl_anno.anno()) :: expr()
  def list(exprs, anno), do: List.foldr(exprs, {nil, anno}, fn expr, rest -> {:cons, anno, expr, rest} end)

  @doc "The expression of a term."
  @spec literal(term(), :erl_anno.anno()) :: expr()
  def literal(term, anno), do: :erl_parse.map_anno(fn _ -> anno end, :erl_parse.abstract(term))

  @doc """
  All names of variables in a term of abstract format.

      iex> {:ok, tokens, _} = :erl_scan.string(String.to_charlist("X + Y * X."))
      iex> {:ok, exprs} = :erl_parse.parse_exprs(tokens)
      iex> ElixirScope.Instrument.Syntax.variables(exprs) |> Enum.sort()
      [:X, :Y]
  """
  @spec variables(term()) :: MapSet.t(atom())
  def variables(term), do: collect(term, MapSet.new())

  defp collect({:var, _anno, name}, found) when is_atom(name), do: MapSet.put(found, name)
  # A literal holds no code, and may hold anything that looks like code.
  defp collect({:value, _anno, _literal}, found), do: found
  defp collect([head | tail], found), do: collect(tail, collect(head, found))

  defp collect(tuple, found) when is_tuple(tuple) do
    tuple |> Tuple.to_list() |> Enum.reduce(found, &collect/2)
  end

  defp collect(_other, found), do: found

  @doc """
  A prefix that begins no variable of the given code: what is made from it collides with nothing.

      iex> ElixirScope.Instrument.Syntax.fresh_prefix([{:var, 1, :"_x@1"}])
      "Scope"
      iex> ElixirScope.Instrument.Syntax.fresh_prefix([{:var, 1, :Scope_}, {:var, 1, :ScopeA}])
      "Scope__"
  """
  @spec fresh_prefix(term()) :: String.t()
  def fresh_prefix(code) do
    names = code |> variables() |> Enum.map(&Atom.to_string/1)
    taken? = fn prefix -> Enum.any?(names, &String.starts_with?(&1, prefix)) end

    "Scope" |> Stream.iterate(&(&1 <> "_")) |> Enum.find(&(not taken?.(&1)))
  end

  @doc """
  The name that the user gave a variable. `nil` when it was the compiler or a macro who named it, and for names that
  begin with an underscore, whose values nobody wants.

      iex> Enum.map([:"_x@1", :"_ok?@12", :"__unused@1", :"_@3", :_4, :X], &ElixirScope.Instrument.Syntax.user_name/1)
      [:x, :ok?, nil, nil, nil, :X]
  """
  @spec user_name(atom()) :: atom() | nil
  def user_name(name) do
    text = Atom.to_string(name)

    case Regex.run(~r/\A_(.+)@\d+\z/su, text) do
      [_, "_" <> _] -> nil
      [_, given] -> String.to_atom(given)
      nil -> if String.starts_with?(text, "_"), do: nil, else: name
    end
  end

  @doc """
  The name that the user gave a variable, also one whose value nobody wants, without the underscores before it.

      iex> Enum.map([:"_x@1", :"__unused@1", :"_@3", :_4, :_, :X, :_Y], &ElixirScope.Instrument.Syntax.given_name/1)
      [:x, :unused, nil, nil, nil, :X, :Y]
  """
  @spec given_name(atom()) :: atom() | nil
  def given_name(name) do
    case Regex.run(~r/\A_*([^_@\d].*?)(@\d+)?\z/su, Atom.to_string(name)) do
      [_, given | _counted] -> String.to_atom(given)
      nil -> nil
    end
  end

  @doc "Code with variables renamed, wherever they stand in it."
  @spec rename(term(), %{optional(atom()) => atom()}) :: term()
  def rename(code, names) when names == %{}, do: code
  def rename({:var, anno, name}, names) when is_atom(name), do: {:var, anno, Map.get(names, name, name)}
  def rename({:value, _, _} = literal, _names), do: literal

  # A named function's name is a variable of its own.
  def rename({:named_fun, anno, name, clauses}, names) do
    {:named_fun, anno, Map.get(names, name, name), rename(clauses, names)}
  end

  def rename([head | tail], names), do: [rename(head, names) | rename(tail, names)]

  def rename(tuple, names) when is_tuple(tuple) do
    tuple |> Tuple.to_list() |> rename(names) |> List.to_tuple()
  end

  def rename(leaf, _names), do: leaf
end
