defmodule ElixirScope.Query.Term do
  @moduledoc false
  # What stands within recorded terms.

  # So many parts of a term are looked at, no more.
  @parts 10_000

  @doc """
  The reference of the tag of a call.

      iex> ref = make_ref()
      iex> {ElixirScope.Query.Term.reference([:alias | ref]) == ref, ElixirScope.Query.Term.reference(:other)}
      {true, nil}
  """
  @spec reference(term) :: reference | nil
  def reference([:alias | ref]) when is_reference(ref), do: ref
  def reference([[:alias | ref] | _tag]) when is_reference(ref), do: ref
  def reference(ref) when is_reference(ref), do: ref
  def reference(_tag), do: nil

  @doc """
  Whether a part of a term is this one.

      iex> {ElixirScope.Query.Term.mentions?({:put, %{count: [6]}}, 6), ElixirScope.Query.Term.mentions?({:put, 7}, 6)}
      {true, false}
  """
  @spec mentions?(term, term, pos_integer) :: boolean
  def mentions?(term, part, most \\ @parts), do: any?(term, &(&1 === part), most)

  @doc "Whether a part of a term is so, among the first so many."
  @spec any?(term, (term -> boolean), pos_integer) :: boolean
  def any?(term, fun, most \\ @parts) do
    walk(term, fun, most)
    false
  catch
    {__MODULE__, found?} -> found?
  end

  @doc """
  The references within a term, among its first so many parts.

      iex> ref = make_ref()
      iex> ElixirScope.Query.Term.references({:ask, self(), [ref]}) == [ref]
      true
  """
  @spec references(term, pos_integer) :: [reference]
  def references(term, most \\ @parts), do: refs(term, most) |> elem(0) |> Enum.uniq()

  defp refs(_term, left) when left <= 0, do: {[], 0}
  defp refs(ref, left) when is_reference(ref), do: {[ref], left - 1}
  defp refs(tuple, left) when is_tuple(tuple), do: tuple |> Tuple.to_list() |> refs(left - 1)
  defp refs(map, left) when is_map(map), do: map |> :maps.to_list() |> refs(left - 1)

  defp refs([first | rest], left) do
    {there, left} = refs(first, left)
    {further, left} = refs(rest, left)
    {there ++ further, left}
  end

  defp refs(_leaf, left), do: {[], left - 1}

  @doc "What a function brings along from where it was made."
  @spec environment(function) :: [term]
  def environment(fun) do
    case Function.info(fun, :env) do
      {:env, env} -> env
      _unknown -> []
    end
  end

  defp walk(_term, _fun, left) when left <= 0, do: throw({__MODULE__, false})

  defp walk(term, fun, left) do
    if fun.(term), do: throw({__MODULE__, true})
    parts(term, fun, left - 1)
  end

  defp parts([first | rest], fun, left), do: list(rest, fun, walk(first, fun, left))
  defp parts(tuple, fun, left) when is_tuple(tuple), do: tuple |> Tuple.to_list() |> parts(fun, left)

  defp parts(map, fun, left) when is_map(map),
    do:
      map
      |> :maps.to_list()
      |> Enum.reduce(left, fn {key, value}, left -> walk(value, fun, walk(key, fun, left)) end)

  defp parts(_leaf, _fun, left), do: left

  # The rest of a list is no part of it, the end of an improper one is.
  defp list([first | rest], fun, left), do: list(rest, fun, walk(first, fun, left))
  defp list([], _fun, left), do: left
  defp list(tail, fun, left), do: walk(tail, fun, left)
end
