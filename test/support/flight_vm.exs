# Run by test/elixir_scope/overflow_test.exs in a VM of its own: a flight recording, until it is killed. Says on its standard
# output what was true, after it was true.
[dir] = System.argv()
Application.put_env(:elixir_scope, :dir, dir)
Application.put_env(:elixir_scope, :enabled, true)
Application.put_env(:elixir_scope, :overflow, :overwrite)
Application.put_env(:elixir_scope, :limits, ring_bytes: 64 * 1024)
{:ok, _} = Application.ensure_all_started(:elixir_scope)
alias ElixirScope.Traced.{Echo, Store}
{:ok, server} = Store.start_link(%{number: 0})
IO.puts("#{System.pid()} #{inspect(server)}")

for number <- Stream.iterate(1, &(&1 + 1)) do
  Echo.echo({:number, number})
  Store.put(server, %{number: number, text: "state #{number}", made: make_ref()})
  IO.puts("#{number} #{ElixirScope.now()}")
end
