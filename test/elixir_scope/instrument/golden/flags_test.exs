defmodule ElixirScope.Instrument.Golden.FlagsTest do
  # Calls of process_flag are followed by one of the recorder; nobody may see it.
  use ExUnit.Case, async: false

  alias ElixirScope.Golden

  @source ~S'''
  defmodule Golden.Flags do
    # scope
    def last(value), do: Process.flag(:sensitive, value)
    def erlang(value), do: :erlang.process_flag(:sensitive, value)
    def computed(flag, value), do: Process.flag(flag, value)
    def listed(args), do: apply(Process, :flag, args)
    def applied(flag, value), do: apply(:erlang, :process_flag, [flag, value])
    def captured(value), do: (&Process.flag/2).(:sensitive, value)
    def other(value), do: Process.flag(:trap_exit, value)
    def three(calls), do: Process.flag(self(), :save_calls, calls)
    def bound(value) do
      old = Process.flag(:sensitive, value)
      {old, Process.flag(:sensitive, old)}
    end
    def named(value) do
      old = Process.flag(:sensitive, value)
    end
    def matched(value) do
      false = Process.flag(:sensitive, value)
      Process.flag(:sensitive, false)
    end
    def ordered(flag, value), do: {Process.flag(said(flag), said(value)), said(:behind)}
    defp said(term) do
      send(self(), {:said, term})
      term
    end
    def within(value) do
      for _ <- 1..3, Process.flag(:sensitive, value) != nil, do: Process.flag(:sensitive, value)
    end
    def cases(value) do
      case Process.flag(:sensitive, value) do
        true -> fn -> Process.flag(:sensitive, value) end
        false -> fn -> {:was, Process.flag(:sensitive, value)} end
      end
    end
    def tries(flag, value) do
      try do
        Process.flag(flag, value)
      rescue
        ArgumentError -> :refused
      after
        send(self(), :after)
      end
    end
    def loop(0, value), do: Process.flag(:sensitive, value)
    def loop(n, value) do
      Process.flag(:sensitive, rem(n, 2) == 0)
      loop(n - 1, value)
    end
    # In a process that ends, with all messages that it got.
    def alone(fun) do
      fn -> {fun.(), Process.info(self(), :messages), Process.flag(:sensitive, false)} end
      |> Task.async()
      |> Task.await()
    end
  end
  '''

  test "flags are what they are set to, and calls are worth what they were" do
    calls =
      for {name, arguments} <- [
            last: "true",
            erlang: "true",
            computed: ":sensitive, true",
            computed: ":trap_exit, true",
            listed: "[:sensitive, true]",
            applied: ":sensitive, true",
            captured: "true",
            other: "true",
            three: "3",
            bound: "true",
            named: "true",
            matched: "true",
            ordered: ":sensitive, false",
            within: "true",
            tries: ":sensitive, true",
            tries: ":sensitive, :perhaps",
            loop: "5, true",
            loop: "5_000, false"
          ] do
        "Golden.Flags.alone(fn -> Golden.Flags.#{name}(#{arguments}) end)"
      end

    wrong =
      for {name, arguments} <- [
            last: ":perhaps",
            erlang: "1",
            computed: ":no_flag, true",
            computed: "1, 2",
            listed: "[:sensitive]",
            listed: "[:sensitive, 1]",
            listed: "[:sensitive | true]",
            applied: ":sensitive, nil",
            matched: "1",
            ordered: ":sensitive, 7"
          ],
          do: "Golden.Flags.#{name}(#{arguments})"

    fun = "Golden.Flags.alone(fn -> Golden.Flags.cases(true).() end)"
    Golden.assert_same(@source, [fun | calls ++ wrong])
  end

  test "a loop of them runs in constant space" do
    Golden.with_instrumented(@source, fn ->
      assert {:ok, _} = Golden.within_heap("Golden.Flags.loop(200_000, false)", 100_000)
    end)
  end
end
