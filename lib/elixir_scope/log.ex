defmodule ElixirScope.Log do
  @moduledoc """
  A line of the log, see `ElixirScope.logs/1`.

  `level` is that of Logger, `message` the text, `metadata` what Logger knows beside it. `mfa`, `file` and `line` say where it was written,
  as far as Logger was told. `call` is the innermost recorded call around it, an `ElixirScope.Call`, or `nil`; `id` the number of its event.

  It can be given wherever a time is expected: `ElixirScope.at(log)` leads to that moment.
  """

  @type t :: %__MODULE__{
          id: non_neg_integer,
          time: non_neg_integer,
          pid: pid | nil,
          level: atom,
          message: String.t() | ElixirScope.Cut.t(),
          metadata: map,
          mfa: mfa | nil,
          file: String.t() | nil,
          line: pos_integer | nil,
          call: ElixirScope.Call.t() | nil
        }

  defstruct [:id, :time, :pid, :level, :message, :mfa, :file, :line, :call, metadata: %{}]
end
