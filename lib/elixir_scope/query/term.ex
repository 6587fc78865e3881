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
