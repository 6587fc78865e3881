defmodule ElixirScope.SpansTest do
  # What frameworks tell, as spans. One recording serves all: each test looks at its own process.
  use ExUnit.Case, async: false

  alias ElixirScope.{Error, Event, Span, StandIn}

  @repo [:spans_test, :repo, :query]

  setup_all do
    Ecto.Repo.run(Shop.Repo, @repo)
    dir = Path.join(System.tmp_dir!(), "elixir_scope_spans_#{System.unique_integer([:positive])}")

    {:ok, recording} =
      ElixirScope.start(dir: dir, telemetry: [[:spans_test, :paid], {:span, [:spans_test, :import]}])

    on_exit(fn ->
      Ecto.Repo.stop()
      {:ok, _} = ElixirScope.start()
      File.rm_rf!(dir)
    end)

    %{recording: recording}
  end

  defp spans(filters \\ []), do: ElixirScope.spans([pid: self()] ++ filters)
  # What has causes has them over messages too.
  defp watched do
    {:ok, _} = ElixirScope.watch(self(), kinds: [:messages])
    send(self(), :seen)
    assert_receive :seen
  end

  defp told, do: Enum.to_list(ElixirScope.events(pid: self(), kind: :telemetry))

  test "a request of Phoenix is one span, with the route of its router and the status of its response" do
    StandIn.request(200)
    assert [%Span{} = request, template] = spans()
    assert {request.kind, request.name, request.outcome} == {:request, "GET /users/:id", 200}

    assert Map.new(request.attributes) == %{
             route: "/users/:id",
             path: "/users/7",
             host: "shop.example",
             controller: Shop.UserController,
             action: :show,
             pipe_through: [:browser],
             path_params: %{"id" => "7"},
             params: %{"id" => "7"}
           }

    assert request.finished - request.started >= request.duration
    assert {template.kind, template.name, template.outcome} == {:template, "Shop.UserHTML show html", :ok}
    # Both begin within the call that is recorded.
    assert request.call.mfa == {StandIn, :request, 2}
    assert template.call.mfa == {StandIn, :serve, 3}
  end

  test "of a conn neither headers, cookies, assigns nor the text of the query are kept" do
    StandIn.request(200)

    StandIn.live(
      [:phoenix, :live_view, :mount],
      %{params: %{}, session: %{"token" => StandIn.secret()}, uri: nil},
      [:user]
    )

    StandIn.fetch({:ok, %{status: 200, body: StandIn.secret(), headers: []}})
    StandIn.channel()
    StandIn.query(@repo)
    assert [_ | _] = events = told()

    refute inspect(Enum.map(events, & &1.data), limit: :infinity, printable_limit: :infinity, structs: false) =~
             StandIn.secret()
  end

  test "a request that raises has the exception, and the status of the page that told it" do
    StandIn.request(200, fn -> raise ArgumentError, "no such user" end)
    assert [%Span{kind: :request, name: "GET /users/:id", outcome: 500} = request] = spans(kind: :request)

    assert %{kind: :error, reason: %ArgumentError{message: "no such user"}, stack: [_ | _]} =
             request.exception

    assert inspect(request) =~ "** (ArgumentError) no such user"
  end

  test "the router's dispatch is the request where the endpoint tells nothing" do
    StandIn.dispatch(StandIn.conn(), fn -> StandIn.conn(%{status: 204}) end)
    assert [%Span{kind: :request, name: "GET /users/:id", outcome: 204}] = spans()
  end

  test "a request whose end was never told is unknown once its process serves the next" do
    start = fn -> StandIn.emit([:phoenix, :endpoint, :start], %{}, %{conn: StandIn.conn()}) end
    start.()
    start.()
    assert [%{outcome: :unknown}, %{outcome: :open, duration: nil}] = spans()
    StandIn.emit([:phoenix, :endpoint, :stop], %{duration: 5}, %{conn: StandIn.conn(%{status: 200})})
    assert [%{outcome: :unknown}, %{outcome: 200}] = spans()
  end

  test "a span whose process has ended within it ended with that, where the end was recorded" do
    begin = fn -> StandIn.emit([:phoenix, :endpoint, :start], %{}, %{conn: StandIn.conn()}) end

    within = fn pid ->
      ref = Process.monitor(pid)
      send(pid, :go)
      assert_receive {:DOWN, ^ref, _, _, _}
      ElixirScope.spans(pid: pid)
    end

    work = fn ->
      receive do
        :go -> begin.()
      end

      exit({:shutdown, :gone})
    end

    watched = spawn(work)
    {:ok, _} = ElixirScope.watch(watched, kinds: [:life])

    assert [%Span{kind: :request, outcome: :exit, finished: finished, duration: duration} = span] =
             within.(watched)

    assert finished - span.started == duration
    assert [%Event{time: ^finished}] = Enum.to_list(ElixirScope.events(pid: watched, kind: :exit))
    assert %{kind: :exit, reason: {:shutdown, :gone}} = span.exception
    assert inspect(span) =~ "its process ended: {:shutdown, :gone}"
  end

  test "what began and what was logged can be asked for its causes, and leads to its moment" do
    watched()
    StandIn.request(200)
    StandIn.query(@repo)
    [request] = spans(kind: :request)
    assert %{event: %{id: id}} = ElixirScope.at(request)
    assert id == request.id
    # A query is told by its end alone; its moment is its beginning.
    [query] = spans(kind: :query)
    assert query.time > query.started
    assert ElixirScope.at(query).time == query.started
    {:ok, causes} = ElixirScope.causes(query)
    assert {causes.event.id, causes.event.kind} == {query.id, :telemetry}
    {:ok, effects} = ElixirScope.effects(request)
    assert effects.event.id == request.id
    assert ElixirScope.happened_before?(request, query)
    assert {:ok, %ElixirScope.Causes.Way{}} = ElixirScope.causal_path(request, query)
  end

  test "a query has its source, rows and times, and began as long ago as it took" do
    StandIn.request(200, fn -> StandIn.query(@repo) end)
    assert [query] = spans(kind: :query)
    assert {query.name, query.outcome, query.duration} == {"SELECT users", :ok, 1_500_000}
    assert query.finished - query.started == 1_500_000

    assert %{rows: 3, repo: Shop.Repo, queue_time: 200_000, query_time: 1_200_000, query: "SELECT u0" <> _} =
             Map.new(query.attributes)

    refute Keyword.has_key?(query.attributes, :params)
    assert query.call.mfa == {StandIn, :query, 3}
    assert inspect(query) =~ ~r/query_time +1.20 ms/
    assert %{event: nil} = before = ElixirScope.at(query.started - 1, pid: self()) |> Map.put(:event, nil)
    assert before.time == query.started - 1
    assert ElixirScope.at(query).time == query.started
  end

  test "a query that fails" do
    StandIn.query(@repo, %{result: {:error, %RuntimeError{message: "no such table"}}})
    assert [%{outcome: {:error, %RuntimeError{}}} = query] = spans()
    assert inspect(query) =~ "-> ** (RuntimeError) no such table"
  end

  test "a repo that begins later is recorded from then on" do
    :telemetry.execute([:ecto, :repo, :init], %{}, %{
      repo: Spans.Late.Repo,
      opts: [telemetry_prefix: [:spans_late]]
    })

    StandIn.query([:spans_late, :query])
    :telemetry.execute([:ecto, :repo, :init], %{}, %{repo: Spans.LateTest.Repo, opts: []})
    StandIn.query([:spans, :late_test, :repo, :query])
    assert [%{kind: :query}, %{kind: :query}] = spans()
  end

  test "jobs" do
    StandIn.job(fn -> :sent end)
    StandIn.job(fn -> raise "no mail" end)
    assert [sent, failed] = spans(kind: :job)
    assert {sent.name, sent.outcome} == {"Shop.Mailer", :success}

    assert %{id: 12, queue: "mail", attempt: 2, args: %{"order" => 4}, result: :sent} =
             Map.new(sent.attributes)

    assert {failed.outcome, failed.exception.reason} == {:failure, %RuntimeError{message: "no mail"}}
  end

  test "requests that the program makes" do
    StandIn.fetch({:ok, %{status: 201, body: "12345", headers: []}})
    StandIn.fetch({:error, %RuntimeError{message: "closed"}})
    assert [made, failed] = spans(kind: :http)
    assert {made.name, made.outcome, made.attributes[:bytes]} == {"GET api.example/orders", 201, 5}
    assert failed.outcome == {:error, %RuntimeError{message: "closed"}}

    # ReqTelemetry counts microseconds.
    url = URI.parse("https://api.example/orders")

    StandIn.emit([:req, :request, :pipeline, :start], %{time: 1}, %{
      ref: make_ref(),
      method: :get,
      url: url,
      headers: []
    })

    StandIn.emit([:req, :request, :pipeline, :stop], %{duration: 250}, %{
      ref: make_ref(),
      method: :get,
      url: url,
      status: 200
    })

    assert [%{name: "GET api.example/orders", outcome: 200, duration: 250_000}] =
             spans(kind: :http, order: :newest, limit: 1)
  end

  test "callbacks of LiveViews and components say what they were given and which assigns they changed" do
    StandIn.live([:phoenix, :live_view, :handle_event], %{event: "add", params: %{"id" => "4"}}, [
      :items,
      :total
    ])

    component = %{component: Shop.RowComponent, event: "pick", params: %{}}
    StandIn.live([:phoenix, :live_component, :handle_event], component, [])
    assert [event, picked] = spans()
    assert {event.kind, event.name} == {:live_view, ~s(Shop.CartLive.handle_event "add")}

    assert {event.attributes[:params], Enum.sort(event.attributes[:changed])} ==
             {%{"id" => "4"}, [:items, :total]}

    assert {picked.kind, picked.name} == {:live_component, ~s(Shop.RowComponent.handle_event "pick")}
    assert picked.attributes[:view] == Shop.CartLive
  end

  test "channels" do
    StandIn.channel()
    assert [joined, said] = spans(kind: :channel)
    assert {joined.name, joined.outcome, joined.duration} == {"join room:7", :ok, 3_000_000}
    assert {said.name, said.attributes[:params]} == {"say in room:7", %{"text" => "hello"}}
  end

  test "an event that the configuration names is an event and a span of no length" do
    StandIn.emit([:spans_test, :paid], %{cents: 990}, %{order: 7})

    assert [%Event{data: %{name: [:spans_test, :paid], measurements: %{cents: 990}, metadata: %{order: 7}}}] =
             told()

    assert [span] = spans()
    assert {span.kind, span.name, span.duration, span.outcome} == {:custom, "spans_test.paid", 0, :ok}
    assert span.attributes == [order: 7, cents: 990]
  end

  test "spans of one name within each other are told apart, also where the inner one raises" do
    import_ = fn metadata, work -> :telemetry.span([:spans_test, :import], metadata, work) end

    import_.(%{part: 1}, fn ->
      try do
        import_.(%{part: 2}, fn -> throw(:no) end)
      catch
        :no -> :ok
      end

      {:ok, %{part: 1, rows: 4}}
    end)

    assert [outer, inner] = spans()
    assert {outer.outcome, outer.attributes} == {:ok, [part: 1, rows: 4]}
    assert {inner.outcome, inner.exception.kind, inner.exception.reason} == {:raised, :throw, :no}
    assert outer.started <= inner.started and inner.finished <= outer.finished
  end

  test "a conn under a name of one's own is a request, as Plug.Telemetry tells it" do
    {:ok, names} = ElixirScope.telemetry([{:span, [:spans_test, :plug]}])
    assert [:spans_test, :plug, :start] in names
    StandIn.emit([:spans_test, :plug, :start], %{}, %{conn: StandIn.conn(), options: []})

    StandIn.emit([:spans_test, :plug, :stop], %{duration: 7}, %{
      conn: StandIn.conn(%{status: 404}),
      options: []
    })

    assert [%{kind: :request, name: "GET /users/7", outcome: 404, duration: 7}] = spans()
  end

  test "filters", %{recording: recording} do
    before = ElixirScope.now()
    StandIn.emit([:spans_test, :paid], %{}, %{order: 1})
    middle = ElixirScope.now()
    StandIn.emit([:spans_test, :paid], %{}, %{order: 2})
    StandIn.query(@repo)
    assert [%{attributes: [order: 1]}] = spans(until: middle, since: before, kind: :custom)
    assert [%{attributes: [order: 2]}] = spans(since: middle, kind: [:custom, :job])
    assert [%{attributes: [order: 2]}] = spans(order: :newest, kind: :custom, limit: 1, in: recording)
    assert [%{kind: :query}] = spans(matching: "SELECT")
    assert [_, _] = spans(matching: ~r/paid$/)
    assert [] = spans(kind: :job)
    assert_raise Error, ~r/expected :matching to be a text/, fn -> spans(matching: 7) end
    assert_raise Error, ~r/unknown filter :knd/, fn -> spans(knd: 7) end
  end
end
