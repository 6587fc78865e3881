defmodule ElixirScope.Locals do
  @moduledoc """
  The variables of one call, see `ElixirScope.locals_at/2`.

  `lines` are `{line, variables}` in the order in which they were bound, a line once for each time that it bound something;
  `visible` are the variables at the moment that was asked for, each with the value that it was bound to last: those of a branch, which
  the code behind it cannot see, are among them. Scopes are not recorded, so `ambiguous` names the variables that were bound at more than
  one place of the call by then, with different values: in `y = 1; case z do _ -> y = 2 end; y` the last `y` is 1, and `visible` has 2.
  `lines` has both. `call` is the `id` of the call, `mfa`, `pid` and `file` say which one.
  `complete?` is `false` where events are missing in the time of the call.
  """

  @type t :: %__MODULE__{
          call: non_neg_integer,
          mfa: mfa,
          pid: pid,
          file: String.t() | nil,
          lines: [{line :: non_neg_integer, keyword}],
          visible: keyword,
          ambiguous: [atom],
          complete?: boolean
        }

  defstruct [:call, :mfa, :pid, :file, lines: [], visible: [], ambiguous: [], complete?: true]
end
