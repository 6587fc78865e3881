defmodule ElixirScope.Servers.Box do
  @moduledoc false
  # A state with a field of every shape that servers keep: see `ElixirScope.Servers.Change`.

  defmodule Line do
    @moduledoc false
    defstruct [:item, amount: 0, notes: %{}]
  end

  defstruct queue: :queue.new(),
            tree: :gb_trees.empty(),
            set: MapSet.new(),
            record: {:record, 0, nil},
            improper: [1, 2 | :tail],
            binary: "",
            brink: %{},
            wide: %{},
            nested: %{},
            rest: nil
end
