defmodule ElixirScope.PrintTest do
  # Each test looks at its own processes, in the one recording.
  use ExUnit.Case, async: true

  alias ElixirScope.{Error, Walked}
  alias ElixirScope.Traced.{Echo, Silent}

  setup do
    {:ok, shop} = Walked.start_link(%{tea: 7})
    {:ok, device} = StringIO.open("")
    %{shop: shop, device: device}
  end

  defp lines(device), do: device |> StringIO.contents() |> elem(1) |> String.split("\n", trim: true)
  defp values(device), do: for(line <- lines(device), do: line |> String.split("  ") |> List.last())

  test "every call is printed, in time order, with time and process", %{device: device} do
    for n <- 1..3, do: Echo.pair(n, :x)
    assert ElixirScope.print(&Echo.pair/2, fn call -> call.args end, pid: self(), device: device) == :ok
    assert values(device) == ["[1, :x]", "[2, :x]", "[3, :x]"]

    for line <- lines(device),
        do: assert(line =~ ~r/^\d\d:\d\d:\d\d\.\d{6}  .*#{Regex.escape(inspect(self()))}/)

    assert lines(device) == Enum.sort(lines(device))
  end

  test "without a function it prints the arguments; texts are printed as they are", %{device: device} do
    Echo.pair(1, 2)
    assert ElixirScope.print(&Echo.pair/2, pid: self(), device: device) == :ok
    assert ElixirScope.print(&Echo.pair/2, fn _call -> "as it is" end, pid: self(), device: device) == :ok
    assert values(device) == ["[1, 2]", "as it is"]
  end

  test "what was kept out of a struct does not disturb its own Inspect", %{device: device} do
    Echo.echo(:date)
    [left_out, redacted] = for kind <- [:left_out, :redacted], do: %ElixirScope.Cut{kind: kind}
    dates = [%{~D[2026-11-21] | month: left_out}, %{~D[2026-11-21] | month: redacted}, ~D[2026-11-21]]
    assert ElixirScope.print(&Echo.echo/1, fn _call -> dates end, pid: self(), device: device) == :ok
    text = device |> StringIO.contents() |> elem(1)
    refute text =~ "Inspect.Error"
    assert text =~ "1 left out}" and text =~ "month: #Redacted<>" and text =~ "~D[2026-11-21]]"
  end

  test "a limit says how many more there are", %{device: device} do
    for n <- 1..120, do: Echo.echo(n)
    ElixirScope.print(&Echo.echo/1, & &1.return, pid: self(), limit: 2, device: device)
    assert [_, _, more] = lines(device)
    assert more =~ "and 118 more"
    ElixirScope.print(&Echo.echo/1, & &1.return, pid: self(), device: device)
    assert length(lines(device)) == 3 + 100 + 1
    ElixirScope.print(&Echo.echo/1, & &1.return, pid: self(), limit: :infinity, device: device)
    assert length(lines(device)) == 3 + 101 + 120
  end

  test "since: and until: say which", %{device: device} do
    Echo.echo(1)
    since = ElixirScope.now()
    Echo.echo(2)
    until = ElixirScope.now()
    Echo.echo(3)
    ElixirScope.print(&Echo.echo/1, & &1.args, pid: self(), since: since, until: until, device: device)
    assert values(device) == ["[2]"]
  end

  test "a function that raises, throws or exits prints that and goes on", %{device: device} do
    for n <- 0..2, do: Echo.echo(n)

    ElixirScope.print(
      &Echo.echo/1,
      fn
        %{args: [0]} -> raise "zero"
        %{args: [1]} -> throw(:one)
        %{args: [2]} -> exit(:two)
      end,
      pid: self(),
      device: device
    )

    assert ["** (RuntimeError) zero", "** (throw) :one", "** (exit) :two"] = values(device)
  end

  test "by line it prints the variables that are known there", %{shop: shop, device: device} do
    Walked.take(shop, :tea, 2)
    Walked.take(shop, :tea, 1)
    have = Walked.line("have = Map")

    ElixirScope.print({Walked, have}, fn variables -> {variables.item, variables.have, variables.count} end,
      pid: shop,
      device: device
    )

    assert values(device) == ["{:tea, 7, 2}", "{:tea, 5, 1}"]

    put = Walked.line("stock = Map.put(stock, item, left)")
    ElixirScope.print({"test/support/walked.ex", put}, & &1, pid: shop, limit: 1, device: device)

    assert %{stock: %{tea: 5}, left: 5, item: :tea, count: 2} =
             device
             |> lines()
             |> Enum.at(2)
             |> String.split("  ")
             |> List.last()
             |> Code.eval_string()
             |> elem(0)

    assert List.last(lines(device)) =~ "and 1 more"
    ElixirScope.print({"walked.ex", have}, & &1.have, pid: shop, device: device)
    assert device |> values() |> Enum.take(-2) == ["7", "5"]
  end

  test "a line at which nothing was recorded is an error that names others", %{shop: shop, device: device} do
    Walked.take(shop, :tea, 2)
    have = Walked.line("have = Map")

    error = assert_raise Error, fn -> ElixirScope.print({Walked, have + 1}, & &1, device: device) end
    assert error.message =~ "near it are" and error.message =~ Integer.to_string(have)
    assert_raise Error, ~r/locals: true/, fn -> ElixirScope.print({Echo, 7}, & &1, device: device) end
  end

  test "no call prints why, and what could not be seen is an error", %{device: device} do
    ElixirScope.print(&Echo.many/14, & &1, pid: self(), device: device)
    assert [line] = lines(device)
    assert line =~ "nothing to print"
    assert_raise Error, ~r/is not instrumented/, fn -> ElixirScope.print(&Silent.run/1, & &1.args) end
  end

  test "bad options are said" do
    assert_raise Error, ~r/unknown filter :till/, fn -> ElixirScope.print(&Echo.echo/1, & &1, till: 1) end
    assert_raise Error, ~r/function of one argument/, fn -> ElixirScope.print(&Echo.echo/1, fn -> 1 end) end
    assert_raise Error, ~r/:limit/, fn -> ElixirScope.print(&Echo.echo/1, & &1, limit: 0) end
    assert_raise Error, ~r/expected a function/, fn -> ElixirScope.print(17, & &1) end

    for device <- [:no_such_device, nil, "file"],
        do: assert_raise(Error, ~r/:device/, fn -> ElixirScope.print(&Echo.echo/1, & &1, device: device) end)

    assert_raise Error, ~r/:kind/, fn -> ElixirScope.events(kind: [:call | :state]) end
  end
end
