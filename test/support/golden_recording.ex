# The one place where the golden tests touch the recorder: recording on, recording off, and the events of a
# piece of code as plain data.
defmodule ElixirScope.Golden.Recording do
  @moduledoc false

  @type event ::
          {:call, mfa(), [term()]}
          | {:return, mfa(), term()}
          | {:raise, mfa(), :error | :exit | :throw, term()}
          | {:tail, mfa()}

  @doc "Runs `fun` while rewritten code records. The test environment begins a recording by itself."
  @spec on(fun()) :: term()
  def on(fun) do
    ElixirScope.resume()
    {:ok, %{state: :running}} = ElixirScope.status()
    fun.()
  end

  @doc "Runs `fun` while rewritten code does not record."
  @spec off(fun()) :: term()
  def off(fun) do
    ElixirScope.pause()
    {:ok, %{state: :paused}} = ElixirScope.status()
    fun.()
  after
    ElixirScope.resume()
  end

  @doc "The events of calls that this process makes in `fun`, in order."
  @spec events(fun()) :: [event()]
  def events(fun) do
    on(fn ->
      since = ElixirScope.now()
      fun.()
      kinds = [:call, :return, :raise, :tail]
      for event <- ElixirScope.events(pid: self(), kind: kinds, since: since), do: plain(event)
    end)
  end

  defp plain(%{kind: :call, mfa: mfa, data: data}), do: {:call, mfa, (data || %{args: []}).args}
  defp plain(%{kind: :return, mfa: mfa, data: data}), do: {:return, mfa, (data || %{value: :unknown}).value}
  defp plain(%{kind: :raise, mfa: mfa, data: data}), do: {:raise, mfa, data.kind, data.reason}
  defp plain(%{kind: :tail, mfa: mfa}), do: {:tail, mfa}
end
