# Run by bench/queries.exs in a VM of its own: records calls with a binary of 100 bytes until its segments hold so many
# megabytes, says so with its number, and goes on until it is killed.
[dir, megabytes] = System.argv()
Application.put_env(:elixir_scope, :enabled, false)
{:ok, _} = Application.ensure_all_started(:elixir_scope)
{:ok, recording} = ElixirScope.start(dir: dir, limits: [ring_bytes: 64 * 1024 * 1024])

defmodule Recorded do
  use ElixirScope
  def line(text, _number), do: text
end

defmodule Loop do
  def run(path, megabytes, said) do
    for number <- 1..50_000, do: Recorded.line(:binary.copy("0123456789", 10), number)
    ElixirScope.flush()
    # Segments are made in whole: all but the newest are full.
    full = max(length(Path.wildcard(Path.join(path, "segments/*"))) - 1, 0) * 64
    if full >= megabytes and not said, do: IO.puts(System.pid())
    run(path, megabytes, said or full >= megabytes)
  end
end

Loop.run(recording.path, String.to_integer(megabytes), false)
