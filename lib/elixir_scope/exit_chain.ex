defmodule ElixirScope.ExitChain do
  @moduledoc """
  Why a process ended, as `ElixirScope.why_exited/2` gives it: the exit, and from there backwards what led to it.

  `pid` ended at `time` with `reason`. `steps` go back from there, the newest first, each an `ElixirScope.ExitChain.Step`. `ends` says why
  they go no further, `why` the same in words:

  | `ends` | meaning |
  |---|---|
  | `:raised` | it raised, and nothing that is recorded led to that |
  | `:stopped` | its callback said `:stop`, and nothing that is recorded led to that |
  | `:returned_normally` | its function came to its end |
  | `:killed_by` | another process sent it an exit signal: see the last step |
  | `:timeout` | a call was not answered in time; the last steps say what the server was doing |
  | `:no_process` | a call was made to a process that was not there, and its end was not seen |
  | `:signal_unseen` | an exit signal, or code that is not instrumented, ended it: what sent or raised it is not recorded |
  | `:not_watched` | the process that the chain leads to is not watched: its exit was not seen |
  | `:lost` | events are missing where the reason would be |
  | `:limit` | the chain has as many steps as are allowed |
  """

  alias ElixirScope.ExitChain.Step

  defmodule Step do
    @moduledoc """
    A step of an `ElixirScope.ExitChain`.

    | `kind` | what it says |
    |---|---|
    | `:exit` | `pid` exited with `reason` |
    | `:raised` | `pid` raised `reason` in `call`; without a call in code that is not instrumented, where `text` says |
    | `:stopped` | a callback of `pid`, `call`, returned `:stop` with `reason` |
    | `:message` | `pid` was handling `message` in `call`; `other` sent it, where that is known |
    | `:sender` | `pid` sent the message of the step above while it was in `call` |
    | `:link` | `pid` was linked to `other`, which exited with this reason |
    | `:signal` | `other` sent `pid` an exit signal with `reason`, in `call` where that is instrumented |
    | `:shutdown` | the supervisor `other` ended its child `pid` |
    | `:limit` | the supervisor `pid` gave up: its children ended more often than it restarts them |
    | `:failed_call` | `pid` had called `other`, which did not answer; `message` is the request |
    | `:busy` | what `pid`, which did not answer, was doing: `call` |
    | `:down` | `pid` was told that `other` had ended, by its monitor or as an exit that it traps, or because it is its supervisor and could not start it |

    `time` is when it happened; `inferred?` that it was concluded from the order of events, because the signal itself was not recorded.
    `text` says more, for people.
    """

    alias ElixirScope.Call

    @type kind ::
            :exit
            | :raised
            | :stopped
            | :message
            | :sender
            | :link
            | :signal
            | :shutdown
            | :limit
            | :failed_call
            | :busy
            | :down

    @type t :: %__MODULE__{
            kind: kind,
            time: non_neg_integer,
            id: non_neg_integer | nil,
            pid: pid,
            other: pid | atom | nil,
            reason: term,
            exception: :error | :exit | :throw | nil,
            message: term,
            call: Call.t() | nil,
            inferred?: boolean,
            text: String.t() | nil
          }

    defstruct [
      :kind,
      :time,
      :id,
      :pid,
      :other,
      :reason,
      :exception,
      :message,
      :call,
      :text,
      inferred?: false
    ]
  end

  @reasons [
    :raised,
    :stopped,
    :returned_normally,
    :killed_by,
    :timeout,
    :no_process,
    :signal_unseen,
    :not_watched,
    :lost,
    :limit
  ]

  @type reason ::
          :raised
          | :stopped
          | :returned_normally
          | :killed_by
          | :timeout
          | :no_process
          | :signal_unseen
          | :not_watched
          | :lost
          | :limit

  @type t :: %__MODULE__{
          pid: pid,
          time: non_neg_integer,
          reason: term,
          steps: [Step.t()],
          ends: reason,
          why: String.t()
        }

  defstruct [:pid, :time, :reason, :ends, :why, steps: []]

  @doc "All reasons for which a chain ends."
  @spec reasons() :: [reason]
  def reasons, do: @reasons
end
