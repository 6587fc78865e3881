# Run by bench/service.exs in a VM of its own: so many connections ask one after the other for so long, and each waits for
# its answer. Says how many requests were answered, and the times of the middle one and of the slowest hundredth in
# microseconds.
[port, users, connections, milliseconds] = Enum.map(System.argv(), &String.to_integer/1)

defmodule Load do
  def run(port, users, connection, milliseconds) do
    :rand.seed(:exsss, connection)
    {:ok, socket} = :gen_tcp.connect({127, 0, 0, 1}, port, [:binary, active: false, nodelay: true])
    until = System.monotonic_time(:millisecond) + milliseconds
    ask(socket, users, until, [])
  end

  defp ask(socket, users, until, times) do
    request = [
      request(:rand.uniform(100), users),
      " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
    ]

    started = System.monotonic_time(:nanosecond)
    :ok = :gen_tcp.send(socket, request)
    answer(socket, "")
    now = System.monotonic_time(:nanosecond)
    times = [div(now - started, 1_000) | times]
    if div(now, 1_000_000) < until, do: ask(socket, users, until, times), else: times
  end

  defp request(dice, _users) when dice <= 60, do: "GET /product/#{:rand.uniform(1_000)}"
  defp request(dice, users) when dice <= 80, do: "GET /cart/user#{:rand.uniform(users)}"
  defp request(_dice, users), do: "POST /cart/user#{:rand.uniform(users)}/#{:rand.uniform(1_000)}"

  defp answer(socket, before) do
    {:ok, more} = :gen_tcp.recv(socket, 0, 10_000)
    bytes = before <> more

    with [head, body] <- :binary.split(bytes, "\r\n\r\n"),
         true <- byte_size(body) >= content_length(head) do
      "HTTP/1.1 200" <> _ = head
    else
      _ -> answer(socket, bytes)
    end
  end

  defp content_length(head) do
    [_, after_name] = Regex.split(~r/\r\ncontent-length: */i, head, parts: 2)
    {length, _} = Integer.parse(after_name)
    length
  end
end

times =
  1..connections
  |> Enum.map(&Task.async(fn -> Load.run(port, users, &1, milliseconds) end))
  |> Task.await_many(:infinity)
  |> Enum.concat()
  |> Enum.sort()

count = length(times)
IO.puts("#{count} #{Enum.at(times, div(count, 2))} #{Enum.at(times, div(count * 99, 100))}")
