defmodule ElixirScope.Text.Names do
  @moduledoc false
  # Who a process of a recording was, as it said itself when it was first seen.
  #
  # An event or a call knows its pid, but not the recording that it comes from. For these the recording is found: the one that
  # this process asked last, or else the one of this VM, provided that it knows the very event.

  alias ElixirScope.{Native, Recorder, Recording}

  @asked {__MODULE__, :asked}
  @forever 0xFFFFFFFFFFFFFFFF
  # A pid comes back after 2^28 others.
  @introductions 100

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
      _unknown -> Kernel.inspect(pid)
    end
  end

  defp label(label) when is_binary(label), do: if(String.printable?(label), do: label, else: short(label))
  defp label(label), do: short(label)

  defp short(label), do: ElixirScope.Text.short(label, width: 40)

  defp runs(IEx.Evaluator, _function, _arity), do: "IEx"

  # The callback that OTP begins a server with says no more than its module.
  defp runs(module, :init, arity) when arity in [0, 1] and is_atom(module), do: Kernel.inspect(module)

  defp runs(module, function, arity) when is_atom(module) and is_atom(function) and is_integer(arity),
    do: Exception.format_mfa(module, function, arity)

  defp runs(_module, _function, _arity), do: "a process"

  @doc """
  What a process said of itself when it was first seen, the data of its `:process` event, or `nil`. Of processes that had the
  same pid one after the other it is the one of the time that is asked about; `nil` stands for the last.
  """
  @spec about(Recording.t(), pid, integer | nil) :: map | nil
  def about(recording, pid, time) when is_pid(pid) and node(pid) == node() do
    filter = %{kinds: ["process"], processes: [numbers(pid)], sites: nil, since: 0, until: @forever}
    {events, _next} = Native.events(recording.handle, filter, 0, @introductions)

    said =
      for {_id, since, :process, _pid, _site, _number, [about]} <- events, is_map(about), do: {since, about}

    # The introduction comes right after the first call.
    case Enum.split_while(said, fn {since, _about} -> time == nil or since <= time end) do
      {[], []} -> nil
      {[], [{_since, first} | _later]} -> first
      {until_then, _later} -> until_then |> List.last() |> elem(1)
    end
  end

  def about(_recording, _pid_of_another_node, _time), do: nil

  defp numbers(pid) do
    [_node, id, serial] =
      pid |> :erlang.pid_to_list() |> List.to_string() |> String.split([".", "<", ">"], trim: true)

    {String.to_integer(id), String.to_integer(serial)}
  end
end
