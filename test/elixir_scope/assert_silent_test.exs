defmodule ElixirScope.AssertSilentTest do
  # A server with the flag `sensitive` is not recorded: which states it has then, and what it is sent, nobody knows.
  use ElixirScope.Case, async: true

  defmodule Safe do
    use GenServer
    use ElixirScope

    def start_link(left), do: GenServer.start_link(__MODULE__, left)
    def put(safe, left), do: GenServer.call(safe, {:put, left})
    def hide(safe, hidden?), do: GenServer.call(safe, {:hide, hidden?})

    @impl true
    def init(left), do: {:ok, left}

    @impl true
    def handle_call({:put, left}, _from, _left), do: {:reply, :ok, left}

    def handle_call({:hide, hidden?}, _from, left) do
      Process.flag(:sensitive, hidden?)
      {:reply, :ok, left}
    end

    @impl true
    def handle_info(_note, left), do: {:noreply, left}
  end

  setup do
    {:ok, _} = ElixirScope.watch(self(), spawned: true)
    %{safe: start_supervised!({Safe, 7}), other: start_supervised!({Safe, 1}, id: :other)}
  end

  test "what it was in between is unknown when it is recorded again", %{safe: safe, other: other} do
    Safe.hide(safe, true)
    Safe.put(safe, -5)
    Safe.put(safe, 0)
    Safe.hide(safe, false)
    assert_state safe, 0
    assert_state safe, 0, :ever

    for check <- [
          fn -> assert_state safe, left when left >= 0, :always end,
          fn -> assert_invariant safe, fn left -> left >= 0 end end,
          fn -> assert_invariant Safe, fn left -> left >= 0 end end,
          fn -> assert_never state(safe, -5) end,
          fn -> assert_never state(_, -5) end
        ],
        do: undecided(check, safe)

    assert failure(fn -> assert_state safe, -5, :ever end) =~ "None of 2 states does, but one may have"

    # Of another one all is known.
    assert_state other, left when left >= 0, :always
    assert_invariant other, fn left -> left >= 0 end
    assert_never state(other, -5)

    # And so it is of this one from now on.
    ElixirScope.Case.begin()
    Safe.put(safe, 3)
    assert_state safe, left when left >= 0, :always
    assert_invariant Safe, fn left -> left >= 0 end
    assert_never state(_, -5)
  end

  test "nor is the state that it has now, or had at a moment", %{safe: safe} do
    before = ElixirScope.now()
    Safe.hide(safe, true)
    Safe.put(safe, 5)
    hidden = ElixirScope.now()
    text = inspect(safe)

    for server <- [safe, text] do
      assert_state server, 7, at: before
      undecided(fn -> assert_state server, 7 end, safe)
      undecided(fn -> assert_state server, 5 end, safe)
      undecided(fn -> assert_state server, 7, at: hidden end, safe)
    end

    undecided(fn -> refute_flow(do: state(safe, 5)) end, safe)
    Safe.hide(safe, false)
    assert_state safe, 5
    undecided(fn -> assert_state safe, 7, at: hidden end, safe)
  end

  test "what it was sent", %{safe: safe, other: other} do
    Safe.hide(safe, true)
    send(safe, :hello)
    undecided(fn -> refute_message _ ~> safe, :hello end, safe)
    undecided(fn -> refute_message self() ~> _, :hello end, safe)
    undecided(fn -> assert_never message(_ ~> safe, :hello) end, safe)
    refute_message _ ~> other, :hello
    assert_never message(_ ~> other, :hello)
  end

  defp undecided(check, pid) do
    message = failure(check)
    assert message =~ "Undecided: "
    assert message =~ "nothing is recorded of #{inspect(pid)}, since there the flag `sensitive` is set"
  end

  defp failure(fun), do: assert_raise(ExUnit.AssertionError, fun).message
end
