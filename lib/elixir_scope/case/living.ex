defmodule ElixirScope.Case.Living do
  @moduledoc false
  # The processes of a test that live, asked from the VM: also those of which nothing is recorded yet.

  alias ElixirScope.Case.Scope

  # Processes that were found to be none of the test's, as keys. Who made a process never changes.
  @strangers :"$elixir_scope_strangers"

  @doc "Those of the calling test that live, without itself, and others that are named if they do."
  @spec family([pid]) :: [pid]
  def family(also) do
    strangers = Process.get(@strangers, %{})
    unknown = for pid <- Process.list(), not is_map_key(strangers, pid), do: {pid, about(pid)}
    members = join(unknown, MapSet.new([Scope.test() | Scope.allowed() ++ also]))
    remember(strangers, unknown, members)
    for pid <- members, pid != self(), node(pid) == node(), Process.alive?(pid), do: pid
  end

  defp join(unknown, members) do
    {joining, others} =
      Enum.split_with(unknown, fn {pid, {relatives, _settled?}} ->
        pid in members or Enum.any?(relatives, &(&1 in members))
      end)

    case joining do
      [] -> members
      some -> join(others, Enum.into(some, members, &elem(&1, 0)))
    end
  end

  defp remember(strangers, unknown, members) do
    new = for {pid, {_relatives, true}} <- unknown, pid not in members, into: %{}, do: {pid, []}
    Process.put(@strangers, Map.merge(strangers, new))
  end

  @doc "Looks at all of them anew: the test has said that more are its own."
  @spec forget() :: :ok
  def forget do
    Process.delete(@strangers)
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
