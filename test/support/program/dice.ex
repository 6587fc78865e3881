# Choices of the generator. `:rand` is per process, so a seed makes the same program again.
defmodule ElixirScope.Program.Dice do
  @moduledoc false

  @doc "One of a list."
  @spec pick([term(), ...]) :: term()
  def pick(list), do: Enum.at(list, :rand.uniform(length(list)) - 1)

  @doc "True in so many of a hundred cases."
  @spec chance(0..100) :: boolean()
  def chance(percent), do: :rand.uniform(100) <= percent

  @doc "The answer of one of the functions, each as often as its weight says."
  @spec weighted([{non_neg_integer(), (() -> term())}, ...]) :: term()
  def weighted(choices) do
    sum = choices |> Enum.map(&elem(&1, 0)) |> Enum.sum()
    choose(choices, :rand.uniform(sum))
  end

  defp choose([{weight, make} | _], left) when left <= weight, do: make.()
  defp choose([{weight, _} | rest], left), do: choose(rest, left - weight)

  @doc "So many answers of a function, between two numbers."
  @spec several(non_neg_integer(), non_neg_integer(), (() -> term())) :: [term()]
  def several(least, most, make) do
    count = least + :rand.uniform(most - least + 1) - 1
    for _ <- 1..count//1, do: make.()
  end
end
