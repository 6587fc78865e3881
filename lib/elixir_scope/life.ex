defmodule ElixirScope.Life do
  @moduledoc """
  The life of a process: who it is, whom it is related to, how it began and how it ended. `ElixirScope.process/2` gives that of one,
  `ElixirScope.processes/2` those of all that lived at a moment.

  | field | meaning |
  |---|---|
  | `pid`, `time` | the process, and the moment that the answer is for; `nil`: all that is known |
  | `name` | its registered name then; of one that has exited the last |
  | `names` | `{name, from, to}`: since when and until when it had each, as far as it was seen; `to` is `nil` while it has it |
  | `label` | what `Process.set_label/1` said last |
  | `initial_call` | the function that it runs, of the module behind OTP and Task: `{Shop.Cart, :init, 1}` |
  | `kind` | `:gen_server`, `:gen_statem`, `:gen_event`, `:supervisor`, `:agent`, `:task`, `:process` (none of these), `nil`: not known |
  | `parent` | the pid that made it, or its name where only that is known |
  | `ancestors`, `callers` | as OTP and Task note them |
  | `spawned` | `%{id:, time:, mfa:, call:}` of its birth, with its first call and the instrumented call that its parent was in (of `process/2`); `nil`: not seen |
  | `exited` | `%{id:, time:, reason:}`; `nil`: not seen |
  | `status` | `:alive`, `:exited`, or `:unknown`: not known to have ended |
  | `children` | `%{pid:, time:}` of those that it made, the last thousand (of `process/2`) |
  | `links` | pids and ports that it was linked to then, or when it ended (of `process/2`) |
  | `link_history` | `%{id:, time:, action:, other:}`, as in `ElixirScope.Event`, the last thousand (of `process/2`) |
  | `seen` | times of its first and last event |
  | `events` | how many there are |
  """

  @type kind :: :gen_server | :gen_statem | :gen_event | :supervisor | :agent | :task | :process

  @type t :: %__MODULE__{
          pid: pid,
          time: non_neg_integer | nil,
          name: atom | nil,
          names: [{atom, non_neg_integer, non_neg_integer | nil}],
          label: term,
          initial_call: mfa | nil,
          kind: kind | nil,
          parent: pid | atom | nil,
          ancestors: [pid | atom],
          callers: [pid],
          spawned: map | nil,
          exited: map | nil,
          status: :alive | :exited | :unknown,
          children: [map],
          links: [pid | port],
          link_history: [map],
          seen: {non_neg_integer, non_neg_integer} | nil,
          events: non_neg_integer | nil
        }

  defstruct [
    :pid,
    :time,
    :name,
    :label,
    :initial_call,
    :kind,
    :parent,
    :spawned,
    :exited,
    :seen,
    :events,
    status: :unknown,
    names: [],
    ancestors: [],
    callers: [],
    children: [],
    links: [],
    link_history: []
  ]

  @doc "Since when it is known: its birth, or else its first event."
  @spec since(t) :: non_neg_integer | nil
  def since(%__MODULE__{spawned: %{time: time}}), do: time
  def since(%__MODULE__{seen: {first, _last}}), do: first
  def since(%__MODULE__{}), do: nil
end
