defmodule ElixirScope.Text.Change do
  @moduledoc false
  # What changed a state, in words.

  alias ElixirScope.{Recording, Text}
  alias ElixirScope.Text.Sentence

  @doc "The cause of a change. Options are those of `ElixirScope.Text.short/2`."
  @spec cause(ElixirScope.Change.t(), Recording.t() | nil, keyword) :: String.t()
  def cause(%{cause: cause, time: time}, recording, options) do
    options = Keyword.update(options, :width, 60, &narrow/1)
    words(cause, fn pid -> Text.process(recording, pid, time) end, options)
  end

  defp narrow(width) when is_integer(width), do: min(width, 60)
  defp narrow(width), do: width

  defp words(%{kind: kind, unknown: unknown}, _who, _options) when unknown in [:lost, :not_recorded],
    do: "#{kind}, #{missing(unknown)}"

  defp words(%{kind: :init} = cause, _who, options), do: "init#{message(cause, options)}"

  defp words(%{kind: :call} = cause, who, options),
    do: "call#{message(cause, options)} from #{from(cause, who)}"

  # Who sent it is not looked for here: where messages are recorded, `ElixirScope.messages/1` may know.
  defp words(%{kind: kind} = cause, _who, options) when kind in [:cast, :info],
    do: "#{kind}#{message(cause, options)}"

  defp words(%{kind: :outside} = cause, _who, _options) do
    since = if cause[:since], do: ", after #{Text.clock(cause.since)}", else: ""
    "from outside of the callbacks#{since}"
  end

  defp words(%{call: %{mfa: mfa}} = cause, _who, options),
    do: "#{Text.mfa(mfa)}#{event(cause)}#{message(cause, options)}"

  defp words(cause, _who, options), do: "callback#{message(cause, options)}"

  defp missing(:lost), do: "what it was given is missing, with its events"
  defp missing(:not_recorded), do: "what it was given is not recorded (args: false)"

  defp event(%{event: type}) when type != nil, do: " " <> type(type)
  defp event(_cause), do: ""

  defp type({:timeout, name}), do: "timeout #{Text.short(name, width: 30)}"
  defp type(type), do: Atom.to_string(type)

  defp message(%{message: nil, call: nil}, _options), do: ""
  defp message(%{message: message}, options), do: " " <> Text.short(message, options)

  defp from(%{from: nil, unknown: :limit}, _who), do: "a process that a limit kept out"
  defp from(%{from: nil}, _who), do: "a process that is not recorded"
  defp from(%{from: pid}, who), do: who.(pid)

  @doc "Where in the source the change was made."
  @spec place(ElixirScope.Change.t()) :: String.t()
  def place(%{cause: %{call: %{} = call}}), do: Sentence.place(call)
  def place(_change), do: ""
end

defimpl Inspect, for: ElixirScope.Change do
  alias ElixirScope.{Native, Text}
  alias ElixirScope.Text.Names

  def inspect(%{time: time, pid: pid, cause: %{}} = change, opts) when is_integer(time) do
    recording = Names.origin(change.id, pid, time)
    options = Text.options(opts)

    Text.view("Change", [
      Text.columns([
        "#{change.id}",
        Text.moment(time, Native.now()),
        Names.text(recording, pid, time),
        Text.Change.place(change)
      ]),
      Text.Change.cause(change, recording, options),
      what(change, options),
      for(gap <- change.gaps, do: missing(gap)),
      passed(change)
    ])
  end

  # Made by hand.
  def inspect(change, opts), do: Inspect.Any.inspect(change, opts)

  defp what(%{before: :none} = change, options), do: "-> " <> Text.short(change.state, options)
  defp what(%{difference: %{entries: []}}, _options), do: "nothing differs"
  defp what(change, options), do: Text.Difference.lines(change.difference, options)

  defp missing(gap) do
    "events are missing (#{gap.cause}) from #{Text.clock(gap.from)} to #{Text.clock(gap.to)}: other changes may be among them"
  end

  defp passed(%{passed: %{pid: pid, time: time, path: path}} = change) do
    whose = if pid == change.pid, do: "", else: " of #{inspect(pid)}"

    [
      "a limit kept out #{ElixirScope.Path.format(path)} in the state#{whose} of #{Text.clock(time)}: the function may have been true of it"
    ]
  end

  defp passed(_change), do: []
end
