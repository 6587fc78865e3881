defmodule ElixirScope.Query.Takes do
  @moduledoc false
  # What took a message: a `receive` of instrumented code, a callback, or the call that waits for its reply.

  alias ElixirScope.{Message, Recording}

  @doc "The messages, with what took each."
  @spec mark(Recording.t(), [Message.t()]) :: [Message.t()]
  def mark(_recording, messages), do: messages
end
