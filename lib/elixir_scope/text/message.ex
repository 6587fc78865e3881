defmodule ElixirScope.Text.Message do
  @moduledoc false
  # A message in words.

  alias ElixirScope.{Message, Recording, Text}
  alias ElixirScope.Text.Names

  @doc "The recording that a message comes from."
  @spec recording(Message.t()) :: Recording.t() | nil
  def recording(%Message{sent: %{id: id, time: time}, from: from}), do: Names.origin(id, from, time)
  def recording(%Message{delivered: %{id: id, time: time}, to: to}), do: Names.origin(id, to, time)
  def recording(_message), do: nil

  @doc "Who sent it."
  @spec from(Message.t(), Recording.t() | nil) :: String.t()
  def from(%Message{from: nil, kind: kind}, _recording) when kind in [:down, :exit], do: "the VM"
  def from(%Message{from: nil}, _recording), do: "?"
  def from(message, recording), do: Text.process(recording, message.from, Message.time(message))

  @doc "Whom it was for."
  @spec to(Message.t(), Recording.t() | nil) :: String.t()
  def to(%Message{to: nil, target: nil}, _recording), do: "?"
  def to(%Message{to: nil, target: target}, _recording), do: Text.short(target, width: 40)
  def to(message, recording), do: Text.process(recording, message.to, Message.time(message))

  @doc "What it says, without what OTP puts around it."
  @spec content(Message.t(), keyword) :: String.t()
  def content(%Message{kind: :call, content: {_, _, request}}, options), do: Text.short(request, options)
  def content(%Message{kind: :cast, content: {_, request}}, options), do: Text.short(request, options)
  def content(%Message{kind: :reply, content: {_, reply}}, options), do: Text.short(reply, options)
  def content(%Message{kind: :down, content: {_, _, _, _, reason}}, options), do: Text.short(reason, options)
  def content(%Message{kind: :exit, content: {_, _, reason}}, options), do: Text.short(reason, options)
  def content(%Message{kind: :system, content: {_, _, request}}, options), do: Text.short(request, options)
  def content(%Message{content: content}, options), do: Text.short(content, options)

  @doc "What became of it, and how long it lay there."
  @spec fate(Message.t()) :: String.t()
  def fate(%Message{outcome: :taken} = message),
    do: "taken after #{Text.duration(max(message.taken.time - Message.time(message), 0))}"

  def fate(%Message{outcome: :pending}), do: "not delivered"
  def fate(%Message{outcome: :nobody}), do: "nobody there"
  def fate(%Message{outcome: :unwatched}), do: "its receiver is not watched"
  def fate(%Message{outcome: :unknown}), do: "what became of it is not known"
  def fate(%Message{outcome: outcome}), do: "#{outcome}"
end

defimpl Inspect, for: ElixirScope.Message do
  # One line: when, from whom to whom, what, and what became of it.
  alias ElixirScope.{Message, Text}

  def inspect(%{outcome: outcome, kind: kind} = message, opts)
      when is_atom(outcome) and is_atom(kind) and outcome != nil and kind != nil do
    recording = Text.Message.recording(message)
    options = Text.options(opts)
    ends = "#{Text.Message.from(message, recording)} -> #{Text.Message.to(message, recording)}"
    head = Text.columns([Text.clock(Message.time(message)), ends, "#{kind}"])
    fate = Text.Message.fate(message)
    content = Text.Message.content(message, Keyword.update!(options, :width, &room(&1, head, fate)))
    Text.view("Message", [Text.columns([head, content, fate])])
  end

  # Made by hand.
  def inspect(message, opts), do: Inspect.Any.inspect(message, opts)

  defp room(:infinity, _head, _fate), do: :infinity
  defp room(width, head, fate), do: max(width - Text.width(head) - Text.width(fate) - 28, 30)
end
