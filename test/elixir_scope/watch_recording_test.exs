defmodule ElixirScope.WatchRecordingTest do
  # What a recording watches from its beginning, and that it ends with it.
  use ExUnit.Case, async: false

  import ElixirScope.Until, only: [until: 1]

  alias ElixirScope.Error
  alias ElixirScope.Watch.Kinds

  @moduletag :tmp_dir

  defmodule Counter do
    use ElixirScope
    use GenServer

    def init(count), do: {:ok, count}
    def handle_call(:next, _from, count), do: {:reply, count, count + 1}
  end

  setup do
    on_exit(fn -> {:ok, _} = ElixirScope.start() end)
  end

  defp kinds_of(pid) do
    Enum.frequencies(
      for event <- ElixirScope.events(pid: pid), event.kind in [:send, :receive, :exit], do: event.kind
    )
  end

  defp stop(pid) do
    ref = Process.monitor(pid)
    GenServer.stop(pid)
    receive do: ({:DOWN, ^ref, _, _, _} -> :ok)
  end

  test "processes that run instrumented code tell their messages", %{tmp_dir: dir} do
    {:ok, before} = GenServer.start(Counter, 0)
    {:ok, _} = ElixirScope.start(dir: dir, watch: :instrumented)
    {:ok, counter} = GenServer.start(Counter, 0)
    for n <- 0..4, do: assert(GenServer.call(counter, :next) == n)
    # It joins with its first instrumented call of this recording.
    for n <- 0..4, do: assert(GenServer.call(before, :next) == n)
    # Of modules that are not instrumented.
    {:ok, other} = Task.Supervisor.start_link()
    [] = Task.Supervisor.children(other)
    for pid <- [counter, before, other], do: stop(pid)

    # Five calls and the stop; beside the answers, that it has begun.
    assert kinds_of(counter) == %{receive: 6, send: 7, exit: 1}
    assert kinds_of(before) == %{receive: 5, send: 6, exit: 1}
    # Without sessions the life of other processes is not told.
    assert kinds_of(other) == if(Kinds.sessions?(), do: %{exit: 1}, else: %{})
  end

  test "processes whose messages are not asked for do not claim that they tell them", %{tmp_dir: dir} do
    {:ok, _} = ElixirScope.start(dir: dir, watch: [processes: :instrumented, kinds: [:life]])
    {:ok, counter} = GenServer.start(Counter, 0)
    assert GenServer.call(counter, :next) == 0
    assert [about | _] = for(%{data: about} <- ElixirScope.events(pid: counter, kind: :process), do: about)
    refute Map.has_key?(about, :watched)
    assert {:error, %Error{reason: :not_watched}} = ElixirScope.mailbox(counter, ElixirScope.now())
    stop(counter)
  end

  test "what is watched ends with the recording, and the next one watches its own", %{tmp_dir: dir} do
    me = self()
    pid = spawn(fn -> Enum.each(1..3, fn _ -> receive do: (any -> send(me, {:taken, any})) end) end)
    {:ok, first} = ElixirScope.start(dir: dir, watch: [processes: [pid], kinds: [:messages]])
    assert {:ok, %{processes: [^pid], kinds: [:messages]}} = ElixirScope.watched()
    send(pid, :first)
    assert_receive {:taken, :first}
    {:ok, second} = ElixirScope.start(dir: dir, watch: false)
    assert {:ok, %{processes: [], kinds: []}} = ElixirScope.watched()
    send(pid, :second)
    assert_receive {:taken, :second}
    {:ok, third} = ElixirScope.start(dir: dir, watch: [processes: [pid], kinds: [:messages]])
    ref = Process.monitor(pid)
    send(pid, :third)
    receive do: ({:DOWN, ^ref, _, _, _} -> :ok)

    told = fn recording ->
      for %{data: %{message: message}} <- ElixirScope.events(in: recording, pid: pid, kind: :receive),
          do: message
    end

    ElixirScope.stop()
    assert Enum.map([first, second, third], told) == [[:first], [], [:third]]
  end

  test "without a word nothing is watched before OTP 27", %{tmp_dir: dir} do
    Application.delete_env(:elixir_scope, :watch)
    on_exit(fn -> Application.put_env(:elixir_scope, :watch, false) end)
    {:ok, _} = ElixirScope.start(dir: dir)
    {:ok, %{processes: processes}} = ElixirScope.watched()
    assert processes == if(Kinds.sessions?(), do: [:instrumented], else: [])
  end

  test "a paused recording is told nothing", %{tmp_dir: dir} do
    me = self()
    {:ok, _} = ElixirScope.start(dir: dir, watch: [processes: me, kinds: [:messages]])
    send(me, :one)
    assert_received :one
    :ok = ElixirScope.pause()
    send(me, :two)
    assert_received :two
    :ok = ElixirScope.resume()
    send(me, :three)
    assert_received :three
    :ok = ElixirScope.stop()
    messages = for %{data: %{message: message}} <- ElixirScope.events(pid: me, kind: :receive), do: message
    assert Enum.filter(messages, &(&1 in [:one, :two, :three])) == [:one, :three]
  end

  test "what ElixirScope does itself is not told, from the beginning", %{tmp_dir: dir} do
    {:ok, _} = ElixirScope.start(dir: dir, watch: :all)
    names = [ElixirScope.Recorder, ElixirScope.Supervisor, ElixirScope.Instrument.Attach]
    own = Enum.map(names, &Process.whereis/1)
    {:ok, _} = ElixirScope.watch(self())
    {:ok, _} = ElixirScope.watched()
    :ok = ElixirScope.pause()
    :ok = ElixirScope.resume()

    ours = fn event ->
      about = [event.pid | event.data |> Map.take([:from, :to, :parent, :child]) |> Map.values()]
      Enum.any?(about, &(&1 in own)) or match?(%{mfa: {ElixirScope.Watch.Roll, _, _}}, event.data)
    end

    told = [:send, :receive, :spawn, :spawned, :exit, :name, :process]
    # Before OTP 27 an answer does not say whom it is from.
    assert ElixirScope.events(kind: told) |> Enum.filter(ours) == []
  end

  @tag :capture_log
  test "a recording outlives an error of its recorder, and then watches nothing", %{tmp_dir: dir} do
    pid = spawn_link(fn -> receive do: (:stop -> :ok) end)
    {:ok, %{path: path}} = ElixirScope.start(dir: dir, watch: pid)
    send(pid, :first)
    # It is introduced, and looks at its message, in its own time.
    until(fn -> match?({:ok, _}, ElixirScope.mailbox(pid, ElixirScope.now())) end)
    watched = ElixirScope.now()
    recorder = Process.whereis(ElixirScope.Recorder)
    ref = Process.monitor(recorder)
    Process.exit(recorder, :kill)
    receive do: ({:DOWN, ^ref, _, _, _} -> :ok)
    # Its supervisor answers when it has begun another one.
    assert Enum.any?(Supervisor.which_children(ElixirScope.Supervisor), fn {id, _, _, _} ->
             id == ElixirScope.Recorder
           end)

    assert {:ok, %{processes: []}} = ElixirScope.watched()
    assert :erlang.trace_info(pid, :tracer) == {:tracer, []}
    assert {:ok, %{state: :running, path: ^path}} = ElixirScope.status()
    assert {:ok, _} = ElixirScope.mailbox(pid, watched)
    assert {:error, %Error{reason: :not_watched}} = ElixirScope.mailbox(pid, ElixirScope.now())
    assert :ok = ElixirScope.stop()
    send(pid, :stop)
  end

  test "what cannot be watched keeps a recording from beginning", %{tmp_dir: dir} do
    for {watch, text} <- [
          {:no_such_name, ":no_such_name"},
          {[kinds: [:lfe]], ":lfe"},
          {[process: self()], "process:"},
          {"all", "\"all\""}
        ] do
      assert {:error, %Error{message: message}} = ElixirScope.start(dir: dir, watch: watch)
      assert message =~ text
    end
  end
end
