defmodule ElixirScope.Watch.Roll do
  @moduledoc false
  # Says who processes are that lived before they were watched: by name, parents, links. Processes that are made later tell it
  # themselves, with their first call.

  alias ElixirScope.{Capture, Native}
  alias ElixirScope.Watch.Tracing

  @compile {:no_warn_undefined, :trace}

  # Nanoseconds that who asks waits for it.
  @patience 300_000_000

  @doc """
  Introduces processes. `told?`: whose messages the VM tells from now on; to these it says since when. All that is told of any of them is
  told since before the first is introduced. The calling process is one of ours: what it is answered is no doing of the program.
  """
  @spec call([pid], (pid -> boolean)) :: :ok
  def call(pids, told?) do
    since = Native.now()
    call(pids, &watched(told?, &1, since), since + @patience)
  end

  # There may be many, and one that is busy answers late.
  defp call([], _watched, _until), do: :ok

  defp call([pid | rest] = pids, watched, until) do
    if Native.now() < until do
      introduce(pid, watched)
      call(rest, watched, until)
    else
      later(pids, watched)
      :ok
    end
  end

  @doc """
  Says of processes whose messages were told that they are not any more. Those of which another request has them told are left out. Who
  asks waits for all of them, however many: until it is said, what they are sent would count as known.
  """
  @spec dismiss([pid], (pid -> boolean)) :: :ok
  def dismiss(pids, told?) do
    since = Native.now()
    for pid <- pids, not told?.(pid), do: introduce(pid, fn _pid -> %{unwatched: since} end)
    :ok
  end

  @doc "Whether the VM tells the messages of a process to this tracing. Before OTP 27 a process has one tracer, which may be another one."
  @spec told?(Tracing.t(), pid) :: boolean
  def told?({:session, session, _number}, pid), do: receives?(:trace.info(session, pid, :flags))

  def told?({:legacy, number}, pid) do
    receives?(:erlang.trace_info(pid, :flags)) and
      :erlang.trace_info(pid, :tracer) == {:tracer, {Native, number}}
  end

  defp receives?({:flags, flags}), do: :receive in flags
  # It has ended.
  defp receives?(:undefined), do: false

  @doc "Introduces them in a process of its own."
  @spec call_later([pid], (pid -> boolean)) :: pid
  def call_later(pids, told?) do
    since = Native.now()
    later(pids, &watched(told?, &1, since))
  end

  defp watched(told?, pid, since), do: if(told?.(pid), do: %{watched: since}, else: %{})

  # What a process of ours makes is one of ours (`native/nif/src/tracer.rs`), but it need not be watched to be met.
  defp later(pids, watched) do
    spawn(fn ->
      muted = Native.mute()
      Enum.each(pids, &introduce(&1, watched))
      if muted, do: Native.unmute(self())
    end)
  end

  defp introduce(pid, watched) do
    since = watched.(pid)

    with [_ | _] = info <- info(pid) do
      if hidden?(info) do
        Capture.left_out(pid)
        Native.sensitive_other(pid)
      else
        Native.introduce_other(pid, Map.merge(since, about(pid, info)))
      end
    end
  end

  # `proc_lib` notes in each process that it begins who began it, first of all. Where that is not to be seen the flag `sensitive` is set,
  # or the process has emptied its dictionary, and then it is one more that is left alone.
  defp hidden?(info) do
    match?({:proc_lib, :init_p, _}, info[:initial_call]) and
      not match?({:proc_lib, :init_p, _}, info[:current_function]) and
      Keyword.get(info, :dictionary, []) == []
  end

  @items [:registered_name, :initial_call, :current_function, :links, :message_queue_len, :parent]

  # Of the process dictionary three keys are wanted. Before OTP 26.2 the VM gives it whole or not at all.
  defp info(pid) when pid == self(), do: :erlang.process_info(pid, @items) ++ [dictionary: :erlang.get()]
  defp info(pid), do: with([_ | _] = info <- :erlang.process_info(pid, @items), do: info ++ dictionary(pid))

  @keys [:"$initial_call", :"$ancestors", :"$callers", :"$process_label"]

  defp dictionary(pid) do
    case :erlang.process_info(pid, Enum.map(@keys, &{:dictionary, &1})) do
      found when is_list(found) ->
        [dictionary: for({{:dictionary, key}, value} <- found, value != :undefined, do: {key, value})]

      :undefined ->
        []
    end
  rescue
    ArgumentError -> List.wrap(:erlang.process_info(pid, :dictionary)) -- [:undefined]
  end

  # A process of OTP is none of a test itself.
  defp test([], parent), do: Capture.test_of(parent)
  defp test(_ancestors, _parent), do: nil

  defp about(pid, info) do
    dictionary = Keyword.get(info, :dictionary, [])
    noted = fn key, default -> :proplists.get_value(key, dictionary, default) end

    %{
      name: if(is_atom(info[:registered_name]), do: info[:registered_name]),
      label: noted.(:"$process_label", nil) || test(noted.(:"$ancestors", []), info[:parent]),
      initial_call: noted.(:"$initial_call", info[:initial_call]),
      ancestors: noted.(:"$ancestors", []),
      callers: noted.(:"$callers", []),
      parents: for(parent <- [info[:parent]], is_pid(parent), do: parent),
      links: for(link <- info[:links], link != pid, do: link),
      messages: info[:message_queue_len]
    }
  end
end
