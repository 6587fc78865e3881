# Events of `:telemetry`, a million of them in one go, and lines of the log: recorded, and given to a handler that does nothing. The real `:telemetry` is used where it is on
# the code path, otherwise the stand-in of the tests.

Code.require_file("table.exs", __DIR__)

unless Code.ensure_loaded?(:telemetry),
  do: Code.require_file("../test/support/stand_in/telemetry.ex", __DIR__)

defmodule Bench.Telemetry do
  @moduledoc false

  alias Bench.Table

  @count 1_000
  @sustained 1_000_000

  def run do
    dir = Path.join(System.tmp_dir!(), "elixir_scope_bench_telemetry_#{System.pid()}")
    File.mkdir_p!(dir)

    try do
      {:ok, _} =
        ElixirScope.start(
          dir: dir,
          watch: false,
          telemetry: [[:bench, :ours]],
          limits: [ring_bytes: 16 * 1024 * 1024]
        )

      :telemetry.execute([:ecto, :repo, :init], %{}, %{
        repo: Bench.Repo,
        opts: [telemetry_prefix: [:bench, :repo]]
      })

      for {_label, name, _, _} <- events(), do: nothing(:nothing, name)
      table = events() |> Enum.flat_map(&cases/1) |> Table.measure(@count) |> table()
      lines = lines()
      sustained = sustained()
      ElixirScope.stop()
      Enum.join([table, lines, sustained], "\n")
    after
      File.rm_rf!(dir)
    end
  end

  # The twin of a name has a handler that does nothing; names of frameworks are recorded.
  defp nothing(id, name), do: :telemetry.attach({id, name}, twin(name), &__MODULE__.ignore/4, nil)
  defp twin(name), do: [:twin | name]

  def ignore(_name, _measurements, _metadata, _config), do: :ok

  defp cases({label, name, measurements, metadata}) do
    [
      {{label, :nothing}, fn -> :ok end, &emit(&1, twin(name), measurements, metadata)},
      {{label, :ours}, fn -> ElixirScope.flush() end, &emit(&1, name, measurements, metadata)}
    ]
  end

  defp emit(0, _name, _measurements, _metadata), do: :ok

  defp emit(left, name, measurements, metadata) do
    :telemetry.execute(name, measurements, metadata)
    emit(left - 1, name, measurements, metadata)
  end

  defp table(times) do
    rows =
      for {label, _, _, _} <- events() do
        [nothing, ours] = for which <- [:nothing, :ours], do: elem(List.keyfind(times, {label, which}, 0), 1)
        "| #{label} | #{Table.number(nothing)} | #{Table.number(ours)} | #{Table.number(ours / nothing)} x |"
      end

    """
    ### Events of frameworks

    | event | ns, a handler that does nothing | ns, recorded | ratio |
    |---|---|---|---|
    #{Enum.join(rows, "\n")}

    Nanoseconds an event; medians. A request of Phoenix emits four to six of them.
    """
  end

  # As fast as one process can, with the drain beside it.
  defp sustained do
    [{_label, name, measurements, metadata} | _] = events()

    [nothing, ours] =
      for name <- [twin(name), name] do
        {time, :ok} = :timer.tc(fn -> emit(@sustained, name, measurements, metadata) end)
        time / 1_000_000
      end

    {:ok, %{lost: lost}} = ElixirScope.status()

    """
    A million events of the first kind in one go: #{Table.number(nothing)} s with a handler that does nothing, #{Table.number(ours)} s recorded \
    (#{Table.number(ours / nothing)} x); #{lost} were lost.
    """
  end

  # A handler of `:logger` that does nothing, and ours; `Logger`'s own, which writes to the console, is taken away meanwhile.
  defp lines do
    handlers =
      for id <- :logger.get_handler_ids(), id != :elixir_scope, do: elem(:logger.get_handler_config(id), 1)

    for %{id: id} <- handlers, do: :logger.remove_handler(id)
    {:ok, ours} = :logger.get_handler_config(:elixir_scope)

    [nothing, recorded] =
      try do
        for {id, module, config} <- [{:bench, __MODULE__, %{}}, {:elixir_scope, ours.module, ours}] do
          for id <- [:bench, :elixir_scope], do: :logger.remove_handler(id)
          :ok = :logger.add_handler(id, module, Map.drop(config, [:id, :module]))
          [{_, time}] = Table.measure([{:line, fn -> ElixirScope.flush() end, &write/1}], 500)
          time
        end
      after
        for %{id: id, module: module} = config <- handlers,
            do: :logger.add_handler(id, module, Map.drop(config, [:id, :module]))
      end

    """
    ### A line of the log

    | ns, a handler that does nothing | ns, recorded | ratio |
    |---|---|---|
    | #{Table.number(nothing)} | #{Table.number(recorded)} | #{Table.number(recorded / nothing)} x |
    """
  end

  def log(_event, _config), do: :ok

  defp write(0), do: :ok

  defp write(left) do
    :logger.error("no tea left", %{order: 7})
    write(left - 1)
  end

  defp events do
    conn = %{
      __struct__: Plug.Conn,
      method: "GET",
      host: "shop.example",
      request_path: "/users/7",
      status: 200,
      params: %{"id" => "7"},
      private: %{phoenix_controller: Shop.UserController, phoenix_action: :show},
      req_headers: for(n <- 1..15, do: {"header-#{n}", "value"}),
      assigns: Map.new(1..20, &{:"assign_#{&1}", &1}),
      resp_body: String.duplicate("body", 1_000)
    }

    query = %{
      type: :ecto_sql_query,
      repo: Bench.Repo,
      result: {:ok, %{num_rows: 3, rows: [[1], [2], [3]]}},
      params: [7],
      query: ~s{SELECT u0."id" FROM "users" AS u0 WHERE (u0."id" = $1)},
      source: "users",
      stacktrace: nil,
      options: []
    }

    [
      {"one of the program's own, two numbers and two keys", [:bench, :ours], %{count: 1, size: 7},
       %{order: 7, kind: :tea}},
      {"a query of Ecto", [:bench, :repo, :query], %{total_time: 1_500, query_time: 1_200, queue_time: 300},
       query},
      {"the end of a request (`Plug.Telemetry`), with its conn", [:phoenix, :endpoint, :stop],
       %{duration: 1_000_000}, %{conn: conn, options: []}}
    ]
  end
end
