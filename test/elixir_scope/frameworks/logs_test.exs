defmodule ElixirScope.LogsTest do
  # Lines of the log as events. One recording serves all: each test looks at its own process, or at those that it makes.
  use ExUnit.Case, async: false

  import ElixirScope.Until, only: [until: 1]

  doctest ElixirScope.Frameworks.Arguments
  doctest ElixirScope.Frameworks.EctoLog

  alias ElixirScope.{Error, Log}
  alias ElixirScope.Traced.Store

  require Logger

  @moduletag :capture_log

  setup_all do
    {:ok, recording} = ElixirScope.start()
    %{recording: recording}
  end

  defmodule Shop do
    @moduledoc false
    use ElixirScope
    require Logger

    def sell(article, left) when left < 0 do
      Logger.warning("no #{article} left", article: article)
      :sold_out
    end

    def sell(_article, _left), do: :sold
  end

  defp logs(filters \\ []), do: ElixirScope.logs([pid: self()] ++ filters)

  test "a line has its level, text, place and metadata, and leads to its moment" do
    Shop.sell("tea", -1)
    assert [%Log{} = log] = logs(matching: "no tea")
    assert {log.level, log.message, log.metadata.article} == {:warning, "no tea left", "tea"}
    assert log.mfa == {Shop, :sell, 2}
    assert log.call.mfa == {Shop, :sell, 2}
    assert log.call.args == ["tea", -1]
    assert log.call.return == :sold_out

    cursor = ElixirScope.at(log)
    assert {cursor.event.id, cursor.event.kind} == {log.id, :log}
    where = ElixirScope.where(cursor)
    assert [%{mfa: {Shop, :sell, 2}, args: ["tea", -1]} | _] = where.calls
    assert {Path.basename(where.file), where.line} == {"logs_test.exs", log.line}
    assert inspect(where) =~ ~r/-> *#{log.line} +Logger.warning/

    assert inspect(log) =~
             ~r/warning .*logs_test.exs:#{log.line}\n  no tea left\n  in +.*Shop.sell\/2\n  article +"tea"/

    assert inspect(cursor.event) =~ "warning: no tea left"
  end

  test "a line can be asked for its causes" do
    {:ok, _} = ElixirScope.watch(self(), kinds: [:messages])
    send(self(), :seen)
    assert_receive :seen
    Shop.sell("cup", -1)
    [log] = logs(matching: "no cup")
    {:ok, causes} = ElixirScope.causes(log)
    assert {causes.event.id, causes.event.kind} == {log.id, :log}
    assert ElixirScope.happened_before?(log.call, log)
    assert ElixirScope.happened_before?(log, log.call) == false
  end

  test "filters", %{recording: recording} do
    Logger.debug("one 1")
    time = ElixirScope.now()
    Logger.error("one 2")
    assert ["one 1", "one 2"] = for(log <- logs(matching: ~r/^one \d$/), do: log.message)
    assert [%{message: "one 2"}] = logs(level: :warning, matching: "one")
    assert [%{message: "one 2"}] = logs(since: time, matching: "one", in: recording)
    assert [%{message: "one 1"}] = logs(until: time, matching: "one")
    assert [%{message: "one 2"}] = logs(order: :newest, limit: 1, matching: "one")
    assert [] = logs(matching: "never written")
    assert_raise Error, ~r/expected :level to be the mildest level/, fn -> logs(level: :loud) end
    assert_raise Error, ~r/expected :matching to be a text/, fn -> logs(matching: :one) end
  end

  test "the report of a server that crashes is a line of that server" do
    {:ok, server} = GenServer.start(Store, :full)
    monitor = Process.monitor(server)
    catch_exit(GenServer.call(server, {:crash, :melted}))
    assert_receive {:DOWN, ^monitor, :process, ^server, _}
    assert [log | _] = ElixirScope.logs(pid: server, level: :error)
    assert log.message =~ "melted"
    assert log.message =~ ~r/\AGenServer #PID.* terminating/
  end

  test "what the VM says of a process that ended is a line of that process" do
    pid = spawn(fn -> :erlang.error(:boom_of_the_vm) end)
    until(fn -> not Process.alive?(pid) and ElixirScope.logs(pid: pid) != [] end)
    assert [%Log{level: :error, pid: ^pid} = log] = ElixirScope.logs(pid: pid)
    assert log.message =~ "boom_of_the_vm"
  end

  test "reports, formats and text that is none" do
    :logger.notice(%{what: :report, number: 7})
    :logger.error("format ~p ~s", [{:a, 1}, "b"])
    :logger.error(~c"characters ☕")
    :logger.error(%{what: :cb}, %{report_cb: fn %{what: what} -> {"made of ~p", [what]} end})
    assert [report, format, characters, made] = for(log <- logs(), do: log.message)
    assert report =~ ~r/what: :report/ and report =~ "number: 7"
    assert format == "format {a,1} b"
    assert characters == "characters ☕"
    assert made == "made of cb"
  end

  test "a long text is bounded" do
    Logger.error(String.duplicate("long ", 100_000))
    assert [%Log{message: message}] = logs(matching: "long ")
    assert byte_size(message) < 20_000
    assert String.ends_with?(message, "... (cut)")
  end

  # Handed to the handler itself: others of this VM would not survive it.
  defp hand(level, message, metadata) do
    meta = Map.merge(%{pid: self(), gl: Process.group_leader(), time: 0}, metadata)
    ElixirScope.Frameworks.Logger.log(%{level: level, msg: message, meta: meta}, %{})
  end

  test "of what Ecto writes of its queries the parameters are left out" do
    ecto = %{mfa: {Ecto.Adapters.SQL, :log, 4}}
    start = "QUERY OK source=\"users_tokens\" db=0.3ms idle=1.2ms\n"
    arrow = "\n\e[90m↳ Shop.Accounts.add/1, at: lib/shop/accounts.ex:7\e[0m"

    for {query, parameters, shown} <- [
          {"INSERT INTO \"users_tokens\" (\"a\") VALUES ($1)", ~s(["hidden", <<156, 26>>, 1]), nil},
          {"SELECT\n  u.tags[1]\nFROM [users] AS u",
           ~s(["hid]den",\n [1, "a \\" hidden ["],\n ~D[2026-11-21]]), nil},
          {"\e[32mSELECT 1 = $1\e[0m", ~s(\e[33m[\e[0m"hidden"\e[33m]\e[0m), "\e[33m[...]\e[0m"},
          {"begin", "[]", "[]"},
          {"SELECT $1, ' [ '", ~s(["hidden"]), :from_the_bracket},
          {"SELECT $1", ~s([#Odd<]>, "hidden"]), nil}
        ],
        place <- ["", arrow] do
      hand(:debug, {:string, [start, query, ?\s, parameters, place]}, ecto)
      message = List.last(logs()).message
      refute message =~ "hidden"

      case shown do
        :from_the_bracket -> assert message == start <> "SELECT $1, ' [...]"
        _whole -> assert String.starts_with?(message, start <> query <> " " <> (shown || "[...]"))
      end
    end

    hand(:debug, {:string, [start, "SELECT $1 [\"hidden ", String.duplicate("x", 20_000), "\"]"]}, ecto)
    assert List.last(logs()).message == start <> "SELECT $1 [...]"
    hand(:debug, {:string, [start, "SELECT $1 [1]", arrow]}, ecto)
    assert List.last(logs()).message == start <> "SELECT $1 [...]" <> arrow
    hand(:debug, {:string, "SELECT $1 [1]"}, %{mfa: {Shop, :sell, 2}})
    assert List.last(logs()).message == "SELECT $1 [1]"
  end

  test "lines that the making of a text writes are left out" do
    making = fn _report ->
      Logger.error("inspected")
      hand(:error, {:string, "inspected too"}, %{})
      {"made", []}
    end

    hand(:error, {:report, %{what: :loud}}, %{report_cb: making})
    hand(:error, {:string, "after it"}, %{})
    assert ["made", "after it"] = for(log <- logs(), do: log.message)
  end

  test "a report whose text cannot be made is a line all the same" do
    for raising <- [fn _report -> raise "no text" end, fn _report -> throw(:no) end],
        do: hand(:error, {:report, %{what: :broken}}, %{report_cb: raising})

    hand(:error, {:string, [:no_text]}, %{})

    assert ["a line whose text cannot be made" <> _, "a line whose" <> _, "[:no_text]"] =
             for(log <- logs(), do: log.message)
  end

  test "metadata is what the program says, not what Logger needs itself" do
    Logger.metadata(request_id: "F1", password: "x")
    Logger.error("with metadata")
    Logger.reset_metadata()
    assert [%Log{metadata: metadata}] = logs(matching: "with metadata")
    assert metadata.request_id == "F1"
    for key <- [:gl, :time, :pid, :report_cb, :file, :mfa], do: refute(Map.has_key?(metadata, key))
  end
end
