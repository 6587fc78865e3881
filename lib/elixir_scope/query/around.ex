defmodule ElixirScope.Query.Around do
  @moduledoc false
  # The innermost recorded calls around events, and what questions about lines and spans have in common.

  alias ElixirScope.{Error, Event, Events, Native, Query, Recording}
  alias ElixirScope.Query.{Server, Stack}

  @doc "Each with the innermost call that was open when it happened in its process; a process is walked through once."
  @spec with_calls([item], Recording.t()) :: [item] when item: %{id: non_neg_integer, pid: pid, call: term}
  def with_calls(items, recording) do
    found = items |> Enum.group_by(& &1.pid, & &1.id) |> Enum.flat_map(&calls(&1, recording)) |> Map.new()
    for item <- items, do: %{item | call: found[item.id]}
  end

  defp calls({pid, numbers}, recording) when is_pid(pid) do
    {:ok, process} = Server.numbers(pid)
    {pairs, begun} = Native.around(recording.handle, process, numbers)
    made = for event <- begun, into: %{}, do: {elem(event, 0), made(recording, process, event)}
    for {number, call} <- pairs, do: {number, made[call]}
  end

  defp calls(_of_nobody, _recording), do: []

  defp made(recording, process, event), do: Stack.call(recording, process, Event.from_native(event))

  @doc "The events of a kind that filters choose, oldest first unless they say otherwise."
  @spec events(Recording.t(), :log | :telemetry, keyword) :: {:ok, Events.t()} | {:error, Error.t()}
  def events(recording, kind, filters) do
    with {:ok, order} <- Query.order(filters),
         {:ok, filter} <-
           Query.filter(recording, [kind: kind] ++ Keyword.take(filters, [:pid, :since, :until])) do
      {:ok, %Events{recording: recording, filter: filter, limit: :infinity, order: order}}
    end
  end

  @doc "Whether a recording holds any event of a kind."
  @spec any?(Recording.t(), :log | :telemetry) :: boolean
  def any?(recording, kind) do
    filter = %{
      kinds: [Atom.to_string(kind)],
      processes: nil,
      sites: nil,
      since: 0,
      until: 0xFFFFFFFFFFFFFFFF
    }

    match?({[_event], _next}, Native.events(recording.handle, filter, 0, 1))
  end

  @doc "What is missing of a recording, as the end of a sentence."
  @spec missing(Recording.t()) :: String.t()
  def missing(recording) do
    if Native.summary(recording.handle).gaps == [],
      do: "",
      else: "; events are missing too, see ElixirScope.status()"
  end

  @doc "Whether a text is wanted: it holds that text, or matches that regular expression."
  @spec matching(keyword) :: {:ok, (String.t() -> boolean)} | {:error, Error.t()}
  def matching(filters) do
    case Keyword.fetch(filters, :matching) do
      :error ->
        {:ok, fn _text -> true end}

      {:ok, text} when is_binary(text) ->
        {:ok, &String.contains?(&1, text)}

      {:ok, %Regex{} = regex} ->
        {:ok, &Regex.match?(regex, &1)}

      {:ok, other} ->
        Error.new(
          :bad_option,
          "expected :matching to be a text or a regular expression such as ~r/timeout/, got: #{inspect(other)}"
        )
    end
  end

  @doc "The first so many."
  @spec first(Enumerable.t(item), pos_integer | :infinity) :: [item] when item: term
  def first(items, :infinity), do: Enum.to_list(items)
  def first(items, limit), do: Enum.take(items, limit)

  @doc "An event that could be read."
  @spec readable?(Event.t()) :: boolean
  def readable?(%Event{data: data}), do: data != nil
end
