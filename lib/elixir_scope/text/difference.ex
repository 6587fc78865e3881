defmodule ElixirScope.Text.Difference do
  @moduledoc false
  # What differs, line by line: where, what was there, what is there now.

  alias ElixirScope.{Path, Text}

  @shown 20
  @value 44
  @marks %{put: "+", changed: "~", removed: "-", unknown: "?"}

  @doc "The lines of a difference, aligned. Options are those of `ElixirScope.Text.short/2`."
  @spec lines(ElixirScope.Difference.t(), keyword) :: [String.t()]
  def lines(%{entries: entries}, options) do
    {shown, rest} = if options[:width] == :infinity, do: {entries, []}, else: Enum.split(entries, @shown)
    more = if rest == [], do: [], else: ["and #{Text.number(length(rest))} more"]
    Text.table(for entry <- shown, do: row(entry, options)) ++ more
  end

  defp row({path, kind, _old, _new} = entry, options) do
    {old, new} = sides(entry, Keyword.update(options, :width, @value, &narrow/1))
    ["#{@marks[kind]} #{Path.format(path)}", old, new]
  end

  defp narrow(width) when is_integer(width), do: min(width, @value)
  defp narrow(width), do: width

  defp sides({_path, :put, _old, new}, options), do: {"", "-> " <> side(new, :green, options)}
  defp sides({_path, :removed, old, _new}, options), do: {side(old, :red, options), ""}

  defp sides({_path, _kind, old, new}, options),
    do: {side(old, :red, options), "-> " <> side(new, :green, options)}

  # Old and new are told by their colours; those of the values' own kinds would only hide that.
  defp side(value, color, options) do
    value |> Text.short(Keyword.delete(options, :color)) |> Text.paint(color, Keyword.take(options, [:color]))
  end

  @doc """
  A difference in one line, as far as it fits. First comes what says most: of a LiveView each callback changes `__changed__`, its own list of
  what changed, too, and of two secrets nobody knows whether they differ.
  """
  @spec line(ElixirScope.Difference.t(), keyword) :: String.t()
  def line(%{entries: []}, _options), do: "nothing differs"

  def line(%{entries: entries}, options) do
    {shown, rest} = entries |> Enum.sort_by(&rank/1) |> Enum.split(3)

    texts =
      for entry <- shown do
        text = entry |> row(options) |> Enum.reject(&(&1 == "")) |> Enum.join(" ")
        String.replace_prefix(text, "~ ", "")
      end

    more = if rest == [], do: [], else: ["and #{length(rest)} more"]
    Enum.join(texts ++ more, ", ")
  end

  defp rank({path, kind, _old, _new}) do
    cond do
      :__changed__ in path -> 2
      kind == :unknown -> 1
      true -> 0
    end
  end
end

defimpl Inspect, for: ElixirScope.Difference do
  alias ElixirScope.Text

  def inspect(%{entries: []}, _opts), do: Text.view("Difference", ["nothing differs"])

  def inspect(%{entries: entries} = difference, opts) when is_list(entries) do
    Text.view("Difference", [
      count(length(entries)),
      Text.Difference.lines(difference, Text.options(opts))
    ])
  end

  # Made by hand.
  def inspect(difference, opts), do: Inspect.Any.inspect(difference, opts)

  defp count(1), do: "1 part differs"
  defp count(many), do: "#{Text.number(many)} parts differ"
end
