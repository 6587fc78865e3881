# What of values can be compared between compilations of one program: anonymous functions are others in each.
defmodule ElixirScope.Program.PlainTerm do
  @moduledoc false

  alias ElixirScope.Cut

  @doc """
  The value with every function in it replaced by a word. One that closes over a text is recorded by its name alone, as nobody knows what
  the text is called.
  """
  @spec of(term()) :: term()
  def of(fun) when is_function(fun), do: :a_function
  def of(%Cut{kind: :redacted, kept: "#Fun<" <> _name}), do: :a_function
  def of([head | tail]), do: [of(head) | of(tail)]
  def of(tuple) when is_tuple(tuple), do: tuple |> Tuple.to_list() |> Enum.map(&of/1) |> List.to_tuple()
  # Probes move the clauses of a function into one with another name.
  def of(%FunctionClauseError{}), do: FunctionClauseError
  def of(%_{} = struct), do: {struct.__struct__, struct |> Map.from_struct() |> of()}
  def of(map) when is_map(map), do: Map.new(map, fn {key, value} -> {of(key), of(value)} end)
  def of(other), do: other

  @doc "A text in which no function is told from another."
  @spec text(String.t()) :: String.t()
  def text(text), do: Regex.replace(~r/#Function<[^>]*>|&[\w.]+\/\d+/, text, "#Function")
end
