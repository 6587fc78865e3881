defmodule ElixirScope.AssertNamesTest do
  # A name is that of several processes in turn, in one test and in others: assertions are about those that had it in the time of the test.
  use ElixirScope.Case, async: true

  defmodule Counter do
    use GenServer
    use ElixirScope

    def start_link(name), do: GenServer.start_link(__MODULE__, 0, name: name)

    @impl true
    def init(n), do: {:ok, %{n: n}}

    @impl true
    def handle_call(:get, _from, state), do: {:reply, state.n, state}
  end

  setup do
    Process.flag(:trap_exit, true)
    :ok
  end

  defp begun(name, watch) do
    {:ok, pid} = Counter.start_link(name)
    if watch == :watched, do: {:ok, _} = ElixirScope.watch(pid)
    GenServer.call(pid, :get)
    pid
  end

  defp ended(pid, reason) do
    Process.exit(pid, reason)
    assert_receive {:EXIT, ^pid, ^reason}
  end

  describe "the end of who has a name" do
    test "is none of an earlier test" do
      first = begun(:names_ended, :watched)
      ended(first, :boom)
      assert_exited :names_ended, :boom

      ElixirScope.Case.begin()
      message = failure(fn -> assert_exited :names_ended, :boom end)
      assert message =~ "#{inspect(first)} had the name last and has ended, before this test began"
      assert_exited first, :boom

      second = begun(:names_ended, :watched)
      assert failure(fn -> assert_exited :names_ended, :boom end) =~ "#{inspect(second)} is alive.\n"
      ended(second, :boom)
      assert_exited :names_ended, :boom
    end

    test "was not recorded of one before it that was not watched" do
      first = begun(:names_untold, :unwatched)
      ended(first, :shutdown)
      second = begun(:names_untold, :watched)
      message = failure(fn -> assert_exited :names_untold, :shutdown end)
      assert message =~ "#{inspect(second)} is alive.\n"

      assert message =~
               "#{inspect(first)} had the name before in this test and has ended, but its end was not recorded"
    end
  end

  describe "an invariant of a name" do
    test "is undecided when the states of who has it now are not recorded" do
      ended(begun(:names_now, :unwatched), :shutdown)
      {:ok, agent} = Agent.start_link(fn -> %{n: 55} end, name: :names_now)
      unknown(:names_now, agent)
    end

    test "or those of one that had it before" do
      {:ok, agent} = Agent.start_link(fn -> %{n: 55} end, name: :names_before)
      {:ok, _} = ElixirScope.watch(agent)
      ended(agent, :shutdown)
      begun(:names_before, :unwatched)
      unknown(:names_before, agent)
    end

    test "holds of all that had it in turn" do
      ended(begun(:names_turn, :watched), :shutdown)
      begun(:names_turn, :watched)
      assert_invariant :names_turn, fn %{n: n} -> n == 0 end
    end

    defp unknown(name, agent) do
      message = failure(fn -> assert_invariant name, fn %{n: n} -> n == 0 end end)
      assert message =~ "Undecided: it was so of all that are known, but "
      assert message =~ inspect(agent)
    end
  end

  test "a server that gave its name back has the state, and not the name" do
    for watched <- [:unwatched, :watched] do
      pid = begun(:names_given, watched)
      assert_state :names_given, %{n: 0}
      time = ElixirScope.now()
      Process.unregister(:names_given)
      Process.register(pid, :names_taken)
      assert failure(fn -> assert_state :names_given, %{n: 0} end) =~ ~r/nobody ha[sd] the name :names_given/i
      assert_state :names_given, %{n: 0}, at: time
      assert_state :names_given, %{n: 0}, :ever
      assert_state :names_taken, %{n: 0}
      assert_state pid, %{n: 0}
      Process.unregister(:names_taken)
    end
  end

  defp failure(fun), do: assert_raise(ExUnit.AssertionError, fun).message
end
