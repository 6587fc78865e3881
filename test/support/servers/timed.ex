defmodule ElixirScope.Servers.Timed do
  @moduledoc false
  # A state machine whose data counts its events, of all types that come from itself.
  @behaviour :gen_statem
  use ElixirScope

  @impl true
  def callback_mode, do: [:handle_event_function, :state_enter]

  @impl true
  def init([]), do: {:ok, :idle, 0}

  @impl true
  def handle_event(:enter, _old, _state, count), do: {:keep_state, count + 1}

  def handle_event({:call, from}, :begin, _state, count),
    do: {:keep_state, count + 1, [{:reply, from, :ok}, {:next_event, :internal, :next}]}

  def handle_event(:internal, :next, _state, count),
    do: {:keep_state, count + 1, [{:state_timeout, 1, :late}]}

  def handle_event(:state_timeout, :late, _state, count),
    do: {:keep_state, count + 1, [{{:timeout, :tick}, 1, 1}]}

  def handle_event({:timeout, :tick}, 1, _state, count), do: {:keep_state, count + 1}
end
