defmodule ElixirScope.Query.Exits.Begun do
  @moduledoc false
  # Who began what a process did when it ended: the message that it was given, who sent that, and what that one was doing.

  import ElixirScope.Query.Exits.Steps, only: [add: 2, ends: 3, name: 3, since: 1]

  alias ElixirScope.{Event, ExitChain, Life, Native}
  alias ElixirScope.ExitChain.Step

  alias ElixirScope.Query.{Exits, Processes, Server, Stack}

  # A message may wait so long before it is taken.
  @waits 60_000_000_000
  # Messages that are looked at for one that told a process to stop.
  @messages 1_000

  @doc """
  Who began what it did: the message that its callback was given, or a call of its own that failed.
  """
  @spec led_by(
          ExitChain.t(),
          Exits.Steps.t(),
          Event.t(),
          ElixirScope.Call.t() | nil,
          Life.t(),
          :raised | :stopped
        ) :: ExitChain.t()
  def led_by(chain, about, exit, outer, life, ends) do
    case Exits.Own.callback(outer, life.kind) do
      nil ->
        failed_or(chain, about, exit, &begun_by(&1, about, life, ends))

      {kind, message, from} ->
        {sender, sent} = Exits.Message.sender(about.recording, exit.pid, outer, {kind, message, from})

        step = %Step{
          kind: :message,
          time: outer.started,
          id: outer.id,
          pid: exit.pid,
          other: sender,
          message: message,
          call: outer
        }

        chain
        |> add(step)
        |> failed_or(about, exit, &sent_by(&1, about, step, sent, ends))
    end
  end

  defp failed_or(chain, about, exit, otherwise) do
    case Exits.Reason.failed_call(exit.data.reason) do
      nil -> otherwise.(chain)
      failed -> Exits.Calls.failed_call(chain, about, exit, failed)
    end
  end

  # A process without messages of its own: whoever made it.
  defp begun_by(chain, about, life, ends) do
    chain |> maker(about, life) |> ends(ends, own_end(ends))
  end

  defp own_end(:raised), do: "it raised, and no message that is recorded led to it"
  defp own_end(:stopped), do: "its callback said :stop, and no message that is recorded led to it"

  defp sent_by(chain, about, %Step{message: message} = step, sent, ends) do
    case {message, step.other} do
      {{:DOWN, _ref, :process, pid, _reason}, _runtime} when is_pid(pid) ->
        told_of(chain, about, step, pid, ends)

      {{:EXIT, pid, _reason}, _runtime} when is_pid(pid) ->
        told_of(chain, about, step, pid, ends)

      {_message, pid} when is_pid(pid) ->
        chain = sender(chain, about, pid, sent)
        ends(chain, ends, "it began with #{name(about, began(chain, pid), step.time)}, as far as is recorded")

      _unknown ->
        ends(chain, ends, "who sent the message that led to it is not recorded")
    end
  end

  defp began(%ExitChain{steps: [%Step{kind: :sender, pid: pid} | _]}, _sender), do: pid
  defp began(%ExitChain{steps: [%Step{kind: :message, other: pid} | _]}, _sender) when is_pid(pid), do: pid
  defp began(_chain, sender), do: sender

  @doc """
  The end of another process, of which it was told.
  """
  @spec told_of(ExitChain.t(), Exits.Steps.t(), Step.t(), pid, ExitChain.reason()) :: ExitChain.t()
  def told_of(chain, about, step, pid, ends) do
    chain = add(chain, %Step{kind: :down, time: step.time, pid: step.pid, other: pid, message: step.message})

    case Processes.exit_of(about.recording, pid, step.time) do
      nil ->
        ends(
          chain,
          ends,
          "the end of #{inspect(pid)}, of which it was told, was not recorded: that process is not watched"
        )

      exit ->
        Exits.Chain.explain(chain, about, exit)
    end
  end

  @doc "What a process was doing when it sent a message, and who had it do that."
  @spec sender(ExitChain.t(), Exits.Steps.t(), pid, {non_neg_integer, non_neg_integer}) :: ExitChain.t()
  def sender(chain, about, pid, moment), do: origin(chain, about, pid, moment, "sent it")

  defp origin(%ExitChain{steps: steps} = chain, %Exits.Steps{limit: limit} = about, pid, {time, id}, text)
       when node(pid) == node() and length(steps) <= limit do
    {:ok, process} = Server.numbers(pid)

    with true <- Native.has_process(about.recording.handle, process),
         {[_ | _] = frames, _whole?} <- Stack.open_calls(about.recording, process, id),
         {:ok, life} <- Processes.life(about.recording, process, time) do
      calls = for frame <- frames, call = Stack.call(about.recording, process, frame), do: call

      chain
      |> add(%Step{kind: :sender, time: time, id: id, pid: pid, call: hd(calls), text: text})
      |> before(about, life, Enum.find_value(calls, &with_message(&1, life)))
    else
      _nothing_open -> chain
    end
  end

  defp origin(chain, _about, _pid, _moment, _text), do: chain

  defp with_message(call, life) do
    with {_kind, _message, _from} = message <- Exits.Own.callback(call, life.kind), do: {call, message}
  end

  # It did so for a message in its turn, or because it was made for that.
  defp before(chain, about, life, nil), do: maker(chain, about, life)

  defp before(chain, about, life, {call, {_kind, message, _from} = given}) do
    {sender, sent} = Exits.Message.sender(about.recording, life.pid, call, given)

    chain =
      add(chain, %Step{
        kind: :message,
        time: call.started,
        id: call.id,
        pid: life.pid,
        other: sender,
        message: message,
        call: call
      })

    if is_pid(sender), do: origin(chain, about, sender, sent, "sent it"), else: chain
  end

  defp maker(chain, about, %Life{kind: kind, parent: parent, spawned: %{call: %{}} = spawned})
       when kind in [:task, :process] and is_pid(parent),
       do: origin(chain, about, parent, {spawned.time, spawned.id}, "began it")

  defp maker(chain, _about, _life), do: chain

  @doc """
  `GenServer.stop/3` and the like are messages to what OTP runs.
  """
  @spec told_to_stop(ExitChain.t(), {Exits.Steps.t(), Life.t(), Server.numbers()}, Event.t()) ::
          ExitChain.t() | nil
  def told_to_stop(chain, {about, life, process}, exit) do
    about.recording
    |> Processes.newest(["receive"], [process], max(since(life), exit.time - @waits), exit.time)
    |> Stream.take(@messages)
    |> Enum.find(&stops?(&1, exit.data.reason))
    |> case do
      nil ->
        nil

      %Event{data: %{message: {:system, {from, _tag}, request}}} = event ->
        from = asks_for(about, from, event)

        chain
        |> add(%Step{
          kind: :message,
          time: event.time,
          id: event.id,
          pid: exit.pid,
          other: from,
          message: request
        })
        |> sender(about, from, {event.time, event.id})
        |> ends(:stopped, "#{name(about, from, event.time)} told it to stop, as GenServer.stop/3 does")
    end
  end

  defp stops?(%Event{data: %{message: {:system, {from, _tag}, {:terminate, reason}}}}, reason),
    do: is_pid(from)

  defp stops?(_event, _reason), do: false

  # OTP asks in a process that it makes for that.
  defp asks_for(about, from, event) when node(from) == node() do
    {:ok, process} = Server.numbers(from)

    with true <- Native.has_process(about.recording.handle, process),
         {:ok, %Life{initial_call: {:proc_lib, _, _}, parent: parent}} when is_pid(parent) <-
           Processes.life(about.recording, process, event.time) do
      parent
    else
      _asks_itself -> from
    end
  end

  defp asks_for(_about, from, _event), do: from
end
