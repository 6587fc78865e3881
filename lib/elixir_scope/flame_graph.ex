defmodule ElixirScope.FlameGraph do
  @moduledoc """
  Where the time of a range went, by stacks of calls: see `ElixirScope.flame_graph/1`.

  `total` is the time in which instrumented calls were open, of all processes together, and `roots` are the outermost of them. Each is a map:

  | key | meaning |
  |---|---|
  | `frame` | a function, a pid (a root, with `by: :process`), or `:missing`: events are missing, so nobody knows what called the next one |
  | `label` | the same for people |
  | `own` | nanoseconds in it and in nothing that it called |
  | `total` | the same with all that it called |
  | `calls` | calls that began there in the range |
  | `children` | what it called, the longest first |

  Times are of the wall clock, and tail calls are told as in `ElixirScope.Stats`: the function called stands on the one that called
  it, and a loop comes back to its place. A stack has 512 places; what is deeper counts to the last of them. `gaps` is what is missing: what
  happened there is in no stack.
  """

  alias ElixirScope.FlameGraph.{Folded, Svg}
  alias ElixirScope.Recording

  @type tree :: %{
          frame: mfa | pid | :missing,
          label: String.t(),
          own: non_neg_integer,
          total: non_neg_integer,
          calls: non_neg_integer,
          children: [tree]
        }

  @type t :: %__MODULE__{
          recording: Recording.t() | nil,
          since: non_neg_integer,
          until: non_neg_integer,
          by: :function | :process,
          total: non_neg_integer,
          roots: [tree],
          gaps: [map]
        }

  defstruct [:recording, :since, :until, by: :function, total: 0, roots: [], gaps: []]

  @doc """
  The stacks as a text that other flame graph tools read: a line for each, outermost first, with its own time in microseconds.

      iex> leaf = %{frame: {Cart, :sum, 1}, label: "Cart.sum/1", own: 2_500, total: 2_500, calls: 1, children: []}
      iex> root = %{frame: {Cart, :add, 2}, label: "Cart.add/2", own: 1_500, total: 4_000, calls: 1, children: [leaf]}
      iex> ElixirScope.FlameGraph.folded(%ElixirScope.FlameGraph{total: 4_000, roots: [root]})
      "Cart.add/2 1\\nCart.add/2;Cart.sum/1 3\\n"

  The weights together are the whole microseconds of `total`. A stack that comes to nothing is left out.
  """
  @spec folded(t) :: String.t()
  def folded(%__MODULE__{} = graph), do: Folded.text(graph)
  def folded(other), do: no_graph(other)

  @doc """
  The graph as a picture: one SVG that needs nothing else. Whatever draws it shows the times of a place when the mouse rests on it.

      File.write!("flame.svg", ElixirScope.FlameGraph.svg(graph))

  What is narrower than a quarter of a pixel is left out.
  """
  @spec svg(t) :: String.t()
  def svg(%__MODULE__{} = graph), do: Svg.text(graph)
  def svg(other), do: no_graph(other)

  defp no_graph(other) do
    raise ArgumentError,
          "expected an ElixirScope.FlameGraph, as ElixirScope.flame_graph/1 gives it, got: #{inspect(other, limit: 5, printable_limit: 100)}"
  end
end
