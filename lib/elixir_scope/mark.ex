defmodule ElixirScope.Mark do
  @moduledoc """
  A bookmark in a recording: a name for a moment. See `ElixirScope.mark/2`.

  `id` is the number of its event, and `pid` the process that set it; both are `nil` for one that was set afterwards, which
  is kept beside the recording. It can be given wherever a time is expected, and so can its label.
  """

  @type label :: atom | String.t()
  @type t :: %__MODULE__{
          label: label,
          time: non_neg_integer,
          pid: pid | nil,
          id: non_neg_integer | nil
        }

  @enforce_keys [:label, :time]
  defstruct [:label, :time, :pid, :id]

  defimpl Inspect do
    alias ElixirScope.{Native, Text}

    def inspect(%{time: time} = mark, _opts) when is_integer(time) do
      Text.view("Mark", ["#{Kernel.inspect(mark.label)} at #{Text.moment(time, Native.now())}"])
    end

    # Made by hand.
    def inspect(mark, opts), do: Inspect.Any.inspect(mark, opts)
  end
end
