defmodule ElixirScope.FrameworksTest do
  # Beginning and ending what is attached, options, and frameworks of one's own.
  use ExUnit.Case, async: false

  import Bitwise, only: [<<<: 2]
  import ElixirScope.Until, only: [until: 1]

  alias ElixirScope.{Error, StandIn}

  require Logger

  @moduletag :capture_log
  @moduletag :tmp_dir

  setup do
    on_exit(fn -> {:ok, _} = ElixirScope.start() end)
  end

  defmodule Billing do
    @moduledoc false
    @behaviour ElixirScope.Framework

    @impl true
    def events,
      do: [[:billing, :charge, :start], [:billing, :charge, :stop], [:billing, :broken], [:billing, :skipped]]

    @impl true
    def keep([:billing, :broken], _measurements, metadata, _options), do: raise("kept #{metadata.nothing}")
    def keep([:billing, :skipped], _measurements, _metadata, _options), do: :skip
    def keep(_name, measurements, metadata, _options), do: {measurements, Map.take(metadata, [:customer])}

    @impl true
    def span([:billing, :charge], metadata, _measurements),
      do: %{kind: :charge, name: "charge #{Map.fetch!(metadata, :customer)}", attributes: []}
  end

  defp start(dir, options), do: ElixirScope.start([dir: dir] ++ options)
  defp ours, do: for(%{id: {ElixirScope.Frameworks, name}} <- :telemetry.list_handlers([]), do: name)

  test "handlers are attached while a recording runs, and gone when it ends", %{tmp_dir: dir} do
    {:ok, _} = start(dir, [])
    assert [:phoenix, :endpoint, :start] in ours()
    assert ElixirScope.Frameworks.Logger.attached?()
    :ok = ElixirScope.stop()
    assert ours() == []
    refute ElixirScope.Frameworks.Logger.attached?()
  end

  test "nothing is recorded while recording is paused", %{tmp_dir: dir} do
    {:ok, _} = start(dir, telemetry: [[:frameworks_test, :ping]])
    :ok = ElixirScope.pause()
    StandIn.emit([:frameworks_test, :ping])
    Logger.error("while paused")
    :ok = ElixirScope.resume()
    StandIn.emit([:frameworks_test, :ping], %{}, %{after: true})
    Logger.error("after the pause")
    assert [%{attributes: [after: true]}] = ElixirScope.spans(pid: self())
    assert [%{message: "after the pause"}] = ElixirScope.logs(pid: self())
  end

  test "telemetry: false and logs: false record nothing, and questions say so", %{tmp_dir: dir} do
    {:ok, recording} = start(dir, telemetry: false, logs: false)
    assert ours() == []
    Logger.error("unheard")
    StandIn.request()
    assert_raise Error, ~r/was begun with `telemetry: false`/, fn -> ElixirScope.spans() end
    assert_raise Error, ~r/`logs: false`/, fn -> ElixirScope.logs() end
    :ok = ElixirScope.stop()
    {:ok, opened} = ElixirScope.open(recording.path)
    assert_raise Error, ~r/no event of :telemetry was recorded/, fn -> ElixirScope.spans(in: opened) end
    assert_raise Error, ~r/no line of the log was recorded/, fn -> ElixirScope.logs(in: opened) end
  end

  test "no line and no span is an answer where they would have been recorded", %{tmp_dir: dir} do
    {:ok, _} = start(dir, [])
    assert ElixirScope.spans(pid: self()) == []
    assert ElixirScope.logs(pid: self()) == []
  end

  test "logs: a level leaves milder lines out", %{tmp_dir: dir} do
    {:ok, _} = start(dir, logs: :error)
    Logger.warning("mild")
    Logger.error("bad")
    assert [%{message: "bad"}] = ElixirScope.logs(pid: self())
  end

  test "one framework can be left out, another told to keep more", %{tmp_dir: dir} do
    Ecto.Repo.run(Shop.Repo, [:frameworks_test, :repo, :query])
    on_exit(&Ecto.Repo.stop/0)
    {:ok, _} = start(dir, telemetry: [oban: false, ecto: [params: true]])
    StandIn.job(fn -> :ok end)
    StandIn.query([:frameworks_test, :repo, :query], %{params: [7], cast_params: nil})
    assert [%{kind: :query} = query] = ElixirScope.spans(pid: self())
    assert query.attributes[:params] == [7]
  end

  test "a framework of one's own says what is kept and what it means, also of an opened recording", %{
    tmp_dir: dir
  } do
    {:ok, recording} = start(dir, telemetry: [Billing])
    StandIn.emit([:billing, :charge, :start], %{}, %{customer: "ann", card: "4111"})
    StandIn.emit([:billing, :charge, :stop], %{duration: 3}, %{customer: "ann", card: "4111"})
    StandIn.emit([:billing, :skipped])
    # It expects what was not given.
    StandIn.emit([:billing, :charge, :start], %{}, %{card: "4111"})
    :ok = ElixirScope.stop()
    {:ok, opened} = ElixirScope.open(recording.path)
    assert [charge, unknown] = ElixirScope.spans(pid: self(), in: opened)
    assert {charge.kind, charge.name, charge.outcome} == {:charge, "charge ann", :ok}
    assert {unknown.kind, unknown.name, unknown.outcome} == {:custom, "billing.charge", :open}
    refute inspect(Enum.to_list(ElixirScope.events(in: opened, kind: :telemetry))) =~ "4111"
  end

  test "a handler that fails stays attached, and is told of once", %{tmp_dir: dir} do
    test = self()
    :logger.add_handler(:frameworks_test, __MODULE__.Heard, %{config: %{test: test}})
    on_exit(fn -> :logger.remove_handler(:frameworks_test) end)
    {:ok, _} = start(dir, telemetry: [Billing])
    for _ <- 1..3, do: StandIn.emit([:billing, :broken])

    assert_receive {:heard,
                    "ElixirScope could not record what ElixirScope.FrameworksTest.Billing keeps of [:billing, :broken]" <>
                      _}

    assert [:billing, :broken] in ours()
    # What follows in the recorder comes behind a second warning.
    {:ok, _} = ElixirScope.telemetry()
    refute_received {:heard, "ElixirScope could not" <> _}
  end

  defmodule Heard do
    @moduledoc false
    def log(%{msg: {:string, text}}, %{config: %{test: test}}),
      do: send(test, {:heard, IO.chardata_to_string(text)})

    def log(_other, _config), do: :ok
  end

  test "more events are recorded from when they are asked for", %{tmp_dir: dir} do
    {:ok, _} = start(dir, [])
    StandIn.emit([:frameworks_test, :late], %{}, %{n: 1})
    {:ok, names} = ElixirScope.telemetry([[:frameworks_test, :late]])
    assert [:frameworks_test, :late] in names and [:oban, :job, :stop] in names
    StandIn.emit([:frameworks_test, :late], %{}, %{n: 2})
    assert [%{attributes: [n: 2]}] = ElixirScope.spans(pid: self())
    {:ok, _} = start(dir, [])
    refute [:frameworks_test, :late] in ours()
  end

  test "a process that only emits or logs is introduced by its name", %{tmp_dir: dir} do
    {:ok, _} = start(dir, telemetry: [[:frameworks_test, :ping]])
    test = self()

    spawn(fn ->
      Process.register(self(), :frameworks_test_emitter)
      :telemetry.execute([:frameworks_test, :ping], %{}, %{})
      send(test, {:emitted, self()})
      receive do: (:stop -> :ok)
    end)

    assert_receive {:emitted, pid}
    assert [%{pid: ^pid} = span] = ElixirScope.spans(pid: :frameworks_test_emitter)
    assert inspect(span) =~ "frameworks_test_emitter"
    send(pid, :stop)
    until(fn -> not Process.alive?(pid) end)
  end

  defmodule Odd do
    @moduledoc false
    @behaviour ElixirScope.Framework

    @impl true
    def events do
      case :persistent_term.get(__MODULE__) do
        :raise -> raise "no idea"
        :throw -> throw(:no_idea)
        :exit -> exit(:no_idea)
        names -> names
      end
    end

    @impl true
    def keep(_name, measurements, metadata, _options), do: {measurements, metadata}

    @impl true
    def span(_name, %{name: :throw}, _measurements), do: throw(:no_idea)
    def span(_name, %{name: name}, _measurements), do: %{kind: :odd, name: name, attributes: []}
  end

  test "a framework of one's own that does not say its events is refused, and what runs goes on", %{
    tmp_dir: dir
  } do
    {:ok, recording} = start(dir, [])
    StandIn.request()
    configured = Application.get_all_env(:elixir_scope)

    on_exit(fn ->
      for {key, _} <- Application.get_all_env(:elixir_scope), do: Application.delete_env(:elixir_scope, key)
      Application.put_all_env(elixir_scope: configured)
    end)

    for {events, got} <- [
          {:raise, "got: ** (RuntimeError) no idea"},
          {:throw, "got: ** (throw) :no_idea"},
          {:exit, "got: ** (exit) :no_idea"},
          {:paid, "got: :paid"},
          {[:shop, :paid], "got: [:shop, :paid]"},
          {[["shop"]], "got: [[\"shop\"]]"}
        ] do
      :persistent_term.put(Odd, events)
      assert {:error, %Error{reason: :bad_option, message: message}} = start(dir, telemetry: [Odd])

      assert message =~
               "expected events/0 of ElixirScope.FrameworksTest.Odd, which :telemetry names, to answer a list"

      assert message =~ got
      assert {:error, %Error{reason: :bad_option, message: ^message}} = ElixirScope.telemetry([Odd])
      assert {:ok, %{path: path}} = ElixirScope.status()
      assert path == recording.path
    end

    assert [%{kind: :request}] = ElixirScope.spans(pid: self(), kind: :request)

    # With it in the configuration the program starts.
    Application.put_env(:elixir_scope, :telemetry, [Odd])
    Application.put_env(:elixir_scope, :enabled, true)
    :ok = Application.stop(:elixir_scope)
    assert :ok = Application.start(:elixir_scope)
    assert {:error, %Error{reason: :not_recording}} = ElixirScope.stop()
  end

  test "what a framework of one's own says may be anything", %{tmp_dir: dir} do
    :persistent_term.put(Odd, [[:odd, :name]])
    {:ok, _} = start(dir, telemetry: [Odd])

    for name <- [:atom, 7, {"a", "b"}, ["deep" | :tail], <<255>>, nil, "text", :throw],
        do: StandIn.emit([:odd, :name], %{}, %{name: name})

    spans = ElixirScope.spans(pid: self())
    assert [":atom", "7", "{\"a\", \"b\"}", "[\"deep\" | :tail]", "<<255>>" | _] = Enum.map(spans, & &1.name)
    assert ["odd.name", "text", "odd.name"] = spans |> Enum.map(& &1.name) |> Enum.drop(5)
    for span <- spans, do: assert(inspect(span) =~ "Span<")
  end

  test "so may how long it took", %{tmp_dir: dir} do
    {:ok, _} = start(dir, telemetry: [[:frameworks_test, :ping]])

    for duration <- [-1, 0, 1 <<< 62, 1 <<< 200, -(1 <<< 200), 1.5, "long"],
        do: StandIn.emit([:frameworks_test, :ping], %{duration: duration}, %{})

    spans = ElixirScope.spans(pid: self())
    assert length(spans) == 7

    for span <- spans do
      assert span.duration in 0..0xFFFFFFFFFFFFFFFF//1 and span.started >= 0
      assert inspect(span) =~ "Span<"
    end
  end

  test "where :telemetry came later than the recording, that is said", %{tmp_dir: dir} do
    {:ok, _} = start(dir, telemetry: false)
    key = {ElixirScope.Frameworks, :settings}
    :persistent_term.put(key, %{:persistent_term.get(key) | late: true})
    assert_raise Error, ~r/was not there yet when the recording began/, fn -> ElixirScope.spans() end
  end

  test "options that are not of their form" do
    for {options, text} <- [
          {[logs: :loud], "expected :logs to be true, false or the lowest level"},
          {[telemetry: :all], "expected :telemetry to be true, false, or a list of names"},
          {[telemetry: ["shop"]], "got: \"shop\""},
          {[telemetry: [{:span, :shop}]], "got: {:span, :shop}"},
          {[telemetry: [ekto: false]], "got: {:ekto, false}"},
          {[telemetry: [String]], "got: String"},
          {[telemetry: [[:a | :b]]], "got: [:a | :b]"}
        ] do
      assert {:error, %Error{reason: :bad_option, message: message}} = ElixirScope.start(options)
      assert message =~ text
    end
  end
end
