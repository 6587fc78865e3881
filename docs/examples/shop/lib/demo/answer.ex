defmodule Demo.Answer do
  @moduledoc """
  Asks the questions of the demo, and prints the answers.
  """

  alias Demo.{Oversold, Report}

  @doc """
  Prints what a recording says. Returns the part about the first negative stock as plain text: that one has to be the
  same whoever asks, and whenever.
  """
  @spec print(keyword) :: String.t()
  def print(options \\ []) do
    {:ok, status} = ElixirScope.status(options)
    orders = length(ElixirScope.calls(&Shop.Checkout.run/2, options))
    answer = answer(Oversold.first(options), status.started)

    [Report.recording(status, orders, Oversold.count(options)), "\n", answer]
    |> IO.ANSI.format()
    |> IO.write()

    answer |> IO.ANSI.format(false) |> IO.iodata_to_binary()
  end

  defp answer({:ok, found}, started), do: Report.oversold(found, started)

  defp answer(:never, _started) do
    Mix.raise("The stock did not become negative this time, on this slow or busy machine. Run it again.")
  end
end
