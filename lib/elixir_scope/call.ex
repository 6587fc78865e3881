defmodule ElixirScope.Call do
  @moduledoc """
  A call of a function, from its beginning to its end.

  `started` and `finished` are in nanoseconds of system time. `outcome` says how it ended:

  | outcome | meaning |
  |---|---|
  | `:returned` | `return` holds the value |
  | `:raised` | `exception` holds `%{kind:, reason:, stack:}` |
  | `:open` | it had not ended by the end of the recording |
  | `:unknown` | the event that says so is missing, or it ended in code that is not instrumented |

  With `tail: true` the function ended by a tail call; then the outcome is that of the function that it called. A
  chain of such calls ends for all of them when the last one returns, and `chain` is the `id` of the call that began it, in
  every call but that one. `parent` is the `id` of the innermost recorded
  call around this one. `file`, `line`, `column`, `node` and `source` are those of its event, see `ElixirScope.Event`.
  """

  alias ElixirScope.Event

  @type outcome :: :returned | :raised | :open | :unknown

  @type t :: %__MODULE__{
          id: non_neg_integer,
          mfa: mfa,
          args: [term] | nil,
          outcome: outcome,
          return: term,
          exception: %{kind: :error | :exit | :throw, reason: term, stack: list} | nil,
          pid: pid,
          started: non_neg_integer,
          finished: non_neg_integer | nil,
          parent: non_neg_integer | nil,
          chain: non_neg_integer | nil,
          tail: boolean,
          file: String.t(),
          line: non_neg_integer,
          column: pos_integer | nil,
          node: non_neg_integer,
          source: pos_integer | nil
        }

  defstruct [
              :id,
              :mfa,
              :args,
              :outcome,
              :return,
              :exception,
              :pid,
              :started,
              :finished,
              :parent,
              :chain,
              :file,
              :line,
              :column,
              :node,
              :source
            ] ++
              [tail: false]

  @doc false
  def from_native({begin, parent, chain, tail, ending}) do
    event = Event.from_native(begin)

    finish(
      %__MODULE__{
        id: event.id,
        mfa: event.mfa,
        args: event.data && event.data.args,
        pid: event.pid,
        started: event.time,
        parent: parent,
        chain: chain,
        tail: tail,
        file: event.file,
        line: event.line,
        column: event.column,
        node: event.node,
        source: event.source
      },
      ending
    )
  end

  @doc false
  # The arguments, `nil` where they were not recorded, and how it ended; of many calls nobody wants to know more.
  def told({begin, _parent, _chain, _tail, ending}) do
    {with(%{args: args} <- Event.data_from_native(begin), do: args), ending(ending)}
  end

  defp ending({outcome, native}), do: {outcome, Event.data_from_native(native)}
  defp ending(open_or_unknown), do: open_or_unknown

  defp finish(call, ending) when ending in [:open, :unknown], do: %{call | outcome: ending}

  defp finish(call, {:returned, native}) do
    event = Event.from_native(native)
    %{call | outcome: :returned, return: event.data && event.data.value, finished: event.time}
  end

  defp finish(call, {:raised, native}) do
    event = Event.from_native(native)
    %{call | outcome: :raised, exception: event.data, finished: event.time}
  end
end
