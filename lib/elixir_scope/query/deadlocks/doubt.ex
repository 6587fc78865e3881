defmodule ElixirScope.Query.Deadlocks.Doubt do
  @moduledoc false
  # Why a circle may come apart by itself, although each of its processes waits: the answer may come from elsewhere, or a `receive`
  # may not be for an answer at all.
  #
  # A `receive` behind a message that was sent by hand waits for its answer when nothing else is possible: the message has a reference
  # that no earlier message of the process had, nobody else was given it, and no other such request is open.

  alias ElixirScope.{Cut, Event, Query, Waiting}
  alias ElixirScope.Query.{Past, Term}

  # So many messages of a process are looked back at. A reference that is older than these would not be noticed, so whoever has had
  # more is not certain.
  @back 10_000

  # Times of two processes are not exact to each other.
  @skew 1_000_000

  @doc "Why a circle is not certain, in words; `nil` when it is."
  @spec of(Past.t(), [Waiting.t(), ...]) :: String.t() | nil
  def of(past, members) do
    pids = Enum.map(members, & &1.pid)
    others = tl(members) ++ [hd(members)]

    Enum.find_value(members, &waits_for_else(past, &1)) ||
      members |> Enum.zip(others) |> Enum.find_value(&handed_on(past, &1, pids))
  end

  defp waits_for_else(past, %Waiting{kind: :request} = asked) do
    unless own_reference?(past, asked) and alone?(past, asked) and answers_only?(past, asked) do
      "#{inspect(asked.pid)} waits in a receive behind a message that names it; it may wait for something else than an answer to that"
    end
  end

  defp waits_for_else(_past, _asked), do: nil

  @doc "Whether a request by hand has a reference that no earlier message of its process had."
  @spec own_reference?(Past.t(), Waiting.t()) :: boolean
  def own_reference?(_past, %Waiting{ref: nil}), do: false

  def own_reference?(past, %Waiting{pid: pid, ref: ref, id: id}) do
    earlier = past |> Past.prev(pid, [:send, :receive, :take], id) |> Enum.take(@back)
    length(earlier) < @back and not Enum.any?(earlier, &mentions?(&1.data, ref))
  end

  # Another request that is open may be answered first.
  defp alone?(past, %Waiting{pid: pid, id: id}) do
    messages = past |> Past.prev(pid, [:send, :receive], id) |> Enum.take(@back)

    {open?, _came} =
      Enum.reduce_while(messages, {false, MapSet.new()}, fn
        %Event{kind: :receive, data: data}, {_open?, came} ->
          {:cont, {false, data |> references() |> Enum.into(came)}}

        %Event{kind: :send} = send, {_open?, came} ->
          if open?(send, came), do: {:halt, {true, came}}, else: {:cont, {false, came}}
      end)

    not open?
  end

  defp open?(%Event{pid: pid, data: %{message: message} = data}, came) do
    Term.mentions?(message, pid, Query.Waiting.At.named_within()) and
      not Enum.any?(references(data), &MapSet.member?(came, &1))
  end

  defp open?(_send, _came), do: false

  # The same `receive` has taken something else before.
  defp answers_only?(past, %Waiting{pid: pid, id: id, file: file, line: line}) do
    past
    |> Past.prev(pid, [:send, :wait, :take], id)
    |> Enum.take(@back)
    |> Enum.reverse()
    |> Enum.reduce_while({[], nil, true}, fn
      %Event{kind: :send, data: data}, {_asked, _place, true} ->
        {:cont, {references(data), nil, true}}

      %Event{kind: :wait} = wait, {asked, _place, true} ->
        {:cont, {asked, {wait.file, wait.line}, true}}

      %Event{kind: :take, data: data}, {asked, place, true} ->
        other? = place == {file, line} and not answers?(data, asked)
        {if(other?, do: :halt, else: :cont), {[], nil, not other?}}
    end)
    |> elem(2)
  end

  # That it gave up says nothing.
  defp answers?(%{message: message}, asked), do: Enum.any?(asked, &Term.mentions?(message, &1))
  defp answers?(_gave_up, _asked), do: true

  # Whom to answer is known to others as well.
  defp handed_on(_past, {%Waiting{kind: :start}, _other}, _pids), do: nil

  defp handed_on(past, {asked, other}, pids) do
    since = max(asked.since - @skew, 0)

    past
    |> Past.next(other.pid, [:send, :spawn], 0, since: since)
    |> Stream.take_while(&(&1.id < other.id))
    |> Stream.reject(&(to(&1, past) in pids))
    |> Enum.find_value(&told(&1, asked, other))
  end

  defp to(%Event{data: %{to: to}} = send, past), do: Query.Waiting.At.receiver(past, to, send.time)
  defp to(_spawn, _past), do: nil

  defp told(%Event{kind: kind, data: data}, asked, other) when is_map(data) do
    told = if kind == :send, do: data.message, else: {data.child, data.mfa}

    cond do
      knows?(told, asked.ref || asked.pid) ->
        "#{inspect(other.pid)} told #{whom(data)} whom to answer, which may do so"

      cut?(told) ->
        "#{inspect(other.pid)} may have told #{whom(data)} whom to answer: what it said was cut"

      true ->
        nil
    end
  end

  defp told(_lost, _asked, _other), do: nil

  defp whom(%{to: to}), do: inspect(to)
  defp whom(%{child: child}), do: inspect(child)

  # A function brings along what it uses.
  defp knows?(term, known) do
    Term.any?(term, &(&1 === known or (is_function(&1) and &1 |> Term.environment() |> knows?(known))))
  end

  defp cut?(term),
    do: Term.any?(term, &(is_struct(&1, Cut) or (is_function(&1) and &1 |> Term.environment() |> cut?())))

  defp mentions?(%{message: message}, ref), do: Term.mentions?(message, ref)
  defp mentions?(_data, _ref), do: false

  defp references(%{message: message}), do: Term.references(message)
  defp references(_data), do: []
end
