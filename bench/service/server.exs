# Run by bench/service.exs: the shop on a free port of the loopback, until its standard input ends. SCOPE_SERVICE is
# plain (not instrumented, and ElixirScope not even loaded), off (instrumented, not recording), bare, default or full.
[dir, users] = System.argv()

unless System.get_env("SCOPE_SERVICE") == "plain" do
  Application.put_env(:elixir_scope, :dir, dir)
  Application.put_env(:elixir_scope, :enabled, System.get_env("SCOPE_SERVICE") != "off")
  {:ok, _} = Application.ensure_all_started(:elixir_scope)
end

Code.require_file("shop.exs", __DIR__)
File.mkdir_p!(dir)
{:ok, _} = Application.ensure_all_started(:inets)
{:ok, _} = Registry.start_link(keys: :unique, name: Shop.Registry)
{:ok, _} = Shop.Counts.start_link()
Shop.Catalog.fill()
for user <- 1..String.to_integer(users), do: :ok = Shop.Cart.ensure("user#{user}")

root = String.to_charlist(dir)

{:ok, server} =
  :inets.start(:httpd,
    port: 0,
    bind_address: {127, 0, 0, 1},
    # Else the answer's second packet waits for the acknowledgement of the first, 40 ms.
    socket_type: {:ip_comm, [nodelay: true]},
    server_name: ~c"shop",
    server_root: root,
    document_root: root,
    modules: [Shop.Web]
  )

[port: port] = :httpd.info(server, [:port])
IO.puts("#{port} #{System.pid()}")
:eof = IO.read(:line)

# As if it were killed: the recording is opened by who started this.
System.halt(0)
