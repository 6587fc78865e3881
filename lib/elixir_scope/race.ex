defmodule ElixirScope.Race do
  @moduledoc """
  Two processes that changed one server's state without knowing of each other: what the first one wrote, the second one overwrote with
  something that it had made of an older state.

  | field | meaning |
  |---|---|
  | `kind` | see below |
  | `server` | whose state it was |
  | `paths` | what both changed, see `ElixirScope.Path` |
  | `first`, `second` | the `ElixirScope.Race.Side` whose write was lost, and the one that wrote over it |
  | `lost` | what was lost, in words |
  | `gaps` | what is missing in that time, as in `ElixirScope.status/1` |

  | `kind` | meaning |
  |---|---|
  | `:lost_update` | the second one read, the first one wrote, and the second one wrote what it brought along |
  | `:stale_read` | likewise, but the second one's request holds no new value: the server made it of its state of then, so nothing is lost; only what the second one had decided on was no more so. With `stale: true` alone |
  | `:unknown` | events are missing, a message came from a process that is not watched, or a limit kept out what decides. Without sides: there may have been any |
  """

  defmodule Exchange do
    @moduledoc """
    A conversation with the server: `message` is what was asked, `reply` what was answered (`nil` for a cast), `id` and `time` are those of the callback that took it,
    `sent` when it was sent. `difference` is what the callback did to the state at the paths of the race, and `value` what stood at the first of them when it
    began: `{:ok, value}` or `:error`.
    """

    @type t :: %__MODULE__{
            id: non_neg_integer,
            time: non_neg_integer,
            message: term,
            reply: term,
            sent: %{id: non_neg_integer, time: non_neg_integer} | nil,
            value: {:ok, term} | :error | {:cut, ElixirScope.Cut.t()},
            difference: ElixirScope.Difference.t()
          }

    defstruct [:id, :time, :message, :reply, :sent, :value, :difference]
  end

  defmodule Side do
    @moduledoc "One of the two: the `client`, what it had `read` last (`nil` when it had not), and what it wrote (`write`), as `ElixirScope.Race.Exchange`."

    alias ElixirScope.Race.Exchange

    @type t :: %__MODULE__{client: pid, read: Exchange.t() | nil, write: Exchange.t()}

    defstruct [:client, :read, :write]
  end

  alias ElixirScope.Change
  alias ElixirScope.Race.Side

  @type t :: %__MODULE__{
          kind: :lost_update | :stale_read | :unknown,
          server: pid,
          paths: [ElixirScope.Path.t()],
          first: Side.t() | nil,
          second: Side.t() | nil,
          lost: String.t() | nil,
          gaps: [Change.gap()]
        }

  defstruct [:kind, :server, :first, :second, :lost, paths: [], gaps: []]
end
