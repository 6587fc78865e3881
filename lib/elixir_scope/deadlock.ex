defmodule ElixirScope.Deadlock do
  @moduledoc """
  Processes that wait for each other, each for the answer of the next one.

  | field | meaning |
  |---|---|
  | `verdict` | `:deadlock`, or `:unknown` where events are missing, or somebody else may end it: `why` says which |
  | `members` | the processes as `ElixirScope.Waiting`, in the order in which they wait: each for the next, the last for the first. One alone waits for itself. Empty when nobody knows whether there was one |
  | `since` | when the circle closed, in nanoseconds; `nil` without members |
  | `ended` | `nil` while it is still on; else `%{how:, time:, reason:, pid:}`: what broke it, and in which process, as in `ElixirScope.Waiting` |
  | `confirmed` | `true` when the VM itself says now that each of them waits; `nil` when that says nothing, because the circle is no more, is not certain, or the recording is of another VM |
  | `gaps` | with `:unknown`, what is missing there, if that is why, as in `ElixirScope.status/1` |
  | `why` | with `:unknown`, why in words |
  """

  alias ElixirScope.{Change, Waiting}

  @type t :: %__MODULE__{
          verdict: :deadlock | :unknown,
          members: [Waiting.t()],
          since: non_neg_integer | nil,
          ended: nil | %{how: atom, time: non_neg_integer, reason: term, pid: pid},
          confirmed: true | nil,
          gaps: [Change.gap()],
          why: String.t() | nil
        }

  defstruct [:verdict, :since, :ended, :confirmed, :why, members: [], gaps: []]
end
