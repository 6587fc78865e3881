# Kinds of servers, as a table: which functions of a module with a behaviour are called with its process's state, where
# that is among their arguments, and where in what they return. Another kind is another row, and where it returns
# something new, some clauses of `state/3`.
#
# The first half of what is here is asked when a module is instrumented, the second half (`state/3`) at the end of each
# callback, in the traced process.
#
# A row has a place only for what is the state of the process. A LiveComponent shares its process with a LiveView and with
# other components, a handler of `:gen_event` with other handlers: their states are several in one process, and stand
# among the arguments and return values of their calls.
defmodule ElixirScope.Capture.Servers do
  @moduledoc false

  @typedoc """
  Where the state is: an argument by position; of several, a tuple of them, in which `:function` is the name of the
  function. A callback that has none yet makes the first one.
  """
  @type where :: :nowhere | pos_integer() | [:function | pos_integer(), ...]

  @typedoc "What a callback returns, see `state/3`."
  @type shape :: atom()

  @typedoc """
  What instrumented code hands over at a callback: whose frame stands above it when the process's own loop calls it, and
  what it returns. The first of a server begins its states.
  """
  @type callback :: {loops :: [module(), ...], :init | :callback, shape()}

  # {behaviours, modules that call the callbacks in the process, callbacks}
  @kinds [
    {[GenServer, :gen_server], [:gen_server],
     [
       {:init, 1, :nowhere, :started},
       {:handle_call, 3, 3, :answer},
       {:handle_cast, 2, 2, :answer},
       {:handle_info, 2, 2, :answer},
       {:handle_continue, 2, 2, :answer},
       {:terminate, 2, 2, :nothing},
       {:code_change, 3, 2, :upgraded}
     ]},
    # As `:sys.get_state/1` gives it: the name of the state and the data. Where each state is a function, `_` is any
    # function of that arity that the module exports.
    {[:gen_statem, GenStateMachine], [:gen_statem],
     [
       {:init, 1, :nowhere, :machine_started},
       {:handle_event, 4, [3, 4], :transition},
       {:terminate, 3, [2, 3], :nothing},
       {:code_change, 4, [2, 3], :machine_upgraded},
       {:_, 3, [:function, 3], :transition}
     ]},
    {[GenStage], [GenStage],
     [
       {:init, 1, :nowhere, :stage_started},
       {:handle_call, 3, 3, :stage_answer},
       {:handle_cast, 2, 2, :stage_answer},
       {:handle_info, 2, 2, :stage_answer},
       {:handle_demand, 2, 2, :stage_answer},
       {:handle_events, 3, 3, :stage_answer},
       {:handle_subscribe, 4, 4, :stage_link},
       {:handle_cancel, 3, 3, :stage_answer},
       {:terminate, 2, 2, :nothing},
       {:code_change, 3, 2, :upgraded}
     ]},
    {[Phoenix.LiveView], [Phoenix.LiveView.Channel, Phoenix.LiveView.Utils, Phoenix.LiveView.Async],
     [
       {:mount, 3, :nowhere, :mounted},
       {:handle_params, 3, 3, :answer},
       {:handle_event, 3, 3, :answer},
       {:handle_async, 3, 3, :answer},
       {:handle_call, 3, 3, :answer},
       {:handle_cast, 2, 2, :answer},
       {:handle_info, 2, 2, :answer},
       {:terminate, 2, 2, :nothing}
     ]},
    {[Phoenix.Channel], [Phoenix.Channel.Server],
     [
       {:join, 3, :nowhere, :joined},
       {:handle_in, 3, 3, :answer},
       {:handle_out, 3, 3, :answer},
       {:handle_call, 3, 3, :answer},
       {:handle_cast, 2, 2, :answer},
       {:handle_info, 2, 2, :answer},
       {:terminate, 2, 2, :nothing},
       {:code_change, 3, 2, :upgraded}
     ]}
  ]

  @doc """
  The callbacks of a module with these behaviours among its functions, and where each has the state.

      iex> ElixirScope.Capture.Servers.callbacks([GenServer], [init: 1, handle_cast: 2, add: 2])
      %{{:init, 1} => {:nowhere, {[:gen_server], :init, :started}}, {:handle_cast, 2} => {2, {[:gen_server], :callback, :answer}}}
  """
  @spec callbacks([module()], [{atom(), arity()}]) :: %{optional({atom(), arity()}) => {where(), callback()}}
  def callbacks(behaviours, functions) do
    for {named, loops, callbacks} <- @kinds,
        Enum.any?(named, &(&1 in behaviours)),
        {name, arity} = function <- functions,
        {_, _, where, shape} <- Enum.take(Enum.filter(callbacks, &callback?(&1, name, arity)), 1),
        into: %{},
        do: {function, {where, {loops, origin(where), shape}}}
  end

  defp callback?({named, arity, _where, _shape}, name, arity), do: named in [name, :_]
  defp callback?(_callback, _name, _arity), do: false

  defp origin(:nowhere), do: :init
  defp origin(_where), do: :callback

  @doc "Whether what a callback throws is its return value."
  @spec throws?(callback()) :: boolean()
  def throws?({[loop], _origin, _shape}) when loop in [:gen_server, :gen_statem], do: true
  def throws?(_callback), do: false

  @doc """
  The state after a callback, by what it returned and the state before; `:none` where that does not say it.

      iex> ElixirScope.Capture.Servers.state(:answer, {:reply, :ok, 2}, 1)
      {:ok, 2}
      iex> ElixirScope.Capture.Servers.state(:transition, {:keep_state, 2}, {:open, 1})
      {:ok, {:open, 2}}
      iex> ElixirScope.Capture.Servers.state(:answer, :oops, 1)
      :none
  """
  @spec state(shape(), returned :: term(), before :: term()) :: {:ok, term()} | :none
  def state(shape, returned, before)

  def state(:started, {:ok, state}, _), do: {:ok, state}
  def state(:started, {:ok, state, _timeout_or_continue}, _), do: {:ok, state}

  def state(:answer, {:noreply, state}, _), do: {:ok, state}
  def state(:answer, {:noreply, state, _}, _), do: {:ok, state}
  def state(:answer, {:reply, _reply, state}, _), do: {:ok, state}
  def state(:answer, {:reply, _reply, state, _}, _), do: {:ok, state}
  def state(:answer, {:stop, _reason, state}, _), do: {:ok, state}
  def state(:answer, {:stop, _reason, _reply, state}, _), do: {:ok, state}

  def state(:upgraded, {:ok, state}, _), do: {:ok, state}

  def state(:machine_started, {:ok, name, data}, _), do: {:ok, {name, data}}
  def state(:machine_started, {:ok, name, data, _actions}, _), do: {:ok, {name, data}}

  def state(:transition, {:next_state, name, data}, _), do: {:ok, {name, data}}
  def state(:transition, {:next_state, name, data, _actions}, _), do: {:ok, {name, data}}
  def state(:transition, {:keep_state, data}, {name, _}), do: {:ok, {name, data}}
  def state(:transition, {:keep_state, data, _actions}, {name, _}), do: {:ok, {name, data}}
  def state(:transition, {:repeat_state, data}, {name, _}), do: {:ok, {name, data}}
  def state(:transition, {:repeat_state, data, _actions}, {name, _}), do: {:ok, {name, data}}
  def state(:transition, {:stop, _reason, data}, {name, _}), do: {:ok, {name, data}}
  def state(:transition, {:stop_and_reply, _reason, _replies, data}, {name, _}), do: {:ok, {name, data}}

  # Not among what is left: `:keep_state_and_data` and its like, which leave the state as it was.
  def state(:machine_upgraded, {:ok, name, data}, _), do: {:ok, {name, data}}

  def state(:stage_started, {type, state}, _) when type in [:producer, :consumer, :producer_consumer],
    do: {:ok, state}

  def state(:stage_started, {type, state, _options}, _)
      when type in [:producer, :consumer, :producer_consumer],
      do: {:ok, state}

  def state(:stage_answer, {:noreply, _events, state}, _), do: {:ok, state}
  def state(:stage_answer, {:noreply, _events, state, :hibernate}, _), do: {:ok, state}
  def state(:stage_answer, {:reply, _reply, _events, state}, _), do: {:ok, state}
  def state(:stage_answer, {:reply, _reply, _events, state, :hibernate}, _), do: {:ok, state}
  def state(:stage_answer, {:stop, _reason, state}, _), do: {:ok, state}
  def state(:stage_answer, {:stop, _reason, _reply, state}, _), do: {:ok, state}

  def state(:stage_link, {mode, state}, _) when mode in [:automatic, :manual], do: {:ok, state}
  def state(:stage_link, {:stop, _reason, state}, _), do: {:ok, state}

  def state(:mounted, {:ok, socket}, _), do: {:ok, socket}
  def state(:mounted, {:ok, socket, _options}, _), do: {:ok, socket}

  def state(:joined, {:ok, socket}, _), do: {:ok, socket}
  def state(:joined, {:ok, _reply, socket}, _), do: {:ok, socket}

  def state(_shape, _returned, _before), do: :none
end
