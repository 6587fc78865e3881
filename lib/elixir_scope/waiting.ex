defmodule ElixirScope.Waiting do
  @moduledoc """
  A process that waits: for an answer, or in a `receive`.

  | field | meaning |
  |---|---|
  | `pid` | who waits |
  | `kind` | `:call` for the answer of a server (GenServer, `:gen_statem` and all that call as they do), `:task` for a Task, `:start` for a server that it starts, until the `init` of that is done, `:request` in a `receive` directly after a message to `for` that names the sender, which may be for its answer, `:receive` in any other `receive` |
  | `since` | since when, in nanoseconds: when the request was sent, or the `receive` began |
  | `for` | the process that it waits for; `nil` when that is not known |
  | `request` | what it asked; `nil` when nothing was asked |
  | `call` | the instrumented call that it waits in, as `ElixirScope.Call`; `nil` when there is none |
  | `file`, `line` | of that call, or of the `receive` |
  | `id` | the number of the event with which it began to wait |
  | `ended` | how the waiting ended, see below |
  | `confirmed` | `true` when the VM itself says that it waits now; `nil` when it was not asked |
  | `evidence` | what the recording has for it: `:traced` a traced call of `gen` or Task, `:receive` an instrumented `receive`, `:request` a request, or the start of a server, after which a process always waits, `:open_call` an instrumented call that did nothing after it; `nil` when nothing was recorded that says so |

  `ended` is `nil` while it waits, or `%{how:, time:, reason:}`:

  | `how` | meaning |
  |---|---|
  | `:reply` | it was answered |
  | `:timeout` | it gave up |
  | `:down` | the other one ended |
  | `:exit` | it ended itself, for `reason` |
  | `:went_on` | it did something else, and nothing says that it had waited |
  """

  alias ElixirScope.Call

  @type ended :: %{
          how: :reply | :timeout | :down | :exit | :went_on,
          time: non_neg_integer,
          reason: term
        }

  @type t :: %__MODULE__{
          pid: pid,
          kind: :call | :task | :start | :request | :receive,
          since: non_neg_integer,
          for: pid | nil,
          target: term,
          request: term,
          ref: reference | nil,
          call: Call.t() | nil,
          file: String.t() | nil,
          line: non_neg_integer | nil,
          id: non_neg_integer,
          ended: ended | nil,
          confirmed: boolean | nil,
          evidence: :traced | :receive | :request | :open_call | nil
        }

  # `target` is whom the request was sent to as the sender wrote it, `ref` what ties it to its answer.
  defstruct [
    :pid,
    :kind,
    :since,
    :for,
    :target,
    :request,
    :ref,
    :call,
    :file,
    :line,
    :id,
    :ended,
    :confirmed,
    :evidence
  ]
end
