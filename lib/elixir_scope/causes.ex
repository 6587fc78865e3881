defmodule ElixirScope.Causes do
  @moduledoc """
  What led to an event, or what it led to, directly: the answer of `ElixirScope.causes/2` and `ElixirScope.effects/2`.

  `event` is the one that was asked about, `direction` is `:causes` or `:effects`, and `steps` are `ElixirScope.Causes.Step`s: causes nearest
  first, effects in the order of time. `more` says whether there were more than `limit:`. `unknown` is `nil`, or says in words what may be missing among them.
  """

  defmodule Step do
    @moduledoc """
    One event before or after another, and why it is.

    | `why` | meaning |
    |---|---|
    | `:same_process` | the process did it before, or afterwards |
    | `:call` | the call that it happened in |
    | `:message` | a message: `event` is its sending, or of an effect its delivery or what took it |
    | `:sent` | a message that was sent for it |
    | `:spawn` | the process was made |
    | `:exit` | a process ended, which ended this one or was told to it |
    | `:state` | the state became another one |

    `message` is the `ElixirScope.Message`, where there is one. Of a step of an `ElixirScope.Causes.Way`, `event` is where the step leads to, and `from` is where it
    begins; both are of the same process for `:same_process`.
    """

    alias ElixirScope.{Event, Message}

    @type why :: :same_process | :call | :message | :sent | :spawn | :exit | :state
    @type t :: %__MODULE__{why: why, from: Event.t() | nil, event: Event.t(), message: Message.t() | nil}

    defstruct [:why, :from, :event, :message]
  end

  defmodule Way do
    @moduledoc """
    How one event led to another: the answer of `ElixirScope.causal_path/3`.

    `steps` lead from `from` to `to`; each begins where the one before ends. No way has fewer messages, spawns and exits in it.
    """

    alias ElixirScope.Causes.Step
    alias ElixirScope.Event

    @type t :: %__MODULE__{from: Event.t(), to: Event.t(), steps: [Step.t()]}

    defstruct [:from, :to, steps: []]
  end

  alias ElixirScope.Causes.Step
  alias ElixirScope.Event

  @type t :: %__MODULE__{
          event: Event.t(),
          direction: :causes | :effects,
          steps: [Step.t()],
          more: boolean,
          unknown: String.t() | nil
        }

  defstruct [:event, :direction, :unknown, steps: [], more: false]
end
