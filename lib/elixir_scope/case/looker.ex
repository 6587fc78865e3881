defmodule ElixirScope.Case.Looker do
  @moduledoc false
  # Looks at processes for assertions. What a process is asked is answered with a message, and those that are watched show it: so a process of
  # ours makes another one for each look, and neither that nor its answer is recorded. Each look has its own, since a
  # process at work answers late.

  use GenServer

  alias ElixirScope.Case.Failure
  alias ElixirScope.Native

  # What processes of ours answer is not recorded (`native/nif/src/tracer.rs`).
  @ours :"$elixir_scope"

  @stopped "the application :elixir_scope is not running, so nothing is recorded and nobody can be asked; start it with " <>
             "Application.ensure_all_started(:elixir_scope)"

  @doc "What a function gives, run in a process of ours; `:late` where it takes more than so many milliseconds."
  @spec run((() -> answer), non_neg_integer) :: {:ok, answer} | :late when answer: term
  def run(look, patience) do
    looker = Process.whereis(__MODULE__) || Failure.impossible(@stopped)
    tag = :erlang.alias([:reply])
    # By its pid: it is known by that as one of ours.
    send(looker, {:look, tag, look, patience})
    # Without `after`: that a time was over is told as a message as well.
    receive(do: ({^tag, {@ours, answer}} -> answer))
  end

  @doc "Waits for so many milliseconds."
  @spec pause(non_neg_integer) :: :ok
  def pause(0) do
    :erlang.yield()
    :ok
  end

  def pause(milliseconds) do
    :late = run(nil, milliseconds)
    :ok
  end

  @doc """
  Loads what assertions run, once: else the code server would be asked for it by the test that needs it first. Called where a test begins, and
  where one with assertions is compiled.
  """
  @spec load() :: :ok
  def load do
    unless :persistent_term.get(__MODULE__, false) do
      modules = for module <- Application.spec(:elixir_scope, :modules) || [], ours?(module), do: module
      {:ok, _loaded} = run(fn -> :code.ensure_modules_loaded(modules) end, 60_000)
      :persistent_term.put(__MODULE__, true)
    end

    :ok
  end

  defp ours?(module), do: module |> Atom.to_string() |> String.starts_with?("Elixir.ElixirScope.")

  @doc false
  def start_link(_nothing), do: GenServer.start_link(__MODULE__, [], name: __MODULE__)

  @impl true
  def init([]) do
    Native.own()
    # Processes at work, of whoever, do not hold up who looks. There is little to do.
    Process.flag(:priority, :high)
    {:ok, nil}
  end

  @impl true
  def handle_info({:look, tag, look, patience}, state) do
    timer = Process.send_after(self(), {:late, tag}, patience)
    if look, do: :erlang.spawn_opt(fn -> answer(tag, look, timer) end, priority: :high)
    {:noreply, state}
  end

  # Who got an answer gets no other: nothing is behind its alias any more.
  def handle_info({:late, tag}, state) do
    send(tag, {tag, {@ours, :late}})
    {:noreply, state}
  end

  def handle_info(_message, state), do: {:noreply, state}

  defp answer(tag, look, timer) do
    muted = Native.mute()
    send(tag, {tag, {@ours, {:ok, look.()}}})
    :erlang.cancel_timer(timer, async: true, info: false)
    if muted, do: Native.unmute(self())
  end
end
