# Run by test/elixir_scope/bad_input_test.exs in a VM of its own: a program whose modules, structs and atoms no other VM knows,
# some of them as another version of Elixir makes them. What it did is told by its standard output.
[dir] = System.argv()
Application.put_env(:elixir_scope, :dir, dir)
Application.put_env(:elixir_scope, :enabled, true)
{:ok, _} = Application.ensure_all_started(:elixir_scope)

defmodule Foreign.Wish do
  defstruct [:name, :made]
end

defmodule Foreign.Refusal do
  defexception [:why]
  def message(refusal), do: "refused: #{refusal.why}"
end

defimpl Inspect, for: Foreign.Wish do
  def inspect(_wish, _opts), do: "a wish"
end

defmodule Foreign.Server do
  use GenServer
  use ElixirScope

  def init(_none), do: {:ok, nil}
  def handle_call({:put, wish}, _from, _state), do: {:reply, :ok, wish}
  def refuse(why), do: raise(Foreign.Refusal, why: why)
end

{:ok, server} = GenServer.start_link(Foreign.Server, nil, name: :foreign_server)
add = 7
{dead, monitor} = spawn_monitor(fn -> :ok end)
receive do: ({:DOWN, ^monitor, _, _, _} -> :ok)
port = Port.open({:spawn, "true"}, [])

wishes = [
  struct: struct!(Foreign.Wish, name: :"foreign atom of #{System.pid()}", made: ~D[2026-01-01]),
  fun: %{closure: &(&1 + add), named: &Foreign.Server.refuse/1},
  things: {dead, port, make_ref()},
  date: %{__struct__: Date, year: 2026, week: 1},
  datetime: %{__struct__: DateTime, unix: 1},
  mapset: %{__struct__: MapSet, version: 9, list: [1, 2]},
  range: %{__struct__: Range, from: 1},
  regex: %{__struct__: Regex, source: "a"},
  stream: %{__struct__: Stream, enum: 1},
  bare: %{__struct__: "no module"},
  nested: %{day: [%{__struct__: Time, hour: 1}]}
]

for {name, wish} <- wishes do
  :ok = GenServer.call(server, {:put, {name, wish}})
  IO.puts("#{name} #{ElixirScope.now()} #{System.pid()} #{inspect(server)}")
end

try do
  Foreign.Server.refuse(:no)
rescue
  _refusal -> :ok
end

:ok = ElixirScope.stop()
IO.puts("stopped #{ElixirScope.now()} #{System.pid()} #{inspect(server)}")
