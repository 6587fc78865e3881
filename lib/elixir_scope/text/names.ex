defmodule ElixirScope.Text.Names do
  @moduledoc false
  # Who a process of a recording was, as it said itself when it was first seen, and as the VM told later.
  #
  # An event or a call knows its pid, but not the recording that it comes from. For these the recording is found: the one that
  # this process asked last, or else the one of this VM, provided that it knows the very event.

  alias ElixirScope.{Native, Recorder, Recording}
  alias ElixirScope.Text.FirstCall

  @asked {__MODULE__, :asked}
  @forever 0xFFFFFFFFFFFFFFFF
  # Of one pid. It comes back after 2^28 others.
  @events 1_000

  @doc "Notes that this process has put a question to a recording."
  @spec asked(Recording.t()) :: Recording.t()
  def asked(recording) do
    Process.put(@asked, recording)
    recording
  end

  @doc "The process of an event or a call that happened at a time, in words."
  @spec of(%{id: non_neg_integer, pid: pid | nil}, integer) :: String.t()
  def of(%{pid: nil}, _time), do: ""
  def of(%{id: id, pid: pid}, time), do: id |> origin(pid, time) |> text(pid, time)

  @doc "The recording that an event comes from, by its number, process and time, or `nil`."
  @spec origin(non_neg_integer, pid | nil, integer) :: Recording.t() | nil
  def origin(id, pid, time), do: Enum.find(candidates(), &has?(&1, id, pid, time))

  defp candidates do
    asked = List.wrap(Process.get(@asked))

    case Recorder.current() do
      {:ok, current} -> Enum.uniq(asked ++ [current])
      _nothing -> asked
    end
  end

  defp has?(recording, id, pid, time) do
    filter = %{kinds: [], processes: nil, sites: nil, since: time, until: time}

    case Native.events(recording.handle, filter, id, 1) do
      {[event | _], _next} -> elem(event, 0) == id and elem(event, 1) == time and elem(event, 3) == pid
      _none -> false
    end
  end

  @doc "A process in words."
  @spec text(Recording.t() | nil, pid, integer | nil) :: String.t()
  def text(nil, pid, _time), do: Kernel.inspect(pid)

  def text(recording, pid, time) do
    case about(recording, pid, time) do
      %{name: name} when is_atom(name) and name not in [nil, :undefined] -> Kernel.inspect(name)
      %{label: label} when label != nil -> "#{label(label)} #{Kernel.inspect(pid)}"
      %{initial_call: {module, function, arity}} -> "#{runs(module, function, arity)} #{Kernel.inspect(pid)}"
      %{kind: kind} when kind != :process -> "#{kind} #{Kernel.inspect(pid)}"
      _unknown -> Kernel.inspect(pid)
    end
  end

  defp label(label) when is_binary(label), do: if(String.printable?(label), do: label, else: short(label))
  defp label(label), do: short(label)

  defp short(label), do: ElixirScope.Text.short(label, width: 40)

  defp runs(IEx.Evaluator, _function, _arity), do: "IEx"
  # Of a supervisor it is said that it is one, and which module says what it supervises.
  defp runs(:supervisor, module, _arity), do: runs(module, :init, 1)
  defp runs(Supervisor.Default, _function, _arity), do: "Supervisor"

  # The callback that OTP begins a server with says no more than its module.
  defp runs(module, :init, arity) when arity in [0, 1] and is_atom(module), do: Kernel.inspect(module)

  defp runs(module, function, arity) when is_atom(module) and is_atom(function) and is_integer(arity),
    do: Exception.format_mfa(module, function, arity)

  defp runs(_module, _function, _arity), do: "a process"

  @doc """
  Who a process was: what it said of itself when it was first seen (the data of its `:process` event), with the name and the label that
  it had by then as far as the VM told of them, or `nil`. Of processes that had the same pid one after the other it is the one of the
  time that is asked about; `nil` stands for the last.
  """
  @spec about(Recording.t(), pid, integer | nil) :: map | nil
  def about(recording, pid, time) when is_pid(pid) and node(pid) == node() do
    filter = %{
      kinds: ["process", "name", "label", "spawned", "exit"],
      processes: [numbers(pid)],
      sites: nil,
      since: 0,
      until: @forever
    }

    {events, _next} = Native.events(recording.handle, filter, 0, @events)
    {until_then, later} = Enum.split_while(events, fn event -> time == nil or elem(event, 1) <= time end)
    until_then |> Enum.reduce(%{}, &told/2) |> introduced(later)
  end

  def about(_recording, _pid_of_another_node, _time), do: nil

  # A birth begins anew. What ends gives its name back behind its end, and is called by it still.
  defp told({_id, _time, :spawned, _pid, _site, _number, values}, _about), do: first_call(values)
  defp told({_id, _time, :exit, _pid, _site, _number, _values}, about), do: Map.put(about, :exited, true)

  defp told({_id, _time, :process, _pid, _site, _number, [said]}, about) when is_map(said),
    do: about |> Map.merge(informed(said)) |> Map.put(:said, true)

  defp told({_id, _time, :name, _pid, _site, 0, [name]}, about), do: Map.put(about, :name, name)

  defp told({_id, _time, :name, _pid, _site, 1, [name]}, %{name: name} = about)
       when not is_map_key(about, :exited),
       do: Map.put(about, :name, nil)

  defp told({_id, _time, :label, _pid, _site, _number, [label]}, about), do: Map.put(about, :label, label)
  defp told(_event, about), do: about

  # Of a process that is none of OTP's the VM says that a function was called.
  defp informed(%{initial_call: {module, _, _}} = said) when module in [:erlang, :proc_lib],
    do: Map.delete(said, :initial_call)

  defp informed(said), do: said

  defp first_call([_parent, first]) do
    case FirstCall.of(first) do
      {nil, nil} -> %{}
      {nil, kind} -> %{kind: kind}
      {initial, kind} -> %{initial_call: initial, kind: kind}
    end
  end

  defp first_call(_unreadable), do: %{}

  # The introduction comes right after the first call. A name that the VM has told of is older than it.
  defp introduced(%{said: true} = about, _later), do: about

  defp introduced(about, later) do
    own = Enum.take_while(later, &(elem(&1, 2) != :spawned))
    taken? = Enum.any?(own, &match?({_id, _time, :name, _pid, _site, 0, _name}, &1))

    case Enum.find(own, &match?({_id, _time, :process, _pid, _site, _number, [%{}]}, &1)) do
      nil ->
        if about == %{}, do: nil, else: about

      {_id, _time, :process, _pid, _site, _number, [said]} ->
        said |> informed() |> drop_name(taken?) |> Map.merge(about)
    end
  end

  defp drop_name(said, true), do: Map.put(said, :name, nil)
  defp drop_name(said, false), do: said

  @doc "A process as the native library is asked for it: the two numbers of its pid."
  @spec numbers(pid) :: {non_neg_integer, non_neg_integer}
  def numbers(pid) do
    [_node, id, serial] =
      pid |> :erlang.pid_to_list() |> List.to_string() |> String.split([".", "<", ">"], trim: true)

    {String.to_integer(id), String.to_integer(serial)}
  end
end
