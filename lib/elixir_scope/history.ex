defmodule ElixirScope.History do
  @moduledoc """
  The changes of one process's state, lazily: an enumerable of `ElixirScope.Change`. See `ElixirScope.state_history/2`.

  `gaps` are the intervals that it touches in which events are missing, as in `ElixirScope.status/1`: changes may be missing there. `pid` is the
  process, and `order` that of the changes.
  """

  alias ElixirScope.{Change, Path, Recording}

  @enforce_keys [:recording, :process, :pid, :since, :until, :order, :limit, :path, :gaps]
  defstruct @enforce_keys

  @type t :: %__MODULE__{
          recording: Recording.t(),
          process: {non_neg_integer, non_neg_integer},
          pid: pid,
          since: non_neg_integer,
          until: non_neg_integer,
          order: :oldest | :newest,
          limit: pos_integer | :infinity,
          path: Path.t() | nil,
          gaps: [Change.gap()]
        }

  defimpl Enumerable do
    def reduce(history, acc, fun) do
      Enumerable.reduce(ElixirScope.Query.History.stream(history), acc, fun)
    end

    def count(_history), do: {:error, __MODULE__}
    def member?(_history, _change), do: {:error, __MODULE__}
    def slice(_history), do: {:error, __MODULE__}
  end
end
