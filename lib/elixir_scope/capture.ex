defmodule ElixirScope.Capture do
  @moduledoc false
  # The Elixir half of what rewritten code calls; the other half are the capture functions of `ElixirScope.Native`.
  # Everything here runs in the traced process, and only while something is recorded. It calls built-in functions
  # and `Servers` alone: a function of another module could itself be instrumented, and would then be recorded as the
  # program's doing.
  #
  # Two keys of the process dictionary are ours. The chain: how many wrapped tail calls are on the stack. The
  # state: the server's state as it was recorded last, and as it was recorded whole last (see `native/nif/src/state.rs`).
  # The first is the very term that the server holds, so it costs nothing and moves with it under garbage
  # collection; comparing it with the next one is cheap, because equal parts are the same words.

  alias ElixirScope.Capture.Servers
  alias ElixirScope.Native

  @chain :"$elixir_scope_chain"
  @state :"$elixir_scope_state"
  @probe :"$elixir_scope_probe"

  # What is known of a server of which nothing was recorded: no state is equal to it.
  @unknown {:"$elixir_scope_unknown"}

  # Numbers of `StateOrigin` in `native/event`.
  @init 0
  @callback_ 1
  @noticed 2
  @restated 3

  @doc """
  Says what the recorder does not know yet: who the calling process is, or the texts that its code comes from, packed by
  their digests. The answer of an entry says which.
  """
  def introduce(:new, sources) do
    introduce(&joined/1)
    put_sources(sources)
  end

  def introduce(_unsourced, sources), do: put_sources(sources)

  defp put_sources([]), do: :ok

  defp put_sources([{digest, packed} | rest]) do
    Native.put_source(digest, packed)
    put_sources(rest)
  end

  # The event that made a process known is held until it is known whether the process asks not to be looked at.
  defp introduce(join), do: if(sensitive?(), do: leave_out(), else: say_who(join))

  # What others are asked, they answer with messages. As long as the event is held, the tracer leaves those out.
  defp say_who(join) do
    callers = noted(:"$callers", [])

    about = %{
      name: registered_name(),
      label: label(),
      initial_call: noted(:"$initial_call", nil),
      ancestors: noted(:"$ancestors", []),
      callers: callers,
      # Callers are those of all tasks above.
      parents: if(callers == [], do: makers(self()), else: parents(self(), 16))
    }

    Native.speak()
    about |> join.() |> Native.introduce()
  end

  @doc """
  Follows each call of `process_flag/2` in rewritten code that may be about the flag `sensitive`, and has not failed.
  """
  def flagged(:sensitive, true), do: leave_out()

  def flagged(:sensitive, value) do
    Native.sensitive(value)
    taken_in()
  end

  def flagged(_flag, _value), do: :ok

  @doc "The same, of a call whose arguments are a list."
  def flagged([flag, value]), do: flagged(flag, value)
  def flagged(_other), do: :ok

  defp leave_out do
    left_out(self(), noted(:"$ancestors", []) ++ noted(:"$callers", []))
    Native.sensitive(true)
  end

  # `{pid, since when, its relatives, until when}` of processes of which nothing is recorded (`nil`: they are not yet recorded again): of these nobody
  # can say what they did not do. Of one that sets the flag again and again it is the time from the first to the last. The recorder's process owns
  # the table (`ElixirScope.Case.Silent` reads it).
  @left_out :elixir_scope_left_out
  # From so many on all are forgotten.
  @most 10_000

  @doc "Notes that nothing of a process is recorded from now on, since its flag `sensitive` is set."
  def left_out(pid, relatives \\ []) do
    if :ets.info(@left_out, :size) > @most, do: :ets.delete_all_objects(@left_out)
    :ets.insert(@left_out, {pid, left_out_since(pid), makers(pid) ++ relatives, nil})
    :ok
  rescue
    # There is no such table while the recorder's process begins anew.
    ArgumentError -> :ok
  end

  defp left_out_since(pid) do
    case :ets.lookup(@left_out, pid) do
      [{_pid, since, _relatives, _until}] -> since
      [] -> Native.now()
    end
  end

  @until 4

  defp taken_in do
    :ets.update_element(@left_out, self(), {@until, Native.now()})
    :ok
  rescue
    ArgumentError -> :ok
  end

  # A process with the flag shows nothing of its dictionary. Setting the flag says what it was before, but as long as it is set, the VM
  # tells nothing of the process, and what is sent to it just then would be lost.
  @doc "Whether the calling process asks not to be looked at."
  def sensitive? do
    :erlang.put(@probe, true)
    hidden? = hidden?()
    :erlang.erase(@probe)
    hidden?
  end

  if List.to_integer(:erlang.system_info(:otp_release)) >= 27 do
    defp hidden?, do: :erlang.process_info(self(), {:dictionary, @probe}) != {{:dictionary, @probe}, true}
  else
    # One key alone cannot be asked for; all are copied.
    defp hidden?, do: :erlang.process_info(self(), :dictionary) == {:dictionary, []}
  end

  # Since when its messages are recorded, and how many there were.
  defp joined(about) do
    since = Native.now()

    with :ok <- join(),
         {:message_queue_len, messages} <- :erlang.process_info(self(), :message_queue_len) do
      Map.merge(about, %{watched: since, messages: messages})
    else
      _none -> about
    end
  end

  # Where those that run instrumented code are watched, the VM is asked here to tell what this one does.
  defp join do
    case :persistent_term.get(:"$elixir_scope_watch", nil) do
      nil -> :none
      watch -> join(watch)
    end
  end

  defp join({tracing, flags}) do
    case tracing do
      {:session, session, _number} -> apply(:trace, :process, [session, self(), true, flags])
      {:legacy, number} -> :erlang.trace(self(), true, [{:tracer, Native, number} | flags])
    end

    # Its life alone may be wanted.
    if :lists.member(:receive, flags), do: :ok, else: :none
  rescue
    # Another tool traces it, or the watch has ended just now.
    ArgumentError -> :none
  end

  # Since Elixir 1.19 ExUnit labels the process of a test.
  defp label do
    case :erlang.get(:"$process_label") do
      :undefined ->
        with :undefined <- :erlang.get(:"$ancestors"),
             {:parent, parent} <- :erlang.process_info(self(), :parent) do
          test_of(parent)
        else
          _no_parent -> nil
        end

      label ->
        label
    end
  end

  @doc """
  The label that Elixir 1.19 and later give to the process of a test, before: what the process that made it has noted. `nil` for
  any other.
  """
  def test_of(parent) do
    with true <- is_pid(parent) and node(parent) == node() and asked_for_tests?(),
         {:dictionary, noted} <- :erlang.process_info(parent, :dictionary),
         {_key, %{__struct__: ExUnit.Test, module: module, name: name}} <-
           :lists.keyfind(ExUnit.Runner, 1, noted) do
      {module, name}
    else
      _no_test -> nil
    end
  end

  # The answer of another process is a message, which those that are watched show, and its dictionary may be large.
  # `ElixirScope.Formatter` has this name.
  defp asked_for_tests?, do: :erlang.whereis(:elixir_scope_formatter) != :undefined

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

  # What a task makes works for whom the task works for. The task itself may never tell that: nothing of it
  # is recorded where its code is not instrumented, and its maker is a supervisor that all share.
  defp makers(pid) do
    parents = parents(pid, 16)
    parents ++ callers_of(parents)
  end

  defp callers_of([]), do: []

  defp callers_of([parent | parents]) do
    case callers_noted(parent) do
      [_ | _] = callers -> callers
      _none_or_gone -> callers_of(parents)
    end
  end

  # Before OTP 26.2 a dictionary is copied whole. Tasks are processes of OTP; of others it may be large, and says nothing of the kind.
  defp callers_noted(pid) do
    with {_key, callers} <- :erlang.process_info(pid, {:dictionary, :"$callers"}), do: callers
  rescue
    ArgumentError ->
      with {:initial_call, {:proc_lib, _, _}} <- :erlang.process_info(pid, :initial_call),
           {:dictionary, noted} <- :erlang.process_info(pid, :dictionary),
           {_key, callers} <- :lists.keyfind(:"$callers", 1, noted),
           do: callers
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

  @doc "It has returned, or raised. Behind the outermost one nothing is left of it, which crash reports would print."
  def unwrap(0) do
    :erlang.erase(@chain)
    :ok
  end

  def unwrap(chain) do
    :erlang.put(@chain, chain)
    :ok
  end

  @doc "No clause of an instrumented function matched; the caller raises on the line after this call."
  def unmatched(_site), do: :ok

  @doc """
  The callback was entered that makes a server's first state. Answers how the server serves, for the end of the callback
  (`false` when it was called as a plain function), and what is not known yet.
  """
  def enter_init(site, args, callback) do
    case enter_server(elem(site, 2), callback) do
      false -> {false, Native.enter_list(site, args)}
      served -> {{callback, nil}, site |> Native.enter_list(args) |> introduced(served)}
    end
  end

  @doc "A callback with the state among its arguments was entered. Answers the same."
  def enter_callback(site, args, state, callback) do
    case enter_server(elem(site, 2), callback) do
      false ->
        {false, Native.enter_list(site, args)}

      served ->
        unless known?(state), do: remember(site, @noticed, state)
        {{callback, state}, site |> Native.enter_callback(args, state) |> introduced(served)}
    end
  end

  # Who a server is, is said with its first callback, also where its pid is known: another process may have had it before,
  # and names are given before servers begin.
  defp introduced(answer, :begins) when answer != :new do
    introduce(fn about ->
      join()
      about
    end)

    answer
  end

  defp introduced(answer, _served), do: answer

  @doc "The head of a callback bound variables, directly behind its entry."
  def bind_callback(site, values, state) do
    # A state token stands for the state that was recorded last: it may stand where this one is equal to that.
    if known?(state),
      do: Native.bind_callback(site, values, state),
      else: Native.bind_list(site, values)
  end

  @doc "A callback returned. Gives the value back."
  def leave_callback(site, false, value), do: Native.leave(site, value)

  def leave_callback(site, serves, value) do
    case new_state(serves, value) do
      {:ok, state} ->
        unless known?(state), do: remember(site, origin(serves), state)
        leave_server(elem(site, 2))
        Native.leave_callback(site, value, state)

      :none ->
        leave_server(elem(site, 2))
        Native.leave(site, value)
    end
  end

  @doc "An exception left a callback. What it throws may be its return value."
  def raised_callback(site, serves, kind, reason, stack) do
    if serves != false do
      with :throw <- kind,
           true <- Servers.throws?(elem(serves, 0)),
           {:ok, state} <- new_state(serves, reason) do
        unless known?(state), do: remember(site, origin(serves), state)
      end

      leave_server(elem(site, 2))
    end

    Native.raised(site, kind, reason, stack)
  end

  defp new_state({{_loops, _origin, shape}, before}, value), do: Servers.state(shape, value, before)

  defp origin({{_loops, :init, _shape}, _before}), do: @init
  defp origin({{_loops, :callback, _shape}, _before}), do: @callback_

  # A callback may also be called as a plain function: by a test, by another server's callback that delegates to it,
  # or by a callback of the same server. Its state is the process's state only when the process's own loop called it. The
  # stack says so; it is looked at when the process is not known as an idle server of this module.
  defp enter_server(module, {loops, _origin, _shape}) do
    case :erlang.get(@state) do
      # Where callbacks are called by one module, nothing else runs between them.
      {generation, ^module, state, :idle} when tl(loops) == [] ->
        :erlang.put(@state, {generation, module, state, :busy})
        true

      {_generation, ^module, _state, :busy} ->
        called_by_server?(module, loops)

      # Also a server that goes on with the callbacks of another module.
      {generation, _module, state, _} ->
        called_by_server?(module, loops) and become_server(generation, module, state)

      _ ->
        # No recording has the number 0, so this state is known to none.
        called_by_server?(module, loops) and become_server(0, module, hidden(@unknown)) and :begins
    end
  end

  defp become_server(generation, module, state) do
    :erlang.put(@state, {generation, module, state, :busy})
    true
  end

  defp leave_server(module) do
    case :erlang.get(@state) do
      {generation, ^module, state, _} -> :erlang.put(@state, {generation, module, state, :idle})
      # The program has emptied its process dictionary; the next callback finds out anew.
      _ -> :ok
    end
  end

  defp called_by_server?(module, loops) do
    {:current_stacktrace, stack} = :erlang.process_info(self(), :current_stacktrace)
    above?(stack, module, loops)
  end

  defp above?([{module, _, _, _}, {loop, _, _, _} | _], module, loops), do: one_of?(loop, loops)
  defp above?([{module, _, _, _} | _], module, _loops), do: false
  defp above?([_ours | rest], module, loops), do: above?(rest, module, loops)
  defp above?([], _module, _loops), do: false

  defp one_of?(loop, [loop | _]), do: true
  defp one_of?(loop, [_other | rest]), do: one_of?(loop, rest)
  defp one_of?(_loop, []), do: false

  defp known?(state) do
    case :erlang.get(@state) do
      {generation, _module, known, _} ->
        :erlang.element(1, known.()) === state and generation == Native.generation()

      _ ->
        false
    end
  end

  # A state that was lost is not remembered: the next callback records it again, by its difference to the one before.
  defp remember(site, origin, state) do
    generation = Native.generation()

    case :erlang.get(@state) do
      # Of the same recording; its last bits only say that states are to be told again.
      {before, _module, known, _} when :erlang.bsr(before, 24) == :erlang.bsr(generation, 24) ->
        known = known.()
        origin = if(:erlang.element(1, known) === state, do: @restated, else: origin)
        remember(site, origin, known, state, generation)

      # It may be the first event of the process, and is written at once.
      _ ->
        if sensitive?(),
          do: leave_out(),
          else: remember(site, origin, @unknown, state, generation)
    end
  end

  defp remember(site, origin, known, state, generation) do
    case Native.state(site, origin, known, state) do
      false -> :lost
      kept -> :erlang.put(@state, {generation, elem(site, 2), hidden(kept), :busy})
    end
  end

  # Crash reports print process dictionaries, and `format_status` cannot reach into them: a function prints as itself.
  defp hidden(known), do: fn -> known end
end
