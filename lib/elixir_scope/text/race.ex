defimpl Inspect, for: ElixirScope.Race do
  # The four conversations in their order, with what each did to the state; then what was lost.
  alias ElixirScope.{Native, Path, Text}
  alias ElixirScope.Text.Names

  def inspect(%{kind: :unknown, first: nil, lost: lost, server: server}, _opts) when is_pid(server) do
    Text.view("Race", ["unknown, of #{Kernel.inspect(server)}" | Text.wrap("#{lost}", 100)])
  end

  def inspect(%{first: %{write: %{time: time, id: id}}, second: %{read: %{}}} = race, opts) do
    options = Text.options(opts)
    recording = Names.origin(id, race.server, time)

    Text.view("Race", [
      Text.columns([
        words(race.kind),
        Text.process(recording, race.server, time),
        race.paths |> Enum.take(3) |> Enum.map_join(", ", &Path.format/1),
        Text.moment(time, Native.now())
      ]),
      Text.table(race |> rows() |> Enum.map(&row(&1, recording, options))),
      Text.wrap("lost: #{race.lost}", 110)
    ])
  end

  # Made by hand.
  def inspect(race, opts), do: Inspect.Any.inspect(race, opts)

  defp words(:lost_update), do: "lost update"
  defp words(:stale_read), do: "stale read"
  defp words(:unknown), do: "perhaps a lost update"

  defp rows(race) do
    for side <- [race.first, race.second],
        {what, access} <- [reads: side.read, writes: side.write],
        access != nil do
      {access, side.client, what}
    end
    |> Enum.sort_by(fn {access, _client, _what} -> access.id end)
  end

  defp row({access, client, what}, recording, options) do
    options = Keyword.update(options, :width, 40, &narrow/1)

    [
      Text.clock(access.time),
      Text.process(recording, client, access.time),
      Atom.to_string(what),
      Text.short(access.message, options),
      outcome(what, access, options)
    ]
  end

  defp narrow(width) when is_integer(width), do: min(width, 40)
  defp narrow(width), do: width

  defp outcome(:reads, access, options), do: "-> #{Text.short(access.reply, options)}"
  defp outcome(:writes, access, options), do: Text.Difference.line(access.difference, options)
end
