# Tests say themselves what they watch: what the VM tells beside would differ from version to version.
Application.put_env(:elixir_scope, :watch, false)
{:ok, _} = ElixirScope.start()
ExUnit.start()
