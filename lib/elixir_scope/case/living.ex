defmodule ElixirScope.Case.Living do
  @moduledoc false
  # The processes of a test that live, asked from the VM: also those of which nothing is recorded yet.

  alias ElixirScope.Case.Scope

  @doc "Those of the calling test that live, without itself, and others that are named if they do."
  @spec family([pid]) :: [pid]
  def family(also) do
    # Who is older than the test is none of its processes.
    strangers = Scope.strangers()
    seeds = [Scope.test() | Scope.allowed() ++ also]
    young = for pid <- Process.list(), not is_map_key(strangers, pid), do: {pid, relatives(pid)}
    members = join(young, MapSet.new(seeds))
    for pid <- members, pid != self(), node(pid) == node(), Process.alive?(pid), do: pid
  end

  defp join(young, members) do
    {joining, others} =
      Enum.split_with(young, fn {pid, relatives} ->
        pid in members or Enum.any?(relatives, &(&1 in members))
      end)

    case joining do
      [] -> members
      some -> join(others, Enum.into(some, members, &elem(&1, 0)))
    end
  end

  @keys [:"$ancestors", :"$callers"]

  # Who made it, for whom, by what the VM and OTP say. It may have ended.
  defp relatives(pid) do
    case Process.info(pid, [:parent, :dictionary]) do
      [parent: parent, dictionary: dictionary] ->
        noted = Enum.flat_map(@keys, &List.wrap(:proplists.get_value(&1, dictionary, [])))
        for relative <- [parent | noted], is_pid(relative), do: relative

      nil ->
        []
    end
  end

  # Waiting in a function of these it waits for somebody's answer: of a call, of a task, of a process that it starts.
  @asking [:gen, Task, :proc_lib]

  @doc """
  What a process rests at: it waits for a message that it has not got, and asked nobody. What is in its mailbox it does not want yet.
  `:busy` when it does not rest; `nil` when it has ended.
  """
  @spec rest(pid) :: {mfa, non_neg_integer} | :busy | nil
  def rest(pid) do
    case Process.info(pid, [:status, :message_queue_len, :current_function]) do
      [status: status, message_queue_len: messages, current_function: at] ->
        if status in [:waiting, :suspended] and elem(at, 0) not in @asking, do: {at, messages}, else: :busy

      nil ->
        nil
    end
  end
end
