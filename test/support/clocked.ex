defmodule ElixirScope.Clocked do
  @moduledoc false
  # Random programs of processes that send, receive selectively, make each other, link and monitor. Each keeps a vector clock, which goes along
  # with messages, with what a new process is given and with the reasons of exits. At each label the clock is told to the test. So
  # what happened before what is known without the recording.
  use ElixirScope

  @doc "A program: what each of the first processes does."
  def generate(seed) do
    :rand.seed(:exsss, {seed, 7, 7})
    for _ <- 1..(2 + :rand.uniform(3)), do: script(2)
  end

  defp script(depth), do: for(_ <- 1..(3 + :rand.uniform(6)), do: operation(depth))

  defp operation(depth) do
    case :rand.uniform(10) do
      n when n <= 4 -> {:send, :rand.uniform(100)}
      n when n <= 8 -> {:receive, Enum.random([:any, :even, :odd, :ends, :message])}
      9 when depth > 0 -> {:spawn, Enum.random([:plain, :link, :monitor]), script(depth - 1)}
      10 -> {:monitor, :rand.uniform(100)}
      _other -> :work
    end
  end

  @doc "Runs a program; gives for each label its process and its clock."
  def run(scripts) do
    tester = self()
    # All know of all: nobody begins before everybody is there.
    pids = for script <- scripts, do: spawn(__MODULE__, :first, [tester, script])
    refs = for pid <- pids, do: Process.monitor(pid)
    for pid <- pids, do: send(pid, {:begin, pids})
    for ref <- refs, do: receive(do: ({:DOWN, ^ref, _, _, _} -> :ok))
    collect([], [])
  end

  # Each process says which others it has made. One that is linked may end before it has said anything.
  defp collect(log, []) do
    receive do
      {:at, label, pid, clock} -> collect([{label, pid, clock} | log], [])
      {:made, child} -> collect(log, [Process.monitor(child)])
    after
      0 -> log
    end
  end

  defp collect(log, [ref | rest]) do
    receive do
      {:DOWN, ^ref, _, _, _} -> collect(log, rest)
    end
  end

  def first(tester, script) do
    receive do
      {:begin, pids} ->
        go(tester, script, pids, %{})
        exit({:over, Process.get(:clock)})
    end
  end

  def child(tester, script, pids, clock) do
    go(tester, script, pids, clock)
    exit({:over, Process.get(:clock)})
  end

  defp go(tester, script, pids, clock) do
    Process.flag(:trap_exit, true)
    Process.put(:clock, clock)
    Process.put(:tester, tester)
    Enum.reduce(script, List.delete(pids, self()), &step/2)
    label()
  end

  # A moment that is compared.
  defp label do
    clock = Map.update(Process.get(:clock), self(), 1, &(&1 + 1))
    Process.put(:clock, clock)
    label = System.unique_integer([:positive])
    at(label)
    send(Process.get(:tester), {:at, label, self(), clock})
    label
  end

  def at(label), do: label

  defp merge(other) do
    Process.put(:clock, Map.merge(Process.get(:clock), other, fn _pid, one, two -> max(one, two) end))
  end

  defp step({:send, number}, pids) do
    label = label()

    if pids != [],
      do: send(Enum.at(pids, rem(number, length(pids))), {:message, label, self(), Process.get(:clock)})

    pids
  end

  defp step({:receive, which}, pids) do
    label()
    from = take(which)
    if from != nil and from not in pids, do: [from | pids], else: pids
  end

  defp step({:spawn, how, script}, pids) do
    label()
    args = [Process.get(:tester), script, [self() | pids], Process.get(:clock)]

    child =
      case how do
        :plain -> spawn(__MODULE__, :child, args)
        :link -> spawn_link(__MODULE__, :child, args)
        :monitor -> elem(spawn_monitor(__MODULE__, :child, args), 0)
      end

    send(Process.get(:tester), {:made, child})
    [child | pids]
  end

  defp step({:monitor, number}, pids) do
    label()
    if pids != [], do: Process.monitor(Enum.at(pids, rem(number, length(pids))))
    pids
  end

  defp step(:work, pids) do
    label()
    pids
  end

  defp take(:any) do
    receive do
      {:message, _label, from, clock} -> taken(from, clock)
      {:DOWN, _ref, :process, _pid, reason} -> ended(reason)
      {:EXIT, _pid, reason} -> ended(reason)
    after
      3 -> nil
    end
  end

  defp take(:message) do
    receive do
      {:message, _label, from, clock} -> taken(from, clock)
    after
      3 -> nil
    end
  end

  defp take(:even) do
    receive do
      {:message, label, from, clock} when rem(label, 2) == 0 -> taken(from, clock)
    after
      3 -> nil
    end
  end

  defp take(:odd) do
    receive do
      {:message, label, from, clock} when rem(label, 2) == 1 -> taken(from, clock)
    after
      3 -> nil
    end
  end

  defp take(:ends) do
    receive do
      {:DOWN, _ref, :process, _pid, reason} -> ended(reason)
      {:EXIT, _pid, reason} -> ended(reason)
    after
      3 -> nil
    end
  end

  defp taken(from, clock) do
    merge(clock)
    from
  end

  # Of one that had ended before it was monitored nothing is told.
  defp ended({:over, clock}) do
    merge(clock)
    nil
  end

  defp ended(_reason), do: nil

  @doc "Whether one label happened before another, by the clocks."
  def before?({one, pid, clock}, {other, _pid, later}) do
    one != other and Map.get(later, pid, 0) >= Map.fetch!(clock, pid)
  end
end
