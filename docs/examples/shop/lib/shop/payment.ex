defmodule Shop.Payment do
  @moduledoc """
  Stands for a payment provider, which takes its time.
  """

  use ElixirScope

  @answer_ms 2

  @spec charge(String.t(), pos_integer) :: :ok
  def charge(_customer, cents) when cents > 0, do: Process.sleep(@answer_ms)
end
