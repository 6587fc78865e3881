defmodule ElixirScope.Text.FirstCall do
  @moduledoc false
  # What a process runs: the function of the user's module behind `proc_lib`, `gen`, Task and Agent, and what kind of process that
  # makes it. It is told by the first call that a process was made with, or by what it says of itself.

  alias ElixirScope.Life

  @gens [:gen_server, :gen_statem, :gen_event]
  # Modules that are supervisors, whatever module tells them what to supervise.
  @supervisors [:supervisor, DynamicSupervisor]

  @typedoc "As the VM tells it: module, function, and arguments where a limit did not keep them out."
  @type first :: {module, atom, [term] | term}

  @doc "The function and the kind, by the first call."
  @spec of(first | nil) :: {mfa | nil, Life.kind() | nil}
  def of({:proc_lib, :init_p, [_parent, _ancestors, module, function, args]}) when is_atom(module),
    do: of({module, function, args})

  def of({:proc_lib, :init_p, [_parent, _ancestors, fun]}), do: of({:erlang, :apply, [fun, []]})
  def of({:gen, :init_it, [gen, _, _, module, args, _options]}), do: server(gen, module, args)
  def of({:gen, :init_it, [gen, _, _, _name, module, args, _options]}), do: server(gen, module, args)

  def of({Task.Supervised, _function, args}) when is_list(args),
    do: {args |> List.last() |> asked(), :task}

  def of({Task.Supervised, _function, _cut}), do: {nil, :task}
  def of({:supervisor_bridge, :init, _args}), do: {nil, :supervisor}
  def of({:erlang, :apply, [fun | _]}) when is_function(fun), do: {function(fun), :process}

  def of({module, function, args}) when is_atom(module) and is_atom(function) and is_list(args),
    do: {{module, function, length(args)}, :process}

  def of({module, function, arity})
      when is_atom(module) and is_atom(function) and is_integer(arity),
      do: {{module, function, arity}, :process}

  def of(_unknown), do: {nil, nil}

  defp server(:gen_server, :supervisor, {_name, module, _arg}) when is_atom(module),
    do: {{module, :init, 1}, :supervisor}

  defp server(:gen_server, DynamicSupervisor, {module, _arg, _name}) when is_atom(module),
    do: {{module, :init, 1}, :supervisor}

  defp server(:gen_server, Agent.Server, fun), do: {agent(fun), :agent}
  defp server(:gen_server, :gen_event, _args), do: {nil, :gen_event}
  defp server(:gen_server, module, _args) when module in @supervisors, do: {nil, :supervisor}

  defp server(:gen_event, _module, _args), do: {{:gen_event, :init_it, 6}, :gen_event}

  defp server(gen, module, _args) when gen in @gens and is_atom(module),
    do: {{module, :init, 1}, gen}

  defp server(_other, module, _args) when is_atom(module), do: {{module, :init, 1}, :gen_server}
  defp server(_other, _module, _args), do: {nil, nil}

  defp agent(fun) when is_function(fun), do: function(fun)
  defp agent({module, function, args}) when is_list(args), do: {module, function, length(args)}
  defp agent(_cut), do: nil

  # What a task was asked to do, where its first call or the message to it says so.
  @doc false
  def asked({:erlang, :apply, [fun, _args]}) when is_function(fun), do: function(fun)

  def asked({module, function, args}) when is_atom(module) and is_atom(function) and is_list(args),
    do: {module, function, length(args)}

  def asked(_unknown), do: nil

  defp function(fun) do
    info = Function.info(fun)
    # Of a module that is not here the VM does not know the name.
    if is_atom(info[:name]), do: {info[:module], info[:name], info[:arity]}
  end

  @doc "The function and the kind, by what a process said of itself (the data of its `:process` event)."
  @spec said(map | nil) :: {mfa | nil, Life.kind() | nil}
  def said(%{initial_call: {:supervisor, module, _}}) when is_atom(module),
    do: {{module, :init, 1}, :supervisor}

  def said(%{initial_call: {module, :init, _}}) when module in @supervisors, do: {nil, :supervisor}
  def said(%{initial_call: {Agent.Server, :init, _}}), do: {nil, :agent}
  def said(%{initial_call: {:gen_event, :init_it, _}}), do: {{:gen_event, :init_it, 6}, :gen_event}

  def said(%{initial_call: {Task.Supervised, _, _}}), do: {nil, :task}
  # What the VM says of a process that is none of OTP's: that a function was called.
  def said(%{initial_call: {:erlang, :apply, 2}}), do: {nil, nil}
  def said(%{initial_call: {:proc_lib, _, _}}), do: {nil, nil}

  def said(%{initial_call: {module, :init, arity}}) when is_atom(module) and is_integer(arity),
    do: {{module, :init, arity}, behaviour(module)}

  def said(%{initial_call: {module, function, arity}})
      when is_atom(module) and is_atom(function) and is_integer(arity),
      do: {{module, function, arity}, nil}

  def said(_unknown), do: {nil, nil}

  @behaviours %{
    GenServer => :gen_server,
    :gen_server => :gen_server,
    :gen_statem => :gen_statem,
    Supervisor => :supervisor,
    :supervisor => :supervisor,
    DynamicSupervisor => :supervisor
  }

  # The modules of a recording that was opened may not be here, or be others.
  defp behaviour(module), do: module |> behaviours() |> Enum.find_value(&@behaviours[&1])

  defp behaviours(module) do
    if :code.is_loaded(module) != false,
      do: for({:behaviour, all} <- module.module_info(:attributes), behaviour <- all, do: behaviour),
      else: []
  end

  @doc "The ancestors that stand in a first call."
  @spec ancestors(first | nil) :: [pid | atom] | nil
  def ancestors({:proc_lib, :init_p, [parent, ancestors | _]}) when is_list(ancestors),
    do: [parent | ancestors]

  def ancestors(_unknown), do: nil

  @doc "The callers that stand in the first call of a task."
  @spec callers(first | nil) :: [pid]
  def callers({:proc_lib, :init_p, [_parent, _ancestors, Task.Supervised, :noreply, [_owner, callers, _mfa]]})
      when is_list(callers),
      do: callers

  def callers(_unknown), do: []

  @doc "The restart limit and the strategy that stand in the first call of a supervisor without a module of its own."
  @spec supervises(first | nil) :: map | nil
  def supervises({:proc_lib, :init_p, [_, _, :gen, :init_it, args]}) when is_list(args) do
    Enum.find_value(args, fn
      {_name, Supervisor.Default, {:ok, init}} -> flags(init)
      {Supervisor.Default, {:ok, init}, _name} -> flags(init)
      {Task.Supervisor, {{_restart, _shutdown}, options}, _name} when is_list(options) -> of_tasks(options)
      _other -> nil
    end)
  end

  def supervises(_unknown), do: nil

  # What is not said is as DynamicSupervisor has it.
  defp of_tasks(options) do
    defaults = %{strategy: :one_for_one, intensity: 3, period: 5}

    Enum.reduce(options, defaults, fn
      {:max_restarts, intensity}, flags -> %{flags | intensity: intensity}
      {:max_seconds, period}, flags -> %{flags | period: period}
      _other, flags -> flags
    end)
  end

  @doc "The same, of what the `init/1` of a supervisor gives."
  @spec flags(term) :: map | nil
  def flags({:ok, init}), do: flags(init)
  def flags({%{} = flags, _children}), do: flags(flags)

  def flags({{strategy, intensity, period}, _children}) when is_atom(strategy),
    do: %{strategy: strategy, intensity: intensity, period: period}

  # What is not said is as OTP has it.
  def flags(%{} = flags) when not is_struct(flags),
    do:
      Map.merge(
        %{strategy: :one_for_one, intensity: 1, period: 5},
        Map.take(flags, [:strategy, :intensity, :period])
      )

  def flags(_cut), do: nil

  @doc "Whether it is a supervisor of children that are all of one kind, which may be equal: by its first call, or by what it runs."
  @spec dynamic?(first | nil, mfa | nil) :: boolean | :unknown
  def dynamic?({:proc_lib, :init_p, [_, _, :gen, :init_it, args]} = first, _initial) when is_list(args),
    do: DynamicSupervisor in args or match?(%{strategy: :simple_one_for_one}, supervises(first))

  def dynamic?(_unknown, {module, :init, _}) when module in [Task.Supervisor, DynamicSupervisor], do: true

  def dynamic?(_unknown, {module, :init, _}) do
    case behaviour(module) do
      :supervisor -> DynamicSupervisor in behaviours(module)
      _not_known -> :unknown
    end
  end

  def dynamic?(_unknown, _initial), do: :unknown
end
