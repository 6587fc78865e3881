defimpl Inspect, for: ElixirScope.Recording do
  alias ElixirScope.{Native, Text}

  def inspect(recording, _opts) do
    kind = if recording.live?, do: "of this VM", else: "opened"
    {_state, started, last} = Native.bounds(recording.handle)
    began = "begun #{Text.moment(started, Native.now())}"
    Text.view("Recording", [Enum.join([kind, began, span(recording, started, last), recording.path], ", ")])
  rescue
    # Made by hand.
    _error in [ArgumentError, UndefinedFunctionError] -> "#ElixirScope.Recording<#{recording.path}>"
  end

  defp span(%{live?: true}, _started, _last), do: "goes on"
  defp span(_opened, started, last), do: "#{Text.duration(max(last - started, 0))} long"
end
