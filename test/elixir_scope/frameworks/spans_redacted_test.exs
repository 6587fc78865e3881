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
