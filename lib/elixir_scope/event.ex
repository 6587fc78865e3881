defmodule ElixirScope.Event do
  @moduledoc """
  Something that happened.

  `id` is its number in the recording, `time` is in nanoseconds of system time (see `ElixirScope.now/0`), `pid` is
  the process it happened to, and `mfa`, `file`, `line` and `node` (the stable number of the AST node) say where in
  the code: `clause` (of the function) and `column` where they are known, and `source` for `ElixirScope.source/2`. What `data` holds depends on `kind`:

  | kind | data |
  |---|---|
  | `:call` | `%{args: list}`, or `nil` when arguments are not recorded |
  | `:return` | `%{value: term}`, or `nil` when values are not recorded |
  | `:raise` | `%{kind: :error \\| :exit \\| :throw, reason: term, stack: list}` |
  | `:binding` | `%{bindings: keyword}`: variables by the names that they have in the source, in the order in which they stand there, with the values that they were bound to. Recorded with `locals: true` |
  | `:tail` | `%{}`: the function gave its frame to the one that it called last |
  | `:state` | `%{state: term, origin: :init \\| :callback \\| :noticed \\| :restated}`; noticed: something that is not instrumented had changed it; restated: nothing changed, it is told again because events are missing. `nil` where what it is made of is missing |
  | `:process` | who the process is: `%{name:, label:, initial_call:, ancestors:, callers:, parents:}`; of one that is watched from here on also `messages:`, the length of its mailbox, and where its messages are recorded `watched:`, since when; of one that is not watched any more `unwatched:`, since when |
  | `:gap` | events are missing: `%{cause:, count:, from:, to:}` |
  | `:count` | `%{count: number}`: calls of a function that is counted, not recorded, since its last such event. They lie up to 10 ms before the event |
  | `:mark` | `%{label: label}`: a bookmark, see `ElixirScope.mark/2` |
  | `:log` | `%{level: atom, message: text, metadata: map}`: a line of the log, see `ElixirScope.logs/1` |
  | `:telemetry` | `%{name: [atom], measurements: map, metadata: map}`: an event of `:telemetry`, see `ElixirScope.spans/1` |
  | `:pause`, `:resume` | `%{}` |

  In instrumented code also:

  | kind | data |
  |---|---|
  | `:wait` | `%{}`: a `receive` began |
  | `:take` | `%{message: term}`: it took a message; `%{}` when it stopped waiting (`after`) |

  Of processes that are watched (`ElixirScope.watch/2`), what the VM saw:

  | kind | data |
  |---|---|
  | `:send` | `%{message: term, to: pid \| port \| atom \| {atom, node} \| reference, exists: boolean, digest: integer}`. `digest` is that of the same message when it is delivered |
  | `:receive` | `%{message: term, from: pid \| atom \| nil, digest: integer}`: delivered to the mailbox, which is not yet the `receive` that takes it. The VM says whom from since OTP 27 |
  | `:spawn` | `%{child: pid, mfa: {module, function, args}}`: the process made another one |
  | `:spawned` | `%{parent: pid, mfa: {module, function, args}}`: it was made |
  | `:exit` | `%{reason: term}` |
  | `:link` | `%{action: :link \| :unlink \| :linked \| :unlinked, other: pid \| port}`; linked: by the other one |
  | `:name` | `%{action: :register \| :unregister, name: atom}` |
  | `:label` | `%{label: term}` |
  | `:traced` | `%{action: :call, args: list \| arity}`, `%{action: :return, value: term}` or `%{action: :raise, kind: atom, reason: term}` of a function that is not instrumented, with its `mfa` |
  | `:schedule` | `%{action: :in \| :out \| :ended, at: mfa \| nil}` |
  | `:collect` | `%{action: :minor_start \| :minor_end \| :major_start \| :major_end, sizes: keyword}`: garbage collection |
  | `:port` | `%{action: :open \| :closed, port: port, about: term}` |
  """

  @type kind ::
          :call
          | :return
          | :raise
          | :tail
          | :binding
          | :state
          | :process
          | :gap
          | :pause
          | :resume
          | :count
          | :mark
          | :log
          | :telemetry
          | :send
          | :receive
          | :take
          | :wait
          | :spawn
          | :spawned
          | :exit
          | :link
          | :name
          | :label
          | :traced
          | :schedule
          | :collect
          | :port

  @type t :: %__MODULE__{
          id: non_neg_integer,
          time: non_neg_integer,
          pid: pid | nil,
          kind: kind,
          mfa: mfa | nil,
          file: String.t() | nil,
          line: non_neg_integer | nil,
          column: pos_integer | nil,
          clause: pos_integer | nil,
          source: pos_integer | nil,
          node: non_neg_integer | nil,
          data: map | nil
        }

  defstruct [:id, :time, :pid, :kind, :mfa, :file, :line, :column, :clause, :source, :node, :data]

  @kinds [:call, :return, :raise, :tail, :binding, :state, :process, :gap, :pause, :resume, :count, :mark] ++
           [:send, :receive, :take, :wait, :spawn, :spawned, :exit, :link, :name, :label, :traced] ++
           [:schedule, :collect, :port, :log, :telemetry]

  @doc "All kinds of events."
  @spec kinds() :: [kind]
  def kinds, do: @kinds

  @doc false
  # From the tuple that the native library makes; numbers are those of `native/event`. 0 stands for what is not known.
  def from_native({id, time, :traced, pid, nil, action, [module, function, args | rest]}) do
    arity = if is_list(args), do: length(args), else: args
    data = traced(action, args, rest)
    %__MODULE__{id: id, time: time, kind: :traced, pid: pid, mfa: {module, function, arity}, data: data}
  end

  def from_native({id, time, kind, pid, nil, number, values}) do
    %__MODULE__{
      id: id,
      time: time,
      kind: kind,
      pid: pid,
      data: kind |> data(number, values) |> named(kind, [])
    }
  end

  def from_native(
        {id, time, kind, pid, {mfa, {file, line, column, source}, {node, _, clause, names}}, number, values}
      ) do
    %__MODULE__{
      id: id,
      time: time,
      pid: pid,
      kind: kind,
      mfa: mfa,
      file: file,
      line: line,
      column: known(column),
      clause: known(clause),
      source: known(source),
      node: node,
      data: kind |> data(number, values) |> named(kind, names)
    }
  end

  @doc false
  # What `from_native/1` gives as data, of events whose place adds nothing to that.
  def data_from_native({_id, _time, kind, _pid, _site, number, values}), do: data(kind, number, values)

  defp known(0), do: nil
  defp known(number), do: number

  # The values of variables come with the event, their names with the place that it happened at.
  defp named(%{bindings: values}, :binding, names) when length(values) == length(names) do
    %{bindings: Enum.zip(names, values)}
  end

  defp named(_data, :binding, _names), do: nil
  defp named(data, _kind, _names), do: data

  defp data(:call, 0, _), do: nil
  defp data(:call, _count, args), do: %{args: args}
  defp data(:return, 0, _), do: nil
  defp data(:return, _, [value]), do: %{value: value}

  defp data(:raise, kind, [reason, stack]) do
    %{kind: elem({:error, :exit, :throw}, kind), reason: reason, stack: stack}
  end

  defp data(:binding, _count, values), do: %{bindings: values}

  defp data(:state, origin, [state]),
    do: %{state: state, origin: elem({:init, :callback, :noticed, :restated}, origin)}

  defp data(:process, _, [about]), do: about

  defp data(:gap, cause, [count, from, to]) do
    %{
      cause: elem({:full, :oversize, :disk, :damage, :paused, :removed, :overwritten}, cause),
      count: count,
      from: from,
      to: to
    }
  end

  defp data(:mark, _, [label]), do: %{label: label}
  defp data(:log, _, [level, message, metadata]), do: %{level: level, message: message, metadata: metadata}

  defp data(:telemetry, _, [name, measurements, metadata]),
    do: %{name: name, measurements: measurements, metadata: metadata}

  defp data(:count, count, _), do: %{count: count}

  defp data(:send, missing, [message, to, digest]),
    do: %{message: message, to: to, exists: missing == 0, digest: digest}

  defp data(:receive, _, [message, from, digest]), do: %{message: message, from: from, digest: digest}
  defp data(:take, 1, [message]), do: %{message: message}
  defp data(:spawn, _, [child, mfa]), do: %{child: child, mfa: mfa}
  defp data(:spawned, _, [parent, mfa]), do: %{parent: parent, mfa: mfa}
  defp data(:exit, _, [reason]), do: %{reason: reason}

  defp data(:link, action, [other]) when action < 4,
    do: %{action: elem({:link, :unlink, :linked, :unlinked}, action), other: other}

  defp data(:name, action, [name]) when action < 2,
    do: %{action: elem({:register, :unregister}, action), name: name}

  defp data(:label, _, [label]), do: %{label: label}

  defp data(:schedule, action, [at]) when action < 3,
    do: %{action: elem({:in, :out, :ended}, action), at: if(is_tuple(at), do: at)}

  defp data(:collect, action, [sizes]) when action < 4,
    do: %{action: elem({:minor_start, :minor_end, :major_start, :major_end}, action), sizes: sizes}

  defp data(:port, action, [port, about]) when action < 2,
    do: %{action: elem({:open, :closed}, action), port: port, about: about}

  defp data(kind, 0, []) when kind in [:take, :wait], do: %{}
  defp data(kind, _, _) when kind in [:tail, :pause, :resume], do: %{}
  # Bytes that did not follow the format.
  defp data(_kind, _, _), do: nil

  defp traced(0, args, []), do: %{action: :call, args: args}
  defp traced(1, _args, [value]), do: %{action: :return, value: value}
  defp traced(2, _args, [kind, reason]), do: %{action: :raise, kind: kind, reason: reason}
  defp traced(_action, _args, _rest), do: nil
end
