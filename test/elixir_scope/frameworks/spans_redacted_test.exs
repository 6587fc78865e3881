defmodule ElixirScope.SpansRedactedTest do
  # Spans of which the parts that make their names are redacted.
  use ExUnit.Case, async: false

  alias ElixirScope.{Cut, StandIn}

  @moduletag :tmp_dir
  @redacted %Cut{kind: :redacted}

  setup %{tmp_dir: dir} do
    on_exit(fn -> {:ok, _} = ElixirScope.start() end)

    {:ok, _} =
      ElixirScope.start(dir: dir, redact: [keys: [:path, :request_path, :host, :topic, :event, :route]])

    :ok
  end

  test "have no values of secret parameters in their paths", %{tmp_dir: dir} do
    {:ok, recording} = ElixirScope.start(dir: dir)
    conn = %{StandIn.conn() | request_path: "/reset/correct%20horse/ann"}
    :telemetry.execute([:phoenix, :endpoint, :start], %{}, %{conn: conn, options: []})
    assert [%{name: "GET", outcome: :open}] = ElixirScope.spans(pid: self())
    params = %{"token" => "correct horse", "id" => "ann"}
    conn = %{conn | path_params: params}
    routed = %{conn: conn, route: "/reset/:token/:id", path_params: params}
    :telemetry.execute([:phoenix, :router_dispatch, :start], %{}, routed)
    :telemetry.execute([:phoenix, :router_dispatch, :stop], %{duration: 1}, routed)
    conn = %{conn | status: 200}
    :telemetry.execute([:phoenix, :endpoint, :stop], %{duration: 1}, %{conn: conn, options: []})
    address = "http://x/reset/correct%20horse/ann?a=1"
    live = %{params: params, uri: address, socket: nil}
    :telemetry.execute([:phoenix, :live_view, :handle_params, :start], %{}, live)

    assert [%{name: "GET /reset/:token/:id", outcome: 200, attributes: attributes}, live] =
             ElixirScope.spans(pid: self())

    assert attributes[:path] == "/reset/[redacted]/ann"
    assert attributes[:path_params] == %{"token" => @redacted, "id" => "ann"}
    assert live.attributes[:uri] == "http://x/reset/[redacted]/ann?a=1"
    :ok = ElixirScope.stop()

    for event <- ElixirScope.events(kind: :telemetry, in: elem(ElixirScope.open(recording.path), 1)),
        do: refute(inspect(event.data, limit: :infinity) =~ "horse")
  end

  test "are named by what is left" do
    StandIn.request(200)
    StandIn.fetch({:ok, %{status: 200, body: "", headers: []}})
    StandIn.channel()
    spans = ElixirScope.spans(pid: self())

    assert [%{name: "GET #Redacted<>", outcome: 200} = request] =
             for(%{kind: :request} = span <- spans, do: span)

    assert request.attributes[:path] == @redacted
    assert [%{name: name, outcome: 200}] = for(%{kind: :http} = span <- spans, do: span)
    assert name == "GET #Redacted<>#Redacted<>"
    names = for %{kind: :channel, name: name} <- spans, do: name
    assert names != [] and Enum.all?(names, &(&1 =~ "#Redacted<>"))
  end
end
