defmodule ElixirScope.Servers.Machine do
  @moduledoc false
  # What the two state machines have in common; they differ in the mode of their callbacks. Not instrumented.

  alias ElixirScope.Servers.Change

  @to [:next_state, :next_state_actions, :throw, :cast, :info, :upgrade, :postponed]
  @keeping [:keep_state, :keep_state_actions, :repeat_state, :repeat_state_actions]

  @doc "Ways to change the data: `{way, name}` those to a state of one of these names, others with the name kept."
  def ways(names), do: @keeping ++ Enum.map(@to, &{&1, Enum.random(names)})

  def perform(server, {way, name}, change) do
    case way do
      :cast -> :gen_statem.cast(server, {{:next_state, name}, change})
      :info -> send(server, {{:next_state, name}, change})
      :upgrade -> upgrade(server, {name, change})
      :postponed -> postponed(server, name, change)
      way -> :gen_statem.call(server, {{way, name}, change})
    end

    sync(server)
  end

  def perform(server, way, change) do
    :gen_statem.call(server, {way, change})
    sync(server)
  end

  defp upgrade(server, extra) do
    :ok = :sys.suspend(server)
    :ok = :sys.change_code(server, __MODULE__, nil, extra)
    :ok = :sys.resume(server)
  end

  # An event that is put off is handled when the state has become another.
  defp postponed(server, name, change) do
    :gen_statem.cast(server, {:later, name, change})
    :gen_statem.call(server, {{:next_state, :other}, :collect})
  end

  def unseen_ways, do: [:replace]

  def unseen(server, :replace, change) do
    :sys.replace_state(server, fn {name, data} -> {name, Change.run(change, data)} end)
  end

  def sync(server), do: :gen_statem.call(server, :sync)
  def stop(server, change), do: :gen_statem.call(server, {:stop, change})
  def crash(server), do: :gen_statem.call(server, :crash)

  @doc "The state after a change."
  def after_change({_way, name}, change, {_old, data}), do: {name, Change.run(change, data)}
  def after_change(_way, change, {name, data}), do: {name, Change.run(change, data)}

  @doc "States on the way to that."
  def passed({:postponed, _name}, {_old, data}), do: [{:other, data}]
  def passed(_way, _state), do: []

  @doc "The answer of a state to an event."
  def handle({:call, from}, :sync, _name, _data), do: {:keep_state_and_data, [{:reply, from, :ok}]}
  def handle({:call, _from}, :crash, _name, data), do: raise("crashed with #{:erlang.phash2(data)}")

  def handle({:call, from}, {:stop, change}, _name, data),
    do: {:stop_and_reply, :boom, [{:reply, from, :ok}], Change.run(change, data)}

  def handle({:call, from}, {way, change}, name, data) do
    data = Change.run(change, data)
    reply = {:reply, from, :ok}

    case way do
      {:next_state, next} -> answered(from, {:next_state, next, data})
      {:next_state_actions, next} -> {:next_state, next, data, [reply, :hibernate]}
      {:throw, next} -> throw({:next_state, next, data, reply})
      :keep_state -> {:keep_state, data, reply}
      :keep_state_actions -> {:keep_state, data, [reply, {:next_event, :internal, {:answered, name}}]}
      :repeat_state -> answered(from, {:repeat_state, data})
      :repeat_state_actions -> {:repeat_state, data, [reply]}
    end
  end

  def handle(_cast, {:later, _next, _change}, name, _data) when name != :other,
    do: {:keep_state_and_data, :postpone}

  def handle(_cast, {:later, next, change}, :other, data), do: {:next_state, next, Change.run(change, data)}

  def handle(_cast_or_info, {{:next_state, next}, change}, _name, data),
    do: {:next_state, next, Change.run(change, data)}

  def handle(:internal, _content, _name, _data), do: :keep_state_and_data

  # The answer is on its way before the state is in; whoever asks waits for it.
  defp answered(from, transition) do
    :gen_statem.reply(from, :ok)
    transition
  end
end
