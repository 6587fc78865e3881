# Opens the recording that the demo made, if there is one: `iex -S mix run --no-start`
recording =
  case ElixirScope.open("_build/demo/scope") do
    {:ok, recording} ->
      IO.puts("`recording` is what the demo recorded. Ask it, for example:")
      IO.puts("  ElixirScope.calls(&Shop.Checkout.run/2, in: recording, limit: 3)")
      recording

    {:error, _nothing_yet} ->
      nil
  end
