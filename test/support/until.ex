defmodule ElixirScope.Until do
  @moduledoc false
  # Waits for conditions.

  @doc "Waits until processes wait, and nothing is left that one of them could take."
  def all_wait(pids), do: Enum.each(pids, fn pid -> until(fn -> waits?(pid) end) end)

  defp waits?(pid) do
    case Process.info(pid, [:status, :current_function]) do
      [status: :waiting, current_function: {:gen_server, :loop, _}] -> false
      [status: :waiting, current_function: {:gen_statem, :loop_receive, _}] -> false
      [status: :waiting, current_function: {_, _, _}] -> true
      _runs -> false
    end
  end

  def until(condition) do
    unless condition.() do
      receive do
      after
        1 -> until(condition)
      end
    end
  end
end
