defmodule ElixirScope.Query.Causality.Edges do
  @moduledoc false
  # What comes into a process from others: messages, its beginning, exits. An edge leads from an event of one process to one of
  # another; within a process its own order counts.

  alias ElixirScope.{Event, Message}
  alias ElixirScope.Query.Past

  # Times of two processes are not exact to each other.
  @skew 1_000_000
  # So many calls of exit/2 are looked at for the one that ended a process.
  @signals 200

  @typedoc "An event, as far as its order needs it."
  @type point :: %{pid: pid, id: non_neg_integer, time: non_neg_integer}

  @type edge :: %{why: :message | :spawn | :exit, from: point, to: point, message: Message.t() | nil}

  @typedoc "What came in, and messages of which nobody knows where they are from."
  @type incoming :: %{edges: [edge], hidden: [Message.t()]}

  @doc "How far apart the times of two events may be in the wrong order."
  @spec skew() :: pos_integer
  def skew, do: @skew

  @doc "What comes into processes by way of messages that were sent within a span, by process."
  @spec messages(Past.t(), [pid] | :all, non_neg_integer, non_neg_integer) ::
          {:ok, %{pid => [Message.t()]}} | {:error, ElixirScope.Error.t()}
  def messages(past, pids, since, until) do
    to = if pids == :all, do: [], else: [to: pids]

    with {:ok, messages} <- past.messages.([since: since(past, since)] ++ to) do
      {:ok, messages |> Enum.filter(&within?(&1, since - @skew, until + @skew)) |> Enum.group_by(& &1.to)}
    end
  end

  @doc "From when on messages may matter to a question about what came after a moment."
  @spec since(Past.t(), non_neg_integer) :: non_neg_integer
  def since(%Past{since: since}, moment), do: max(min(since || moment, moment) - @skew, 0)

  defp within?(message, since, until) do
    time = Message.time(message)
    time >= since and time <= until
  end

  @doc "All edges into a process, by the messages to it."
  @spec incoming(Past.t(), pid, [Message.t()], boolean) :: incoming
  def incoming(past, pid, messages, named?) do
    seen = seen(past, pid)

    {edges, hidden} =
      Enum.reduce(messages, {[], []}, fn message, {edges, hidden} ->
        cond do
          edge = of_message(past, message, seen) -> {[edge | edges], hidden}
          hidden?(message, named?) or unseen?(message, seen) -> {edges, [message | hidden]}
          true -> {edges, hidden}
        end
      end)

    edges = edges ++ of_beginning(past, pid) ++ of_end(past, pid)
    %{edges: Enum.sort_by(edges, & &1.to.id), hidden: hidden ++ unheard(past, pid, messages)}
  end

  # Which of the messages that a process took are known. All: it is a server with instrumented callbacks, or was begun with an
  # instrumented function, so it has not seen what it is not known to have taken. Some: it has instrumented receives, and
  # may have others. None: then a delivery counts.
  @doc false
  @spec seen(Past.t(), pid) :: :all | :some | :none
  def seen(past, pid) do
    cond do
      exists?(past, pid, [:state]) or begun_instrumented?(past, pid) -> :all
      exists?(past, pid, [:take, :wait]) -> :some
      true -> :none
    end
  end

  defp exists?(past, pid, kinds), do: not Enum.empty?(Past.next(past, pid, kinds, 0))

  defp begun_instrumented?(past, pid) do
    case past |> Past.next(pid, [:spawned, :call], 0) |> Enum.take(2) do
      [
        %Event{kind: :spawned, data: %{mfa: {:erlang, :apply, [fun, []]}}},
        %Event{kind: :call, mfa: {module, _, _}}
      ]
      when is_function(fun) ->
        Function.info(fun, :module) == {:module, module}

      [%Event{kind: :spawned, data: %{mfa: {module, function, args}}}, %Event{kind: :call, mfa: mfa}]
      when is_list(args) ->
        mfa == {module, function, length(args)}

      _other ->
        false
    end
  end

  defp unseen?(%Message{taken: nil, delivered: %{}} = message, :some), do: not answer?(message)

  defp unseen?(_message, _seen), do: false

  defp of_message(past, %Message{kind: kind} = message, seen) when kind in [:down, :exit] do
    with %{} = to <- entry(message, seen),
         pid when is_pid(pid) <- ended(message.content),
         %Event{} = exit <- exit_before(past, pid, to.time) do
      %{why: :exit, from: point(exit), to: to, message: message}
    else
      _unknown -> nil
    end
  end

  defp of_message(_past, %Message{sent: nil}, _seen), do: nil
  defp of_message(_past, %Message{from: nil}, _seen), do: nil

  defp of_message(_past, %Message{} = message, seen) do
    with %{} = to <- entry(message, seen) do
      from = Map.put(message.sent, :pid, message.from)
      %{why: :message, from: from, to: to, message: message}
    end
  end

  @doc "Where a message begins to have effects in its receiver, of which `seen/2` is known; `nil` when that is not known."
  @spec entry(Message.t(), :all | :some | :none) :: point | nil
  def entry(%Message{to: to, taken: %{} = taken}, _seen), do: Map.put(taken, :pid, to)
  def entry(%Message{delivered: nil}, _seen), do: nil

  # The answer of a call is taken by the call.
  def entry(%Message{to: to, delivered: delivered} = message, seen) do
    if seen == :none or answer?(message), do: Map.put(delivered, :pid, to)
  end

  # Servers of Erlang that are no gen_server answer in their own ways.
  defp answer?(%Message{kind: :reply}), do: true
  defp answer?(%Message{content: {:code_server, _answer}}), do: true
  defp answer?(%Message{content: {:io_reply, ref, _answer}}) when is_reference(ref), do: true
  defp answer?(_message), do: false

  @doc "The process whose end a message tells of. One that was not there any more when it was monitored did not cause the message by its end."
  @spec ended(term) :: pid | nil
  def ended({:DOWN, _ref, :process, _pid, reason}) when reason in [:noproc, :noconnection], do: nil
  def ended({:DOWN, _ref, :process, pid, _reason}) when is_pid(pid), do: pid
  def ended({:EXIT, _pid, :noproc}), do: nil
  def ended({:EXIT, pid, _reason}) when is_pid(pid), do: pid
  def ended(_message), do: nil

  defp exit_before(past, pid, time) do
    past |> Past.prev(pid, [:exit], Past.forever(), until: time + @skew) |> Enum.at(0)
  end

  defp point(%Event{pid: pid, id: id, time: time}), do: %{pid: pid, id: id, time: time}

  # Timers and ports are nobody; before OTP 27 nobody knows whether it was one of them.
  defp hidden?(%Message{kind: kind}, _named?) when kind in [:down, :exit], do: false
  defp hidden?(%Message{content: :timeout, from: nil}, _named?), do: false
  defp hidden?(%Message{sent: nil, from: nil}, true), do: false
  defp hidden?(%Message{sent: nil, content: content}, _named?), do: not inquiry?(content)
  defp hidden?(%Message{outcome: outcome}, _named?), do: outcome in [:unwatched, :unknown]

  # What `Process.info/2` asks of another process comes back as a signal, which the VM tells as a message that nobody sent.
  @items [:parent, :status, :links, :monitors, :monitored_by, :dictionary, :registered_name, :initial_call] ++
           [:current_function, :current_location, :current_stacktrace, :message_queue_len, :messages] ++
           [:group_leader, :heap_size, :total_heap_size, :stack_size, :memory, :reductions, :priority] ++
           [:trap_exit, :suspending, :garbage_collection, :garbage_collection_info, :label]

  defp inquiry?({ref, {item, _value}}) when is_reference(ref), do: item in @items
  defp inquiry?({ref, :undefined}) when is_reference(ref), do: true
  defp inquiry?({ref, [{item, _value} | _]}) when is_reference(ref), do: item in @items
  defp inquiry?(_content), do: false

  # A process that was never watched may have been sent anything.
  defp unheard(past, pid, messages) do
    known? = messages != [] or not Enum.empty?(Past.next(past, pid, [:receive, :send, :spawned], 0))
    if known? or introduced?(past, pid), do: [], else: [%Message{to: pid, outcome: :unwatched}]
  end

  defp introduced?(past, pid) do
    past |> Past.next(pid, [:process], 0) |> Enum.any?(&match?(%{messages: _}, &1.data))
  end

  defp of_beginning(past, pid) do
    with [%Event{data: %{parent: parent}} = spawned] when is_pid(parent) <-
           past |> Past.next(pid, [:spawned], 0) |> Enum.take(1),
         %Event{} = spawn <- spawn_of(past, parent, pid, spawned.time) do
      [%{why: :spawn, from: point(spawn), to: point(spawned), message: nil}]
    else
      _unknown -> []
    end
  end

  @doc "The event at which a process made another one."
  @spec spawn_of(Past.t(), pid, pid, non_neg_integer) :: Event.t() | nil
  def spawn_of(past, parent, child, time) do
    past
    |> Past.prev(parent, [:spawn], Past.forever(), since: max(time - 1_000 * @skew, 0), until: time + @skew)
    |> Enum.find(&match?(%{child: ^child}, &1.data))
  end

  defp of_end(past, pid) do
    with [%Event{} = exit] <- past |> Past.prev(pid, [:exit], Past.forever()) |> Enum.take(1),
         %Event{} = cause <- exit_cause(past, exit) do
      [%{why: :exit, from: point(cause), to: point(exit), message: nil}]
    else
      _of_its_own -> []
    end
  end

  @doc "What ended a process from outside: the exit of a linked one, or a call of `exit/2`."
  @spec exit_cause(Past.t(), Event.t()) :: Event.t() | nil
  def exit_cause(_past, %Event{data: %{reason: :normal}}), do: nil

  def exit_cause(past, %Event{data: %{reason: reason}} = exit) do
    linked = past |> links(exit.pid) |> Enum.flat_map(&exit_with(past, &1, reason, exit.time))
    Enum.max_by(linked ++ signals(past, exit), & &1.id, fn -> nil end)
  end

  def exit_cause(_past, _exit), do: nil

  @doc "The processes that a process was linked with."
  @spec links(Past.t(), pid) :: [pid]
  def links(past, pid) do
    past
    |> Past.next(pid, [:process, :link], 0)
    |> Enum.flat_map(fn
      %Event{kind: :process, data: %{links: links}} when is_list(links) -> links
      %Event{kind: :link, data: %{action: action, other: other}} when action in [:link, :linked] -> [other]
      _other -> []
    end)
    |> Enum.filter(&is_pid/1)
    |> Enum.uniq()
  end

  defp exit_with(past, pid, reason, time) do
    case exit_before(past, pid, time) do
      %Event{data: %{reason: ^reason}} = exit -> [exit]
      _another_reason -> []
    end
  end

  defp signals(past, %Event{pid: pid, data: %{reason: reason}} = exit) do
    past
    |> Past.prev(nil, [:traced], Past.forever(),
      since: max(exit.time - 1_000 * @skew, 0),
      until: exit.time + @skew
    )
    |> Stream.take(@signals)
    |> Enum.filter(fn
      %Event{mfa: {:erlang, :exit, 2}, data: %{args: [^pid, given]}} ->
        given == reason or {given, reason} == {:kill, :killed}

      _other ->
        false
    end)
    |> Enum.take(1)
  end
end
