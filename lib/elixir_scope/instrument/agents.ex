# The states of Agents. The module of an Agent's process is Elixir's `Agent.Server`, which no user instruments; so the first
# instrumented function that names `Agent` does, once a recording. What it records are the callbacks of all Agents of
# the VM from then on, as after `ElixirScope.instrument(Agent.Server)`.
defmodule ElixirScope.Instrument.Agents do
  @moduledoc false

  alias ElixirScope.Instrument.Attach
  alias ElixirScope.Native

  @module Agent.Server
  @options [only: [init: 1, handle_call: 3, handle_cast: 2, code_change: 3]]

  @doc "Whether code names `Agent`: it may start one, by a call or by a child specification, or use one."
  @spec named?(term()) :: boolean()
  def named?({:atom, _, Agent}), do: true
  def named?(form) when is_tuple(form), do: form |> Tuple.to_list() |> named?()
  def named?([first | rest]), do: named?(first) or named?(rest)
  def named?(_leaf), do: false

  @doc """
  Called by rewritten code, before anything else of its call is recorded. Whoever takes `Agent.Server` back has it so until
  the next recording.
  """
  @spec ensure() :: :ok
  def ensure do
    # Its last bits are not the recording's.
    generation = :erlang.bsr(Native.generation(), 24)
    if :persistent_term.get(__MODULE__, 0) == generation, do: :ok, else: attach(generation)
  end

  # Without debug information (a release that stripped it) nothing can be done, and the program goes on all the same.
  # Known to be done when it is: processes that come here at the same time wait for it, each before its Agent begins.
  defp attach(generation) do
    Attach.ensure(@module, @options)
    :persistent_term.put(__MODULE__, generation)
    :ok
  end
end
