defmodule ElixirScope.Case.Living do
  @moduledoc false
  # The processes of a test that live, asked from the VM: also those of which nothing is recorded yet.

  alias ElixirScope.Case.Scope
  alias ElixirScope.Native

  # When a process was first seen here by any test, of those of which all is known that will be: whoever was seen before a test began is none of its
  # processes, and need not be looked at. The recorder's process owns the table.
  @seen :elixir_scope_seen
  # Entries of processes that have ended are not looked for: from so many on all are forgotten.
  @most 20_000

  @doc "Those of the calling test that live, without itself, and others that are named if they do."
  @spec family([pid]) :: [pid]
  def family(also) do
    seeds = [Scope.test() | Scope.allowed() ++ also]
    # What the test allows may have made others before.
    began = if Scope.allowed() == [], do: Scope.since(), else: 0
    young = for pid <- Process.list(), not older?(pid, began), do: {pid, about(pid)}
    remember(young)
    members = join(young, MapSet.new(seeds))
    for pid <- members, pid != self(), node(pid) == node(), Process.alive?(pid), do: pid
  end

  defp older?(pid, began) do
    case :ets.lookup(@seen, pid) do
      [{_pid, seen}] -> seen < began
      [] -> false
    end
  end

  defp join(young, members) do
    {joining, others} =
      Enum.split_with(young, fn {pid, {relatives, _settled?}} ->
        pid in members or Enum.any?(relatives, &(&1 in members))
      end)

    case joining do
      [] -> members
      some -> join(others, Enum.into(some, members, &elem(&1, 0)))
    end
  end

  defp remember(young) do
    now = Native.now()
    if :ets.info(@seen, :size) > @most, do: :ets.delete_all_objects(@seen)
    for {pid, {_relatives, true}} <- young, do: :ets.insert_new(@seen, {pid, now})
    :ok
  end

  @keys [:"$ancestors", :"$callers"]

  # Who made it, for whom, by what the VM and OTP say, and whether that is all that will be said: a process that has not run yet, and a task that
  # has not been told what to do, do not know yet for whom they work.
  defp about(pid) do
    case Process.info(pid, [:parent, :dictionary, :status]) do
      [parent: parent, dictionary: dictionary, status: status] ->
        noted = Enum.flat_map(@keys, &List.wrap(:proplists.get_value(&1, dictionary, [])))
        relatives = for relative <- [parent | noted], is_pid(relative), do: relative
        {relatives, status == :waiting and not untold?(dictionary)}

      nil ->
        {[], false}
    end
  end

  defp untold?(dictionary),
    do: match?({Task.Supervised, _, _}, :proplists.get_value(:"$initial_call", dictionary, nil))

  # Waiting in a function of these it waits for somebody's answer: of a call, of a task, of a process that it starts.
  @asking [:gen, Task, :proc_lib]

  @doc """
  Of a process that waits for a message it has not got, and asked nobody, how many messages it does not want yet and its reductions. `:busy`
  when it does not rest; `nil` when it has ended.
  """
  @spec rest(pid) :: {non_neg_integer, non_neg_integer} | :busy | nil
  def rest(pid) do
    case Process.info(pid, [:status, :message_queue_len, :current_function, :reductions]) do
      [status: status, message_queue_len: messages, current_function: at, reductions: reductions] ->
        if status in [:waiting, :suspended] and elem(at, 0) not in @asking,
          do: {messages, reductions},
          else: :busy

      nil ->
        nil
    end
  end
end
