defmodule ElixirScope.Listener do
  @moduledoc false
  # Takes messages with `receive`, as a process that is no server does.

  use ElixirScope, locals: true

  def all(got) do
    receive do
      {:word, word} -> all([word | got])
      :end -> Enum.reverse(got)
    end
  end

  def within(ms) do
    receive do
      word -> word
    after
      ms -> :nothing
    end
  end
end
