defmodule ElixirScope.Replay do
  @moduledoc """
  A recorded callback, and what the current code makes of the same state and message: see `ElixirScope.replay/3`.

  | field | meaning |
  |---|---|
  | `call` | the recorded `ElixirScope.Call` of the callback |
  | `message` | what it was given beside the state: its arguments without that |
  | `state` | `{:ok, state}` as it was before, or `:none` for a callback that makes the first one |
  | `recorded`, `replayed` | how it ended then, and how it ends now: see below |
  | `same?` | whether these are the same; `nil` when how it ended then is not wholly known |
  | `result_difference` | the `ElixirScope.Difference` between the two returned values, `nil` unless both returned |
  | `state_difference` | likewise between the two states |

  A result is a map of `outcome`, and of what belongs to it:

  | outcome | further keys |
  |---|---|
  | `:returned` | `return`, and `state`: `{:ok, state}`, or `:none` when it does not say one |
  | `:raised` | `exception`: `%{kind:, reason:, stack:}` |
  | `:exited` | `reason`: the process was ended from outside of the callback |
  | `:timeout` | `after`: milliseconds |
  | `:open`, `:unknown` | the recording does not know how it ended |
  """

  alias ElixirScope.{Call, Difference, Recording}

  @type result :: %{required(:outcome) => atom, optional(atom) => term}

  @type t :: %__MODULE__{
          recording: Recording.t(),
          call: Call.t(),
          message: [term],
          state: {:ok, term} | :none,
          recorded: result,
          replayed: result,
          same?: boolean | nil,
          result_difference: Difference.t() | nil,
          state_difference: Difference.t() | nil
        }

  @enforce_keys [:recording, :call, :message, :state, :recorded, :replayed, :same?]
  defstruct [
    :recording,
    :call,
    :message,
    :state,
    :recorded,
    :replayed,
    :same?,
    :result_difference,
    :state_difference
  ]

  defimpl Inspect do
    alias ElixirScope.{Call, Native, Recording, Text}
    alias ElixirScope.Text.Sentence

    def inspect(%{recording: %Recording{}, call: %Call{}} = replay, opts) do
      options = Text.options(opts)

      Text.view("Replay", [
        Text.columns([
          Text.moment(replay.call.started, Native.now()),
          Text.process(replay.recording, replay.call.pid)
        ]),
        Text.call(replay.call.mfa, replay.call.args, options),
        told("then  ", result(replay.recorded, options)),
        told("now   ", result(replay.replayed, options)),
        verdict(replay),
        differences(replay, options)
      ])
    end

    # Made by hand.
    def inspect(replay, opts), do: Inspect.Any.inspect(replay, opts)

    # What is of several lines stands under its first one.
    defp told(label, result) do
      [first | rest] = List.wrap(result)
      [label <> first | Enum.map(rest, &("      " <> &1))]
    end

    defp result(%{outcome: :returned, return: value}, options), do: Text.short(value, narrow(options))

    defp result(%{outcome: :raised, exception: %{kind: kind, reason: reason} = exception}, options),
      do: Text.exception_lines(kind, reason, Sentence.stack(exception) ++ narrow(options))

    defp result(%{outcome: :exited, reason: reason}, options),
      do: "its process was ended: #{Text.short(reason, narrow(options))}"

    defp result(%{outcome: :timeout, after: time}, _options), do: "had not ended after #{time} ms"
    defp result(%{outcome: :open}, _options), do: "had not ended when the recording did"
    defp result(%{outcome: :unknown}, _options), do: "how it ended was not recorded"

    defp narrow(options), do: Keyword.update!(options, :width, &if(is_integer(&1), do: &1 - 6, else: &1))

    defp verdict(%{same?: true}), do: "the same"
    defp verdict(%{same?: false}), do: "not the same"
    defp verdict(%{same?: nil}), do: "whether it is the same cannot be said"

    # What differs between the states is told once, and not again as a part of the results.
    defp differences(%{same?: true}, _options), do: []

    defp differences(%{state_difference: %{entries: [_ | _] = entries}}, options),
      do: list("in the state", entries, options)

    defp differences(%{result_difference: %{entries: entries}}, options),
      do: list("in the result", entries, options)

    defp differences(_replay, _options), do: []

    defp list(where, entries, options) do
      lines = Text.Difference.lines(%{entries: entries}, Keyword.update!(options, :width, &narrower/1))
      ["#{where}, then and now:" | Enum.map(lines, &("  " <> &1))]
    end

    defp narrower(width) when is_integer(width), do: width - 2
    defp narrower(width), do: width
  end
end
