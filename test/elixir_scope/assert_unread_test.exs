defmodule ElixirScope.AssertUnreadTest do
  # A server with messages that it has not read is not done, wherever it waits. The time-out of assertions is set for all tests.
  use ElixirScope.Case, async: false

  alias ElixirScope.Until

  defmodule Slow do
    @moduledoc false
    # Each of its callbacks waits until it is told to go on.
    use GenServer
    use ElixirScope

    def start_link(count), do: GenServer.start_link(__MODULE__, count)

    @impl true
    def init(count), do: {:ok, count}

    @impl true
    def handle_cast(:inc, count), do: receive(do: (:go -> {:noreply, count + 1}))

    @impl true
    def handle_call(:hibernate, _from, count), do: {:reply, :ok, count, :hibernate}
  end

  defmodule Shut do
    @moduledoc false
    # It takes no event before it is opened.
    @behaviour :gen_statem

    @impl true
    def init(test), do: {:ok, :shut, test}

    @impl true
    def callback_mode, do: :handle_event_function

    @impl true
    def handle_event(:cast, :open, :shut, test), do: {:next_state, :open, test}

    def handle_event(:cast, _early, :shut, test) do
      send(test, :postponed)
      {:keep_state_and_data, [:postpone]}
    end

    def handle_event(:cast, _event, :open, _test), do: :keep_state_and_data
  end

  setup do
    Until.assert_timeout(100)
    %{slow: start_supervised!({Slow, 0})}
  end

  defp failure(fun), do: assert_raise(ExUnit.AssertionError, fun).message

  defp waits(pid, messages) do
    Until.until(fn ->
      Process.info(pid, [:status, :message_queue_len]) == [status: :waiting, message_queue_len: messages]
    end)
  end

  test "in the midst of a callback: nothing is denied, and its state is waited for", %{slow: slow} do
    GenServer.cast(slow, :inc)
    GenServer.cast(slow, :inc)
    waits(slow, 1)

    for check <- [
          fn -> refute_called Slow.handle_cast(:inc, 1) end,
          fn -> assert_called Slow.handle_cast(:inc, _), times: 1 end,
          fn -> assert_state slow, 0, :always end,
          fn -> assert_never Slow.handle_cast(:inc, 1) end
        ] do
      assert failure(check) =~ "the test's processes were not quiet: #{inspect(slow)} was still at work"
    end

    Until.assert_timeout(30_000)
    for _cast <- 1..2, do: send(slow, :go)
    assert_state slow, 2
    assert_called Slow.handle_cast(:inc, 1), times: 1
    refute_called Slow.handle_cast(:inc, 2)
  end

  test "while it is suspended", %{slow: slow} do
    :sys.suspend(slow)
    GenServer.cast(slow, :inc)
    waits(slow, 1)
    assert failure(fn -> refute_called Slow.handle_cast(_, _) end) =~ "#{inspect(slow)} was still at work"
    send(slow, :go)
    :sys.resume(slow)
    assert_state slow, 1
  end

  test "one that has read all rests: in a callback, asleep for long, or with events that it keeps for later",
       %{
         slow: slow
       } do
    GenServer.call(slow, :hibernate)
    refute_called Slow.handle_cast(_, _)
    GenServer.cast(slow, :inc)
    waits(slow, 0)
    refute_called Slow.handle_cast(:inc, 1)

    {:ok, shut} = :gen_statem.start_link(Shut, self(), [])
    :gen_statem.cast(shut, :early)
    assert_receive :postponed
    refute_called Slow.handle_cast(:inc, 1)
  end

  test "what is no server of OTP may leave messages where they are", %{slow: slow} do
    # One that begins as servers do.
    {:ok, begun} = :proc_lib.start_link(__MODULE__, :init, [self()])
    plain = spawn_link(fn -> wait() end)
    for pid <- [begun, plain], do: send(pid, :unread)
    for pid <- [begun, plain], do: waits(pid, 1)
    refute_called Slow.handle_cast(_, _)
    assert_state slow, 0
  end

  def init(parent) do
    :proc_lib.init_ack(parent, {:ok, self()})
    wait()
  end

  defp wait, do: receive(do: (:never -> :ok))
end
