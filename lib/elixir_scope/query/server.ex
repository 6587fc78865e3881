defmodule ElixirScope.Query.Server do
  @moduledoc """
  The forms in which a process may be named: a pid, a registered name, `{:global, name}`, `{:via, module, name}`, or
  the text of a pid such as `"#PID<0.123.0>"`, which also names processes of a VM that is gone.

  A registered name stands for the process that had it at the time that is asked about, as far as that is recorded. Of processes
  whose life is watched (`ElixirScope.watch/2`) it is known when they took a name, gave it back and ended: a name ends with its
  process, and for a time at which nobody had it there is an error that says who had it last. A question without an end in time, such as
  `ElixirScope.events(pid: name)`, is about the last one that had it.

  Of processes that are not watched it is known what they say at their first event: they are believed until another says that it has the
  name, also after their end, which nobody saw. A name that such a process took later than its first event, and names of
  registries (`{:global, _}`, `{:via, _, _}`), are known in the VM that records alone, where nothing says since when. They stand for the
  process that has them now for questions about the last second; for an earlier time there is an error that says which process has the
  name now. Ask with the pid then.

      iex> ElixirScope.Query.Server.numbers("#PID<0.123.4>")
      {:ok, {123, 4}}
  """

  alias ElixirScope.{Error, Native, Recording, Text}
  alias ElixirScope.Text.Names

  @type t :: pid | atom | {:global, term} | {:via, module, term} | String.t()

  @typedoc "The two numbers of a pid."
  @type numbers :: {non_neg_integer, non_neg_integer}

  @latest 0x7FFFFFFFFFFFFFFF

  @doc "The process in the recording."
  @spec find(Recording.t(), t, non_neg_integer) :: {:ok, numbers} | {:error, Error.t()}
  def find(recording, server, time)

  def find(recording, pid, _time) when is_pid(pid) do
    {:ok, process} = numbers(pid)
    if recorded?(recording, process), do: {:ok, process}, else: unknown(recording, pid)
  end

  def find(recording, text, _time) when is_binary(text) do
    with {:ok, process} <- numbers(text) do
      if recorded?(recording, process), do: {:ok, process}, else: unknown(recording, text)
    else
      :error -> bad(text)
    end
  end

  def find(recording, name, time) when is_atom(name) and name not in [nil, true, false] do
    pid = alive(recording, name)

    case Names.Holders.at(recording, name, time) do
      {:held, holder, _since} -> find_told(recording, holder, pid, time)
      {:ended, holder, until, how} -> find_ended(recording, name, {holder, until, how}, pid, time)
      {:later, holder, since} -> not_yet(name, time, since, holder, "took it")
      :untold -> find_untold(recording, name, pid, time)
    end
  end

  def find(recording, {:global, _name} = server, time) do
    find_alive(recording, server, alive(recording, server), time)
  end

  def find(recording, {:via, module, _name} = server, time) when is_atom(module) do
    find_alive(recording, server, alive(recording, server), time)
  end

  def find(_recording, other, _time), do: bad(other)

  # The number of a process may be known before anything of it is.
  defp recorded?(recording, process),
    do: Native.has_process(recording.handle, process) and any?(recording, [], process)

  defp any?(recording, kinds, process) do
    filter = %{kinds: kinds, processes: [process], sites: nil, since: 0, until: 0xFFFFFFFFFFFFFFFF}
    Native.events(recording.handle, filter, 0, 1) |> elem(0) != []
  end

  # Another one that is not watched may have taken it since, for which the VM of the recording can be asked.
  defp find_told(recording, holder, pid, time) do
    if pid != nil and pid != holder and now?(time) and untold_since?(recording, pid),
      do: find(recording, pid, time),
      else: find(recording, holder, time)
  end

  defp find_ended(recording, name, {holder, until, how}, pid, time) do
    if pid != nil and now?(time) and untold_since?(recording, pid),
      do: find(recording, pid, time),
      else: ended(name, holder, until, how, time)
  end

  # Whether nothing was told of the names of a process.
  defp untold_since?(recording, pid) do
    {:ok, process} = numbers(pid)
    not any?(recording, ["name"], process)
  end

  defp ended(name, holder, until, how, time) do
    Error.new(
      :unknown_process,
      "nobody had the name #{inspect(name)} at #{Text.date(time)}: #{inspect(holder)} had it until it #{how(how)} at " <>
        "#{Text.date(until)}, #{until}; ask for a time before that, or with the pid"
    )
  end

  defp how(:exited), do: "ended"
  defp how(:unregistered), do: "gave it back"

  defp find_untold(recording, name, pid, time) do
    last = Native.named(recording.handle, Atom.to_string(name), @latest)

    cond do
      pid == nil or {:ok, last} == numbers(pid) -> find_recorded(recording, name, time)
      last == nil -> find_alive(recording, name, pid, time)
      true -> find_given_on(recording, name, pid, time)
    end
  end

  @doc "The two numbers of a local pid; of any form `#PID<n.id.serial>` and `<n.id.serial>` of its text."
  @spec numbers(pid | String.t()) :: {:ok, numbers} | :error
  # Each question of a test does this for some pids: a pattern would take longer than the question.
  def numbers(pid) when is_pid(pid) do
    {_node, [?. | rest]} = pid |> :erlang.pid_to_list() |> tl() |> :string.to_integer()
    {id, [?. | rest]} = :string.to_integer(rest)
    {serial, [?>]} = :string.to_integer(rest)
    {:ok, {id, serial}}
  end

  def numbers(text) do
    case Regex.run(~r/\A(?:#PID)?<\d+\.(\d{1,10})\.(\d{1,10})>\z/, text) do
      [_, id, serial] -> in_range(String.to_integer(id), String.to_integer(serial))
      nil -> :error
    end
  end

  defp in_range(id, serial) when id < 0x100000000 and serial < 0x100000000, do: {:ok, {id, serial}}
  defp in_range(_id, _serial), do: :error

  # Who said when it had the name.
  defp find_recorded(recording, name, time) do
    with nil <- Native.named(recording.handle, Atom.to_string(name), time),
         [] <- holders(recording, name) do
      unknown(recording, name)
    else
      [{first, pid} | _later] -> not_yet(name, time, first, pid, "was seen first")
      process -> {:ok, process}
    end
  end

  # Names of registries, and names taken after the first event, are known to this VM alone.
  defp alive(%Recording{live?: true}, server) do
    case GenServer.whereis(server) do
      pid when is_pid(pid) and node(pid) == node() -> pid
      _ -> nil
    end
  rescue
    # The module of a {:via, ...} or its registry does not exist.
    _error in [UndefinedFunctionError, ArgumentError] -> nil
  end

  defp alive(_recording, _server), do: nil

  # Nothing says since when a process has a name that it has now, so that is believed for a moment only.
  @believed 1_000_000_000

  defp find_alive(recording, server, nil, _time), do: unknown(recording, server)

  defp find_alive(recording, server, pid, time) do
    if now?(time), do: find(recording, pid, time), else: taken(server, pid, time)
  end

  # The last that said it had the name is not the one that has it.
  defp find_given_on(recording, name, pid, time) do
    {taken, last} = recording |> holders(name) |> List.last()

    cond do
      time < taken -> find_recorded(recording, name, time)
      now?(time) -> find(recording, pid, time)
      true -> given_on(name, last, pid, time)
    end
  end

  defp given_on(name, last, pid, time) do
    Error.new(
      :unknown_process,
      "which process had the name #{inspect(name)} at #{Text.date(time)} is not known: #{inspect(last)} had it, and #{inspect(pid)} has " <>
        "it now, which took it at a time that is not recorded; ask with the pid"
    )
  end

  defp taken(server, pid, time) do
    Error.new(
      :unknown_process,
      "which process had the name #{inspect(server)} at #{Text.date(time)} is not known: #{inspect(pid)} has it now, and took it at " <>
        "a time that is not recorded; ask with the pid"
    )
  end

  defp now?(time), do: time >= Native.now() - @believed

  # The process that has the name today is none that had it then.
  defp not_yet(name, time, first, pid, how) do
    Error.new(
      :unknown_process,
      "expected a time at which a process had the name #{inspect(name)}, got #{Text.date(time)}; the first that is known " <>
        "to have had it is #{inspect(pid)}, which #{how} at #{Text.date(first)}, #{first}"
    )
  end

  # Who said that this was its name, and when, oldest first.
  defp holders(recording, name) do
    Enum.sort(
      for {pid, _first, _last, _events, _states, introductions} <- Native.processes(recording.handle),
          introduction <- introductions,
          name(introduction) == name,
          do: {elem(introduction, 1), pid}
    )
  end

  # Where the name of a registry leads is not recorded.
  defp unknown(recording, server) when is_tuple(server) do
    Error.new(
      :unknown_process,
      "the process of #{inspect(server)} cannot be found: such a name is known only in the VM that records and while " <>
        "its process lives; ask with the pid, or its text; #{known(recording)}"
    )
  end

  defp unknown(recording, server) when is_pid(server) do
    cond do
      recording.live? and node(server) == node() and Process.alive?(server) ->
        Error.new(
          :not_instrumented,
          "#{inspect(server)} is alive, but no event of it was recorded: it is not watched, and no instrumented function ran in it " <>
            "since the recording began. Watch it with ElixirScope.watch(pid); or put `use ElixirScope` into its module" <>
            "#{running(server)}, and let it do something"
        )

      true ->
        no_event(recording, server)
    end
  end

  defp unknown(recording, server), do: no_event(recording, server)

  defp no_event(recording, server) do
    Error.new(
      :unknown_process,
      "expected a process that is in the recording, got: #{inspect(server)}, of which no event was recorded; " <>
        known(recording) <> damaged(recording)
    )
  end

  defp damaged(recording) do
    case Native.summary(recording.handle).damage do
      [] -> ""
      _some -> "; its events may be among what is damaged, see ElixirScope.status/1"
    end
  end

  defp running(pid) do
    case Process.info(pid, :dictionary) do
      {:dictionary, dictionary} ->
        case dictionary[:"$initial_call"] do
          {module, _function, _arity} -> " (#{inspect(module)})"
          _ -> ""
        end

      nil ->
        ""
    end
  end

  defp known(recording) do
    processes = Native.processes(recording.handle)

    named =
      for {pid, _first, _last, _events, states, introductions} <- processes, states > 0 do
        name = Enum.find_value(introductions, &name/1)
        if name, do: "#{inspect(name)} #{inspect(pid)}", else: inspect(pid)
      end

    case {processes, named} do
      {[], _} -> "no event of any process was recorded yet"
      {_, []} -> "#{length(processes)} processes are, none of them with a state"
      {_, some} -> "processes with a state are #{list(Enum.take(some, 5), length(some) - 5)}"
    end
  end

  defp name({_id, _time, :process, _pid, _site, _number, [%{name: name}]}), do: name
  defp name(_event), do: nil

  defp list(some, more) when more > 0, do: Enum.join(some, ", ") <> " and #{more} more"
  defp list(some, _more), do: Enum.join(some, ", ")

  defp bad(other) do
    Error.new(
      :bad_server,
      "expected a process as a pid, a registered name, {:global, name}, {:via, module, name} or a text such as " <>
        "\"#PID<0.123.0>\", got: #{inspect(other)}"
    )
  end
end
