defmodule ElixirScope.StandIn do
  @moduledoc """
  Programs that emit the events of frameworks, in the order and with the metadata that the documentation of each says. Structs are
  made as maps, since their modules are no dependency.
  """

  use ElixirScope

  @secret "hunter2-do-not-record"

  def secret, do: @secret

  def conn(fields \\ %{}) do
    Map.merge(
      %{
        __struct__: Plug.Conn,
        method: "GET",
        host: "shop.example",
        request_path: "/users/7",
        query_string: "token=" <> @secret,
        status: nil,
        params: %{__struct__: Plug.Conn.Unfetched, aspect: :params},
        path_params: %{},
        req_headers: [{"authorization", @secret}],
        resp_body: nil,
        assigns: %{user: @secret},
        private: %{}
      },
      fields
    )
  end

  @doc "A request that Phoenix serves: the response is sent within the router's dispatch."
  def request(status \\ 200, work \\ fn -> :ok end) do
    conn = conn()
    execute([:phoenix, :endpoint, :start], %{system_time: System.system_time()}, %{conn: conn, options: []})
    conn = %{conn | params: %{"id" => "7"}, path_params: %{"id" => "7"}}
    dispatch(conn, fn -> serve(conn, status, work) end)
  end

  @doc "What the router tells of a request, without what the endpoint tells."
  def dispatch(conn, work) do
    metadata = %{
      conn: conn,
      route: "/users/:id",
      plug: Shop.UserController,
      plug_opts: :show,
      path_params: %{"id" => "7"},
      pipe_through: [:browser],
      log: :debug
    }

    start = System.monotonic_time()
    execute([:phoenix, :router_dispatch, :start], %{system_time: System.system_time()}, metadata)

    try do
      conn = work.()
      execute([:phoenix, :router_dispatch, :stop], took(start), %{metadata | conn: conn})
      conn
    catch
      kind, reason ->
        reason = %{
          __struct__: Plug.Conn.WrapperError,
          conn: conn,
          kind: kind,
          reason: reason,
          stack: __STACKTRACE__
        }

        raised = %{kind: kind, reason: reason, stacktrace: __STACKTRACE__}
        execute([:phoenix, :router_dispatch, :exception], took(start), Map.merge(metadata, raised))
        # The endpoint renders the error, and sends it.
        conn = %{conn | status: 500}
        rendered = Map.merge(%{conn: conn, status: 500, log: :debug}, raised)
        execute([:phoenix, :endpoint, :stop], took(start), %{conn: conn, options: []})
        execute([:phoenix, :error_rendered], took(start), rendered)
        conn
    end
  end

  defp serve(conn, status, work) do
    start = System.monotonic_time()
    work.()

    :telemetry.span(
      [:phoenix, :controller, :render],
      %{conn: conn, view: Shop.UserHTML, template: "show", format: "html"},
      fn ->
        {:ok, %{conn: conn, view: Shop.UserHTML, template: "show", format: "html"}}
      end
    )

    private = %{phoenix_controller: Shop.UserController, phoenix_action: :show}
    conn = %{conn | status: status, private: private}
    execute([:phoenix, :endpoint, :stop], took(start), %{conn: conn, options: []})
    conn
  end

  @doc "A query of Ecto, told when it is over."
  def query(name, fields \\ %{}, times \\ %{}) do
    us = &System.convert_time_unit(&1, :microsecond, :native)

    measurements =
      Map.merge(
        %{
          total_time: us.(1_500),
          query_time: us.(1_200),
          queue_time: us.(200),
          decode_time: us.(100),
          idle_time: us.(9_000)
        },
        times
      )

    metadata = %{
      type: :ecto_sql_query,
      repo: Shop.Repo,
      result: {:ok, %{command: :select, num_rows: 3, rows: [[@secret]]}},
      params: [@secret],
      cast_params: [@secret],
      query: ~s{SELECT u0."id" FROM "users" AS u0 WHERE (u0."id" = $1)},
      source: "users",
      stacktrace: nil,
      options: []
    }

    execute(name, measurements, Map.merge(metadata, fields))
  end

  @doc "A job of Oban."
  def job(work) do
    job = %{
      __struct__: Oban.Job,
      id: 12,
      worker: "Shop.Mailer",
      queue: "mail",
      args: %{"order" => 4},
      attempt: 2,
      max_attempts: 20,
      tags: [],
      meta: %{},
      state: "executing"
    }

    start = System.monotonic_time()
    execute([:oban, :job, :start], %{system_time: System.system_time()}, %{conf: %{name: Oban}, job: job})
    measured = Map.merge(took(start), %{queue_time: 2_000_000, memory: 1_000, reductions: 10})

    try do
      result = work.()

      execute([:oban, :job, :stop], measured, %{
        conf: %{name: Oban},
        job: job,
        state: :success,
        result: result
      })
    catch
      kind, reason ->
        execute([:oban, :job, :exception], measured, %{
          conf: %{name: Oban},
          job: job,
          state: :failure,
          result: nil,
          kind: kind,
          reason: reason,
          stacktrace: __STACKTRACE__
        })
    end
  end

  @doc "A request that Finch makes."
  def fetch(result) do
    request = %{
      __struct__: Finch.Request,
      scheme: :https,
      host: "api.example",
      port: 443,
      method: "GET",
      path: "/orders",
      query: "page=2",
      headers: [{"authorization", @secret}],
      body: @secret,
      private: %{}
    }

    :telemetry.span([:finch, :request], %{name: Shop.Finch, request: request}, fn ->
      {:ok, %{name: Shop.Finch, request: request, result: result}}
    end)
  end

  @doc "A callback of a LiveView: `changed` are the names of assigns that it changes."
  def live(callback, metadata, changed) do
    socket = %Phoenix.LiveView.Socket{view: Shop.CartLive, assigns: %{__changed__: %{}, user: @secret}}
    after_ = %{socket | assigns: %{socket.assigns | __changed__: Map.new(changed, &{&1, true})}}

    :telemetry.span(callback, Map.put(metadata, :socket, socket), fn ->
      {:ok, Map.put(metadata, :socket, after_)}
    end)
  end

  @doc "A channel is joined, and sent something."
  def channel do
    socket = %{
      __struct__: Phoenix.Socket,
      topic: "room:7",
      channel: Shop.RoomChannel,
      handler: Shop.Socket,
      assigns: %{user: @secret}
    }

    duration = System.convert_time_unit(3, :millisecond, :native)
    joined = %{result: :ok, params: %{"name" => "ann"}, socket: socket}
    execute([:phoenix, :channel_joined], %{duration: duration}, joined)
    sent = %{event: "say", params: %{"text" => "hello"}, socket: socket, ref: "1"}
    execute([:phoenix, :channel_handled_in], %{duration: duration}, sent)
  end

  @doc "Something of the program's own, in a call that is recorded."
  def emit(name, measurements \\ %{}, metadata \\ %{}), do: execute(name, measurements, metadata)

  @scope false
  defp execute(name, measurements, metadata), do: :telemetry.execute(name, measurements, metadata)

  @scope false
  defp took(start), do: %{duration: System.monotonic_time() - start}
end
