defmodule ElixirScope.Query.Exits.Calls do
  @moduledoc false
  # Calls of other processes that failed: because those ended, were not there, or did not answer in time.

  import ElixirScope.Query.Exits.Steps, only: [add: 2, ends: 3, name: 3]

  alias ElixirScope.{Event, ExitChain, Life, Native, Text}
  alias ElixirScope.ExitChain.Step
  alias ElixirScope.Query.{Exits, Processes, Server}
  alias ElixirScope.Text.Names

  @forever 0xFFFFFFFFFFFFFFFF

  @doc """
  A call to another process that failed.
  """
  @spec failed(ExitChain.t(), {Exits.Steps.t(), Life.t(), Server.numbers()}, Event.t()) :: ExitChain.t() | nil
  def failed(chain, {about, _life, _process}, exit) do
    with failed when failed != nil <- Exits.Reason.failed_call(exit.data.reason),
         do: failed_call(chain, about, exit, failed)
  end

  @doc "A call that failed: `{why, whom, request}`."
  @spec failed_call(ExitChain.t(), Exits.Steps.t(), Event.t(), {term, term, term}) :: ExitChain.t()
  def failed_call(chain, about, exit, {:timeout, target, request}) do
    server = server(about, target, exit.time)
    chain = add(chain, step(exit, server || target, :timeout, request))
    if server, do: timeout(chain, about, server, exit), else: unknown(chain, target)
  end

  def failed_call(chain, about, exit, {why, target, request}) do
    case server_exit(about, target, exit.time, why) do
      %Event{} = other ->
        chain |> add(step(exit, other.pid, why, request)) |> Exits.Chain.explain(about, other)

      nil ->
        server = server(about, target, exit.time)
        chain |> add(step(exit, server || target, why, request)) |> no_end(target, server, why)
    end
  end

  defp step(exit, server, why, request) do
    %Step{kind: :failed_call, time: exit.time, pid: exit.pid, other: server, reason: why, message: request}
  end

  defp no_end(chain, target, nil, :noproc) do
    ends(
      chain,
      :no_process,
      "no process had the name #{inspect(target)}, and none is known to have had it before"
    )
  end

  defp no_end(chain, target, nil, _why), do: unknown(chain, target)

  defp no_end(chain, _target, server, :noproc) do
    ends(
      chain,
      :no_process,
      "#{inspect(server)} was not there any more, and its end was not recorded: it is not watched, or ended before the recording began"
    )
  end

  defp no_end(chain, _target, server, _why),
    do:
      ends(chain, :not_watched, "the end of #{inspect(server)} was not recorded: that process is not watched")

  defp unknown(chain, target),
    do: ends(chain, :not_watched, "which process #{Text.short(target)} was is not recorded")

  # A name may have gone on to another process since: asked was the one that ended with that reason.
  defp server_exit(about, pid, time, _why) when is_pid(pid), do: Processes.exit_of(about.recording, pid, time)

  defp server_exit(about, {name, node}, time, why) when node == node(),
    do: server_exit(about, name, time, why)

  defp server_exit(about, name, time, why) when is_atom(name) do
    exits =
      for pid <- Processes.holders(about.recording, name, time),
          exit = Processes.exit_of(about.recording, pid, time),
          why == :noproc or Exits.Reason.same?(exit.data.reason, why),
          do: exit

    Enum.max_by(exits, &{&1.time, &1.id}, fn -> nil end)
  end

  defp server_exit(_about, _other, _time, _why), do: nil

  defp server(_about, pid, _time) when is_pid(pid), do: pid
  defp server(about, {name, node}, time) when node == node() and is_atom(name), do: server(about, name, time)

  defp server(about, name, time) when is_atom(name) do
    case Names.Holders.at(about.recording, name, time) do
      {:held, pid, _since} -> pid
      {:ended, pid, _time, _how} -> pid
      _unknown -> said(about, name, time)
    end
  end

  defp server(_about, _other, _time), do: nil

  defp said(about, name, time) do
    with {_, _} = process <- Native.named(about.recording.handle, Atom.to_string(name), time),
         [event] <- about.recording |> Processes.stream([], [process], 0, @forever) |> Enum.take(1),
         do: event.pid,
         else: (_none -> nil)
  end

  # What kept a server from answering: what it was doing when the caller gave up, or when the caller asked, if it gave up as well
  # in between.
  defp timeout(chain, about, pid, exit) when node(pid) == node() do
    {:ok, process} = Server.numbers(pid)

    with true <- Native.has_process(about.recording.handle, process),
         %{} = call <-
           Processes.open_call(about.recording, process, exit.id) ||
             Processes.open_call(about.recording, process, asked(about, exit)) do
      chain
      |> add(%Step{kind: :busy, time: call.started, id: call.id, pid: pid, call: call})
      |> ends(
        :timeout,
        "#{name(about, pid, exit.time)} did not answer in time: it was in #{Text.call(call.mfa, call.args)}"
      )
    else
      _nothing ->
        ends(
          chain,
          :timeout,
          "#{name(about, pid, exit.time)} did not answer in time; no instrumented function was running in it, so what it did is not recorded"
        )
    end
  end

  defp timeout(chain, _about, pid, _exit),
    do: ends(chain, :timeout, "#{inspect(pid)}, a process of another node, did not answer in time")

  # The last that the caller did before the call raised. What it did later belongs to its end: `terminate/2`, what it told others.
  defp asked(about, exit) do
    {:ok, caller} = Server.numbers(exit.pid)

    about.recording
    |> Processes.newest(["raise", "call", "wait"], [caller], 0, exit.time)
    |> Stream.filter(&(&1.id < exit.id))
    |> Stream.drop_while(&(&1.kind != :raise))
    |> Enum.find_value(exit.id, &(&1.kind != :raise && &1.id))
  end
end
