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
  | `:process` | who the process is: `%{name:, label:, initial_call:, ancestors:, callers:, parents:}` |
  | `:gap` | events are missing: `%{cause:, count:, from:, to:}` |
  | `:count` | `%{count: number}`: calls of a function that is counted, not recorded, since its last such event. They lie up to 10 ms before the event |
  | `:mark` | `%{label: label}`: a bookmark, see `ElixirScope.mark/2` |
  | `:pause`, `:resume` | `%{}` |
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

  @kinds [:call, :return, :raise, :tail, :binding, :state, :process, :gap, :pause, :resume, :count, :mark]

  @doc "All kinds of events."
  @spec kinds() :: [kind]
  def kinds, do: @kinds

  @doc false
  # From the tuple that the native library makes; numbers are those of `native/event`. 0 stands for what is not known.
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
  defp data(:count, count, _), do: %{count: count}
  defp data(kind, _, _) when kind in [:tail, :pause, :resume], do: %{}
  # Bytes that did not follow the format.
  defp data(_kind, _, _), do: nil
end
