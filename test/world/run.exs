# Runs test suites of other people's code twice, plain and fully instrumented while recording, and compares what became of
# each test. `.ci/world` brings the sources and calls this:
#
#     elixir test/world/run.exs --work FOLDER [--slice] [--short] [--arguments "--exclude db"] NAME=FOLDER ...
#
# NAME is an application of Elixir itself (FOLDER then holds all of Elixir) or a Mix project; the folders beside FOLDER are
# its dependencies; --short cuts the values that are recorded. Ends with status 1 when anything differs, or when nothing
# was run; then what was written stays in the folder of --work, which is removed otherwise.

for file <- ~w(run expected package stdlib table), do: Code.require_file("#{file}.ex", __DIR__)

defmodule World do
  @moduledoc false

  alias World.{Expected, Package, Stdlib, Table}

  def main(arguments) do
    {options, wanted, []} =
      OptionParser.parse(arguments,
        strict: [work: :string, slice: :boolean, short: :boolean, arguments: :string]
      )

    if options[:short], do: System.put_env("WORLD_SHORT", "1")
    work = Keyword.fetch!(options, :work)

    rows =
      for pair <- wanted do
        [name, folder] = String.split(pair, "=", parts: 2)
        IO.puts("#{name}: plain and instrumented, in #{Path.join(work, name)}")
        name |> run(Path.expand(folder), Path.join(work, name), options) |> compare(name)
      end

    IO.puts("")
    rows |> Table.lines() |> Enum.each(&IO.puts/1)
    differing = Enum.filter(rows, &(&1.remarks != []))

    for row <- differing, remark <- row.remarks, do: IO.puts("#{row.name}: #{remark}")

    not_run? = Enum.all?(rows, &Map.has_key?(&1, :not_run))
    if not_run?, do: IO.puts("none of the suites was run")
    if differing == [] and not not_run?, do: File.rm_rf!(work), else: System.halt(1)
  end

  defp run(name, folder, work, options) do
    File.rm_rf!(work)
    File.mkdir_p!(work)

    if name in Stdlib.apps(),
      do: Stdlib.run(name, folder, work, options[:slice] == true),
      else: Package.run(name, folder, Path.dirname(folder), work, String.split(options[:arguments] || ""))
  end

  defp compare({:error, why}, name), do: %{name: name, not_run: why, remarks: []}

  defp compare({:ok, %{plain: plain, instrumented: instrumented} = row}, name) do
    keys = Enum.uniq(Map.keys(plain.tests) ++ Map.keys(instrumented.tests))

    different =
      for key <- keys,
          {was, is} = {plain.tests[key], instrumented.tests[key]},
          was != is and !Expected.reason(name, key),
          do: {key, was, is}

    Map.merge(row, %{different: length(different), remarks: remarks(row, instrumented, different)})
  end

  defp remarks(row, instrumented, different) do
    Enum.concat([
      for(
        {{module, test}, was, is} <- different,
        do: "#{inspect(module)}, #{test}: #{inspect(was)}, instrumented #{inspect(is)}"
      ),
      for(
        which <- [:plain, :instrumented],
        not row[which].ended,
        do: "the #{which} suite did not come to its end"
      ),
      if(row.plain.warnings != row.instrumented.warnings, do: ["the compiler warned otherwise"], else: []),
      if(instrumented.modules == 0, do: ["nothing was instrumented"], else: []),
      if(instrumented.ended and instrumented.events == 0, do: ["nothing was recorded"], else: [])
    ])
  end
end

World.main(System.argv())
