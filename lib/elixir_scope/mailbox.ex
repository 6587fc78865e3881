defmodule ElixirScope.Mailbox do
  @moduledoc """
  The mailbox of a process at a moment: what had been sent to it by then, and was not taken yet. `ElixirScope.mailbox/3` makes it.

  | field | meaning |
  |---|---|
  | `pid`, `name`, `time` | whose, and when |
  | `length` | how many messages lay in it; `:unknown` where that cannot be said, `why` says why |
  | `messages` | those that are known, as `ElixirScope.Message`, the oldest first. Where the length is not known: what is not known to be taken, the last thousand |
  | `older` | how many lay in it when it began to be watched and are not known to be taken; what they hold is not recorded |
  | `actual` | the length that the VM says now, when the moment was a tenth of a second ago at most and the process lives in this VM; or `nil` |
  | `why` | why the length is not known, or `nil` |
  """

  alias ElixirScope.Message

  @type t :: %__MODULE__{
          pid: pid,
          name: String.t(),
          time: non_neg_integer,
          length: non_neg_integer | :unknown,
          messages: [Message.t()],
          older: non_neg_integer,
          actual: non_neg_integer | nil,
          why: String.t() | nil
        }

  defstruct [:pid, :name, :time, :length, :actual, :why, messages: [], older: 0]

  @doc """
  How long each of the messages had lain there at that moment, in nanoseconds.

      iex> message = %ElixirScope.Message{content: :tick, delivered: %{id: 1, time: 100}}
      iex> ElixirScope.Mailbox.waiting(%ElixirScope.Mailbox{time: 250, messages: [message]})
      [{message, 150}]
  """
  @spec waiting(t) :: [{Message.t(), non_neg_integer}]
  def waiting(%__MODULE__{time: time, messages: messages}),
    do: for(message <- messages, do: {message, max(time - Message.time(message), 0)})
end
