# Loaded into the VM that runs a suite, plain or instrumented: an ExUnit formatter that writes down what became of each
# test, to the file WORLD_OUTCOMES. When WORLD_RECORDING names a folder it also sees to it that the suite is recorded, that
# the disk does not fill, and that there is something in the recording.
defmodule World.Outcomes do
  @moduledoc false

  use GenServer

  # A recording that has grown to this is followed by a new one, which removes it (`keep: 1`).
  @most_bytes 1024 * 1024 * 1024

  @impl true
  def init(_options) do
    folder = System.get_env("WORLD_RECORDING")
    if folder, do: record(folder)
    {:ok, %{tests: %{}, keeper: folder && spawn_link(fn -> keep(folder) end)}}
  end

  @impl true
  def handle_cast({:test_finished, test}, state),
    do: {:noreply, put_in(state.tests[{test.module, test.name}], outcome(test.state))}

  def handle_cast({:suite_finished, _times}, state) do
    %{tests: state.tests, memory: memory()}
    |> Map.merge(counted(state.keeper))
    |> Map.merge(instrumented())
    |> then(&File.write!(System.fetch_env!("WORLD_OUTCOMES"), :erlang.term_to_binary(&1)))

    {:noreply, state}
  end

  def handle_cast(_event, state), do: {:noreply, state}

  defp outcome(nil), do: :passed
  defp outcome({outcome, _why}), do: outcome

  defp record(folder) do
    # `mix test --no-start` has not started it.
    {:ok, _} = Application.ensure_all_started(:elixir_scope)

    {:ok, _} = scope(:start, [[dir: folder, keep: 1] ++ limits()])
    true = apply(ElixirScope.Gate, :on, [])
  end

  # A process of its own, and one that is not recorded, since the suite may be faster than this one could look.
  defp keep(folder) do
    apply(ElixirScope.Native, :own, [])
    keep(folder, %{events: 0, lost: 0})
  end

  defp keep(folder, counted) do
    receive do
      {:count, from} -> send(from, {:counted, add(counted)})
    after
      200 ->
        if bytes(folder) > @most_bytes do
          counted = add(counted)
          {:ok, _} = scope(:start, [[dir: folder, keep: 1] ++ limits()])
          keep(folder, counted)
        else
          keep(folder, counted)
        end
    end
  end

  defp add(counted) do
    {:ok, %{damage: []} = status} = scope(:status, [])
    %{events: counted.events + status.events, lost: counted.lost + status.lost}
  end

  defp bytes(folder) do
    for file <- Path.wildcard(folder <> "/*/segments/*"), {:ok, stat} <- [File.stat(file)], reduce: 0 do
      bytes -> bytes + stat.size
    end
  end

  defp counted(nil), do: %{events: 0, lost: 0}

  defp counted(keeper) do
    send(keeper, {:count, self()})

    receive do
      {:counted, counted} -> counted
    end
  end

  # Either attached in this VM, or compiled so by Mix.
  defp instrumented do
    case Application.fetch_env(:elixir_scope, :world_attached) do
      {:ok, attached} -> attached
      :error -> of_project()
    end
  end

  # By the object code, since a test may compile one of the modules anew.
  defp of_project do
    counts = for beam <- (System.get_env("WORLD_RECORDING") && own_beams()) || [], do: functions(beam)
    %{modules: Enum.count(counts, &(&1 > 0)), functions: Enum.sum(counts)}
  end

  defp own_beams, do: apply(Mix.Project, :compile_path, []) |> Path.join("*.beam") |> Path.wildcard()

  defp functions(beam) do
    module = beam |> Path.basename(".beam") |> String.to_atom()
    length(apply(ElixirScope.Instrument.Beam, :functions, [File.read!(beam), module]))
  end

  # The most memory that this process ever held, in KiB; Linux says.
  defp memory do
    with {:ok, status} <- File.read("/proc/self/status"),
         [_, peak] <- Regex.run(~r/VmHWM:\s+(\d+)/, status) do
      String.to_integer(peak)
    else
      _ -> 0
    end
  end

  # A loop records at each step what is left of its list or binary, so a suite that works on long ones writes gigabytes
  # with the default limits.
  defp limits do
    if System.get_env("WORLD_SHORT"),
      do: [limits: [value_bytes: 1024, state_bytes: 1024, elements: 200]],
      else: []
  end

  # Called by name: without a recording there is no ElixirScope in the VM.
  defp scope(function, arguments), do: apply(ElixirScope, function, arguments)
end
