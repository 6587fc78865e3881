# Reads compiled modules: which functions in one are rewritten. The answer is in the literals, since every
# rewritten function carries its site; so nothing had to be added to the module for it, and it is still there
# after the debug information was stripped.
defmodule ElixirScope.Instrument.Beam do
  @moduledoc false

  alias ElixirScope.Instrument.Site

  # As a charlist, in the one notation that all versions format alike.
  @literals String.to_charlist("LitT")

  @doc "The rewritten functions in the object code of a module, sorted."
  @spec functions(binary(), module()) :: [{atom(), arity()}]
  def functions(beam, module) do
    functions =
      for literal <- literals(beam), Site.function?(literal, module), uniq: true do
        {elem(literal, 3), elem(literal, 4)}
      end

    Enum.sort(functions)
  end

  @doc "Elixir's own description of the module, if it is in the object code."
  @spec debug_info(binary()) :: {:ok, map()} | :error
  def debug_info(beam) do
    case :beam_lib.chunks(beam, [:debug_info]) do
      {:ok, {_, [debug_info: {:debug_info_v1, :elixir_erl, {:elixir_v1, map, _}}]}} -> {:ok, map}
      _other -> :error
    end
  end

  @doc "The forms in the debug information, which must be there."
  @spec forms(binary()) :: [tuple()]
  def forms(beam) do
    {:ok, {_, [abstract_code: {:raw_abstract_v1, forms}]}} = :beam_lib.chunks(beam, [:abstract_code])
    forms
  end

  # LitT: the size of the table uncompressed (0: stored plain, OTP 28 and later), the table itself; in it a
  # count and for each literal its size and external format.
  defp literals(beam) do
    case :beam_lib.chunks(beam, [@literals]) do
      {:ok, {_, [{_, <<0::32, table::binary>>}]}} -> split(table)
      {:ok, {_, [{_, <<_size::32, packed::binary>>}]}} -> packed |> :zlib.uncompress() |> split()
      {:error, :beam_lib, _} -> []
    end
  end

  defp split(<<_count::32, entries::binary>>) do
    for <<size::32, entry::binary-size(size) <- entries>>, do: :erlang.binary_to_term(entry)
  end
end
