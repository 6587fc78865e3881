defmodule ElixirScope.SupervisionTree do
  @moduledoc """
  Supervisors and their children at a moment: see `ElixirScope.supervision_tree_at/2`.

  `roots` are the supervisors that no other one supervises, as `ElixirScope.SupervisionTree.Node`. `gaps` are the intervals before that
  moment in which events are missing: restarts may be missing there, and processes that ended may stand in the tree.
  """

  alias ElixirScope.SupervisionTree.Node

  defmodule Restart do
    @moduledoc """
    A child that a supervisor started again.

    | field | meaning |
    |---|---|
    | `supervisor` | its pid; `name` its name |
    | `child` | the function that the child runs |
    | `from`, `to` | the pid before and after |
    | `time` | when the new one began |
    | `took` | nanoseconds from the end of the old one to the beginning of the new one |
    | `exit` | how the old one ended: `%{id:, pid:, time:, reason:}` |
    | `cause` | the exit that began it: the same, or that of a sibling, for which the supervisor ended this child too (`:one_for_all`, `:rest_for_one`) |
    | `certain?` | whether nothing else could explain it; not so when it was taken from the order of events alone which of several equal children it was, or whether a sibling was the cause; when the child was not watched; or when messages to the supervisor are not recorded and somebody may have had it end the child and start it again |
    """

    @type ended :: %{
            id: non_neg_integer,
            pid: pid,
            time: non_neg_integer,
            reason: term
          }

    @type t :: %__MODULE__{
            supervisor: pid,
            name: atom | nil,
            child: mfa | nil,
            from: pid,
            to: pid,
            time: non_neg_integer,
            took: non_neg_integer,
            exit: ended,
            cause: ended,
            certain?: boolean
          }

    defstruct [:supervisor, :name, :child, :from, :to, :time, :took, :exit, :cause, certain?: true]
  end

  defmodule Node do
    @moduledoc """
    A process in a supervision tree. `kind` is that of `ElixirScope.Life`, `module` what it runs, `since` when it began or was seen first,
    `began?` whether its birth was seen. `restarts` are those that led to it, the oldest first; `app` is the application of a
    root, where it is known.
    """

    alias ElixirScope.{Life, SupervisionTree}

    @type t :: %__MODULE__{
            pid: pid,
            name: atom | nil,
            label: term,
            module: module | nil,
            initial_call: mfa | nil,
            kind: Life.kind() | nil,
            since: non_neg_integer,
            began?: boolean,
            app: atom | nil,
            restarts: [SupervisionTree.Restart.t()],
            children: [t]
          }

    defstruct [
      :pid,
      :name,
      :label,
      :module,
      :initial_call,
      :kind,
      :since,
      :app,
      began?: false,
      restarts: [],
      children: []
    ]
  end

  @type t :: %__MODULE__{time: non_neg_integer, roots: [Node.t()], gaps: [map]}

  defstruct [:time, roots: [], gaps: []]
end
