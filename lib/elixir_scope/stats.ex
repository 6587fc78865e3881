defmodule ElixirScope.Stats do
  @moduledoc """
  Figures of a recording, or of a range of its time: see `ElixirScope.stats/1`.

  `since` and `until` are the range, within what is recorded, `gaps` what is missing in it: with gaps all figures are lower bounds,
  but for the times of functions that call each other in tail position: where such a call is missing, another one is taken to have gone on.

  `functions` are those that were called, each a map. Times are in nanoseconds of the wall clock, so a process that waits
  for an answer in a function spends time in it.

  | key | meaning |
  |---|---|
  | `mfa` | the function |
  | `calls` | calls that began in the range: as many as `ElixirScope.calls/2` gives |
  | `before` | calls that had begun before it, and went on in it |
  | `raised` | calls that an exception ended in the range |
  | `open` | calls that had not ended when the range did, or when their process did |
  | `unknown` | calls of which nobody knows when they ended: events are missing, or they ended in code that is not instrumented |
  | `total` | time in the range in which it was open, with all that it called. Recursion counts once: of each process, the time in which at least one call of it was open |
  | `own` | of that, the time in which it was the innermost instrumented function: without what it called |
  | `running` | of `own`, the time on a scheduler, where processes are watched with `kinds: [:scheduling]`; otherwise `nil` |
  | `min`, `mean`, `p50`, `p99`, `max` | durations of the calls that ended in the range, from their beginning, or `nil` when none did. `p50` and `p99` are exact within 1 % |

  A function that ends with a tail call is taken to last until the function ends that it called, as in `ElixirScope.Call`; its own time ends
  with the tail call. When such a chain comes back to a function that is in it already, that is the next round of a loop: the round
  before has ended there, and so has what it called. When the call goes to code that is not instrumented, and the frame with it, nobody sees its end: what
  comes after belongs to no function, and the call is `unknown`. A process that is killed has open calls until its `:exit`, where
  that is recorded, or else until the end of the range.

  The other fields:

  | field | meaning |
  |---|---|
  | `processes` | `{pid, events}` of each process that made events in the range, the busiest first |
  | `events` | how many there are of each kind, as a map |
  | `exits` | `{reason, count}`, the most frequent first. Stack traces are taken off, and an exception stands for all of its module. `:others` are those beyond a thousand different ones. `:not_watched` when the life of no process was recorded |
  | `messages` | maps of `from`, `to`, `count`: who sent how many messages to whom in the range, most first; `:not_watched` when messages were not recorded. `from` is `nil` where nobody knows. `to` is `nil` for what reached no process that is known |
  | `mailboxes` | maps of `pid`, `most`, `at`: how many messages were delivered to a process and not taken, at most, and when that was, the longest first; of processes of which it is seen what they take. Replies to calls do not count; what code that is not instrumented takes by a `receive` of its own goes on counting. `:not_watched` as for `messages` |
  | `restarts` | maps of `supervisor`, `child`, `count`, `last`: how often a supervisor made a child anew in the range, and when last, most first; with `:pid` those of these supervisors. `:not_watched` as for `exits` |
  """

  alias ElixirScope.Recording

  @type function_figures :: %{
          mfa: mfa,
          calls: non_neg_integer,
          before: non_neg_integer,
          raised: non_neg_integer,
          open: non_neg_integer,
          unknown: non_neg_integer,
          total: non_neg_integer,
          own: non_neg_integer,
          running: non_neg_integer | nil,
          min: non_neg_integer | nil,
          mean: non_neg_integer | nil,
          p50: non_neg_integer | nil,
          p99: non_neg_integer | nil,
          max: non_neg_integer | nil
        }

  @type t :: %__MODULE__{
          recording: Recording.t() | nil,
          since: non_neg_integer,
          until: non_neg_integer,
          sort: :own | :total | :calls,
          functions: [function_figures],
          processes: [{pid, pos_integer}],
          events: %{atom => pos_integer},
          exits: [{term, pos_integer}] | :not_watched,
          messages: [%{from: pid | nil, to: pid | nil, count: pos_integer}] | :not_watched,
          mailboxes: [%{pid: pid, most: pos_integer, at: non_neg_integer}] | :not_watched,
          restarts:
            [%{supervisor: pid, child: mfa | nil, count: pos_integer, last: non_neg_integer}] | :not_watched,
          gaps: [map]
        }

  defstruct [:recording, :since, :until, sort: :own, functions: [], processes: [], events: %{}] ++
              [exits: [], messages: [], mailboxes: [], restarts: [], gaps: []]
end
