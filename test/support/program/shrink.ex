# Looks for a smaller program that fails in the same way: fewer calls, fewer functions, then less in each of them.
defmodule ElixirScope.Program.Shrink do
  @moduledoc false

  alias ElixirScope.Program
  alias ElixirScope.Program.Check

  @doc """
  The smallest failing program that is found within so many milliseconds, and its answer. `what` is what must differ.
  """
  @spec run(Program.t(), Check.answer(), pos_integer()) :: {Program.t(), Check.answer()}
  def run(%Program{} = program, {:error, what, _} = answer, milliseconds) do
    until = System.monotonic_time(:millisecond) + milliseconds

    [&entries/1, &functions/1, &code/1]
    |> Enum.reduce({program, answer}, fn smaller, found -> shrink(found, smaller, what, until, 0) end)
  end

  # The candidates of the one that was found last, beginning where the search stood.
  defp shrink({program, answer}, smaller, what, until, from) do
    found =
      program
      |> smaller.()
      |> Stream.with_index()
      |> Stream.drop(from)
      |> Stream.take_while(fn _ -> System.monotonic_time(:millisecond) < until end)
      |> Enum.find_value(fn {candidate, at} ->
        case attempt(candidate) do
          {:error, ^what, _} = answer -> {candidate, answer, at}
          _ -> nil
        end
      end)

    case found do
      nil when from > 0 -> shrink({program, answer}, smaller, what, until, 0)
      nil -> {program, answer}
      {candidate, answer, at} -> shrink({candidate, answer}, smaller, what, until, at)
    end
  end

  # Most of what is taken away was needed to compile.
  defp attempt(candidate) do
    Check.run(candidate)
  rescue
    _error -> :no_program
  end

  # Halves first, then one by one.
  defp entries(%Program{entries: entries} = program) do
    for kept <- parts(entries), kept != [], do: %{program | entries: kept}
  end

  defp functions(%Program{functions: functions} = program) do
    groups = functions |> Enum.map(&key/1) |> Enum.uniq()

    by_name =
      for kept <- parts(groups), do: %{program | functions: Enum.filter(functions, &(key(&1) in kept))}

    by_clause = for kept <- without_one(functions), do: %{program | functions: kept}
    by_name ++ by_clause
  end

  defp key({module, {_kind, _, [{:when, _, [head, _]} | _]}}), do: {module, elem(head, 0)}
  defp key({module, {_kind, _, [head | _]}}), do: {module, elem(head, 0)}

  defp parts(list) do
    half = div(length(list), 2)
    {one, other} = Enum.split(list, half)
    Enum.reject([one, other], &(&1 in [[], list])) ++ without_one(list)
  end

  defp without_one(list), do: for(n <- 0..(length(list) - 1)//1, do: List.delete_at(list, n))

  defp code(%Program{functions: functions} = program) do
    functions
    |> Stream.with_index()
    |> Stream.flat_map(fn {{module, {kind, meta, [head | body]}}, at} ->
      for body <- smaller(body),
          do: %{program | functions: List.replace_at(functions, at, {module, {kind, meta, [head | body]}})}
    end)
  end

  # Quoted code with one thing less, or one expression replaced by a part of it or by a literal.
  defp smaller({name, meta, args}) when is_list(args) do
    parts = for part <- args, match?({_, _, _}, part) or is_list(part) or is_integer(part), do: part
    literals = if name in [:__aliases__, :->, :{}, :%{}, :<<>>, :&, :.], do: [], else: [0, []]
    parts = if name in [:->, :__aliases__, :.], do: [], else: Enum.reject(parts, &is_list/1)
    Stream.concat([parts, literals, Stream.map(smaller(args), &{name, meta, &1})])
  end

  defp smaller([_ | _] = list) do
    inside =
      list
      |> Stream.with_index()
      |> Stream.flat_map(fn {part, at} -> Stream.map(smaller(part), &List.replace_at(list, at, &1)) end)

    Stream.concat(without_one(list), inside)
  end

  defp smaller({left, right}) do
    Stream.concat(Stream.map(smaller(right), &{left, &1}), Stream.map(smaller(left), &{&1, right}))
  end

  defp smaller(_leaf), do: []
end
