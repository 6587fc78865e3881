defmodule ElixirScope.AssertRouteTest do
  # From whom to whom a message was: equal ones go other ways, a name is somebody else's by now, and processes that nobody watches send too. What is
  # watched is said in each test, on each version.
  use ElixirScope.Case, async: true

  @senders_told? List.to_integer(:erlang.system_info(:otp_release)) >= 27

  defp idle, do: spawn_link(fn -> Process.sleep(:infinity) end)

  # Has a name until it is told to stop.
  defp named(name) do
    test = self()

    pid =
      spawn_link(fn ->
        Process.register(self(), name)
        send(test, :named)
        receive do: (:stop -> :ok)
      end)

    assert_receive :named
    pid
  end

  # Takes a name when it is told to.
  defp obedient do
    spawn_link(fn ->
      receive do: ({:take, name, test} -> Process.register(self(), name) && send(test, :taken))
      Process.sleep(:infinity)
    end)
  end

  defp take(obedient, name) do
    send(obedient, {:take, name, self()})
    assert_receive :taken
  end

  defp stop(pid) do
    ref = Process.monitor(pid)
    send(pid, :stop)
    assert_receive {:DOWN, ^ref, _, _, _}, 5_000
  end

  defp by_another(fun), do: fun |> Task.async() |> Task.await()

  # Sends what it is told to, and is not watched with those that are made later.
  defp stranger do
    spawn_link(fn ->
      receive do: ({:send, to, message, test} -> send(to, message) && send(test, :sent))
      Process.sleep(:infinity)
    end)
  end

  defp send_by(stranger, to, message) do
    send(stranger, {:send, to, message, self()})
    assert_receive :sent
  end

  describe "equal messages" do
    test "are not of each other's senders" do
      [one, other] = [idle(), idle()]
      test = self()
      {:ok, _} = ElixirScope.watch([test, one, other])
      send(other, :ping)
      GenServer.cast(other, {:inc, 1})

      by_another(fn ->
        send(one, :ping)
        GenServer.cast(one, {:inc, 1})
      end)

      for said <- [:ping, {:inc, 1}] do
        assert_message test ~> other, ^said
        assert_message _ ~> one, ^said

        assert failure(fn -> assert_message test ~> one, ^said end) =~
                 "No message between these was recorded."

        refute_message test ~> one, ^said
        assert_never message(test ~> one, ^said)
      end
    end

    test "of a sender that nobody told may be of anybody who was not watched" do
      [other, stranger] = [idle(), stranger()]
      {:ok, _} = ElixirScope.watch(self(), spawned: true)
      one = idle()
      send_by(stranger, one, :ping)
      assert_message _ ~> one, :ping

      if @senders_told? do
        refute_message other ~> one, :ping
      else
        for check <- [
              fn -> refute_message other ~> one, :ping end,
              fn -> assert_never message(other ~> one, :ping) end,
              fn -> assert_message other ~> one, :ping end
            ] do
          message = failure(check)
          assert message =~ "Undecided: "
          assert message =~ "of one that matches nobody knows who sent it"
          assert message =~ "ElixirScope.watch([self(), server])"
        end
      end

      # Nothing else came.
      refute_message other ~> one, :pong
      assert_never message(other ~> one, :pong)
    end

    test "of one that a step bound may be of anybody as well" do
      [other, stranger] = [idle(), stranger()]
      {:ok, _} = ElixirScope.watch(self(), spawned: true)
      one = idle()
      send(one, {:from, other})
      send_by(stranger, one, :ping)

      refute = fn ->
        refute_flow do
          message(_ ~> one, {:from, pid})
          message(^pid ~> one, :ping)
        end
      end

      if @senders_told?,
        do: refute.(),
        else: assert(failure(refute) =~ "of one that matches nobody knows who sent it")
    end
  end

  describe "a message to a name" do
    test "is none of another process that is sent an equal one" do
      {:ok, _} = ElixirScope.watch(self())
      test = self()
      named = named(:"#{__MODULE__}.equal")
      other = idle()
      {:ok, _} = ElixirScope.watch(other)
      send(:"#{__MODULE__}.equal", :hello)
      by_another(fn -> send(other, :hello) end)

      assert_message test ~> named, :hello
      assert_flow do: message(test ~> named, :hello)
      assert failure(fn -> assert_never message(test ~> named, :hello) end) =~ "It was recorded:"
      assert failure(fn -> refute_message test ~> named, :hello end) =~ "but this one was recorded"

      failure(fn -> assert_message test ~> other, :hello end)
      failure(fn -> assert_flow do: message(test ~> other, :hello) end)
      refute_message test ~> other, :hello
      assert_never message(test ~> other, :hello)
    end

    test "is none of another one either when nobody has the name any more, or that one has it" do
      {:ok, _} = ElixirScope.watch(self())
      test = self()
      name = :"#{__MODULE__}.gone"
      [named, other] = [named(name), obedient()]
      {:ok, _} = ElixirScope.watch(other)
      send(name, :hello)
      by_another(fn -> send(other, :hello) end)
      stop(named)

      for change <- [fn -> :ok end, fn -> take(other, name) end] do
        change.()
        failure(fn -> assert_message test ~> other, :hello end)
        failure(fn -> assert_flow do: message(test ~> other, :hello) end)
      end
    end

    test "is of who had the name when it was sent" do
      {:ok, _} = ElixirScope.watch(self(), spawned: true)
      test = self()
      name = :"#{__MODULE__}.hands"
      first = named(name)
      send(name, :hello)
      stop(first)
      second = named(name)

      assert_message test ~> first, :hello
      assert_message test ~> name, :hello
      failure(fn -> assert_message test ~> second, :hello end)
      refute_message test ~> second, :hello
      assert_never message(test ~> second, :hello)
    end

    test "is of nobody that is known where one that was made later has the name" do
      {:ok, _} = ElixirScope.watch(self())
      test = self()
      name = :"#{__MODULE__}.unseen"
      first = named(name)
      send(name, :hello)
      stop(first)
      second = named(name)
      assert_message test ~> name, :hello

      for check <- [
            fn -> assert_message test ~> second, :hello end,
            fn -> refute_message test ~> second, :hello end,
            fn -> assert_never message(test ~> first, :hello) end
          ] do
        message = failure(check)
        assert message =~ "Undecided: "
        assert message =~ "who had the name #{inspect(name)} then is not recorded. Ask with the name"
      end
    end
  end

  describe "messages between processes of the test that nobody watches" do
    test "are not denied" do
      {:ok, _} = ElixirScope.watch(self())
      taker = idle()

      sender =
        spawn_link(fn ->
          send(taker, :x)
          Process.sleep(:infinity)
        end)

      for check <- [
            fn -> refute_message sender ~> _, :x end,
            fn -> refute_message _ ~> taker, :x end,
            fn -> refute_message _ ~> _, :x end
          ] do
        assert failure(check) =~ "The question cannot be answered: the messages of"
      end

      for check <- [
            fn -> assert_never message(_ ~> _, :x) end,
            fn -> assert_never message(sender ~> _, :x) end
          ] do
        assert failure(check) =~ ~r/the messages of .* are not recorded/
      end
    end

    test "are none of those who are older than the test" do
      {:ok, _} = ElixirScope.watch(self(), spawned: true)
      send(idle(), :hello)
      kernel = Process.whereis(:kernel_sup)
      refute_message _ ~> kernel, :x
      refute_message kernel ~> _, :x
      refute_message _ ~> _, :x
      assert_never message(_ ~> _, :x)
    end
  end

  defp failure(fun), do: assert_raise(ExUnit.AssertionError, fun).message
end
