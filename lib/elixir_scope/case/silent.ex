defmodule ElixirScope.Case.Silent do
  @moduledoc false
  # Processes of which nothing is recorded, since they ask for that: nobody knows what these did not do, nor which state they have.

  alias ElixirScope.Case.{Heard, Pairs, Scope}

  # `{pid, since when, its relatives, until when}`, as `ElixirScope.Capture` has noted them.
  @left_out :elixir_scope_left_out

  @shown 5

  @doc "Whether there ever was such a process."
  @spec any?() :: boolean
  def any?, do: :ets.info(@left_out, :size) not in [0, :undefined]

  @doc "Why not all of a test is recorded, in words; `nil`: none of its processes was left out."
  @spec text(Scope.t()) :: String.t() | nil
  def text(%{pids: pids, since: since}) do
    text_of(
      for {pid, _since, relatives, _until} = noted <- :ets.tab2list(@left_out),
          pid in pids or Enum.any?(relatives, &(&1 in pids)),
          since?(noted, since),
          do: pid
    )
  end

  @doc "The same of these processes since a time, whosesoever they are."
  @spec since([pid], non_neg_integer) :: String.t() | nil
  def since(pids, since),
    do: text_of(for pid <- pids, noted <- noted(pid), since?(noted, since), do: pid)

  @doc "The same of these processes at a moment."
  @spec at([pid], non_neg_integer | :now) :: String.t() | nil
  def at(pids, time), do: text_of(for pid <- pids, noted <- noted(pid), at?(noted, time), do: pid)

  @doc """
  Why messages between two ends (`:any`: anybody) in the time of a test may not be recorded, in words; `nil`: none of them is such a process, or
  the other end tells all that it is sent.
  """
  @spec between(Scope.t(), Pairs.ends(), Pairs.ends()) :: String.t() | nil
  def between(family, from, to) do
    case {of_end(family, from), of_end(family, to)} do
      {nil, nil} -> nil
      # A delivery is told by who is given it, whoever sent it.
      {text, nil} when is_list(to) -> if Heard.doubt(family, pids(to), pids(to)), do: text
      {from, to} -> to || from
    end
  end

  defp of_end(family, :any), do: text(family)
  defp of_end(family, ends), do: ends |> pids() |> since(family.since)

  # A name that messages were sent to is an end too.
  defp pids(ends), do: Enum.filter(ends, &is_pid/1)

  defp noted(pid) do
    :ets.lookup(@left_out, pid)
  rescue
    # There is no such table while the recorder's process begins anew.
    ArgumentError -> []
  end

  # One that has ended before is none of the test's.
  defp since?({pid, from, _relatives, nil}, since), do: from >= since or Process.alive?(pid)
  defp since?({_pid, _from, _relatives, until}, since), do: until >= since

  defp at?({_pid, _from, _relatives, until}, :now), do: until == nil
  defp at?({_pid, from, _relatives, until}, time), do: from <= time and (until == nil or time <= until)

  defp text_of([]), do: nil

  defp text_of(pids) do
    "nothing is recorded of #{pids |> Enum.take(@shown) |> Enum.map_join(", ", &inspect/1)}, since there the flag `sensitive` is set, or was in " <>
      "the time that is asked about (Process.flag(:sensitive, true)). Leave it out in tests that ask what it did, and what not"
  end
end
