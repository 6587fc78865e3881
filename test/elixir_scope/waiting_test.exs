defmodule ElixirScope.WaitingTest do
  # Who waits, and for whom; mailboxes that grow. The recording is one for the VM, and each test begins a new one.
  use ElixirScope.Recorded, watch: :all

  import ElixirScope.Circles, only: [client: 1]
  import ElixirScope.Until

  alias ElixirScope.Circles.{Link, Plain}
  alias ElixirScope.{Error, Waiting}

  defp waiting(pid, options \\ [longer_than: 0]),
    do: Enum.find(ElixirScope.waiting(options), &(&1.pid == pid))

  test "who waits for a server that is slow, since when and for what" do
    {:ok, slow} = Link.start()
    {:ok, asks} = Link.start()
    me = self()
    client = client(fn -> GenServer.call(asks, {:ask, [slow], :infinity}, :infinity) end)
    assert_receive {:client, ^client, :done}
    busy = client(fn -> GenServer.call(slow, :slow, :infinity) end)
    all_wait([slow])
    before = ElixirScope.now()
    client = client(fn -> GenServer.call(asks, {:ask, [slow], :infinity}, :infinity) end)
    all_wait([asks])

    assert %Waiting{kind: :call, for: ^slow, request: {:ask, [], :infinity}, confirmed: true, ended: nil} =
             found = waiting(asks)

    assert found.since >= before and found.since <= ElixirScope.now()
    assert found.call.mfa == {Link, :handle_call, 3}
    assert found.file =~ "circles.ex" and is_integer(found.line)
    assert inspect(found) =~ ~r/called .* \{:ask, \[\], :infinity\}; still waits, as the VM confirms/
    assert %Waiting{kind: :receive, for: nil, request: nil} = waiting(slow)
    assert %Waiting{kind: :call, for: ^slow, request: :slow} = waiting(busy)
    assert waiting(me) == nil
    # Nobody has for so long.
    assert waiting(asks, longer_than: 3_600_000) == nil
    assert waiting(asks, []) == nil

    send(slow, :enough)
    assert_receive {:client, ^busy, :done}
    assert_receive {:client, ^client, :done}
    assert waiting(asks) == nil
    assert waiting(slow) == nil
  end

  test "a process that waits by hand, in a recording that is over", %{recording: recording} do
    nobody = spawn(fn -> receive do: (:never -> :ok) end)
    client = client(fn -> Plain.ask(nobody, []) end)
    all_wait([client])
    until(fn -> waiting(client) != nil end)
    :ok = ElixirScope.stop()
    {:ok, opened} = ElixirScope.open(recording.path)

    assert %Waiting{kind: :request, for: ^nobody, confirmed: nil} =
             waiting(client, longer_than: 0, in: opened)

    assert [%Waiting{}] = Enum.filter(ElixirScope.waiting(longer_than: 0, in: opened), &(&1.pid == client))
    for pid <- [nobody, client], do: Process.exit(pid, :kill)
  end

  test "what it does not understand it refuses" do
    send(self(), :message)
    assert %Error{reason: :bad_option, message: message} = catch_error(ElixirScope.waiting(longer_than: -1))
    assert message =~ "in milliseconds"
    assert %Error{reason: :bad_option} = catch_error(ElixirScope.waiting(until: 0))
    assert %Error{reason: :bad_option} = catch_error(ElixirScope.growing_mailboxes(at_least: 0))
  end

  test "a mailbox that grows, and one that only is busy" do
    {:ok, slow} = Link.start()
    {:ok, busy} = Link.start()
    began = ElixirScope.now()
    client = client(fn -> GenServer.call(slow, :slow, :infinity) end)
    all_wait([slow])
    for n <- 1..150, do: send(slow, {:info, n})
    for n <- 1..150, do: send(busy, {:info, n})
    assert :sys.get_state(busy) == %{}

    grown = ElixirScope.growing_mailboxes(since: began)
    assert %{from: 0, to: 150, by: 150, since: ^began} = Enum.find(grown, &(&1.pid == slow))
    refute Enum.any?(grown, &(&1.pid == busy))
    assert Enum.find(ElixirScope.growing_mailboxes(at_least: 151), &(&1.pid == slow)) == nil
    send(slow, :enough)
    assert_receive {:client, ^client, :done}
    :sys.get_state(slow)
    refute Enum.any?(ElixirScope.growing_mailboxes(since: began), &(&1.pid == slow))
  end
end
