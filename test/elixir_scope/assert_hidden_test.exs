defmodule ElixirScope.AssertHiddenTest do
  # What a limit or the redaction kept out decides no assertion, neither that something was nor that it was not.
  use ElixirScope.Case, async: true

  alias ElixirScope.Cut
  alias ElixirScope.Traced.{Echo, Store}

  defmodule Left, do: defstruct([:left])
  defmodule Right, do: defstruct([:right])

  @long String.duplicate("x", 600_000)

  setup do
    {:ok, _} = ElixirScope.watch(self(), spawned: true)
    :ok
  end

  describe "calls" do
    test "a guard on it is undecided, a variable that is merely bound is not" do
      Echo.echo(%{token: "y", id: 1})
      Echo.pair(@long, 1)

      call = assert_called Echo.echo(%{token: token, id: 1})
      assert {token, call.args} == {%Cut{kind: :redacted}, [%{token: token, id: 1}]}
      assert_called Echo.echo(%{id: id}) when id == 1
      assert_called Echo.echo(_), times: 1
      assert_called Echo.pair(left, 1)
      assert %Cut{kind: :binary, size: 600_000} = left
      assert_called Echo.pair(_, n) when n > 0, returning: _
      refute_called Echo.echo(%{token: _, id: 2})
      refute_called Echo.pair("y" <> _, 2)
      refute_called Echo.pair("short", _)

      undecided(fn -> assert_called Echo.echo(%{token: t}) when t != "y" end)
      undecided(fn -> assert_called Echo.echo(%{token: t}) when t != "y", times: 1 end)
      undecided(fn -> assert_called Echo.echo(%{token: %{}}) end)
      undecided(fn -> assert_called Echo.echo(map) when is_map_key(map, :token) end)
      undecided(fn -> assert_called Echo.echo(_), returning: %{token: t} when t != "y" end)
      undecided(fn -> assert_called Echo.echo(_) when token != "y" end)
      undecided(fn -> assert_called Echo.echo(%{token: ^token}) end)
      undecided(fn -> assert_called Echo.pair(left, _) when not is_binary(left) end)
      undecided(fn -> assert_called Echo.pair(same, _), returning: {same, 1} end)
      undecided(fn -> refute_called Echo.echo(%{token: "z"}) end)
      undecided(fn -> refute_called Echo.pair("x" <> _, _) end)
      long = @long
      undecided(fn -> refute_called Echo.pair(^long, _) end)
    end

    test "what a limit cut is known to be of its kind, and to begin as it does" do
      Echo.echo(@long)
      Echo.echo(%{token: 1})
      refute_called Echo.echo({:error, _})
      refute_called Echo.echo({:error, _, _})
      refute_called Echo.echo([_ | _])
      refute_called Echo.echo("y" <> _)
      refute_called Echo.echo(-1)
      undecided(fn -> assert_called Echo.echo(%{}), times: 1 end)
      undecided(fn -> refute_called Echo.echo("xx" <> _) end)
      undecided(fn -> refute_called Echo.echo(<<_::binary-size(600_000)>>) end)
      undecided(fn -> refute_called Echo.echo(%{token: {_, _}}) end)
    end

    test "a pinned struct is compared with structs of other kinds, which are no enumerables" do
      pinned = %Right{right: 1}
      expression = ~r/a/
      Echo.echo(%Left{left: 1})
      Echo.echo(~D[2020-01-01])
      refute_called Echo.echo(^pinned)
      refute_called Echo.echo(^expression)
      refute_called Echo.echo(_), returning: ^expression
      assert failure(fn -> assert_called Echo.echo(^pinned) end) =~ "There are 2 calls"
      Echo.echo(pinned)
      assert_called Echo.echo(^pinned), times: 1
    end

    test "so is a text of which a part is secret" do
      Echo.echo("user=ann&token=hunter")
      undecided(fn -> refute_called Echo.echo("user=ann&token=hunter") end)
      undecided(fn -> refute_called Echo.echo("user=ann&tok" <> _) end)
      undecided(fn -> assert_called Echo.echo("user=ann&token=[redacted]") end)
      undecided(fn -> assert_called Echo.echo(text) when byte_size(text) != 21 end)
      refute_called Echo.echo("user=bob&token=hunter")
      refute_called Echo.echo("user=b" <> _)
      refute_called Echo.echo(:other)
      assert_called Echo.echo(text)
      assert text == "user=ann&token=[redacted]"
    end

    test "the pattern %Cut{} asks what the recording has" do
      Echo.echo(%{password: "p", id: 3})
      assert_called Echo.echo(%{password: %Cut{kind: :redacted}})
      refute_called Echo.echo(%{id: %Cut{}})
      refute_called Echo.echo(%{password: %Cut{kind: :map}})
    end

    test "the rest of a list" do
      list = Enum.to_list(1..300_000)
      Echo.pair(:list, list)
      undecided(fn -> refute_called Echo.pair(:list, ^list) end)
      undecided(fn -> assert_called Echo.pair(:list, [1, 2, 3 | rest]) when rest != [] end)
      assert_called Echo.pair(:list, [1, 2, 3 | _])
      refute_called Echo.pair(:list, [2 | _])
      refute_called Echo.pair(:other, _)
    end
  end

  test "messages" do
    store = start_supervised!({Store, %{}})
    send(store, {:put, {:now, %{password: "zz"}}})
    list = Enum.to_list(1..300_000)
    send(store, {:put, list})

    undecided(fn -> refute_message _ ~> store, {:put, {:now, %{password: "zz"}}} end)
    undecided(fn -> refute_message _ ~> store, {:put, {_, %{password: p}}} when p == "zz" end)
    undecided(fn -> assert_message _ ~> store, {:put, {_, %{password: p}}} when p != "zz" end)
    undecided(fn -> refute_message _ ~> store, {:put, ^list} end)
    assert_message self() ~> store, {:put, {:now, %{password: _}}}
    refute_message _ ~> store, {:put, {:later, %{password: "zz"}}}
    refute_message _ ~> store, {:put, [2 | _]}
  end

  test "states" do
    store = start_supervised!({Store, %{token: "y", left: 1}})
    assert_state store, %{left: 1, token: _}
    assert_state store, %{left: left} when left > 0, :always
    undecided(fn -> assert_state store, %{token: t} when t != "y" end)
    undecided(fn -> assert_state store, %{token: t} when t != "y", :ever end)
    undecided(fn -> assert_state store, %{token: t} when t != "y", :always end)
    undecided(fn -> assert_state store, %{token: "y"}, :ever end)
    undecided(fn -> assert_state store, state when is_map(state), at: ElixirScope.now() end)
    refute failure(fn -> assert_state store, %{token: _, left: 2} end) =~ "Undecided"

    Store.put(store, @long)
    undecided(fn -> assert_state store, state when not is_binary(state) end)
    undecided(fn -> assert_state store, state when not is_nil(state), :always end)
  end

  test "ends" do
    pid = spawn(fn -> Echo.leave({:gone, %{secret: "s"}}) end)
    assert_exited pid, {:gone, %{secret: _}}
    undecided(fn -> assert_exited pid, {:gone, %{secret: s}} when s != "s" end)
    undecided(fn -> assert_exited pid, {:gone, %{secret: "s"}} end)
    refute failure(fn -> assert_exited pid, {:here, %{secret: "s"}} end) =~ "Undecided"
  end

  test "flows" do
    store = start_supervised!({Store, %{token: "y", left: 1}})
    Echo.echo(%{token: "y", id: 1})
    Store.put(store, %{token: "z", left: 0})
    Echo.pair("y", 1)

    assert_flow do
      Echo.echo(%{token: token, id: 1})
      state(^store, %{left: 0})
    end

    assert token == %Cut{kind: :redacted}
    undecided(fn -> assert_flow(do: Echo.echo(%{token: t}) when t != "y") end)
    undecided(fn -> refute_flow(do: Echo.echo(%{token: "z"})) end)
    undecided(fn -> assert_flow(do: returned(Echo.echo(_), %{token: t}) when t != "y") end)
    undecided(fn -> assert_flow(do: state(^store, %{token: t}) when t != "z") end)
    undecided(fn -> assert_never state(store, %{token: t}) when t == "z" end)

    undecided(fn ->
      assert_flow do
        Echo.echo(%{token: t})
        Echo.pair(other, 1) when other != t
      end
    end)

    undecided(fn ->
      refute_flow do
        Echo.echo(%{token: t})
        Echo.pair(^t, 1)
      end
    end)

    refute_flow(do: Echo.echo(%{token: "z", id: 2}))
    assert_never state(store, %{token: "z", left: 7})
  end

  defp undecided(fun), do: assert(failure(fun) =~ ~r/Undecided|nobody knows whether it matches/)
  defp failure(fun), do: assert_raise(ExUnit.AssertionError, fun).message
end
