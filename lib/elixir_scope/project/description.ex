# What a compiled module says of itself: Elixir's description of it, or one of the same form made from an Erlang
# module's forms, in which the functions have no clauses.
defmodule ElixirScope.Project.Description do
  @moduledoc false

  alias ElixirScope.Instrument.Beam

  # Files that every parser of yecc and every scanner of leex includes.
  @generators ["yeccpre.hrl", "leexinc.hrl"]

  @doc "The description in the object code, or `:error` when its debug information is not there."
  @spec of(binary()) :: {:ok, map()} | :error
  def of(beam) do
    with :error <- elixir(beam), do: erlang(beam)
  end

  defp elixir(beam) do
    with {:ok, map} <- Beam.debug_info(beam) do
      protocol? = Keyword.has_key?(map.attributes, :__protocol__)
      {:ok, Map.merge(map, %{language: :elixir, generated?: false, protocol?: protocol?})}
    end
  end

  defp erlang(beam) do
    case :beam_lib.chunks(beam, [:abstract_code]) do
      {:ok, {module, [abstract_code: {:raw_abstract_v1, forms}]}} -> {:ok, erlang(module, forms)}
      _other -> :error
    end
  end

  defp erlang(module, forms) do
    files = for {:attribute, _, :file, {file, _line}} <- forms, do: List.to_string(file)

    %{
      module: module,
      language: :erlang,
      generated?: Enum.any?(files, &(Path.basename(&1) in @generators)),
      protocol?: false,
      file: List.first(files, ""),
      relative_file: List.first(files, ""),
      compile_opts: [],
      attributes: for({:attribute, _, name, value} <- forms, do: {behaviour(name), value}),
      definitions: for({:function, _, name, arity, _} <- forms, do: {{name, arity}, :def, [], []}),
      receives?: Enum.any?(forms, &receives?/1)
    }
  end

  defp receives?({:receive, _, clauses}) when is_list(clauses), do: true
  defp receives?({:receive, _, clauses, _timeout, _late}) when is_list(clauses), do: true
  defp receives?(form) when is_tuple(form), do: form |> Tuple.to_list() |> receives?()
  defp receives?([first | rest]), do: receives?(first) or receives?(rest)
  defp receives?(_leaf), do: false

  defp behaviour(:behavior), do: :behaviour
  defp behaviour(name), do: name
end
