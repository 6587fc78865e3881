# Run by test/elixir_scope/soak_test.exs in a VM of its own: first a load that must be recorded whole, then one that
# cannot be. Producers count what they do; what they and the recording say is printed, a map a line.
alias ElixirScope.Traced.Echo

defmodule Soak do
  # A call makes two events: itself and its return.
  @events_a_second 1_000_000
  # Longer than any slice that the system gives to another thread would hide a rate; shorter, the clock would be the load.
  @slot_ns 1_000_000

  def run(dir, options, seconds, producers, load) do
    dir = Path.join(dir, "#{load}")
    {:ok, _} = ElixirScope.start([dir: dir] ++ options)
    stop = :atomics.new(1, [])
    tasks = for _ <- 1..producers, do: Task.async(fn -> begin(load, producers, stop) end)
    # They say who they are before there is load, so that nothing but calls and returns can be lost.
    for task <- tasks, do: send(task.pid, :introduce)
    for _ <- tasks, do: receive(do: (:introduced -> :ok))
    :ok = ElixirScope.flush()
    for task <- tasks, do: send(task.pid, :begin)
    samples = sample(System.monotonic_time(:millisecond), seconds * 1_000, [])
    :atomics.put(stop, 1, 1)
    calls = tasks |> Task.await_many(:infinity) |> Enum.sum()
    {:ok, %{state: state}} = flushed()
    :ok = ElixirScope.stop()
    {:ok, status} = ElixirScope.status()

    other = ElixirScope.events(kind: ElixirScope.Event.kinds() -- [:call, :return]) |> Enum.count()
    told = Map.take(status, [:gaps, :lost, :damage, :failure, :bytes])

    facts = %{
      load: load,
      seconds: seconds,
      produced: 2 * calls,
      recorded: status.events - other,
      state: state
    }

    File.rm_rf!(dir)

    IO.inspect(Map.merge(Map.put(told, :memory, samples), facts),
      limit: :infinity,
      printable_limit: :infinity,
      width: :infinity
    )
  end

  defp flushed do
    :ok = ElixirScope.flush()
    ElixirScope.status()
  end

  defp begin(load, producers, stop) do
    receive(do: (:introduce -> Echo.pair(0, :introduction)))
    send(parent(), :introduced)
    receive(do: (:begin -> :ok))

    case load do
      :steady ->
        steady(
          1,
          div(@events_a_second, 2 * producers * div(1_000_000_000, @slot_ns)),
          stop,
          System.monotonic_time()
        )

      :overload ->
        overload(1, stop)
    end
  end

  defp parent, do: hd(Process.get(:"$ancestors"))

  # So many calls in each slot of time, and other work, which is not recorded, for the rest of it. Slots that a machine which stood
  # still has missed are not made up for: that would be another load.
  defp steady(calls, each, stop, slot) do
    calls = burst(calls, each)
    length = System.convert_time_unit(@slot_ns, :nanosecond, :native)
    work_until(slot = max(slot + length, System.monotonic_time() - 10 * length))
    if :atomics.get(stop, 1) == 0, do: steady(calls, each, stop, slot), else: calls
  end

  defp work_until(slot) do
    if System.monotonic_time() < slot do
      :erlang.phash2({slot, slot})
      work_until(slot)
    end
  end

  defp overload(calls, stop) do
    calls = burst(calls, 100)
    if :atomics.get(stop, 1) == 0, do: overload(calls, stop), else: calls
  end

  defp burst(calls, 0), do: calls

  defp burst(calls, left) do
    Echo.pair(calls, :soak)
    burst(calls + 1, left - 1)
  end

  # Bytes of this VM, once a second: of its own, and those of mapped files.
  defp sample(started, left, samples) when left > 0 do
    pause = min(left, 1_000)
    receive(after: (pause -> :ok))
    text = File.read!("/proc/self/status")
    [own, files] = for field <- ["RssAnon", "RssFile"], do: Regex.run(~r/#{field}:\s+(\d+) kB/, text) |> at(1)
    [shared] = for field <- ["RssShmem"], do: Regex.run(~r/#{field}:\s+(\d+) kB/, text) |> at(1)
    sample(started, left - pause, [{own, files + shared} | samples])
  end

  defp sample(_started, _left, samples), do: Enum.reverse(samples)

  defp at(list, index), do: list |> Enum.at(index) |> String.to_integer() |> Kernel.*(1024)
end

[dir, steady, overload] = System.argv()
# Each event is counted: what the VM tells beside differs from version to version.
Application.put_env(:elixir_scope, :watch, false)
Application.put_env(:elixir_scope, :enabled, false)
{:ok, _} = Application.ensure_all_started(:elixir_scope)

# One producer a core: with the work between the calls all are busy, and the drain thread has to get by.
cores = System.schedulers_online()
Soak.run(dir, [limits: [ring_bytes: 16 * 1024 * 1024]], String.to_integer(steady), cores, :steady)
Soak.run(dir, [limits: [ring_bytes: 64 * 1024]], String.to_integer(overload), 2 * cores, :overload)
