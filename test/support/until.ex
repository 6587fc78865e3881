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

  # What a process waits for that is being recorded, or calls something for the first time.
  @passing [:erlang, :erts_internal, :code_server, :gen_server, :gen_statem, :proc_lib]

  @doc "Waits until processes wait for another one."
  def all_wait(pids), do: Enum.each(pids, fn pid -> until(fn -> waits?(pid) end) end)

  defp waits?(pid) do
    case Process.info(pid, [:status, :current_function]) do
      [status: :waiting, current_function: {module, _, _}] -> module not in @passing
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
