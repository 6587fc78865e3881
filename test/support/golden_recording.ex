# The one place where the golden tests touch the recorder: recording on, recording off, and the events of a
# piece of code as plain data.
defmodule ElixirScope.Golden.Recording do
  @moduledoc false

  @type event ::
          {:call, mfa(), [term()]}
          | {:return, mfa(), term()}
          | {:raise, mfa(), :error | :exit | :throw, term()}
          | {:tail, mfa()}

  @doc "Runs `fun` while rewritten code records."
  @spec on((() -> result)) :: result when result: term()
  def on(fun), do: switch(true, fun)

  @doc "Runs `fun` while rewritten code does not record."
  @spec off((() -> result)) :: result when result: term()
  def off(fun), do: switch(false, fun)

  @doc "The events of calls that this process makes in `fun`, in order."
  @spec events((() -> term())) :: [event()]
  def events(fun) do
    on(fn ->
      Process.put(:stub_log, [])
      fun.()
      :stub_log |> Process.delete() |> Enum.reverse()
    end)
  end

  defp switch(on?, fun) do
    :persistent_term.put(:stub_gate, on?)
    fun.()
  after
    :persistent_term.put(:stub_gate, false)
  end
end
