defmodule ElixirScope.Error do
  @moduledoc """
  Why a question could not be answered, or a recording not be made.

  `reason` is for programs, `message` for people: it says what was expected, what came, and what to do.

  | reason | meaning |
  |---|---|
  | `:not_recording` | there is no recording to ask |
  | `:no_snapshot` | nothing of a flight recording was written down yet |
  | `:bad_option`, `:bad_time`, `:bad_server`, `:bad_function` | an argument is not of the form that is expected |
  | `:unknown_mark` | no mark of the recording has this label |
  | `:before_recording`, `:after_recording` | the time lies outside of what was recorded |
  | `:unknown_process` | no event of such a process was recorded |
  | `:not_instrumented` | the code that would make the events is not instrumented, or is not in a recording that was opened |
  | `:not_watched` | the processes that would tell it are not watched |
  | `:not_exited` | the process lives, so there is no end to explain |
  | `:no_state` | the process made events, but none of its states was recorded, or none by that time |
  | `:lost` | events are missing between the last known state and the time that was asked for |
  | `:no_change` | what is looked for did not become true in any state that is known |
  | `:cut` | a limit, or redaction, kept out what is asked about |
  | `:bad_predicate` | the function that is to be asked about states failed |
  | `:no_callback` | no callback of the server is known that could be run again |
  | `:not_before` | nothing leads from the one event to the other |
  | `:no_literal` | a recorded term, or how a call ended, cannot be written down as source |
  | `:not_found`, `:is_run`, `:in_use`, `:not_writable`, `:disk_full`, `:damaged`, `:io` | the folder or file of a recording |
  | `:other_version` | the recording is of another version of the format; the message says what opens it |
  | `:not_loaded` | the native library is not there |

      iex> {:error, error} = ElixirScope.open("/nowhere")
      iex> error.reason
      :not_found
  """

  @type t :: %__MODULE__{reason: atom, message: String.t()}

  defexception [:reason, :message]

  @doc false
  def new(reason, message), do: {:error, %__MODULE__{reason: reason, message: message}}
end
