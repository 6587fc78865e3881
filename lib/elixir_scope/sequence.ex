defmodule ElixirScope.Sequence do
  @moduledoc """
  Who said what to whom, in which order: the messages between some processes in a time. `ElixirScope.sequence/1` makes it; shown in IEx it is
  a diagram, and `mermaid/1` gives it as text for Mermaid.

  | field | meaning |
  |---|---|
  | `processes` | the processes, in the order of the columns |
  | `left_out` | `{pid, messages}` of processes that were part of it and have no column, the most active first |
  | `steps` | what happened, by time; each is `{time, step}` |
  | `since`, `until` | the time, as it was asked for; `nil`: no bound |
  | `names` | the names of the processes, by pid |

  | step | meaning |
  |---|---|
  | `{:message, message}` | an `ElixirScope.Message`, at the time of its sending |
  | `{:spawn, parent, child}` | a process made another one |
  | `{:exit, pid, reason}` | a process ended |
  """

  alias ElixirScope.Message

  @type step :: {:message, Message.t()} | {:spawn, pid, pid} | {:exit, pid, term}

  @type t :: %__MODULE__{
          processes: [pid],
          left_out: [{pid, pos_integer}],
          steps: [{non_neg_integer, step}],
          since: non_neg_integer | nil,
          until: non_neg_integer | nil,
          names: %{pid => String.t()}
        }

  defstruct processes: [], left_out: [], steps: [], since: nil, until: nil, names: %{}

  @arrows [call: "->>", reply: "-->>"]

  @doc """
  The sequence as a `sequenceDiagram` of Mermaid: calls are arrows, replies dotted ones, other messages open ones; a cross ends what
  was not delivered. `limit:` is how many steps are written at most, 500 if it is not said; a note says when there are more.
  """
  @spec mermaid(t, keyword) :: String.t()
  def mermaid(sequence, options \\ [])

  def mermaid(%__MODULE__{} = sequence, options) do
    limit = Keyword.get(options, :limit, 500)
    numbers = sequence.processes |> Enum.with_index(1) |> Map.new()
    {steps, more} = Enum.split(sequence.steps, limit)

    participants =
      for pid <- sequence.processes, do: "participant p#{numbers[pid]} as #{escape(name(sequence, pid))}"

    lines = Enum.flat_map(steps, fn {_time, step} -> line(step, numbers, sequence) end)

    Enum.join(
      ["sequenceDiagram"] ++ Enum.map(participants ++ lines ++ more(more, sequence), &("  " <> &1)),
      "\n"
    ) <> "\n"
  end

  def mermaid(other, _options) do
    raise ArgumentError,
          "expected an ElixirScope.Sequence, as ElixirScope.sequence/1 gives it, got: #{Kernel.inspect(other, limit: 5, printable_limit: 100)}"
  end

  defp line({:message, %{from: nil} = message}, numbers, _sequence),
    do: ["Note right of p#{numbers[message.to]}: #{label(message)}"]

  defp line({:message, message}, numbers, _sequence),
    do: ["p#{numbers[message.from]}#{arrow(message)}p#{numbers[message.to]}: #{label(message)}"]

  defp line({:spawn, parent, child}, numbers, sequence) do
    case numbers do
      %{^parent => from, ^child => to} ->
        ["Note over p#{from},p#{to}: spawns #{escape(name(sequence, child))}"]

      %{^parent => from} ->
        ["Note over p#{from}: spawns #{escape(name(sequence, child))}"]

      %{^child => to} ->
        ["Note over p#{to}: is spawned"]
    end
  end

  defp line({:exit, pid, reason}, numbers, _sequence),
    do: ["Note over p#{numbers[pid]}: ends: #{escape(short(reason, 40))}"]

  defp arrow(%{outcome: outcome}) when outcome in [:pending, :nobody], do: "-x"
  defp arrow(%{kind: kind}), do: Keyword.get(@arrows, kind, "-)")

  defp label(%{outcome: :unknown} = message), do: "#{escape(text(message, 40))} ?"
  defp label(message), do: escape(text(message, 40))

  defp more([], _sequence), do: []
  defp more(more, sequence), do: ["Note over p1,p#{length(sequence.processes)}: and #{length(more)} more"]

  @doc false
  # What a message says, without what OTP puts around it.
  def text(%Message{kind: :call, content: {_, _, request}}, width), do: short(request, width)
  def text(%Message{kind: :cast, content: {_, request}}, width), do: short(request, width)
  def text(%Message{kind: :reply, content: {_, reply}}, width), do: short(reply, width)

  def text(%Message{kind: :down, content: {_, _, _, _, reason}}, width),
    do: "DOWN " <> short(reason, max(width - 5, 8))

  def text(%Message{kind: :exit, content: {_, _, reason}}, width),
    do: "EXIT " <> short(reason, max(width - 5, 8))

  def text(%Message{kind: :system, content: {_, _, request}}, width), do: short(request, width)
  def text(%Message{content: content}, width), do: short(content, width)

  @doc false
  def name(sequence, pid), do: Map.get_lazy(sequence.names, pid, fn -> Kernel.inspect(pid) end)

  # Lists of any length are made short before they become text.
  defp short(term, width) do
    text =
      Kernel.inspect(term, limit: 8, printable_limit: width, width: :infinity) |> String.replace(~r/\s+/, " ")

    if String.length(text) <= width, do: text, else: String.slice(text, 0, max(width - 3, 1)) <> "..."
  end

  # These begin something of their own in Mermaid.
  @special %{
    "#" => "#35;",
    ";" => "#59;",
    "\n" => " ",
    "\r" => " ",
    "<" => "#lt;",
    ">" => "#gt;",
    "%" => "#37;",
    "\"" => "#quot;"
  }

  defp escape(text), do: String.replace(text, Map.keys(@special), &Map.fetch!(@special, &1))
end
