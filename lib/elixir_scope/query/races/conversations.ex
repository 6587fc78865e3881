defmodule ElixirScope.Query.Races.Conversations do
  @moduledoc false
  # What was asked of a server, one after the other: by whom, what it answered, and what became of its state meanwhile.

  alias ElixirScope.{Difference, Event, Message}

  # `state` is known from the conversation on; `before` is `:none` where no state was known yet. `delivered`, `answered` and `replied` are
  # the numbers of events: the message came, the server answered, the answer came; `unheard` says that this is not recorded. Without a
  # `client` it is the work of nobody who can be named, such as a timer.
  defstruct [:client, :id, :time, :sent, :delivered, :kind, :message, :reply, :answered, :replied, :unheard] ++
              [:before, :state, :written]

  @type t :: %__MODULE__{
          client: pid | nil,
          id: non_neg_integer,
          time: non_neg_integer,
          sent: Message.t() | map | nil,
          delivered: non_neg_integer | nil,
          kind: Message.kind(),
          message: term,
          reply: {:ok, term} | :none,
          answered: non_neg_integer | nil,
          replied: non_neg_integer | nil,
          unheard: boolean,
          before: {:ok, term} | :none,
          state: {:ok, term} | :none,
          written: %{event: Event.t(), difference: Difference.t()} | nil
        }

  @doc "Of the messages to a server, those that it sent itself, and its states by their numbers."
  @spec of([Message.t()], [Message.t()], [Event.t()]) :: [t]
  def of(messages, answers, states) do
    replies = for %Message{kind: :reply, ref: ref} = reply <- answers, into: %{}, do: {ref, reply}

    asked =
      messages
      |> Enum.filter(& &1.taken)
      |> Enum.sort_by(& &1.taken.id)

    follow(asked, Enum.filter(states, & &1.data), :none, replies, [])
  end

  # The states until the next message is taken are the work of this one.
  defp follow([], _states, _known, _replies, done), do: Enum.reverse(done)

  defp follow([message | rest], states, known, replies, done) do
    {earlier, states} = Enum.split_while(states, &(&1.id < message.taken.id))
    known = last(earlier, known)
    {own, states} = own(states, rest)
    {noticed, written} = Enum.split_while(own, &(&1.data.origin != :callback))
    before = last(noticed, known)
    conversation = conversation(message, before, written, replies)
    follow(rest, states, last(written, before), replies, [conversation | done])
  end

  defp own(states, []), do: {states, []}
  defp own(states, [next | _]), do: Enum.split_while(states, &(&1.id < next.taken.id))

  defp last([], known), do: known
  defp last(states, _known), do: {:ok, List.last(states).data.state}

  defp conversation(message, before, written, replies) do
    state = last(written, before)
    reply = Map.get(replies, message.kind == :call && message.ref)

    %__MODULE__{
      client: client(message),
      id: message.taken.id,
      time: message.taken.time,
      sent: message.sent,
      delivered: message.delivered && message.delivered.id,
      kind: message.kind,
      message: asked(message.content),
      reply: if(reply, do: {:ok, elem(reply.content, 1)}, else: :none),
      answered: reply && reply.sent && reply.sent.id,
      replied: reply && reply.delivered && reply.delivered.id,
      unheard: reply != nil and reply.outcome in [:unwatched, :unknown],
      before: before,
      state: state,
      written: written(written, before, state)
    }
  end

  # A call says itself whom it is from.
  defp client(%Message{from: nil, content: {:"$gen_call", {pid, _tag}, _request}}) when is_pid(pid), do: pid
  defp client(%Message{from: from, kind: kind}) when kind in [:call, :cast, :info], do: from
  defp client(_message), do: nil

  defp asked({:"$gen_call", _from, request}), do: request
  defp asked({:"$gen_cast", request}), do: request
  defp asked(message), do: message

  defp written([first | _], {:ok, before}, {:ok, state}) do
    difference = Difference.of(before, state)
    if Difference.empty?(difference), do: nil, else: %{event: first, difference: difference}
  end

  defp written(_states, _before, _state), do: nil
end
