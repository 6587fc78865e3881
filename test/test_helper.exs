# Tests say themselves what they watch: what the VM tells beside would differ from version to version.
Application.put_env(:elixir_scope, :watch, false)
{:ok, _} = ElixirScope.start()
# How long something takes on a busy machine proves nothing: a wait for a message is for what will come.
ExUnit.start(assert_receive_timeout: 10_000, timeout: 300_000)
