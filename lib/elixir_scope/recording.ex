defmodule ElixirScope.Recording do
  @moduledoc """
  A recording that can be asked: the one that is being made, or one that `ElixirScope.open/1` opened.

  Every question takes it as `in: recording`; without that, the recording of this VM is asked.
  """

  @enforce_keys [:handle, :path]
  # `overflow` is known of the recordings of this VM.
  defstruct [:handle, :path, :overflow, live?: false]

  @type t :: %__MODULE__{
          handle: reference,
          path: Path.t(),
          live?: boolean,
          overflow: :drop_new | :overwrite | {:block, pos_integer} | nil
        }
end
