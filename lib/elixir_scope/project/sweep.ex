# A folder of object code, brought in line with what is asked for its modules. What was found in order is remembered
# by content, so that nothing is read twice: times of files say nothing about what is in them.
defmodule ElixirScope.Project.Sweep do
  @moduledoc false

  alias ElixirScope.Project.{Description, Rewrite}

  @typedoc "By file name, the digest of its content; and of what was asked for."
  @type seen :: {binary(), %{String.t() => binary()}}
  @type report :: %{
          rewritten: [module()],
          restored: [module()],
          protocols?: boolean(),
          without_debug_info: [module()],
          unable: [{module(), String.t()}],
          said: [String.t()]
        }
  @typedoc "What is asked for a module with this description (`:error`: it has none); `nil`: leave it alone."
  @type ask :: (module(), {:ok, map()} | :error -> Rewrite.request() | nil)

  @nothing %{rewritten: [], restored: [], protocols?: false, without_debug_info: [], unable: [], said: []}

  @doc "Brings a folder in line. `rules` stands for whatever else `ask` goes by."
  @spec run(Path.t(), rules :: term(), ask(), seen() | nil) :: {report(), seen()}
  def run(folder, rules, ask, seen) do
    version = Rewrite.version()
    digest = :erlang.md5(:erlang.term_to_binary({rules, version}, [:deterministic]))
    files = folder |> Path.join("*.beam") |> Path.wildcard()

    if seen == {digest, contents(files)} do
      {@nothing, seen}
    else
      own_folder(folder)

      report =
        files
        |> Task.async_stream(&file(&1, ask, version), timeout: :infinity, ordered: true)
        |> Enum.reduce(@nothing, fn {:ok, result}, report -> add(result, report) end)

      {report, {digest, contents(files)}}
    end
  end

  defp contents(files), do: Map.new(files, &{Path.basename(&1), :erlang.md5(File.read!(&1))})

  # For dependencies built by make, Mix makes a link to the folder of their source, which all environments share.
  defp own_folder(folder) do
    with {:ok, _target} <- File.read_link(folder) do
      copy = folder <> ".copy"
      File.rm_rf!(copy)
      File.cp_r!(folder, copy)
      for file <- File.ls!(folder), do: File.touch!(Path.join(copy, file), mtime(Path.join(folder, file)))
      File.rm!(folder)
      File.rename!(copy, folder)
    end
  end

  defp file(path, ask, version) do
    module = path |> Path.basename(".beam") |> String.to_atom()
    {original, marked} = path |> File.read!() |> Rewrite.original()
    description = Description.of(original)

    case ask.(module, description) do
      nil ->
        restore(path, module, original, marked, description)

      request ->
        rewrite(path, module, original, marked, description, request, Rewrite.digest(request, version))
    end
  end

  defp rewrite(_path, _module, _original, digest, _description, _request, digest), do: []

  defp rewrite(path, module, original, marked, description, request, digest) do
    case Rewrite.run(original, request, digest) do
      {:ok, beam, said} ->
        put(path, module, beam)
        [rewritten: module, said: said] ++ protocol(description)

      {:left, reason, said} ->
        [said: said] ++ left(reason, module) ++ restore(path, module, original, marked, description)
    end
  end

  defp restore(_path, _module, _original, nil, _description), do: []

  defp restore(path, module, original, _marked, description) do
    put(path, module, original)
    [restored: module] ++ protocol(description)
  end

  defp left(:no_debug_info, module), do: [without_debug_info: module]
  defp left({:unable, problem}, module), do: [unable: {module, problem}]
  defp left(_nothing_to_do, _module), do: []

  defp protocol({:ok, %{protocol?: true}}), do: [protocols?: true]
  defp protocol(_other), do: []

  defp add(result, report) do
    Enum.reduce(result, report, fn
      {:protocols?, true}, report -> %{report | protocols?: true}
      {:said, said}, report -> Map.update!(report, :said, &(&1 ++ said))
      {key, value}, report -> Map.update!(report, key, &(&1 ++ [value]))
    end)
  end

  # The file is there at every moment, and as old as it was, since some of Mix goes by times.
  defp put(path, module, beam) do
    written = path <> ".new"
    File.write!(written, beam)
    File.touch!(written, mtime(path))
    File.rename!(written, path)
    reload(path, module, beam)
  end

  # A process that still runs the code from before the last change is not killed for this; the next VM has the new code.
  defp reload(path, module, beam) do
    if :code.is_loaded(module) != false and not :code.is_sticky(module) and :code.soft_purge(module),
      do: :code.load_binary(module, String.to_charlist(path), beam)
  end

  defp mtime(path), do: File.stat!(path, time: :posix).mtime
end
