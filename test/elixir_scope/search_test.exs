defmodule ElixirScope.SearchTest do
  # Searching states by value, backwards in one server and forwards over all of a module. Each test begins a new recording.
  use ElixirScope.Recorded

  alias ElixirScope.{Change, Error}
  alias ElixirScope.Ledger.{Account, Teller}
  alias ElixirScope.Traced.Store

  defp account(totals) do
    {:ok, account} = Account.start_link()
    {account, for(total <- totals, do: {total, put(account, total)})}
  end

  defp put(account, total) do
    :ok = GenServer.call(account, {:put, :total, total})
    ElixirScope.now()
  end

  defp negative?(total), do: total < 0

  describe "last_change/4" do
    test "finds the newest moment by which it became true" do
      {account, [_, {-1, first}, {-2, second}, {3, third}, {-4, fourth}, _]} = account([1, -1, -2, 3, -4, 5])

      for {before, expected} <- [
            {first, -1},
            {second, -1},
            {third, -1},
            {fourth, -4},
            {ElixirScope.now(), -4}
          ] do
        assert {:ok, %Change{} = change} =
                 ElixirScope.last_change(account, fn state -> state.total < 0 end, before: before)

        assert change.state.total == expected
        assert {:ok, change} == ElixirScope.last_change(account, [:total], &negative?/1, before: before)
        assert change.cause.message == {:put, :total, expected}
      end

      assert {:ok, %{state: %{total: -4}}} = ElixirScope.last_change(account, [:total], &negative?/1)
      assert {:ok, %{state: %{total: -4}}} = ElixirScope.last_change(account, &(&1.total < 0))
    end

    test "is the first state where it was true from the beginning, and an error where it never was" do
      {account, _} = account([1, 2])
      assert {:ok, %Change{origin: :init, before: :none}} = ElixirScope.last_change(account, &(&1.total >= 0))

      assert {:error, %Error{reason: :no_change, message: message}} =
               ElixirScope.last_change(account, [:total], &negative?/1, before: ElixirScope.now())

      assert message =~ "did not become true of #{inspect(account)} at .total by "
      # A value that is not there is no match, and the function is not asked.
      assert {:error, %{reason: :no_change}} =
               ElixirScope.last_change(account, [:of], fn _ -> raise "asked" end)
    end

    test "a value that came, went and came again" do
      {:ok, store} = Store.start_link(%{})
      Store.put(store, %{left: %{tea: -1}})
      Store.put(store, %{})
      Store.put(store, %{left: %{tea: -2}})
      Store.put(store, %{left: %{tea: -3}})
      assert {:ok, change} = ElixirScope.last_change(store, [:left, :tea], &negative?/1)
      assert {change.before, change.state} == {{:ok, %{}}, %{left: %{tea: -2}}}
    end

    test "a function that fails is told from an answer, with the state's time" do
      {account, _} = account([1, 2])
      {:ok, store} = Store.start_link(:text)

      assert {:error, %Error{reason: :bad_predicate, message: message}} =
               ElixirScope.last_change(store, &(Map.fetch!(&1, :total) < 0))

      assert message =~
               ~r/the function failed on what stood in the state of #PID<.*> at \d{4}-\d\d-\d\d .* \(\d+\)/

      assert message =~ ":text"

      assert {:error, %{reason: :bad_predicate, message: thrown}} =
               ElixirScope.last_change(account, [:total], &throw/1)

      assert thrown =~ "** (throw) 2" and thrown =~ "at .total"
    end

    test "a part that a limit kept out cannot be asked about", %{tmp_dir: dir} do
      {:ok, _} = ElixirScope.start(dir: dir, limits: [state_bytes: 500])
      {:ok, account} = Account.start_link()
      :ok = GenServer.call(account, {:put, :note, "short"})
      time = ElixirScope.now()
      :ok = GenServer.call(account, {:put, :note, String.duplicate("a", 1_000)})

      assert {:error, %Error{reason: :cut, message: message}} =
               ElixirScope.last_change(account, [:note], &is_binary/1)

      assert message =~ "at .note" and message =~ "#ElixirScope.Cut<binary"

      assert {:ok, %{state: %{note: "short"}}} =
               ElixirScope.last_change(account, [:note], &is_binary/1, before: time)
    end

    test "a function that was given a state of which a limit kept out a part has no answer", %{tmp_dir: dir} do
      {:ok, _} = ElixirScope.start(dir: dir, limits: [state_bytes: 500])
      {account, _} = account([1])
      :ok = GenServer.call(account, {:put, :note, %{text: String.duplicate("a", 1_000)}})
      put(account, -1)
      long? = fn state -> match?(%{text: text} when is_binary(text), state.note) end

      for question <- [&ElixirScope.last_change/2, &ElixirScope.first_change/2] do
        assert {:error, %Error{reason: :cut, message: message}} = question.(account, &(&1.total < 0))
        assert message =~ "kept out what stood at .note.text (#ElixirScope.Cut<binary"
        assert message =~ "ask with a path"
        assert {:error, %Error{reason: :no_change, message: message}} = question.(account, long?)
        assert message =~ "kept out what stood at .note.text (#ElixirScope.Cut<binary"
        assert message =~ "in the state of #{inspect(account)} of"
      end

      assert {:ok, %{state: %{total: -1}}} = ElixirScope.last_change(account, [:total], &negative?/1)
      assert {:ok, %{state: %{total: 1}}} = ElixirScope.first_change(account, &(&1.total > 0))
      # The state before is not whole.
      assert {:error, %{reason: :cut}} = ElixirScope.last_change(account, [:note], &(is_map(&1) and true))
    end

    test "a state that was passed over with a part kept out is named", %{tmp_dir: dir} do
      {:ok, _} = ElixirScope.start(dir: dir, limits: [depth: 2])
      {:ok, store} = Store.start_link(%{list: 1})
      {:ok, other} = Store.start_link(%{list: 1})
      Store.put(other, %{list: [[[1]]]})
      for list <- [[[[1]]], 2, [1], 2, [[[1]]], 3, 4], do: Store.put(store, %{list: list})
      one? = &(&1 in [[1], [[[1]]]])

      assert {:ok, %{state: %{list: [1]}, passed: passed} = newest} =
               ElixirScope.last_change(store, [:list], one?)

      assert %{pid: ^store, path: [:list, {:at, 0}], cut: %{kind: :list}, time: time} = passed
      assert time > newest.time

      assert inspect(newest) =~
               ~r/a limit kept out \.list\[0\] in the state of .*: the function may have been true of it/

      for function <- [
            &ElixirScope.first_change(&1, [:list], one?),
            &ElixirScope.first_change(&1, fn s -> one?.(s.list) end)
          ] do
        assert {:ok, %{state: %{list: [1]}, passed: %{pid: ^store} = passed} = first} = function.(store)
        assert passed.time < first.time
        assert {:ok, %{state: %{list: [1]}, passed: %{pid: ^other}} = first} = function.([other, store])
        assert inspect(first) =~ "in the state of #{inspect(other)} of"
      end

      # What came behind the answer does not matter, whichever server is looked at first.
      {:ok, late} = Store.start_link(%{list: 1})
      Store.put(late, %{list: [[[1]]]})

      assert {:ok, %{pid: ^store, passed: %{pid: ^store}}} =
               ElixirScope.first_change([late, store], [:list], one?)

      assert {:ok, %{passed: nil}} = ElixirScope.first_change([late, store], [:list], &(&1 == 1))
      assert {:ok, %{passed: nil}} = ElixirScope.first_change(store, [:list], &(&1 == 1))
      assert {:ok, %{passed: nil}} = ElixirScope.last_change(store, [:list], &(&1 == 4))

      for question <- [&ElixirScope.last_change/3, &ElixirScope.first_change/3] do
        assert {:error, %{reason: :no_change, message: message}} = question.(store, [:list], &(&1 == [[[1]]]))

        assert message =~
                 ~r/a limit kept out what stood at \.list\[0\] .* so it may have been true there/
      end
    end

    test "that found nothing says where it may be hidden" do
      {account, _} = account([1])

      for question <- [&ElixirScope.last_change/2, &ElixirScope.first_change/2] do
        assert {:error, %{reason: :no_change, message: message}} = question.(account, &(&1.total < 0))
        refute message =~ "missing"
      end

      :ok = ElixirScope.pause()
      put(account, -1)
      put(account, 1)
      :ok = ElixirScope.resume()
      put(account, 2)

      for question <- [&ElixirScope.last_change/3, &ElixirScope.first_change/3] do
        assert {:error, %{reason: :no_change, message: message}} = question.(account, [:total], &negative?/1)
        assert message =~ ~r/events are missing between .* \(paused\): it may have become true among them/
      end
    end

    test "says where a newer one may be hidden" do
      {account, _} = account([-1, 1])
      :ok = ElixirScope.pause()
      :ok = ElixirScope.resume()
      put(account, 2)

      assert {:ok, %Change{state: %{total: -1}, gaps: [%{cause: :paused}]}} =
               ElixirScope.last_change(account, [:total], &negative?/1)

      put(account, -2)

      assert {:ok, %Change{state: %{total: -2}, gaps: []}} =
               ElixirScope.last_change(account, [:total], &negative?/1)
    end

    test "refuses what it does not understand, and says what is expected" do
      {account, _} = account([])

      assert {:error, %{reason: :bad_option, message: message}} =
               ElixirScope.last_change(account, fn _, _ -> true end)

      assert message =~ "expected a function of one argument"
      assert {:error, %{reason: :bad_option}} = ElixirScope.last_change(account, [:total], fn -> true end)
      assert {:error, %{reason: :bad_option}} = ElixirScope.last_change(account, :total, &negative?/1)
      assert {:error, %{reason: :bad_option}} = ElixirScope.last_change(account, &negative?/1, after: 1)
      assert {:error, %{reason: :bad_time}} = ElixirScope.last_change(account, &negative?/1, before: 1.5)
      assert {:error, %{reason: :bad_server}} = ElixirScope.last_change("account", &negative?/1)
    end
  end

  describe "first_change/4" do
    test "finds the first one over all servers of a module" do
      {one, [_, {-1, early}]} = account([1, -1])
      {two, _} = account([5, 6])
      put(two, -7)
      put(one, -2)
      {:ok, _teller} = Teller.start_link(one)

      assert {:ok, %{pid: ^one, state: %{total: -1}}} = ElixirScope.first_change(Account, &(&1.total < 0))

      assert {:ok, %{pid: ^one, state: %{total: -1}}} =
               ElixirScope.first_change(Account, [:total], &negative?/1)

      # It was true of the first one at that time already.
      for question <- [
            &ElixirScope.first_change(Account, fn state -> state.total < 0 end, &1),
            &ElixirScope.first_change(Account, [:total], fn total -> total < 0 end, &1)
          ] do
        assert {:ok, %{pid: ^two, state: %{total: -7}, cause: %{message: {:put, :total, -7}}}} =
                 question.(since: early)

        assert {:error, %{reason: :no_change, message: message}} = question.(since: early, until: early)
        assert message =~ "ElixirScope.Ledger.Account"
      end

      assert {:ok, %{pid: ^two}} = ElixirScope.first_change(two, [:total], &negative?/1)
      assert {:ok, %{pid: ^one}} = ElixirScope.first_change([two, one], [:total], &negative?/1)
      assert {:ok, %{pid: ^two}} = ElixirScope.first_change([two], &(&1.total < 0))
    end

    test "of a recording that was opened, and by name", %{recording: recording} do
      {:ok, one} = Account.start_link(name: :searched)
      put(one, -1)
      assert {:ok, %{pid: ^one}} = ElixirScope.first_change(:searched, [:total], &negative?/1)
      :ok = ElixirScope.stop()
      {:ok, opened} = ElixirScope.open(recording.path)
      assert {:ok, %{pid: pid}} = ElixirScope.first_change(Account, [:total], &negative?/1, in: opened)
      assert inspect(pid) == inspect(one)
    end

    test "says where an earlier one may be hidden" do
      {_account, _} = account([1])
      :ok = ElixirScope.pause()
      :ok = ElixirScope.resume()
      {other, _} = account([-1])

      assert {:ok, %{pid: ^other, gaps: [%{cause: :paused}]}} =
               ElixirScope.first_change(Account, &(&1.total < 0))
    end

    test "refuses what is neither a module with servers nor a server" do
      {_account, _} = account([1])

      assert {:error, %Error{reason: :unknown_process, message: message}} =
               ElixirScope.first_change(Nowhere, &negative?/1)

      assert message =~ "no state of a server of the module Nowhere was recorded"
      assert {:error, %{reason: :bad_option}} = ElixirScope.first_change(Account, fn -> true end)
      assert {:error, %{reason: :bad_option}} = ElixirScope.first_change(Account, &negative?/1, before: 1)
    end
  end
end
