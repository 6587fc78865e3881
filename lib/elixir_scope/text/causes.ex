defmodule ElixirScope.Text.Causes do
  @moduledoc false
  # Events next to another one, as rows of a story.

  alias ElixirScope.{Event, Recording, Text}
  alias ElixirScope.Text.{Names, Sentence}

  @doc "The recording of an event."
  @spec recording(Event.t()) :: Recording.t() | nil
  def recording(event), do: Names.origin(event.id, event.pid, event.time)

  @doc "The cells of a line: when, who, what happened, where."
  @spec row(Event.t(), Recording.t() | nil, keyword) :: [String.t()]
  def row(event, recording, options) do
    options = Keyword.update(options, :width, 60, &narrow/1)

    [
      Text.clock(event.time),
      Text.process(recording, event.pid, event.time),
      what(event, recording, options),
      Sentence.place(event)
    ]
  end

  defp narrow(width) when is_integer(width), do: min(width, 60)
  defp narrow(width), do: width

  defp what(%Event{kind: :send, data: %{message: message, to: to}} = event, recording, options) do
    to = whom(to, recording, event.time)

    case message do
      {:"$gen_call", {_pid, _tag}, request} -> "asks #{to} #{Text.short(request, options)}"
      {:"$gen_cast", request} -> "casts #{Text.short(request, options)} to #{to}"
      {[:alias | _ref], answer} -> "answers #{Text.short(answer, options)}"
      {ref, answer} when is_reference(ref) -> "answers #{Text.short(answer, options)}"
      message -> "sends #{Text.short(message, options)} to #{to}"
    end
  end

  defp what(%Event{kind: :receive, data: %{message: message}}, _recording, options),
    do: "is sent #{content(message, options)}"

  defp what(%Event{kind: :take, data: %{message: message}}, _recording, options),
    do: "takes #{content(message, options)}"

  defp what(%Event{kind: :take}, _recording, _options), do: "waits no longer"
  defp what(%Event{kind: :wait}, _recording, _options), do: "waits in a receive"

  defp what(%Event{kind: :spawn, data: %{child: child}} = event, recording, _options),
    do: "makes #{Text.process(recording, child, event.time)}"

  defp what(%Event{kind: :spawned, data: %{parent: parent}} = event, recording, _options),
    do: "is made by #{whom(parent, recording, event.time)}"

  defp what(%Event{kind: :exit, data: %{reason: reason}}, _recording, options),
    do: "ends: #{Text.short(reason, options)}"

  defp what(%Event{kind: :call} = event, _recording, options), do: "calls " <> Sentence.of(event, options)

  defp what(%Event{kind: :return} = event, _recording, options),
    do: "returns from " <> Sentence.of(event, options)

  defp what(%Event{kind: :state} = event, _recording, options),
    do: "has the state " <> Sentence.of(event, options)

  # What begins with its verb.
  defp what(%Event{kind: kind} = event, _recording, options)
       when kind in [:link, :name, :label, :traced, :schedule, :collect, :port],
       do: Sentence.of(event, options)

  defp what(%Event{} = event, _recording, options), do: "#{event.kind} " <> Sentence.of(event, options)

  # What OTP puts around it says nothing to people.
  defp content({:"$gen_call", {_pid, _tag}, request}, options), do: "the call #{Text.short(request, options)}"
  defp content({:"$gen_cast", request}, options), do: "the cast #{Text.short(request, options)}"
  defp content({[:alias | _ref], answer}, options), do: "the answer #{Text.short(answer, options)}"
  defp content(message, options), do: Text.short(message, options)

  defp whom(pid, recording, time) when is_pid(pid), do: Text.process(recording, pid, time)
  defp whom(other, _recording, _time), do: Text.short(other, width: 40)
end

defimpl Inspect, for: ElixirScope.Causes do
  # The event, then what led to it or what it led to, a line each.
  alias ElixirScope.Text

  def inspect(%{event: %ElixirScope.Event{} = event, steps: steps} = causes, opts) when is_list(steps) do
    options = Text.options(opts)
    recording = Text.Causes.recording(event)

    rows =
      for step <- steps,
          do: [words(step.why, causes.direction) | Text.Causes.row(step.event, recording, options)]

    Text.view("Causes", [
      Text.columns(["#{causes.direction} of" | Text.Causes.row(event, recording, options)]),
      if(steps == [], do: "none is recorded", else: Text.table(rows)),
      if(causes.more, do: "and more: limit: :infinity shows them", else: []),
      causes.unknown || []
    ])
  end

  # Made by hand.
  def inspect(causes, opts), do: Inspect.Any.inspect(causes, opts)

  defp words(:same_process, :causes), do: "before"
  defp words(:same_process, :effects), do: "next"
  defp words(:call, _direction), do: "in"
  defp words(:message, _direction), do: "message"
  defp words(why, _direction), do: Atom.to_string(why)
end

defimpl Inspect, for: ElixirScope.Causes.Way do
  # A story with arrows: a line for each event, and between two what leads from the one to the other.
  alias ElixirScope.Text

  @shown 30

  def inspect(%{from: %ElixirScope.Event{} = from, to: %{time: time}, steps: steps}, opts)
      when is_list(steps) do
    options = Text.options(opts)
    recording = Text.Causes.recording(from)
    {shown, rest} = if options[:width] == :infinity, do: {steps, []}, else: Enum.split(steps, @shown)
    events = [{"", from} | for(step <- shown, do: {arrow(step.why), step.event})]

    Text.view("Causes.Way", [
      "#{count(length(steps))} in #{Text.duration(max(time - from.time, 0))}",
      Text.table(for {arrow, event} <- events, do: [arrow | Text.Causes.row(event, recording, options)]),
      if(rest == [], do: [], else: "and #{length(rest)} more steps")
    ])
  end

  # Made by hand.
  def inspect(path, opts), do: Inspect.Any.inspect(path, opts)

  defp count(1), do: "1 step"
  defp count(many), do: "#{many} steps"

  defp arrow(:same_process), do: "|"
  defp arrow(:message), do: "-> message"
  defp arrow(:spawn), do: "-> spawn"
  defp arrow(:exit), do: "-> exit"
  defp arrow(why), do: "-> #{why}"
end
