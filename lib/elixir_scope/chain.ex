defmodule ElixirScope.Chain do
  @moduledoc """
  How a value came to where it stood: the change that put it there, what caused that, and so on backwards.

  `value` is what stood at `path` in the state of `pid` at `time`: `{:ok, value}`, or `:none`. `steps` go from the change into the past; each is an
  `ElixirScope.Chain.Step`. `ends` says why there is no step before the last one, and `why` says it in words.

  | `ends` | meaning |
  |---|---|
  | `:init_argument` | the process began with it, and what began the process is not recorded |
  | `:start_of_recording` | it was there already in the first state that is known |
  | `:never` | nothing stood there by then |
  | `:outside` | something outside of the recorded callbacks changed it |
  | `:sender_unknown` | a message that does not say who sent it: casts and infos. Where messages are recorded, `ElixirScope.messages/1` may know |
  | `:not_instrumented` | what comes before is code that is not instrumented, or another node's |
  | `:not_recorded` | the callback's arguments are not recorded (`args: false`), and with them who sent the message |
  | `:lost` | events are missing there |
  | `:cut` | a limit, or redaction, kept out what stood there, so nobody knows when it changed |
  | `:limit` | the search went as far as it may (`limit:`), or a limit of the recording kept out who had sent a call |
  """

  defmodule Step do
    @moduledoc """
    One step of an `ElixirScope.Chain`.

    | `kind` | meaning |
    |---|---|
    | `:change` | the change itself, in `change`; `call` is that of the callback, `message` what it was given, `from` who had sent it |
    | `:call` | a function that was running in `pid` when the step above began; `call` is as of that moment, so its outcome is `:open` |
    | `:callback` | the callback of a server, `pid`, that was running; with `message` and `from` |
    | `:start` | the process of the steps above was started by `pid` |

    `time` is when it began; of `:start` when the new process ran its `init`.
    """

    alias ElixirScope.{Call, Change}

    @type t :: %__MODULE__{
            kind: :change | :call | :callback | :start,
            time: non_neg_integer,
            pid: pid,
            change: Change.t() | nil,
            call: Call.t() | nil,
            message: term,
            from: pid | nil
          }

    defstruct [:kind, :time, :pid, :change, :call, :message, :from]
  end

  @type reason ::
          :init_argument
          | :start_of_recording
          | :never
          | :outside
          | :sender_unknown
          | :not_instrumented
          | :not_recorded
          | :lost
          | :cut
          | :limit

  @type t :: %__MODULE__{
          pid: pid,
          path: ElixirScope.Path.t(),
          time: non_neg_integer,
          value: {:ok, term} | :none | :unknown,
          steps: [Step.t()],
          ends: reason,
          why: String.t()
        }

  defstruct [:pid, :path, :time, :value, :ends, :why, steps: []]

  @reasons [
    :init_argument,
    :start_of_recording,
    :never,
    :outside,
    :sender_unknown,
    :not_instrumented,
    :not_recorded,
    :lost,
    :cut,
    :limit
  ]

  @doc "All reasons for which a chain ends."
  @spec reasons() :: [reason]
  def reasons, do: @reasons
end
