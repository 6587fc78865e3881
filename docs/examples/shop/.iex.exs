# Opens the newest recording that the demo made: `iex -S mix run --no-start`, after `make demo`.
# Functions of ElixirScope can be called by their names, but for the two that IEx has of its own.
import ElixirScope, except: [open: 1, flush: 0]
alias Shop.{Cart, Catalog, Checkout, Payment, Stock}

recording =
  case ElixirScope.open("_build/demo/scope") do
    {:ok, recording} ->
      IO.puts("""
      `recording` is what the demo recorded. Ask it, for example:

        ElixirScope.get_state_at(Stock, {:ago, 0, :second}, in: recording)
        ElixirScope.calls(&Checkout.run/2, in: recording, limit: 3)

      help() lists the questions; docs/guides/time_travel.md hunts the bug.
      """)

      recording

    {:error, _nothing_yet} ->
      IO.puts(
        "There is no recording yet: run `make demo` in the root of the repository, then start IEx here again."
      )

      nil
  end
