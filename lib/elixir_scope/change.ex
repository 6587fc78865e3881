defmodule ElixirScope.Change do
  @moduledoc """
  One change of a process's state.

  `state` is the state from `time` on, `before` the one that was known last until then (`{:ok, state}`, or `:none` for the first that is
  known), and `difference` what makes the one the other, see `ElixirScope.Difference`. `origin` is that of the state's event:
  `:init`, `:callback`, or `:noticed` for a change that something outside of the recorded callbacks had made. `id` is the number
  of that event.

  `cause` says what made it:

  | key | meaning |
  |---|---|
  | `kind` | `:init`, `:call`, `:cast`, `:info`, `:callback` for any other callback, `:outside` for a noticed change |
  | `message` | the message of the callback, of `:init` its argument; `nil` where it is not known |
  | `from` | the process that sent a call. Who sent a cast or an info is not looked for here; where messages are recorded, `ElixirScope.messages/1` may know |
  | `call` | the call of the callback, as an `ElixirScope.Call` whose `parent` and `chain` are not looked for. `nil` for `:outside`, and where its events are missing |
  | `unknown` | why `message` or `from` is not known where it could be: `:lost` where the call's events are missing, and with them what caused the change, `:not_recorded` where the callback is recorded without its arguments, `:limit` where a limit kept out who had sent a call; else `nil` |
  | `event` | of a state machine, the type of an event that is no call, cast or info: `:enter`, `:internal`, `:timeout`, `:state_timeout`, `{:timeout, name}`; else `nil` |
  | `since` | of `:outside`, the time of the last state before: the change was made between then and `time` |

  `gaps` are those between the state before and this one, as in `ElixirScope.status/1`: where there are any, other changes may have been
  between the two, and the difference may be the work of several. Of an answer to a search they are all those that may hide a
  better answer.

  `passed` is, of an answer to a search, a state that it passed over although a limit had kept out a part of what the function was given: a map
  of `pid`, `time`, and the `path` and `cut` of that part. With that part the function might have been true of it. `nil` where there is none.
  """

  alias ElixirScope.{Call, Difference}

  @type cause :: %{
          kind: :init | :call | :cast | :info | :callback | :outside,
          message: term,
          from: pid | nil,
          call: Call.t() | nil,
          since: non_neg_integer | nil,
          event: atom | {:timeout, term},
          unknown: nil | :lost | :not_recorded | :limit
        }

  @type gap :: %{cause: atom, count: non_neg_integer, from: non_neg_integer, to: non_neg_integer}

  @type t :: %__MODULE__{
          id: non_neg_integer,
          time: non_neg_integer,
          pid: pid,
          origin: :init | :callback | :noticed,
          before: {:ok, term} | :none,
          state: term,
          difference: Difference.t(),
          cause: cause,
          gaps: [gap],
          passed:
            %{pid: pid, time: non_neg_integer, path: ElixirScope.Path.t(), cut: ElixirScope.Cut.t()} | nil
        }

  defstruct [:id, :time, :pid, :origin, :state, :difference, :cause, :passed, before: :none, gaps: []]
end
