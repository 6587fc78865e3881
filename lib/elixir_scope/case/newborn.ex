defmodule ElixirScope.Case.Newborn do
  @moduledoc false
  # The processes that were made since another one was, without asking the VM for all there are: it goes through a table of as many as there
  # could be for that, a million on OTP 27, and nobody can make one meanwhile.
  #
  # The VM numbers processes in the order in which they are made, until it has used each number once; what comes then has the numbers of those that
  # have ended, in the order of their ends (`erts/emulator/beam/erl_ptab.c`, `erts_ptab_new_element`).

  import Bitwise

  # So many are looked at one by one.
  @few 1_000

  @doc """
  The processes of this node that were made after a given one and before this call, and live; where these may be too many, or
  cannot be told from others, all that live.
  """
  @spec since(pid) :: [pid]
  def since(pid) do
    shown = shown()
    first = number(pid, shown) + 1
    last = number(spawn(fn -> :ok end), shown) - 1

    if last < :erlang.system_info(:process_limit) - 1 and last - first < @few,
      do: for(number <- first..last//1, pid = pid(number, shown), Process.alive?(pid), do: pid),
      else: Process.list()
  end

  @doc "Whether one process of this node was made before another one, as far as their numbers say."
  @spec older?(pid, pid) :: boolean
  def older?(pid, other) when node(pid) == node() and node(other) == node() do
    shown = shown()
    number(pid, shown) < number(other, shown)
  end

  def older?(_pid, _of_another_node), do: false

  # Before OTP 26 a pid shows the lowest 15 bits of the number by themselves, since then 28.
  defp shown, do: if(List.to_integer(:erlang.system_info(:otp_release)) < 26, do: 15, else: 28)

  defp number(pid, shown) do
    ~c"<0." ++ rest = :erlang.pid_to_list(pid)
    {low, ~c"." ++ rest} = :string.to_integer(rest)
    {high, ~c">"} = :string.to_integer(rest)
    (high <<< shown) + low
  end

  defp pid(number, shown) do
    {high, low} = {number >>> shown, number &&& (1 <<< shown) - 1}
    :erlang.list_to_pid(~c"<0.#{low}.#{high}>")
  end
end
