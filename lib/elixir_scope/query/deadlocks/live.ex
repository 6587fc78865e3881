defmodule ElixirScope.Query.Deadlocks.Live do
  @moduledoc false
  # What the VM that records says itself of processes that are said to wait.

  alias ElixirScope.{Deadlock, Native, Query, Waiting}
  alias ElixirScope.Query.{Deadlocks, Past}

  # Functions that wait for an answer, however deep.
  @waits [{:gen, :do_call}, {:gen, :wait_response}, {:gen, :receive_response}, {Task, :await}] ++
           [
             {Task, :await_receive},
             {Task, :await_many},
             {Task, :yield},
             {Task, :yield_receive},
             {Task, :yield_many}
           ] ++
           [{:proc_lib, :sync_start}, {:proc_lib, :sync_start_link}, {:proc_lib, :sync_start_monitor}]

  @doc """
  A deadlock that is still on, as the VM confirms it; as it was where that each of them waits does not decide it; `:over` when one of its processes does not wait, or not any more.
  """
  @spec checked(Past.t(), Deadlock.t()) :: Deadlock.t() | :over
  def checked(past, %Deadlock{ended: nil, members: [_ | _] = members, gaps: []} = deadlock) do
    if live?(past), do: confirmed(past, deadlock, members), else: deadlock
  end

  def checked(_past, deadlock), do: deadlock

  @doc "Whether the VM of the recording can be asked."
  @spec live?(Past.t()) :: boolean
  def live?(%Past{recording: %{live?: true} = recording}) do
    match?({:running, _started, _last}, Native.bounds(recording.handle))
  end

  def live?(_past), do: false

  defp confirmed(past, deadlock, members) do
    # Asked first, then looked at again: who had been about to go on has done so by then.
    if Enum.all?(members, &waits?/1) and still?(past, members) do
      if Deadlocks.Doubt.of(past, members), do: deadlock, else: sure(deadlock, members)
    else
      Native.flush(past.recording.handle)
      :over
    end
  end

  defp sure(deadlock, members) do
    members = for member <- members, do: %{member | confirmed: true}
    %{deadlock | members: members, verdict: :deadlock, confirmed: true, why: nil}
  end

  defp still?(past, members) do
    Native.flush(past.recording.handle)
    Enum.all?(members, &(Query.Waiting.At.ended(past, &1) == nil))
  end

  @doc "Whether the VM says that a process waits now, for an answer or in the `receive`."
  @spec waits?(Waiting.t()) :: boolean
  def waits?(%Waiting{pid: pid, evidence: evidence}) do
    case Process.info(pid, [:status, :current_stacktrace]) do
      [status: :waiting, current_stacktrace: stack] -> evidence == :receive or Enum.any?(stack, &waiting?/1)
      _runs_or_ended -> false
    end
  end

  defp waiting?({module, function, _arity, _place}), do: {module, function} in @waits
  defp waiting?(_other), do: false
end
