defmodule ElixirScope.Text.Sentence do
  @moduledoc false
  # What happened, in a line. Options are those of `ElixirScope.Text.short/2`.

  alias ElixirScope.{Event, Text}
  alias ElixirScope.Text.{FirstCall, Names}

  @doc "An event, without its kind, time, process and place."
  @spec of(Event.t(), keyword) :: String.t()
  def of(event, options)

  def of(%{kind: :call} = event, options), do: Text.call(event.mfa, event.data && event.data.args, options)

  def of(%{kind: :return, data: nil} = event, _options),
    do: "#{Text.mfa(event.mfa)} -> a value that is not recorded"

  def of(%{kind: :return} = event, options) do
    "#{Text.mfa(event.mfa)} -> #{short(event.data.value, Text.mfa(event.mfa), options)}"
  end

  def of(%{kind: :state, data: %{} = data}, options),
    do: "#{origin(data.origin)}#{Text.short(data.state, options)}"

  def of(%{kind: :raise, data: %{} = data} = event, options) do
    "#{Text.mfa(event.mfa)} #{Text.exception(data.kind, data.reason, stack(data) ++ options)}"
  end

  def of(%{kind: :binding, data: %{} = data}, options), do: bindings(data.bindings, options)
  def of(%{kind: :tail} = event, _options), do: "#{Text.mfa(event.mfa)} ends with a call of another function"

  def of(%{kind: :count, data: %{} = data} = event, _options),
    do: "#{Text.number(data.count)} calls of #{Text.mfa(event.mfa)}"

  def of(%{kind: :wait, data: %{}}, _options), do: "waits for a message"
  def of(%{kind: :take, data: %{message: message}}, options), do: "takes #{short(message, "takes", options)}"
  def of(%{kind: :take, data: %{}}, _options), do: "stops waiting"

  def of(%{kind: :send, data: %{message: message, to: to} = data} = event, options) do
    who = who(event, options)
    to = "to #{process(to, who)}#{if data[:exists] == false, do: ", which was not there", else: ""}"
    "sends #{short(message, "sends " <> to, options)} #{to}"
  end

  def of(%{kind: :receive, data: %{message: message} = data} = event, options) do
    who = who(event, options)
    from = if data[:from], do: " from #{process(data.from, who)}", else: ""
    "is given #{short(message, "is given" <> from, options)}#{from}"
  end

  def of(%{kind: :spawn, data: %{child: child, mfa: first}}, options),
    do: "makes #{inspect(child)}, which runs #{first_call(first, options)}"

  def of(%{kind: :spawned, data: %{parent: parent, mfa: first}} = event, options),
    do: "is made by #{process(parent, who(event, options))} to run #{first_call(first, options)}"

  def of(%{kind: :exit, data: %{reason: reason}}, options),
    do: "exits: #{Text.Life.reason(reason, wide(options))}"

  def of(%{kind: :link, data: %{action: action, other: other}} = event, options),
    do: "#{link(action)} #{process(other, who(event, options))}"

  def of(%{kind: :name, data: %{action: :register, name: name}}, _options),
    do: "takes the name #{inspect(name)}"

  def of(%{kind: :name, data: %{action: :unregister, name: name}}, _options),
    do: "gives the name #{inspect(name)} back"

  def of(%{kind: :label, data: %{label: label}}, options), do: "is labelled #{Text.short(label, options)}"

  def of(%{kind: :traced, mfa: {_, _, _} = mfa, data: %{action: :call, args: args}}, options),
    do: "calls #{Text.call(mfa, if(is_list(args), do: args), options)}"

  def of(%{kind: :traced, mfa: {_, _, _} = mfa, data: %{action: :return, value: value}}, options),
    do: "#{Text.mfa(mfa)} -> #{short(value, Text.mfa(mfa), options)}"

  def of(
        %{kind: :traced, mfa: {_, _, _} = mfa, data: %{action: :raise, kind: kind, reason: reason}},
        options
      ),
      do: "#{Text.mfa(mfa)} #{Text.exception(kind, reason, options)}"

  def of(%{kind: :schedule, data: %{action: action, at: at}}, _options),
    do: "#{scheduled(action)}#{if at, do: " in #{Text.mfa(at)}", else: ""}"

  def of(%{kind: :collect, data: %{action: action} = data}, options),
    do: "#{collection(action)}#{sizes(data[:sizes], options)}"

  def of(%{kind: :port, data: %{action: :open, port: port, about: about}}, options),
    do: "opens #{inspect(port)}: #{Text.short(about, options)}"

  def of(%{kind: :port, data: %{action: :closed, port: port, about: reason}}, options),
    do: "#{inspect(port)} is closed: #{Text.short(reason, options)}"

  def of(%{kind: :log, data: %{level: level, message: message}}, options) when is_binary(message) do
    text = message |> String.split("\n", parts: 2) |> hd()
    "#{level}: #{shortened(text, options)}"
  end

  def of(%{kind: :telemetry, data: %{name: [_ | _] = name} = data}, options) do
    name = Enum.map_join(name, ".", &to_string/1)
    "emits #{name} #{short(data.metadata, "emits " <> name, options)}"
  end

  def of(%{kind: :mark, data: %{label: label}}, _options), do: Kernel.inspect(label)
  def of(%{kind: :pause}, _options), do: "nothing is recorded from here on"
  def of(%{kind: :resume}, _options), do: "recording goes on"

  def of(%{kind: :gap, data: %{} = gap}, _options) do
    "#{Text.number(gap.count)} events are missing (#{gap.cause}), #{Text.clock(gap.from)} to #{Text.clock(gap.to)}"
  end

  def of(%{kind: :process, data: %{} = about}, options) do
    parts =
      for key <- [:name, :label, :initial_call, :ancestors, :callers],
          value = Map.get(about, key),
          value != [],
          do: "#{key}: #{value(key, value, options)}"

    if parts == [], do: "was seen for the first time", else: Enum.join(parts, ", ")
  end

  def of(%{data: nil}, _options), do: "what it held cannot be read"
  def of(%{data: data}, options), do: Text.short(data, options)

  @doc "Variables with their values."
  @spec bindings(keyword, keyword) :: String.t()
  def bindings(bindings, options) do
    {width, options} = Keyword.pop(options, :width, :infinity)
    share = if is_integer(width), do: max(div(width, max(length(bindings), 1)), 30), else: width

    Enum.map_join(bindings, ", ", fn {name, value} ->
      "#{name} = #{Text.short(value, [width: share] ++ options)}"
    end)
  end

  @doc "How a call ended."
  @spec ending(ElixirScope.Call.t(), keyword) :: String.t()
  def ending(%{outcome: :returned} = call, options), do: "-> #{Text.short(call.return, options)}"

  def ending(%{outcome: :raised, exception: %{kind: kind, reason: reason} = exception}, options),
    do: Text.exception(kind, reason, stack(exception) ++ options)

  def ending(%{outcome: :open}, _options), do: "has not returned"
  def ending(_call, _options), do: "-> unknown"

  @doc "The stack of what was raised, as an option of `Text.exception/3`."
  @spec stack(map) :: keyword
  def stack(%{stack: stack}) when is_list(stack), do: [stack: stack]
  def stack(_unknown), do: []

  @doc "Where in the source."
  @spec place(%{file: String.t() | nil, line: non_neg_integer | nil}) :: String.t()
  def place(%{file: file, line: line}) when file in [nil, ""] or line == nil, do: ""
  def place(%{file: file, line: line}), do: "#{file}:#{line}"

  # The names of the processes of an event: of the recording that is given, or of the one that it comes from.
  defp who(%{id: id, pid: pid, time: time}, options) do
    fn other ->
      recording = Keyword.get_lazy(options, :recording, fn -> Names.origin(id, pid, time) end)
      Text.process(recording, other, time)
    end
  end

  # Whom a name or an alias leads to others say.
  defp process(pid, who) when is_pid(pid), do: who.(pid)
  defp process(port, _who) when is_port(port), do: inspect(port)
  defp process({name, node}, _who) when is_atom(name) and is_atom(node), do: "#{inspect(name)} on #{node}"
  defp process(reference, _who) when is_reference(reference), do: "the alias #{inspect(reference)}"
  defp process(other, _who), do: Text.short(other, width: 60)

  defp first_call(first, options) do
    case {FirstCall.of(first), first} do
      {{{_, _, _} = mfa, _kind}, _first} ->
        Text.mfa(mfa)

      {_unknown, {module, name, args}} when is_atom(module) and is_list(args) ->
        Text.mfa({module, name, length(args)})

      {_unknown, first} ->
        Text.short(first, options)
    end
  end

  defp link(:link), do: "links to"
  defp link(:unlink), do: "unlinks from"
  defp link(:linked), do: "is linked to by"
  defp link(:unlinked), do: "is no longer linked to"

  defp scheduled(:in), do: "begins to run"
  defp scheduled(:out), do: "stops running"
  defp scheduled(:ended), do: "stops running, as it ends"

  defp collection(:minor_start), do: "begins a minor garbage collection"
  defp collection(:minor_end), do: "ends a minor garbage collection"
  defp collection(:major_start), do: "begins a major garbage collection"
  defp collection(:major_end), do: "ends a major garbage collection"

  # Of words of the VM.
  defp sizes([{_key, _size} | _] = sizes, _options) do
    case for key <- [:heap_size, :old_heap_size, :recent_size],
             size = sizes[key],
             do: "#{key}: #{Text.number(size)} words" do
      [] -> ""
      some -> ", " <> Enum.join(some, ", ")
    end
  end

  defp sizes(_none, _options), do: ""

  # A reason says most of a line.
  defp wide(options), do: Keyword.update(options, :width, 80, &if(is_integer(&1), do: max(&1, 80), else: &1))

  # The line begins with the function.
  defp short(value, before, options) do
    case Keyword.get(options, :width) do
      width when is_integer(width) ->
        Text.short(value, Keyword.put(options, :width, max(width - Text.width(before) - 4, 30)))

      _any ->
        Text.short(value, options)
    end
  end

  defp shortened(text, options) do
    case Keyword.get(options, :width, 80) do
      width when is_integer(width) and width > 12 ->
        if String.length(text) > width, do: String.slice(text, 0, width - 12) <> "...", else: text

      _any ->
        text
    end
  end

  defp origin(:callback), do: ""
  defp origin(:init), do: "begins as "
  defp origin(:noticed), do: "was changed from outside to "

  defp value(:initial_call, {module, function, arity}, _options) when is_atom(module) and is_integer(arity),
    do: Exception.format_mfa(module, function, arity)

  defp value(_key, value, options), do: Text.short(value, Keyword.put(options, :width, 60))
end
