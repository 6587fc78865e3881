defmodule ElixirScope.Text.Span do
  @moduledoc false
  # A span in words.

  alias ElixirScope.{Span, Text}

  @doc "What came of it."
  @spec outcome(Span.t(), keyword) :: String.t()
  def outcome(%Span{outcome: :exit, exception: nil}, _options), do: "its process ended"

  def outcome(%Span{outcome: :exit, exception: %{reason: reason}}, options),
    do: "its process ended: #{Text.short(reason, options)}"

  def outcome(%Span{exception: %{kind: kind, reason: reason}} = span, options) do
    raised = Text.exception(kind, reason, options)
    if span.outcome == :raised, do: raised, else: "#{term(span.outcome, options)}  #{raised}"
  end

  def outcome(%Span{outcome: :open}, _options), do: "has not ended"
  def outcome(%Span{outcome: :unknown}, _options), do: "unknown: events are missing since it began"
  def outcome(%Span{outcome: outcome}, options), do: "-> #{term(outcome, options)}"

  defp term({:error, %{__exception__: true} = error}, options), do: Text.exception(:error, error, options)
  defp term(text, _options) when is_binary(text), do: text
  defp term(outcome, _options) when is_atom(outcome), do: "#{outcome}"
  defp term(outcome, options), do: Text.short(outcome, options)

  @doc "Pairs as lines, the values under each other."
  @spec about([{atom, term}], keyword) :: [String.t()]
  def about(pairs, options) do
    widest =
      pairs
      |> Enum.map(fn {key, _value} -> key |> to_string() |> String.length() end)
      |> Enum.max(fn -> 0 end)

    narrow = Keyword.update(options, :width, 80, &narrow(&1, widest))

    for {key, value} <- pairs,
        do: String.pad_trailing(to_string(key), widest) <> "  " <> value(key, value, narrow)
  end

  defp narrow(width, widest) when is_integer(width), do: max(width - widest - 2, 30)
  defp narrow(width, _widest), do: width

  defp value(key, text, options) when key in [:route, :path, :host, :uri, :query, :in] and is_binary(text),
    do: text |> String.replace(~r/\s+/, " ") |> limited(options[:width])

  defp value(key, time, options) when is_integer(time) and time >= 0 do
    if key |> to_string() |> String.ends_with?("_time"),
      do: Text.duration(time),
      else: Text.short(time, options)
  end

  defp value(_key, value, options), do: Text.short(value, options)

  # A query is worth more than a line.
  defp limited(text, width) when is_integer(width) do
    if String.length(text) > 3 * width, do: String.slice(text, 0, 3 * width - 3) <> "...", else: text
  end

  defp limited(text, _any), do: text
end

defimpl Inspect, for: ElixirScope.Span do
  # When, who, what and how long; what it was and what came of it; what else is known.
  alias ElixirScope.{Native, Text}
  alias ElixirScope.Text.Names

  def inspect(%{id: id, started: started, time: time, name: name} = span, opts)
      when is_integer(started) and is_integer(time) and is_binary(name) do
    options = Text.options(opts)

    head = [
      "#{id}",
      Text.moment(started, Native.now()),
      Names.of(span, time),
      "#{span.kind}",
      took(span.duration)
    ]

    called = for %{mfa: mfa} <- [span.call], do: {:in, Text.mfa(mfa)}

    Text.view("Span", [
      Text.columns(head),
      Text.columns([name, Text.Span.outcome(span, options)]),
      Text.Span.about(span.attributes ++ called, options)
    ])
  end

  # Made by hand.
  def inspect(span, opts), do: Inspect.Any.inspect(span, opts)

  defp took(nil), do: ""
  defp took(duration), do: Text.duration(duration)
end
