defmodule ElixirScope.Message do
  @moduledoc """
  A message, from its sending to what took it. `ElixirScope.messages/1` gives them.

  | field | meaning |
  |---|---|
  | `from`, `to` | the processes; `nil` where it is not known |
  | `target` | whom the sender named: a pid, a port, a name, `{name, node}` or the reference of an alias; `nil` when the sending was not seen |
  | `content` | the message |
  | `kind` | what it is for OTP: `:call`, `:reply`, `:cast`, `:down`, `:exit`, `:system`, and `:info` for all others |
  | `ref` | the reference that ties a call to its reply, and a Task's reply to the Task; or `nil` |
  | `sent`, `delivered`, `taken` | the event, as `%{id: id, time: nanoseconds}`, or `nil` |
  | `outcome` | see below |

  Delivered means that it lies in the mailbox; taken, that a `receive` or a callback took it out, which is known of instrumented code.
  What the runtime sends (timers, ports, `:DOWN`, `:EXIT`) has no `sent`. Of these `:timeout` is left out: the VM tells the same
  when a `receive` has waited as long as its `after` says and no message came, and nobody can tell them apart.

  | `outcome` | meaning |
  |---|---|
  | `:taken` | something took it |
  | `:delivered` | it was delivered; nothing is known that took it |
  | `:pending` | it was sent, and not delivered by the end of the recording, or its receiver ended without looking at it |
  | `:nobody` | there was no such process, or it had ended before; of an alias: it was no more in use |
  | `:unwatched` | the deliveries of its receiver are not recorded: see `ElixirScope.watch/2` |
  | `:unknown` | events are missing, or equal messages were on the way and nobody knows which of them this is; a delivery and a sending of this kind are messages of their own |
  """

  @type at :: %{id: non_neg_integer, time: non_neg_integer}
  @type kind :: :call | :reply | :cast | :info | :down | :exit | :system
  @type outcome :: :taken | :delivered | :pending | :nobody | :unwatched | :unknown

  @type t :: %__MODULE__{
          from: pid | nil,
          to: pid | nil,
          target: pid | port | atom | {atom, node} | reference | nil,
          content: term,
          kind: kind,
          ref: reference | nil,
          sent: at | nil,
          delivered: at | nil,
          taken: at | nil,
          outcome: outcome
        }

  defstruct [:from, :to, :target, :content, :kind, :ref, :sent, :delivered, :taken, :outcome]

  @kinds [:call, :reply, :cast, :info, :down, :exit, :system]
  @outcomes [:taken, :delivered, :pending, :nobody, :unwatched, :unknown]

  @doc "All kinds of messages."
  @spec kinds() :: [kind]
  def kinds, do: @kinds

  @doc "All that can become of a message."
  @spec outcomes() :: [outcome]
  def outcomes, do: @outcomes

  @doc """
  What a message is for OTP, and the reference in it.

      iex> ElixirScope.Message.about({:"$gen_cast", :stop})
      {:cast, nil}
      iex> ElixirScope.Message.about(:tick)
      {:info, nil}
  """
  @spec about(term) :: {kind, reference | nil}
  def about({:"$gen_call", {pid, tag}, _request}) when is_pid(pid), do: {:call, reference(tag)}
  def about({:"$gen_cast", _request}), do: {:cast, nil}
  def about({:system, {pid, tag}, _request}) when is_pid(pid), do: {:system, reference(tag)}
  def about({:DOWN, ref, _type, _object, _reason}) when is_reference(ref), do: {:down, ref}
  def about({:EXIT, other, _reason}) when is_pid(other) or is_port(other), do: {:exit, nil}
  def about({[:alias | ref], _reply}) when is_reference(ref), do: {:reply, ref}
  def about({ref, _reply}) when is_reference(ref), do: {:reply, ref}
  def about(_message), do: {:info, nil}

  defp reference(ref) when is_reference(ref), do: ref
  defp reference([:alias | ref]) when is_reference(ref), do: ref
  # That of a call through a process in between.
  defp reference([[:alias | ref] | _]) when is_reference(ref), do: ref
  defp reference(_tag), do: nil

  @doc "When it was sent, or delivered where the sending was not seen."
  @spec time(t) :: non_neg_integer
  def time(%__MODULE__{sent: %{time: time}}), do: time
  def time(%__MODULE__{delivered: %{time: time}}), do: time

  @doc false
  # From the tuple that the native library makes.
  def from_native({sent, delivered, from, to, outcome, content, target}) do
    {kind, ref} = about(content)

    %__MODULE__{
      from: from,
      to: to || remote(target),
      target: target,
      content: content,
      kind: kind,
      ref: ref,
      sent: at(sent),
      delivered: at(delivered),
      outcome: outcome
    }
  end

  # The VM names the processes of other nodes, which make no events here.
  defp remote(target) when is_pid(target), do: target
  defp remote(_target), do: nil

  defp at(nil), do: nil
  defp at({id, time}), do: %{id: id, time: time}
end
