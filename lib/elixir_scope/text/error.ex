defimpl Inspect, for: ElixirScope.Error do
  # `{:error, error}` is what most people see of it: the message as a text, not as a literal.
  alias ElixirScope.Text

  def inspect(%{reason: reason, message: message}, opts) when is_binary(message) do
    width = if is_integer(opts.width), do: max(opts.width - 4, 60), else: 110
    Text.view("Error", [Kernel.inspect(reason) | Text.wrap(message, width)])
  end

  def inspect(error, opts), do: Inspect.Any.inspect(error, opts)
end
