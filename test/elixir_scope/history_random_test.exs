defmodule ElixirScope.HistoryRandomTest do
  # Servers whose states go through random changes, and are kept outside of the recording. What is said of the changes must be what
  # follows from the states themselves. `mix test test/elixir_scope/history_random_test.exs --seed N` makes the same ones again.
  use ExUnit.Case, async: false

  alias ElixirScope.{Difference, Path}
  alias ElixirScope.Servers.Change
  alias ElixirScope.Traced.Store

  @moduletag :tmp_dir

  @servers 6
  @changes 50
  @questions 12

  setup %{tmp_dir: dir} do
    {:ok, _} = ElixirScope.start(dir: dir, overflow: {:block, 1_000_000})
    on_exit(fn -> {:ok, _} = ElixirScope.start() end)
    :rand.seed(:exsss, {ExUnit.configuration()[:seed], 5, 7})
    :ok
  end

  test "histories, chains and searches are those that the states give" do
    for number <- 1..@servers do
      first = Change.state()
      {:ok, server} = Store.start_link(first)
      # As the recording compares them.
      states = first |> Stream.iterate(&change(server, &1)) |> Enum.take(@changes) |> Enum.dedup()
      changes = server |> ElixirScope.state_history() |> Enum.to_list()

      assert Enum.map(changes, & &1.state) === states, "server #{number}"
      assert_differences(changes)
      newest = server |> ElixirScope.state_history(order: :newest) |> Enum.to_list()
      assert Enum.map(newest, &brief/1) === changes |> Enum.reverse() |> Enum.map(&brief/1)
      assert Enum.all?(tl(changes), &match?(%{kind: :call, call: %{outcome: :returned}}, &1.cause))

      for _ <- 1..@questions, do: ask(server, List.to_tuple(changes), states)
    end
  end

  defp change(server, state) do
    next = state |> Change.random() |> Change.run(state)
    :ok = Store.put(server, next)
    next
  end

  defp brief(change), do: {change.id, change.time, change.state, change.before, change.cause}

  defp assert_differences(changes) do
    for %{before: {:ok, before}} = change <- changes do
      assert Difference.apply(before, change.difference) === change.state
      refute Difference.empty?(change.difference)
    end
  end

  # A path that something changed at, or above it, or one that leads nowhere.
  defp ask(server, changes, states) do
    at = :rand.uniform(tuple_size(changes)) - 1
    entries = elem(changes, :rand.uniform(tuple_size(changes)) - 1).difference.entries
    {path, _, _, _} = Enum.random(entries)

    path =
      path
      |> Enum.take(:rand.uniform(length(path) + 1) - 1)
      |> Kernel.++(Enum.random([[], [], [], [:nowhere]]))

    time = elem(changes, at).time
    values = states |> Enum.take(at + 1) |> Enum.map(&Path.fetch(&1, path))
    expected = values |> Enum.with_index() |> Enum.chunk_by(&elem(&1, 0)) |> List.last() |> hd() |> elem(1)
    {:ok, chain} = ElixirScope.who_set(server, path, time)

    if Enum.all?(values, &(&1 == :error)) do
      assert {chain.ends, chain.steps} == {:never, []}
    else
      assert [%{kind: :change, change: change} | _] = chain.steps, inspect({path, chain})
      assert change.id == elem(changes, expected).id, inspect({path, at, expected, chain.value})
    end

    # That the value is this one: the search must find when it became so.
    with {:ok, value} <- List.last(values) do
      {:ok, found} = ElixirScope.last_change(server, path, &(&1 === value), before: time)
      assert found.id == elem(changes, expected).id, inspect({path, at, expected})
      {:ok, first} = ElixirScope.first_change([server], path, &(&1 === value), until: time)
      assert first.id == elem(changes, Enum.find_index(values, &(&1 === {:ok, value}))).id
    end

    history = server |> ElixirScope.state_history(path: path, until: time) |> Enum.map(& &1.id)
    assert history == changed(values, changes)

    assert history ==
             server
             |> ElixirScope.state_history(path: path, until: time, order: :newest)
             |> Enum.map(& &1.id)
             |> Enum.reverse()
  end

  defp changed(values, changes) do
    [:error | values]
    |> Enum.zip(values)
    |> Enum.with_index()
    |> Enum.reject(fn {{before, value}, _} -> before === value end)
    |> Enum.map(fn {_, at} -> elem(changes, at).id end)
  end
end
