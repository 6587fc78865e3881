defmodule ElixirScope.Capture do
  @moduledoc false
  # The Elixir half of what rewritten code calls; the other half are the capture functions of `ElixirScope.Native`.
  # Everything here runs in the traced process, and only while something is recorded. It calls built-in functions
  # alone: a function of a module could itself be instrumented, and would then be recorded as the program's doing.
  #
  # Three keys of the process dictionary are ours. The chain: how many wrapped tail calls are on the stack. The
  # state: the server's state as it was recorded last. It is the very term that the server holds, so it costs
  # nothing and moves with it under garbage collection; comparing it with the next one is cheap, because equal
  # parts are the same words.

  alias ElixirScope.Native

  @chain :"$elixir_scope_chain"
  @state :"$elixir_scope_state"

  # Numbers of `StateOrigin` in `native/event`.
  @init 0
  @callback_ 1
  @noticed 2

  @doc "Records who the calling process is. Called at its first event."
  def introduce do
    about = %{
      name: registered_name(),
      label: noted(:"$process_label", nil),
      initial_call: noted(:"$initial_call", nil),
      ancestors: noted(:"$ancestors", []),
      callers: noted(:"$callers", []),
      parents: parents(self(), 16)
    }

    Native.introduce(about)
    :ok
  end

  defp noted(key, default) do
    case :erlang.get(key) do
      :undefined -> default
      value -> value
    end
  end

  defp registered_name do
    case :erlang.process_info(self(), :registered_name) do
      {:registered_name, name} -> name
      [] -> nil
    end
  end

  # Processes that were spawned without OTP know their parents only through the VM, and only while those live.
  defp parents(_pid, 0), do: []

  defp parents(pid, left) do
    case :erlang.process_info(pid, :parent) do
      {:parent, parent} when is_pid(parent) and node(parent) == node() -> [parent | parents(parent, left - 1)]
      _ -> []
    end
  end

  @doc "The number of wrapped tail calls on the stack."
  def chain, do: :erlang.get(@chain) |> number()

  defp number(:undefined), do: 0
  defp number(chain), do: chain

  @doc "A tail call is about to be made as an ordinary call, so that its return is seen."
  def wrap(chain) do
    :erlang.put(@chain, chain + 1)
    :ok
  end

  @doc "It has returned, or raised."
  def unwrap(chain) do
    :erlang.put(@chain, chain)
    :ok
  end

  @doc "No clause of an instrumented function matched; the caller raises on the line after this call."
  def unmatched(_site), do: :ok

  @doc "A GenServer's `init/1` was entered."
  def enter_init(site, args) do
    become_server(site)
    introduced(Native.enter_list(site, args))
  end

  @doc "A callback with the state among its arguments was entered."
  def enter_callback(site, args, state) do
    if become_server(site) do
      unless known?(state), do: remember(site, @noticed, state)
      introduced(Native.enter_callback(site, args, state))
    else
      introduced(Native.enter_list(site, args))
    end
  end

  @doc "The head of a callback bound variables, directly behind its entry."
  def bind_callback(site, values, state) do
    # As at the entry: only of a server is the state known, and then it has just been recorded if it was not.
    if serves?(elem(site, 2)),
      do: Native.bind_callback(site, values, state),
      else: Native.bind_list(site, values)
  end

  @doc "A callback returned. Gives the value back."
  def leave_callback(site, value) do
    with {:ok, origin, state} <- new_state(elem(site, 3), value), true <- serves?(elem(site, 2)) do
      unless known?(state), do: remember(site, origin, state)
      Native.leave_callback(site, value, state)
    else
      _ -> Native.leave(site, value)
    end
  end

  defp introduced(:new), do: introduce()
  defp introduced(_), do: :ok

  defp new_state(:init, {:ok, state}), do: {:ok, @init, state}
  defp new_state(:init, {:ok, state, _}), do: {:ok, @init, state}
  defp new_state(:code_change, {:ok, state}), do: {:ok, @callback_, state}
  defp new_state(:terminate, _value), do: :none
  defp new_state(_, {:reply, _, state}), do: {:ok, @callback_, state}
  defp new_state(_, {:reply, _, state, _}), do: {:ok, @callback_, state}
  defp new_state(_, {:noreply, state}), do: {:ok, @callback_, state}
  defp new_state(_, {:noreply, state, _}), do: {:ok, @callback_, state}
  defp new_state(_, {:stop, _, state}), do: {:ok, @callback_, state}
  defp new_state(_, {:stop, _, _, state}), do: {:ok, @callback_, state}
  defp new_state(_, _value), do: :none

  # A callback may also be called as a plain function: by a test, or by another server's callback that delegates
  # to it. Its state is the process's state only when the process is a server of this very module. That is found
  # once a process, at the entry of a callback, from who called it: at its end the frame is gone already.
  defp become_server(site) do
    module = elem(site, 2)

    cond do
      serves?(module) ->
        true

      called_by_server?(module) ->
        # No recording has the number 0, so this state is known to none.
        :erlang.put(@state, {0, module, nil})
        true

      true ->
        false
    end
  end

  defp serves?(module) do
    case :erlang.get(@state) do
      {_generation, ^module, _state} -> true
      _ -> false
    end
  end

  defp called_by_server?(module) do
    {:current_stacktrace, stack} = :erlang.process_info(self(), :current_stacktrace)
    above?(stack, module)
  end

  defp above?([{module, _, _, _}, {:gen_server, _, _, _} | _], module), do: true
  defp above?([{module, _, _, _} | _], module), do: false
  defp above?([_ours | rest], module), do: above?(rest, module)
  defp above?([], _module), do: false

  defp known?(state) do
    case :erlang.get(@state) do
      {generation, _module, known} -> known === state and generation == Native.generation()
      _ -> false
    end
  end

  # A state that was lost is not remembered: the next callback records it again.
  defp remember(site, origin, state) do
    generation = Native.generation()
    if Native.state(site, origin, state), do: :erlang.put(@state, {generation, elem(site, 2), state})
  end
end
