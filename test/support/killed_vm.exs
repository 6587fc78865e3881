# Run by test/elixir_scope/kill_test.exs in a VM of its own: workers that keep every core busy with recorded calls, until
# the VM is killed. After each round of calls a worker writes, with one system call and past everything that belongs to
# ElixirScope, how many rounds it has done and the time then: so what the file says had happened before the kill.
alias ElixirScope.Traced.{Echo, Store}

[dir, workers, ring_bytes, calls] = System.argv()
Application.put_env(:elixir_scope, :dir, Path.join(dir, "runs"))
# Each event is counted: what the VM tells beside differs from version to version.
Application.put_env(:elixir_scope, :watch, false)
Application.put_env(:elixir_scope, :enabled, true)
Application.put_env(:elixir_scope, :limits, ring_bytes: String.to_integer(ring_bytes))
{:ok, _} = Application.ensure_all_started(:elixir_scope)

defmodule Worker do
  def run(worker, server, file, number) do
    Echo.echo({worker, number})
    if server, do: Store.put(server, %{worker: worker, number: number})
    :ok = :file.pwrite(file, 0, <<number::64, ElixirScope.now()::64>>)
    run(worker, server, file, number + 1)
  end
end

parent = self()

for worker <- 1..String.to_integer(workers) do
  spawn_link(fn ->
    server = if calls == "states", do: elem(GenServer.start_link(Store, %{worker: worker, number: 0}), 1)
    # A raw file belongs to its process, and writes without asking another one.
    {:ok, file} = :file.open(Path.join(dir, "confirmed.#{worker}"), [:raw, :read, :write, :binary])
    send(parent, {worker, self(), server})

    receive do
      :begin -> Worker.run(worker, server, file, 1)
    end
  end)
end

names =
  for worker <- 1..String.to_integer(workers) do
    receive do
      {^worker, pid, server} -> {pid, server}
    end
  end

IO.puts(
  Enum.map_join([System.pid() | names], " ", fn
    {pid, server} -> "#{inspect(pid)} #{inspect(server)}"
    os_pid -> os_pid
  end)
)

for {pid, _server} <- names, do: send(pid, :begin)
Process.sleep(:infinity)
