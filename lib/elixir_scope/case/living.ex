defmodule ElixirScope.Case.Living do
  @moduledoc false
  # The processes of a test that live, asked from the VM: also those of which nothing is recorded yet. Who looks is a process of
  # `ElixirScope.Case.Looker`; `about_test/2` is what the test tells it.

  alias ElixirScope.Case.{Asking, Newborn, Scope}
  alias ElixirScope.Native

  # `{pid, when it was first seen here by any test, its relatives}` of those of which all is known that will be. Whoever was seen before a test
  # began is none of its processes, and of no other need it be asked twice. The recorder's process owns the table.
  @seen :elixir_scope_seen
  # Entries of processes that have ended are not looked for: from so many on all are forgotten.
  @most 20_000

  @typedoc """
  Whose processes are looked for: of those that are `known` so far, made after `first` (`nil`: of any age) and from some time on, without the one that
  asks.
  """
  @type about :: %{
          known: [pid],
          born: (() -> [pid]),
          first: pid | nil,
          began: non_neg_integer,
          asks: pid
        }

  @doc "The calling test, with others that are waited for, and those of its processes that are known so far."
  @spec about_test([pid], [pid]) :: about
  def about_test(also, known) do
    allowed = Scope.allowed()
    known = Enum.uniq([Scope.test() | allowed ++ also ++ known])
    # What the test allows may have made others before.
    {first, began} = if allowed == [], do: {Scope.test(), Scope.since()}, else: {nil, 0}
    known = for pid <- known, pid != self(), node(pid) == node(), do: pid
    %{known: known, born: born(), first: first, began: began, asks: self()}
  end

  # Since OTP 27 the VM tells of each birth, so the recording knows those as well whose maker has ended. Before, a process that has yet
  # recorded nothing belongs to nobody then.
  @births? List.to_integer(:erlang.system_info(:otp_release)) >= 27

  if @births?,
    do: defp(born, do: Scope.asker()),
    else: defp(born, do: fn -> [] end)

  @doc """
  Those of a test that live, and those that were not known and may have ended while this was asked. Asked by a process that is none of the test's.
  """
  @spec family(about) :: [pid]
  def family(%{known: known, born: born, first: first, began: began, asks: asks}) do
    seeds = [asks | known] ++ born.()
    all = if first, do: Newborn.since(first), else: Process.list()
    young = for pid <- all, relatives = relatives(pid, began), do: {pid, relatives}
    known = MapSet.new(known)

    for pid <- join(young, MapSet.new(seeds)),
        pid != asks,
        node(pid) == node(),
        # Whoever was not known may have ended just now.
        pid not in known or Process.alive?(pid),
        do: pid
  end

  # `nil` of those that were there before.
  defp relatives(pid, began) do
    case :ets.lookup(@seen, pid) do
      [{_pid, seen, _relatives}] when seen < began -> nil
      [{_pid, _seen, relatives}] -> relatives
      [] -> pid |> about() |> remembered(pid)
    end
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

  defp remembered({relatives, true}, pid) do
    if :ets.info(@seen, :size) > @most, do: :ets.delete_all_objects(@seen)
    :ets.insert_new(@seen, {pid, Native.now(), relatives})
    relatives
  end

  defp remembered({relatives, false}, _pid), do: relatives

  @keys [:"$ancestors", :"$callers"]

  # With so many reductions a process has said who it is: OTP does so first of all.
  @begun 4_000

  # Who made it, for whom, by what the VM and OTP say, and whether that is all that will be said: a process that has hardly run yet, and a task
  # that has not been told what to do, do not know yet for whom they work.
  defp about(pid) do
    case Process.info(pid, [:parent, :dictionary, :status, :reductions]) do
      [parent: parent, dictionary: dictionary, status: status, reductions: reductions] ->
        noted = Enum.flat_map(@keys, &List.wrap(:proplists.get_value(&1, dictionary, [])))
        relatives = for relative <- [parent | noted], is_pid(relative), do: relative
        {relatives, (status == :waiting or reductions > @begun) and not untold?(dictionary)}

      nil ->
        {[], false}
    end
  end

  defp untold?(dictionary),
    do: match?({Task.Supervised, _, _}, :proplists.get_value(:"$initial_call", dictionary, nil))

  # Others begin in a function of this name as well, and may leave messages where they are. Of `:gen_server` and of `:gen_statem`.
  @callbacks [handle_call: 3, handle_cast: 2, callback_mode: 0]

  @doc """
  Of a process that waits for a message it has not got, and asked nobody, how many messages it does not want yet and its reductions. `:busy`
  when it does not rest; `nil` when it has ended.
  """
  @spec rest(pid) :: {non_neg_integer, non_neg_integer} | :busy | nil
  def rest(pid) do
    case Process.info(pid, [:status, :message_queue_len, :current_function, :reductions]) do
      [status: status, message_queue_len: messages, current_function: at, reductions: reductions] ->
        if rests?(status, at) and not (messages > 0 and server?(pid)),
          do: {messages, reductions},
          else: :busy

      nil ->
        nil
    end
  end

  # The loop of a server of OTP takes any message. So one that waits and has messages is in the midst of a callback, or suspended.
  defp server?(pid) do
    with {:dictionary, dictionary} <- Process.info(pid, :dictionary) do
      case :proplists.get_value(:"$initial_call", dictionary, nil) do
        {module, :init, 1} ->
          Enum.any?(@callbacks, fn {name, arity} -> function_exported?(module, name, arity) end)

        {module, _callback_or_init, _arity} ->
          module in [:supervisor, :supervisor_bridge, :gen_event]

        _no_server ->
          false
      end
    else
      nil -> false
    end
  end

  # At an answer that it waits for somebody may be at work, whoever that is.
  defp rests?(:waiting, at), do: not Asking.waits?(at)
  defp rests?(:suspended, at), do: not Asking.suspended?(at)
  defp rests?(_at_work, _at), do: false
end
