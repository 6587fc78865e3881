# One compiled module, rewritten after it was compiled, for code that no compiler tracer of the project sees. The same
# rewriter as in the compiler starts from the same forms, those in the debug information.
#
# Invariants: what is not code (documentation, debug information, attributes, compile information) stays byte for byte; one
# chunk is added, which holds the file as it was. So the original cannot get lost, and is put back bit for bit.
defmodule ElixirScope.Project.Rewrite do
  @moduledoc false

  alias ElixirScope.Instrument.{Beam, Compile, Compiler, Hook, Own, Plan, Request, Source, Transform}
  alias ElixirScope.Project.{Description, Standby}

  @mark ~c"ElSc"
  @kept [~c"Attr", ~c"CInf", ~c"Dbgi"]

  @typedoc "What is asked for, as the compiler tracer would have asked, and what it was asked of."
  @type request :: Request.project()
  @type left :: :no_debug_info | :nothing | :own | {:unable, String.t()}

  @doc "The file as it was, and by which request and rewriter it was rewritten (`nil`: it was not)."
  @spec original(binary()) :: {binary(), digest :: binary() | nil}
  def original(beam) do
    # Most files are not marked, and looking for four bytes is faster than reading chunks.
    with {_, _} <- :binary.match(beam, "ElSc"),
         {:ok, {_module, [{_, mark}]}} <- :beam_lib.chunks(beam, [@mark]),
         {digest, original} <- :erlang.binary_to_term(mark) do
      {original, digest}
    else
      _not_marked -> {beam, nil}
    end
  end

  @doc "By which a rewritten file is known to be up to date."
  @spec digest(request(), version :: binary()) :: binary()
  def digest(request, version), do: hash({request, version})

  @doc "The rewriter, as one digest."
  @spec version() :: binary()
  def version,
    do: hash({Compiler.version(), for(module <- [__MODULE__, Standby], do: module.module_info(:md5))})

  @doc """
  Rewrites an original. With sentences for the user: functions that could not be rewritten, names that do not exist.
  """
  @spec run(binary(), request(), digest :: binary()) ::
          {:ok, binary(), [String.t()]} | {:left, left(), [String.t()]}
  def run(beam, request, digest) do
    with {:ok, map} <- Description.of(beam),
         false <- Beam.functions(beam, map.module) != [] or Own.module?(map.module, map.file),
         {:project, options} <- Request.read([elixir_scope_project: request], map) do
      forms = Beam.forms(beam)
      {rewritten, report} = Transform.run(forms, options, Source.of_compiled(forms, source(beam), nil))
      said = Request.unknown(map, options) ++ unable(report)

      if rewritten == forms do
        {:left, :nothing, said}
      else
        compile(beam, rewritten, map, &build(beam, &1, map, {request, digest}), said)
      end
    else
      :error -> {:left, :no_debug_info, []}
      true -> {:left, :own, []}
      :nothing -> {:left, :nothing, []}
    end
  rescue
    error -> {:left, {:unable, Exception.message(error)}, []}
  end

  defp compile(beam, forms, map, build, said) do
    info = compile_info(beam)
    # Elixir's forms name every function of another module in full; Erlang's do not.
    imports = if map.language == :elixir, do: [:no_auto_import], else: []
    options = [:binary | imports] ++ Compile.inherited(info[:options] || [])

    with {:ok, _module, new} <- forms |> Standby.add() |> Compile.forms(options),
         {:exports, true} <- {:exports, exports(new) == exports(beam)} do
      {:ok, build.(new), said}
    else
      {:error, problem} ->
        {:left, {:unable, problem}, said}

      # `+deterministic` takes `export_all` out of what is known about the compilation.
      {:exports, false} ->
        {:left, {:unable, "it was compiled with options that are not in its file"}, said}
    end
  end

  defp source(beam), do: beam |> compile_info() |> Keyword.get(:source, ~c"") |> List.to_string()

  defp compile_info(beam) do
    {:ok, {_, [compile_info: info]}} = :beam_lib.chunks(beam, [:compile_info])
    info
  end

  defp unable(report) do
    for {{name, arity}, {:unable, _} = reason} <- report.skipped,
        do: "#{inspect(report.module)}.#{name}/#{arity} is left alone, because #{Plan.explain(reason)}"
  end

  defp exports(beam) do
    {:ok, {_, [exports: exports]}} = :beam_lib.chunks(beam, [:exports])
    Enum.sort(exports)
  end

  defp build(beam, new, map, {request, digest}) do
    {:ok, _module, old_chunks} = :beam_lib.all_chunks(beam)
    {:ok, _module, new_chunks} = :beam_lib.all_chunks(new)
    code = Enum.reject(new_chunks, fn {id, _} -> id in @kept end)
    rest = Enum.reject(old_chunks, fn {id, _} -> List.keymember?(code, id, 0) end)
    mark = {@mark, :erlang.term_to_binary({digest, beam}, [:compressed])}
    {:ok, built} = :beam_lib.build_module(code ++ consolidable(rest, map, request) ++ [mark])
    built
  end

  # Mix makes consolidated protocols from the debug information, which then has to ask for the hook.
  defp consolidable(chunks, %{protocol?: false}, _request), do: chunks

  defp consolidable(chunks, _map, request) do
    {_, dbgi} = List.keyfind(chunks, ~c"Dbgi", 0)
    {:debug_info_v1, backend, {:elixir_v1, map, specs}} = :erlang.binary_to_term(dbgi)
    asked = [{:core_transform, Hook}, {:elixir_scope_project, request} | map.compile_opts]
    info = {:debug_info_v1, backend, {:elixir_v1, %{map | compile_opts: asked}, specs}}
    List.keystore(chunks, ~c"Dbgi", 0, {~c"Dbgi", :erlang.term_to_binary(info, [:compressed])})
  end

  defp hash(term), do: term |> :erlang.term_to_binary([:deterministic]) |> :erlang.md5()
end
