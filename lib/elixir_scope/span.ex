defmodule ElixirScope.Span do
  @moduledoc """
  Something that a framework did, from its beginning to its end: a request, a query, a job. See `ElixirScope.spans/1`.

  | field | meaning |
  |---|---|
  | `kind` | `:request`, `:query`, `:job`, `:http`, `:live_view`, `:live_component`, `:channel`, `:socket`, `:template`, `:custom`, or what an `ElixirScope.Framework` of your own says |
  | `name` | `"GET /users/:id"`, `"SELECT users"`, `"Shop.Mailer"` |
  | `pid` | the process that did it |
  | `started`, `finished`, `duration` | in nanoseconds of system time; `nil` when its end was not recorded; of the outcome `:exit` it is the end of its process |
  | `outcome` | what came of it, such as the status `200`; `:ok` or `:raised` where the framework says no more; `:exit` when its process ended before it; `:open` when its end was not recorded, and `:unknown` when events are missing since it began |
  | `exception` | `%{kind:, reason:, stack:}` when one ended it, or its process ended, or the part of it that the framework tells |
  | `attributes` | what else the framework says, as a keyword list |
  | `call` | the innermost recorded call around its beginning, an `ElixirScope.Call`; `nil` where there is none |
  | `id` | of the event of `:telemetry` that began it, or was all of it |

  It can be given wherever a time is expected; that is its beginning.
  """

  @type t :: %__MODULE__{
          id: non_neg_integer,
          kind: atom,
          name: String.t(),
          pid: pid,
          started: non_neg_integer,
          finished: non_neg_integer | nil,
          duration: non_neg_integer | nil,
          outcome: term,
          exception: %{kind: atom, reason: term, stack: list} | nil,
          attributes: keyword,
          call: ElixirScope.Call.t() | nil,
          # When its event was recorded: of a span that is told by one event alone that is its end.
          time: non_neg_integer
        }

  defstruct [:id, :kind, :name, :pid, :started, :finished, :duration, :outcome, :exception, :call, :time] ++
              [attributes: []]
end
