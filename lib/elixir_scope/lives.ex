defmodule ElixirScope.Lives do
  @moduledoc """
  The processes that lived at a moment, as `ElixirScope.processes/2` gives them: an enumerable of `ElixirScope.Life`, the oldest first.

  `watched?` says whether anything was recorded of the life of processes. Where not, only those are known that ran instrumented code, and
  not when they ended. `gaps` are the intervals before that moment in which events are missing, as in `ElixirScope.status/1`.
  """

  alias ElixirScope.{Life, Recording}

  @enforce_keys [:recording, :time, :list]
  defstruct [:recording, :time, :list, watched?: false, gaps: []]

  @type t :: %__MODULE__{
          recording: Recording.t(),
          time: non_neg_integer,
          list: [Life.t()],
          watched?: boolean,
          gaps: [map]
        }

  defimpl Enumerable do
    def reduce(lives, acc, fun), do: Enumerable.reduce(lives.list, acc, fun)
    def count(lives), do: {:ok, length(lives.list)}
    def member?(lives, life), do: {:ok, life in lives.list}
    def slice(lives), do: Enumerable.slice(lives.list)
  end
end
