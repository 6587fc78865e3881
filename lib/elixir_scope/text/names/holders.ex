defmodule ElixirScope.Text.Names.Holders do
  @moduledoc false
  # Which process had a registered name at a time, and how long: from what processes said of themselves, and, where the VM told it,
  # from when they took names, gave them back and ended. A name ends with its process.

  alias ElixirScope.{Native, Recording}
  alias ElixirScope.Text.Names

  @forever 0xFFFFFFFFFFFFFFFF
  # The last time that is one: who asks for a later one asks for the last holder.
  @latest 0x7FFFFFFFFFFFFFFF
  @page 1_000

  @typedoc """
  `{:held, pid, since}`; `{:ended, pid, time, how}`: it had it until then, and nobody has had it since; `{:later, pid, time}`: the first that
  had it took it then; `:untold`: nothing was told of the name but introductions.
  """
  @type answer ::
          {:held, pid, non_neg_integer}
          | {:ended, pid, non_neg_integer, :exited | :unregistered}
          | {:later, pid, non_neg_integer}
          | :untold

  @doc "Who had a name at a time."
  @spec at(Recording.t(), atom, non_neg_integer) :: answer
  def at(recording, name, time) do
    told = told(recording, name, time)
    said = said(recording, name, time)
    answer = last(recording, told, said, name, time)
    if time >= @latest, do: kept(answer), else: answer
  end

  # Without an end the question is who had it last.
  defp kept({:ended, pid, until, _how}), do: {:held, pid, until}
  defp kept(answer), do: answer

  defp last(recording, nil, nil, name, time), do: later(recording, name, time)
  defp last(recording, told, said, _name, time), do: last(recording, told, said, time)

  # Whoever took it first, where none is known to have had it before.
  defp later(recording, name, time) do
    filter = %{kinds: ["name"], processes: nil, sites: nil, since: min(time, @latest), until: @forever}

    case {oldest(recording, filter, 0, &named(&1, name)),
          Native.named(recording.handle, Atom.to_string(name), @latest)} do
      {{at, :register, pid}, nil} ->
        {:later, pid, at}

      {{at, :register, pid}, process} ->
        if Names.numbers(pid) == process, do: {:later, pid, at}, else: :untold

      _none_or_given_back ->
        :untold
    end
  end

  defp last(recording, {at, :unregister, pid}, said, time) do
    if said != nil and elem(said, 0) > at,
      do: introduced(recording, said, time),
      else: given_back(recording, pid, at)
  end

  defp last(recording, told, said, time) do
    case Enum.max([told, said] |> Enum.reject(&is_nil/1)) do
      {_at, :introduced, _pid} -> introduced(recording, said, time)
      {at, :register, pid} -> held(recording, pid, at, time)
    end
  end

  # Nothing but what it said is known of the name; that its process ended may be.
  defp introduced(recording, {at, :introduced, pid}, time) do
    case exit_of(recording, pid, at, time) do
      nil -> :untold
      exited -> {:ended, pid, exited, :exited}
    end
  end

  defp held(recording, pid, at, time) do
    case exit_of(recording, pid, at, time) do
      nil -> {:held, pid, at}
      exited -> {:ended, pid, exited, :exited}
    end
  end

  # What ends gives its name back just behind its end.
  defp given_back(recording, pid, at) do
    case exit_of(recording, pid, max(at - 1_000_000_000, 0), at) do
      nil -> {:ended, pid, at, :unregistered}
      exited -> {:ended, pid, exited, :exited}
    end
  end

  # The last that the VM told of the name.
  defp told(recording, name, time) do
    filter = %{kinds: ["name"], processes: nil, sites: nil, since: 0, until: time}
    newest(recording, filter, @forever, &named(&1, name))
  end

  defp named({_id, at, :name, pid, _site, action, [name]}, name) when action < 2,
    do: {at, elem({:register, :unregister}, action), pid}

  defp named(_event, _name), do: nil

  defp newest(recording, filter, before, found) do
    {events, next} = Native.events_before(recording.handle, filter, before, @page)

    case Enum.find_value(events, found) do
      nil when next == nil or events == [] -> nil
      nil -> newest(recording, filter, next, found)
      answer -> answer
    end
  end

  defp oldest(recording, filter, from, found) do
    {events, next} = Native.events(recording.handle, filter, from, @page)

    case Enum.find_value(events, found) do
      nil when next == nil -> nil
      nil -> oldest(recording, filter, next, found)
      answer -> answer
    end
  end

  defp said(recording, name, time) do
    case Native.named(recording.handle, Atom.to_string(name), min(time, @latest)) do
      nil -> nil
      process -> introduction(recording, process, name, time)
    end
  end

  defp introduction(recording, process, name, time) do
    filter = %{kinds: ["process"], processes: [process], sites: nil, since: 0, until: time}

    newest(recording, filter, @forever, fn
      {_id, at, :process, pid, _site, _number, [%{name: ^name}]} -> {at, :introduced, pid}
      _other -> nil
    end)
  end

  defp exit_of(recording, pid, from, to) do
    filter = %{kinds: ["exit"], processes: [Names.numbers(pid)], sites: nil, since: from, until: to}
    newest(recording, filter, @forever, &elem(&1, 1))
  end
end
