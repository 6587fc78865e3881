defmodule ElixirScope.Query.Print do
  @moduledoc false
  # Printing after the fact.

  alias ElixirScope.{Call, Error, Event, Events, Native, Query, Text}
  alias ElixirScope.Query.{Server, Stack}

  @options [:in, :since, :until, :pid, :limit, :device]
  @limit 100

  @doc "See `ElixirScope.print/3`."
  @spec print(term, (term -> term) | nil, keyword) :: :ok | {:error, Error.t()}
  def print({place, line}, fun, options) when (is_binary(place) or is_atom(place)) and is_integer(line) do
    with {:ok, recording, options} <- prepare(fun, options),
         {:ok, filter} <- at_line(recording, place, line, options) do
      fun = fun || (& &1)
      lines = fn event -> {event, fn -> fun.(bindings(recording, event)) end} end

      output(recording, filter, options, fn limit ->
        recording |> events(filter, limit) |> Stream.map(lines)
      end)
    end
  end

  def print(function, fun, options) do
    with {:ok, recording, options} <- prepare(fun, options),
         {:ok, shown} <- Query.calls(function, Keyword.drop(options, [:device]) ++ [in: recording]),
         {:ok, filter} <-
           Query.filter(
             recording,
             [mfa: function, kind: :call] ++ Keyword.take(options, [:pid, :since, :until])
           ) do
      lines = fn call -> {call, fn -> if fun, do: fun.(call), else: call.args end} end
      output(recording, filter, options, fn _limit -> Stream.map(shown, lines) end)
    end
  end

  defp prepare(fun, options) do
    with :ok <- Query.check(options, @options),
         :ok <- function(fun),
         :ok <- device(Keyword.get(options, :device, :stdio)),
         {:ok, recording} <- Query.recording(options),
         options = options |> Keyword.delete(:in) |> Keyword.put_new(:limit, @limit),
         {:ok, _limit} <- Query.limit(options),
         do: {:ok, recording, options}
  end

  defp function(fun) when fun == nil or is_function(fun, 1), do: :ok

  defp function(other) do
    Error.new(
      :bad_option,
      "expected a function of one argument that gives what to print, such as fn call -> call.args end, got: #{inspect(other)}"
    )
  end

  defp device(device) when device in [:stdio, :stderr, :standard_io] or is_pid(device), do: :ok

  defp device(name) do
    if is_atom(name) and name != nil and Process.whereis(name),
      do: :ok,
      else:
        Error.new(
          :bad_option,
          "expected :device to be :stdio, :stderr, or a pid or name of a process to print to, got: #{inspect(name)}"
        )
  end

  defp events(_recording, :nothing, _limit), do: []

  defp events(recording, filter, limit) do
    Stack.stream(recording, filter, :next, 0)
    |> then(&if limit == :infinity, do: &1, else: Stream.take(&1, limit))
  end

  # Variables are recorded at the sites of the places that bind them.
  defp at_line(recording, place, line, options) do
    with {:ok, filter} <-
           Query.filter(recording, [kind: :binding] ++ Keyword.take(options, [:pid, :since, :until])) do
      places =
        for {key, site} <- Native.sites(recording.handle),
            binds?(site),
            at?(site, place),
            do: {key, line(site)}

      case {filter, for({key, ^line} <- places, do: key)} do
        {_filter, []} -> not_recorded(place, line, places)
        {:nothing, _keys} -> {:ok, :nothing}
        {filter, keys} -> {:ok, %{filter | sites: keys}}
      end
    end
  end

  defp binds?({_mfa, _place, {_node, _kind, _clause, names}}), do: names != []
  defp line({_mfa, {_file, line, _column, _source}, _node}), do: line
  defp at?({{module, _, _}, _place, _node}, place) when is_atom(place), do: module == place

  defp at?({_mfa, {file, _, _, _}, _node}, place),
    do: file == place or String.ends_with?(file, "/" <> place) or Path.expand(file) == Path.expand(place)

  defp not_recorded(place, line, []) do
    Error.new(
      :not_instrumented,
      "no variables of #{inspect(place)} were recorded, so nothing can be printed by line (#{line} was given); record them with " <>
        "`use ElixirScope, locals: true` or `@scope locals: true` above the function, or print its calls: " <>
        "ElixirScope.print(&Mod.fun/2, fn call -> call.args end)"
    )
  end

  defp not_recorded(place, line, places) do
    lines =
      places |> Enum.map(&elem(&1, 1)) |> Enum.uniq() |> Enum.sort_by(&{abs(&1 - line), &1}) |> Enum.take(10)

    Error.new(
      :not_instrumented,
      "expected a line of #{inspect(place)} at which a variable is bound and was recorded, got: #{line}; near it are " <>
        (lines |> Enum.sort() |> Enum.join(", "))
    )
  end

  # All variables of the call as of that line, the later one of two with a name.
  defp bindings(recording, event) do
    {:ok, process} = Server.numbers(event.pid)
    call = recording |> Stack.open_calls(process, event.id) |> elem(0) |> List.first()

    recording
    |> Stack.bindings(process, event, call)
    |> Enum.flat_map(& &1.data.bindings)
    |> Enum.uniq_by(&elem(&1, 0))
    |> Map.new()
  end

  defp output(recording, filter, options, lines) do
    device = Keyword.get(options, :device, :stdio)
    limit = Keyword.fetch!(options, :limit)
    printed = limit |> lines.() |> Enum.reduce(0, &line(&1, &2, recording, device))
    if printed == limit, do: more(recording, filter, printed, device)
    if printed == 0, do: IO.puts(device, none(recording, filter))
    :ok
  end

  defp line({from, value}, printed, recording, device) do
    IO.puts(device, [Text.clock(time(from)), "  ", Text.process(recording, from.pid), "  ", text(value)])
    printed + 1
  end

  defp time(%Call{started: time}), do: time
  defp time(%Event{time: time}), do: time

  # A text is printed as it is, like IO.puts does.
  defp text(value) do
    case value.() do
      text when is_binary(text) -> if String.printable?(text), do: text, else: inspect(text)
      other -> inspect(other, printable_limit: 1_000, inspect_fun: &Text.Struct.document/2)
    end
  rescue
    error -> Exception.format_banner(:error, error, __STACKTRACE__)
  catch
    kind, reason -> Exception.format_banner(kind, reason)
  end

  defp more(_recording, :nothing, _printed, _device), do: :ok

  defp more(recording, filter, printed, device) do
    case Native.count_events(recording.handle, filter) - printed do
      more when more > 0 ->
        IO.puts(
          device,
          "... and #{Text.number(more)} more; limit: says how many are printed, since: and until: which"
        )

      _none ->
        :ok
    end
  end

  defp none(recording, filter) do
    why = Query.why_none(%Events{recording: recording, filter: filter, limit: :infinity})
    "nothing to print: #{why}"
  end
end
