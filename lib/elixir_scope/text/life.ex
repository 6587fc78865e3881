defmodule ElixirScope.Text.Life do
  @moduledoc false
  # Processes as rows and words: what they run, and how they are named in a tree.

  alias ElixirScope.Text

  @doc "What a process runs, and what kind of process that makes it."
  @spec runs(%{initial_call: mfa | nil, kind: atom}) :: String.t()
  def runs(%{initial_call: nil, kind: nil}), do: "not known"
  def runs(%{initial_call: nil, kind: kind}), do: kind_of(kind)
  def runs(%{initial_call: initial, kind: kind}), do: "#{function(initial)}#{of_kind(kind)}"

  # The callback that OTP begins a server with says no more than its module.
  defp function({Supervisor.Default, :init, _arity}), do: "Supervisor"
  defp function({module, :init, arity}) when arity in [0, 1], do: inspect(module)
  defp function({module, name, arity}), do: Exception.format_mfa(module, name, arity)

  @doc "A kind of process behind what it runs."
  @spec of_kind(ElixirScope.Life.kind() | nil) :: String.t()
  def of_kind(kind) when kind in [nil, :process], do: ""
  def of_kind(kind), do: " (#{kind_of(kind)})"

  defp kind_of(:gen_server), do: "GenServer"
  defp kind_of(kind), do: Atom.to_string(kind)

  @doc "A name, or a label, or nothing."
  @spec name(%{name: atom | nil, label: term}) :: String.t()
  def name(%{name: name}) when name != nil, do: inspect(name)

  def name(%{label: label}) when is_binary(label),
    do: if(String.printable?(label), do: Text.short(label, width: 40), else: "")

  def name(%{label: nil}), do: ""
  def name(%{label: label}), do: Text.short(label, width: 40)

  @doc "The reason of an exit, on one line: what was raised as the shell shows it, and of a call that failed what failed there."
  @spec reason(term, keyword) :: String.t()
  def reason(reason, options), do: reason |> said(options) |> cut(Keyword.get(options, :width, 80))

  defp said({raised, [{module, function, _, location} | _] = stack}, _options)
       when is_atom(module) and is_atom(function) and is_list(location),
       do: Text.exception(:error, raised, stack: stack)

  # Of calls within calls the outermost, and why the innermost failed.
  defp said({why, {module, function, args}}, options)
       when is_atom(module) and is_atom(function) and is_list(args) do
    call = Text.call({module, function, length(args)}, args, Keyword.put(options, :width, 40))

    case innermost(why) do
      ^why -> "in #{call}: #{said(why, options)}"
      within -> "in #{call}: ... #{said(within, options)}"
    end
  end

  defp said(reason, options), do: Text.short(reason, options)

  defp innermost({why, {module, function, args}})
       when is_atom(module) and is_atom(function) and is_list(args),
       do: innermost(why)

  defp innermost(why), do: why

  @doc "A text of so many characters at most."
  @spec cut(String.t(), pos_integer | :infinity) :: String.t()
  def cut(text, width) when is_integer(width) do
    if Text.width(text) > width, do: String.slice(text, 0, width - 3) <> "...", else: text
  end

  def cut(text, _no_width), do: text
end

defimpl Inspect, for: ElixirScope.Lives do
  # A table: a row for each of the first.
  alias ElixirScope.{Life, Native, Recording, Text}

  @shown 40
  # Columns that what a process runs may take.
  @runs 50

  def inspect(%{recording: %Recording{}, time: time, list: list} = lives, opts) when is_list(list) do
    shown = if opts.limit == :infinity, do: list, else: Enum.take(list, @shown)

    Text.view("Lives", [
      "#{count(list)} at #{Text.moment(time, Native.now())}",
      Text.table(for(life <- shown, do: row(lives.recording, life, time)), right: [4]),
      more(length(list) - length(shown)),
      unwatched(lives)
    ])
  end

  # Made by hand.
  def inspect(lives, opts), do: Inspect.Any.inspect(lives, opts)

  defp count([_]), do: "1 process"
  defp count(list), do: "#{Text.number(length(list))} processes"

  defp row(recording, life, time) do
    [
      Kernel.inspect(life.pid),
      Text.Life.name(life),
      Text.Life.cut(Text.Life.runs(life), @runs),
      "#{born(life)}#{Text.clock(Life.since(life))}",
      if(life.events, do: Text.number(life.events), else: ""),
      parent(recording, life.parent, time) <> status(life)
    ]
  end

  defp born(%{spawned: nil}), do: "seen "
  defp born(_life), do: "since "

  defp parent(_recording, nil, _time), do: ""
  defp parent(recording, pid, time) when is_pid(pid), do: "of #{Text.process(recording, pid, time)}"
  defp parent(_recording, name, _time), do: "of #{Kernel.inspect(name)}"

  defp status(%{status: :unknown}), do: ", not known to have ended"
  defp status(_life), do: ""

  defp more(count) when count > 0, do: ["and #{Text.number(count)} more: Enum.to_list/1 gives all of them"]
  defp more(_none), do: []

  defp unwatched(%{watched?: false}) do
    [
      "the life of processes is not watched: these have run instrumented code; ElixirScope.watch(:all, kinds: [:life, :links, :names]) has all of them told"
    ]
  end

  defp unwatched(%{gaps: []}), do: []
  defp unwatched(%{gaps: gaps}), do: ["events are missing in #{length(gaps)} intervals before, see its gaps"]
end

defimpl Inspect, for: ElixirScope.Life do
  alias ElixirScope.{Native, Text}
  alias ElixirScope.Text.Names

  @shown 5

  def inspect(%{pid: pid} = life, opts) when is_pid(pid) do
    options = Text.options(opts)
    recording = recording(life)

    Text.view("Life", [
      Text.columns([Kernel.inspect(pid), Text.Life.name(life), Text.Life.runs(life)]),
      Text.table(Enum.reject(rows(life, recording, options), &match?([_, ""], &1)))
    ])
  end

  # Made by hand.
  def inspect(life, opts), do: Inspect.Any.inspect(life, opts)

  defp recording(%{spawned: %{id: id, time: time}, pid: pid}), do: Names.origin(id, pid, time)
  defp recording(%{exited: %{id: id, time: time}, pid: pid}), do: Names.origin(id, pid, time)
  defp recording(_life), do: nil

  defp rows(life, recording, options) do
    [
      ["born", born(life)],
      ["by", by(life, recording, options)],
      ["ancestors", some(life.ancestors, recording, life)],
      ["callers", some(life.callers, recording, life)],
      ["names", names(life.names)],
      ["children", some(Enum.map(life.children, & &1.pid), recording, life)],
      ["links", some(life.links, recording, life)],
      ["events", events(life)],
      [end_of(life), ended(life, options)]
    ]
  end

  defp born(%{spawned: %{time: time}}), do: Text.moment(time, Native.now())

  defp born(%{seen: {first, _last}}),
    do: "not seen; its first event was at #{Text.moment(first, Native.now())}"

  defp born(_life), do: "not seen"

  defp by(%{parent: nil}, _recording, _options), do: ""

  defp by(%{spawned: %{call: %{} = call}, parent: parent} = life, recording, options),
    do: "#{who(parent, recording, life)}, in #{Text.call(call.mfa, call.args, options)}"

  defp by(%{parent: parent} = life, recording, _options), do: who(parent, recording, life)

  defp who(pid, recording, life) when is_pid(pid), do: Text.process(recording, pid, time(life))
  defp who(other, _recording, _life), do: Kernel.inspect(other)

  defp time(%{spawned: %{time: time}}), do: time
  defp time(_life), do: nil

  defp some(pids, recording, life) do
    shown = pids |> Enum.take(@shown) |> Enum.map_join(", ", &who(&1, recording, life))
    if length(pids) > @shown, do: "#{shown} and #{Text.number(length(pids) - @shown)} more", else: shown
  end

  defp names(names) do
    names
    |> Enum.take(-@shown)
    |> Enum.map_join(", ", fn {name, from, to} ->
      "#{Kernel.inspect(name)} from #{Text.clock(from)}#{if to, do: " to #{Text.clock(to)}"}"
    end)
  end

  defp events(%{events: nil}), do: ""

  defp events(%{events: count, seen: {_first, last}}),
    do: "#{Text.number(count)}, the last at #{Text.clock(last)}"

  defp events(%{events: count}), do: Text.number(count)

  defp end_of(%{status: :exited}), do: "exited"
  defp end_of(_life), do: "lives"

  defp ended(%{exited: %{time: time, reason: reason}}, options),
    do: "#{Text.moment(time, Native.now())}: #{Text.Life.reason(reason, options)}"

  defp ended(%{status: :alive}, _options), do: "yes"
  defp ended(_life, _options), do: "not known to have ended; its end is told when it is watched"
end
