defmodule ElixirScope.Text.Waiting do
  @moduledoc false
  # For whom a process waits, and how that ended, in words.

  alias ElixirScope.{Recording, Text}
  alias ElixirScope.Text.{Names, Sentence}

  @doc "The recording that waiting processes come from."
  @spec recording([ElixirScope.Waiting.t()]) :: Recording.t() | nil
  def recording(members), do: Enum.find_value(members, &Names.origin(&1.id, &1.pid, &1.since))

  @doc "The cells of a line: since when, who, for whom with what, where."
  @spec row(ElixirScope.Waiting.t(), Recording.t() | nil, keyword) :: [String.t()]
  def row(waiting, recording, options) do
    [
      Text.clock(waiting.since),
      Text.process(recording, waiting.pid, waiting.since),
      what(waiting, recording, options),
      Sentence.place(waiting)
    ]
  end

  @doc "What it waits for."
  @spec what(ElixirScope.Waiting.t(), Recording.t() | nil, keyword) :: String.t()
  def what(%{kind: :receive}, _recording, _options), do: "waits in a receive"
  def what(%{kind: :task} = waiting, recording, _options), do: "awaits the Task #{whom(waiting, recording)}"

  def what(%{kind: :start} = waiting, recording, _options), do: "starts #{whom(waiting, recording)}"

  def what(%{kind: kind} = waiting, recording, options) do
    options = Keyword.update(options, :width, 50, &narrow/1)
    "#{verb(kind)} #{whom(waiting, recording)} #{Text.short(waiting.request, options)}"
  end

  defp verb(:call), do: "called"
  defp verb(:request), do: "asked"

  defp narrow(width) when is_integer(width), do: min(width, 50)
  defp narrow(width), do: width

  defp whom(%{for: nil, target: target}, _recording), do: Text.short(target, width: 40)
  defp whom(%{for: pid, pid: pid}, _recording), do: "itself"
  defp whom(%{for: pid, since: since}, recording), do: Text.process(recording, pid, since)

  @doc "How it ended."
  @spec ended(map | nil, keyword) :: String.t()
  def ended(nil, _options), do: "still waits"
  def ended(%{how: :reply} = ended, _options), do: "was answered at #{Text.clock(ended.time)}"
  def ended(%{how: :timeout} = ended, _options), do: "gave up at #{Text.clock(ended.time)}"

  def ended(%{how: :down} = ended, options),
    do: "the other one ended at #{Text.clock(ended.time)}#{reason(ended, options)}"

  def ended(%{how: :exit} = ended, options), do: "ended at #{Text.clock(ended.time)}#{reason(ended, options)}"
  def ended(%{how: :went_on} = ended, _options), do: "went on at #{Text.clock(ended.time)}"

  defp reason(%{reason: nil}, _options), do: ""
  defp reason(%{reason: reason}, options), do: ", #{Text.short(reason, Keyword.put(options, :width, 60))}"
end

defimpl Inspect, for: ElixirScope.Waiting do
  # Two lines: since when and who; then for whom, with what.
  alias ElixirScope.{Native, Text}
  alias ElixirScope.Text.Sentence

  def inspect(%{pid: pid, since: since, kind: kind, id: id} = waiting, opts)
      when is_pid(pid) and is_integer(since) and is_integer(id) and
             kind in [:call, :task, :start, :request, :receive] do
    options = Text.options(opts)
    recording = Text.Waiting.recording([waiting])

    Text.view("Waiting", [
      Text.columns([
        Text.moment(since, Native.now()),
        Text.process(recording, pid, since),
        Sentence.place(waiting)
      ]),
      Text.Waiting.what(waiting, recording, options) <>
        "; " <> Text.Waiting.ended(waiting.ended, options) <> confirmed(waiting)
    ])
  end

  # Made by hand.
  def inspect(waiting, opts), do: Inspect.Any.inspect(waiting, opts)

  defp confirmed(%{confirmed: true}), do: ", as the VM confirms"
  defp confirmed(_waiting), do: ""
end
