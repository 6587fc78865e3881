# The recording of a program, in the terms of Log, and whether it says the same as the truth.
#
# The truth has an end for every call. A recording has a tail event where a function gave up its frame, and then one
# end for all of the chain. So both are walked together, with a stack of the calls that are open.
defmodule ElixirScope.Program.Recorded do
  @moduledoc false

  alias ElixirScope.Program.PlainTerm

  # Wrapped tail calls deeper than this keep no frame, and the end of such a call may be unknown.
  @limit 256

  @doc """
  The events of each process, as entries of Log and `{:tail, mfa}`.
  """
  @spec entries([ElixirScope.Event.t()]) :: %{pid() => [tuple()]}
  def entries(events) do
    lines =
      for %{kind: :call, mfa: {module, name, _}, line: line} <- events, into: %{}, do: {{module, name}, line}

    Enum.group_by(events, & &1.pid, &entry(&1, lines))
  end

  defp entry(%{kind: :call} = event, lines), do: {:call, mfa(event.mfa, lines), event.data && event.data.args}

  defp entry(%{kind: :return} = event, lines),
    do: {:return, mfa(event.mfa, lines), event.data && {:ok, event.data.value}}

  defp entry(%{kind: :raise} = event, lines),
    do: {:raise, mfa(event.mfa, lines), event.data.kind, event.data.reason}

  defp entry(%{kind: :tail} = event, lines), do: {:tail, mfa(event.mfa, lines)}

  defp entry(%{kind: :binding} = event, lines),
    do: {:bind, mfa(event.mfa, lines), event.line, event.data.bindings}

  defp entry(%{kind: :wait, data: %{}} = event, lines), do: {:wait, mfa(event.mfa, lines), event.line}

  defp entry(%{kind: :take} = event, lines),
    do: {:take, mfa(event.mfa, lines), event.line, taken(event.data)}

  defp entry(event, _lines), do: {:unexpected, event}

  defp taken(%{message: message}), do: {:ok, message}
  defp taken(%{}), do: nil

  @doc "The function as Log names it."
  @spec mfa(mfa(), map()) :: tuple()
  def mfa({module, name, arity}, lines) do
    case Regex.run(~r/\A(.+)-fn-\d+\z/s, Atom.to_string(name)) do
      [_, around] -> {module, {:fn, around, lines[{module, name}]}, arity}
      nil -> {module, name, arity}
    end
  end

  @doc """
  Compares what was recorded of one process with the truth. Gives the calls as `ElixirScope.calls/2` should answer:
  function, arguments, end, number of the call around, whether the end may be unknown.
  """
  @spec compare([tuple()], [tuple()], keyword()) :: {:ok, [tuple()]} | {:error, String.t()}
  def compare(truth, recorded, options) do
    state = %{left: recorded, open: [], calls: %{}, count: 0, options: options, deep: deep?(truth)}

    case Enum.reduce_while(truth, state, &step/2) do
      %{} = state ->
        case tails(state) do
          %{left: [], open: []} ->
            {:ok, for(n <- 0..(state.count - 1)//1, do: Map.fetch!(state.calls, n))}

          %{left: left, open: open} ->
            {:error, "behind all that happened: #{inspect(left)}, open: #{inspect(open)}"}
        end

      error ->
        error
    end
  end

  defp deep?(truth) do
    {most, _} =
      Enum.reduce(truth, {0, 0}, fn
        {:call, _, _}, {most, now} -> {max(most, now + 1), now + 1}
        inside, acc when elem(inside, 0) in [:bind, :wait, :take] -> acc
        _end, {most, now} -> {most, now - 1}
      end)

    most >= @limit
  end

  defp step(entry, state) do
    state = tails(state)

    case take(entry, state) do
      {:ok, state} ->
        {:cont, state}

      :error ->
        {:halt,
         {:error,
          "expected #{inspect(entry)}\nrecorded #{inspect(List.first(state.left))}\nopen: #{inspect(Enum.take(state.open, 3))}"}}
    end
  end

  # A frame on top that is given up.
  defp tails(%{left: [{:tail, mfa} | left], open: [{mfa, number, false} | open]} = state) do
    %{state | left: left, open: [{mfa, number, true} | open]}
  end

  defp tails(state), do: state

  defp take({:call, mfa, args}, %{left: [{:call, mfa, recorded} | left]} = state) do
    wanted = if arguments?(mfa, state.options), do: PlainTerm.of(args)

    if PlainTerm.of(recorded) == wanted do
      around = Enum.find_value(state.open, fn {_, number, tail?} -> if not tail?, do: number end)
      number = state.count
      calls = Map.put(state.calls, number, {mfa, wanted, nil, around, false})
      {:ok, %{state | left: left, open: [{mfa, number, false} | state.open], count: number + 1, calls: calls}}
    else
      :error
    end
  end

  defp take(
         {:bind, mfa, line, variables},
         %{left: [{:bind, mfa, line, recorded} | left], open: [{mfa, _, false} | _]} = state
       ) do
    if PlainTerm.of(recorded) == PlainTerm.of(variables), do: {:ok, %{state | left: left}}, else: :error
  end

  defp take({:wait, mfa, lines}, %{left: [{:wait, mfa, line} | left], open: [{mfa, _, false} | _]} = state) do
    if line in lines, do: {:ok, %{state | left: left}}, else: :error
  end

  defp take(
         {:take, mfa, lines, message},
         %{left: [{:take, mfa, line, recorded} | left], open: [{mfa, _, false} | _]} = state
       ) do
    if line in lines and PlainTerm.of(recorded) == PlainTerm.of(message),
      do: {:ok, %{state | left: left}},
      else: :error
  end

  defp take({kind, mfa, _} = entry, %{open: [{mfa, _, true} | _]} = state) when kind == :return,
    do: close(entry, state)

  defp take({:raise, mfa, _, _} = entry, %{open: [{mfa, _, true} | _]} = state), do: close(entry, state)

  defp take(
         {:return, mfa, value} = entry,
         %{left: [{:return, mfa, recorded} | left], open: [{mfa, _, false} | _]} = state
       ) do
    wanted = if returns?(state.options), do: {:ok, PlainTerm.of(value)}
    if PlainTerm.of(recorded) == wanted, do: close(entry, %{state | left: left}), else: :error
  end

  defp take(
         {:raise, mfa, kind, reason} = entry,
         %{left: [{:raise, mfa, kind, recorded} | left], open: [{mfa, _, false} | _]} = state
       ) do
    if PlainTerm.of(recorded) == PlainTerm.of(reason), do: close(entry, %{state | left: left}), else: :error
  end

  defp take(_entry, _state), do: :error

  defp close(entry, %{open: [{_, number, tail?} | open]} = state) do
    ending =
      case entry do
        {:return, _, value} -> {:returned, if(returns?(state.options), do: PlainTerm.of(value))}
        {:raise, _, kind, reason} -> {:raised, {kind, PlainTerm.of(reason)}}
      end

    {mfa, args, nil, around, false} = Map.fetch!(state.calls, number)
    calls = Map.put(state.calls, number, {mfa, args, ending, around, tail? and state.deep})
    {:ok, %{state | open: open, calls: calls}}
  end

  # A function without arguments has an empty list of them, asked for or not.
  defp arguments?({_, _, arity}, options), do: Keyword.get(options, :args, true) and arity > 0
  defp returns?(options), do: Keyword.get(options, :returns, true)

  @doc "Compares the answers of `ElixirScope.calls/2` for one process with what `compare/3` gave."
  @spec compare_calls([tuple()], [ElixirScope.Call.t()], map()) :: :ok | {:error, String.t()}
  def compare_calls(expected, calls, lines) do
    numbers = calls |> Enum.map(& &1.id) |> Enum.with_index() |> Map.new()

    answered =
      for call <- calls do
        ending =
          case call.outcome do
            :returned -> {:returned, PlainTerm.of(call.return)}
            :raised -> {:raised, {call.exception.kind, PlainTerm.of(call.exception.reason)}}
            other -> other
          end

        {mfa(call.mfa, lines), PlainTerm.of(call.args), ending,
         call.parent && Map.get(numbers, call.parent, :foreign)}
      end

    if length(expected) == length(answered) do
      expected |> Enum.zip(answered) |> Enum.find_value(:ok, fn {one, other} -> differ(one, other) end)
    else
      {:error, "#{length(expected)} calls happened, #{length(answered)} were answered"}
    end
  end

  defp differ({mfa, args, ending, around, _}, {mfa, args, ending, around}), do: nil
  defp differ({mfa, args, _ending, around, true}, {mfa, args, :unknown, around}), do: nil

  defp differ(expected, answered),
    do: {:error, "calls/2: expected #{inspect(expected)}\nanswered #{inspect(answered)}"}
end
