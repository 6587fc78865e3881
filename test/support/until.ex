defmodule ElixirScope.Until do
  @moduledoc false
  # Waits for conditions, and says how long assertions wait.

  import ExUnit.Callbacks, only: [on_exit: 1]

  @doc "Sets the time-out of assertions, which is that of all tests, until the calling test has ended."
  def assert_timeout(milliseconds) do
    before = Application.fetch_env(:elixir_scope, :assert_timeout)

    on_exit(fn ->
      case before do
        {:ok, before} -> Application.put_env(:elixir_scope, :assert_timeout, before)
        :error -> Application.delete_env(:elixir_scope, :assert_timeout)
      end
    end)

    Application.put_env(:elixir_scope, :assert_timeout, milliseconds)
  end

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
