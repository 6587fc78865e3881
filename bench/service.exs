# A whole application: the HTTP service of bench/service/shop.exs, compiled and recorded in five ways, under a load generator in
# another VM on the loopback.
#
# All servers run at once, idle but for the one that is asked. Each round asks each of them, in another order, so that all
# see the same weather: first with more connections than cores (throughput, p99), then with one (p50 of an answer that waits for
# nobody). A ratio is the median of those of the rounds. The load generator takes a part of the same cores, so that the throughput of all is lower and
# closer together than with another machine; the processor time of the server's own VM a request is not touched by that.
#
# SCOPE_BENCH_SERVICE=ROUNDS,MILLISECONDS chooses how long: 9 rounds of 700 ms for each of the two loads by default.

Code.require_file("table.exs", __DIR__)

defmodule Bench.Service do
  @moduledoc false

  alias Bench.Table

  @ways [
    plain: "plain",
    off: "instrumented, off",
    bare: "recording, `args: false, returns: false, state: false`",
    default: "recording, default",
    full: "recording, `locals: true`"
  ]
  @users 50
  @connections 8

  def run do
    [rounds, milliseconds] =
      System.get_env("SCOPE_BENCH_SERVICE", "9,700") |> String.split(",") |> Enum.map(&String.to_integer/1)

    dir = Path.join(System.tmp_dir!(), "elixir_scope_bench_service_#{System.pid()}")

    try do
      servers = for {way, _} <- @ways, do: {way, start(way, dir)}
      # The first round warms up: code is loaded, carts are filled.
      for {_, server} <- servers, do: load(server, @connections, 500)

      told =
        for number <- 1..rounds do
          {later, first} = Enum.split(servers, rem(number, length(servers)))
          for {way, server} <- first ++ later, into: %{}, do: {way, round(server, milliseconds)}
        end

      recorded = for {way, server} <- servers, into: %{}, do: {way, {memory(server), stop(server)}}
      report(told, recorded, rounds, milliseconds)
    after
      File.rm_rf!(dir)
    end
  end

  defp start(way, dir) do
    args = paths() ++ [Path.join(__DIR__, "service/server.exs"), Path.join(dir, "#{way}"), "#{@users}"]
    port = open(args, [{~c"SCOPE_SERVICE", ~c"#{way}"}])
    [number, os_pid] = port |> line() |> String.split(" ")
    %{port: port, number: number, os_pid: os_pid, dir: Path.join(dir, "#{way}")}
  end

  defp paths, do: Enum.flat_map(:code.get_path(), &["-pa", List.to_string(&1)])

  defp open(args, env) do
    elixir = System.find_executable("elixir")
    Port.open({:spawn_executable, elixir}, [:binary, line: 1_000, args: args, env: env])
  end

  defp line(port) do
    receive do
      {^port, {:data, {:eol, line}}} -> line
    after
      60_000 -> raise "a VM of the service bench says nothing"
    end
  end

  # So many requests a second, p50 with one connection, p99 with many; processor microseconds of the server a request.
  defp round(server, milliseconds) do
    before = processor_time(server)
    {count, _, p99} = load(server, @connections, milliseconds)
    used = processor_time(server) - before
    {alone, p50, _} = load(server, 1, milliseconds)

    %{
      throughput: count * 1_000 / milliseconds,
      p50: p50,
      p99: p99,
      processor: used / count,
      count: count + alone
    }
  end

  defp load(server, connections, milliseconds) do
    args = [
      Path.join(__DIR__, "service/load.exs"),
      server.number | Enum.map([@users, connections, milliseconds], &"#{&1}")
    ]

    port = open(args, [])
    [count, p50, p99] = port |> line() |> String.split(" ") |> Enum.map(&String.to_integer/1)
    ref = Port.monitor(port)
    receive(do: ({:DOWN, ^ref, :port, _, _} -> :ok))
    {count, p50, p99}
  end

  # Of user and system, in microseconds. The name in the second field may hold spaces, what follows it may not.
  defp processor_time(server) do
    [_, rest] = "/proc/#{server.os_pid}/stat" |> File.read!() |> String.split(") ", parts: 2)
    [user, system] = rest |> String.split(" ") |> Enum.slice(11, 2) |> Enum.map(&String.to_integer/1)
    # Linux counts in hundredths of a second for programs, whatever it uses itself.
    (user + system) * 10_000
  end

  defp memory(server) do
    text = File.read!("/proc/#{server.os_pid}/status")

    [all, own] =
      for field <- ["VmRSS", "RssAnon"], do: Regex.run(~r/#{field}:\s+(\d+) kB/, text) |> Enum.at(1)

    {String.to_integer(all) / 1_000, String.to_integer(own) / 1_000}
  end

  # What it recorded, if it did. It ends when its standard input does.
  defp stop(server) do
    Port.close(server.port)
    await_end(server)

    with {:ok, recording} <- ElixirScope.open(server.dir),
         {:ok, status} <- ElixirScope.status(in: recording) do
      {status.events, status.bytes, status.lost}
    else
      {:error, %{reason: :not_found}} -> {0, 0, 0}
    end
  end

  defp await_end(server) do
    if File.dir?("/proc/#{server.os_pid}") do
      receive(after: (10 -> await_end(server)))
    end
  end

  defp report(told, recorded, rounds, milliseconds) do
    Table.promise("an HTTP service, default recording: p50 added", added(told, :p50), {:most, 5}, "%")

    Table.promise(
      "an HTTP service, default recording: time a request added, by throughput",
      100 * (1 / ratio(told, :default, :throughput) - 1),
      {:most, 5},
      "%"
    )

    Table.promise(
      "an HTTP service, default recording: resident memory added",
      elem(elem(recorded.default, 0), 0) - elem(elem(recorded.plain, 0), 0),
      {:most, 50},
      "MB"
    )

    rows =
      for {way, label} <- @ways do
        {{all, own}, {events, bytes, lost}} = recorded[way]
        requests = for(round <- told, do: round[way].count) |> Enum.sum()
        measured = for field <- [:throughput, :p50, :p99, :processor], do: cell(told, way, field)

        cells = [
          "#{Table.number(all)}, own #{Table.number(own)}",
          # Those of the warming up are a few more.
          Table.number((events + lost) / requests),
          Table.number(bytes / requests),
          "#{lost}"
        ]

        "| #{label} | #{Enum.join(measured ++ cells, " | ")} |"
      end

    """
    ### A whole application: an HTTP service

    | compiled and recorded | requests a second | p50, us | p99, us | processor us a request | resident MB | events a request | bytes a request | lost |
    |---|---|---|---|---|---|---|---|---|
    #{Enum.join(rows, "\n")}

    Against the plain one of the same round; medians of #{rounds} rounds of #{milliseconds} ms. Throughput, p99 and processor time with #{@connections} connections, p50
    with one. Resident memory holds the mapped files of the recording as well; own memory does not.
    """
  end

  defp cell(told, way, field) do
    figure = median(for round <- told, do: round[way][field])
    "#{Table.number(figure)} (#{:erlang.float_to_binary(ratio(told, way, field), decimals: 3)} x)"
  end

  defp added(told, field), do: 100 * (ratio(told, :default, field) - 1)
  defp ratio(told, way, field), do: median(for round <- told, do: round[way][field] / round.plain[field])
  defp median(figures), do: figures |> Enum.sort() |> Enum.at(div(length(figures), 2))
end
