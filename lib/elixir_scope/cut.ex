defmodule ElixirScope.Cut do
  @moduledoc """
  Stands in a recorded term where something was kept out, so that a part is never taken for the whole.

  | `kind` | what was kept out |
  |---|---|
  | `:binary`, `:list` (the rest of a list), `:tuple`, `:map`, `:term` | what is beyond the limits of `ElixirScope.start/1` |
  | `:redacted` | a secret, by the rules of `ElixirScope.Redaction`. It is shown as `#Redacted<>` |
  | `:left_out` | a field that the view of its struct leaves out, see `ElixirScope.Recordable`. It is shown as `#LeftOut<>` |

  `size` is the true size where it is known (bytes, elements or keys), else `nil`; `kept` holds the first bytes of a binary or of a charlist,
  and the name of a function. Of what was redacted or left out neither is recorded.

  What ElixirScope itself shows copes with that. The `Inspect` of a struct may not: `inspect/1` of a recorded `%Plug.Conn{}`, whose `adapter` was left out,
  is an `#Inspect.Error<...>`. `ElixirScope.Text.short(conn, width: :infinity)` shows it, and `inspect(conn, structs: false)`.

  A function is recorded with all that it closes over, or cut. Where that was far too much for a function of one place in the
  code, the next thousand from there are cut without being looked at: only the VM can take functions apart, and does not stop
  half way. The same holds for integers and bit strings of many kilobytes.
  """

  @type t :: %__MODULE__{
          kind: :binary | :list | :tuple | :map | :term | :redacted | :left_out,
          size: pos_integer | nil,
          kept: binary
        }

  defstruct kind: :term, size: nil, kept: ""

  # Of these nothing is known.
  @hidden [:redacted, :left_out]

  @doc """
  Who kept it out, to follow what it is about, and to stand before a description of it.

      iex> ElixirScope.Cut.by(%ElixirScope.Cut{kind: :map, size: 3})
      "a limit"
      iex> ElixirScope.Cut.by(%ElixirScope.Cut{kind: :redacted})
      "redaction"
  """
  @spec by(t) :: String.t()
  def by(%__MODULE__{kind: :redacted}), do: "redaction"
  def by(%__MODULE__{kind: :left_out}), do: "the view of its struct"
  def by(%__MODULE__{}), do: "a limit"

  @doc """
  What to do to have it recorded.

      iex> ElixirScope.Cut.remedy(%ElixirScope.Cut{kind: :map, size: 3})
      "record with higher limits:"
      iex> ElixirScope.Cut.remedy(%ElixirScope.Cut{kind: :left_out})
      "record with another ElixirScope.Recordable"
  """
  @spec remedy(t) :: String.t()
  def remedy(%__MODULE__{kind: :redacted}), do: "record with another redact: if it is no secret"
  def remedy(%__MODULE__{kind: :left_out}), do: "record with another ElixirScope.Recordable"
  def remedy(%__MODULE__{}), do: "record with higher limits:"

  @doc """
  Whether what was cut may be equal to a term, as far as anybody knows.

      iex> ElixirScope.Cut.may_equal?(%ElixirScope.Cut{kind: :binary, size: 9, kept: "abc"}, "abcdefghi")
      true
      iex> ElixirScope.Cut.may_equal?(%ElixirScope.Cut{kind: :binary, size: 9, kept: "abc"}, "abc")
      false
  """
  @spec may_equal?(t, term) :: boolean
  def may_equal?(%__MODULE__{kind: kind}, _term) when kind in @hidden, do: true
  def may_equal?(%__MODULE__{}, %__MODULE__{kind: kind}) when kind in @hidden, do: true

  def may_equal?(%__MODULE__{kind: kind} = cut, %__MODULE__{kind: kind} = other) do
    (cut.size == other.size or nil in [cut.size, other.size]) and begins_alike?(cut, other)
  end

  def may_equal?(%__MODULE__{kind: :term}, _term), do: true
  def may_equal?(%__MODULE__{}, %__MODULE__{kind: :term}), do: true
  def may_equal?(%__MODULE__{}, %__MODULE__{}), do: false

  def may_equal?(%__MODULE__{kind: :binary, kept: kept, size: size}, term) do
    is_binary(term) and size in [nil, byte_size(term)] and String.starts_with?(term, kept)
  end

  def may_equal?(%__MODULE__{kind: :tuple, size: size}, term),
    do: is_tuple(term) and size in [nil, tuple_size(term)]

  # Of keys that were cut alike one is left, and one that was cut may stand beside itself.
  def may_equal?(%__MODULE__{kind: :map, size: size}, term) do
    is_map(term) and
      (size in [nil, map_size(term)] or Enum.any?(:maps.keys(term), &ElixirScope.Path.cut_in/1))
  end

  def may_equal?(%__MODULE__{kind: :list}, term), do: is_list(term)

  defp begins_alike?(%{kind: :binary, kept: kept}, %{kept: other}) do
    size = min(byte_size(kept), byte_size(other))
    binary_part(kept, 0, size) == binary_part(other, 0, size)
  end

  # Of anything else what is kept is a name.
  defp begins_alike?(%{kept: kept}, %{kept: other}), do: kept == other or "" in [kept, other]

  defimpl Inspect do
    def inspect(%{kind: :redacted}, _opts), do: "#Redacted<>"
    def inspect(%{kind: :left_out}, _opts), do: "#LeftOut<>"

    def inspect(cut, _opts) do
      size = if cut.size, do: " of #{cut.size} #{unit(cut.kind)}", else: ""
      "#ElixirScope.Cut<#{cut.kind}#{size}#{kept(cut)}>"
    end

    defp kept(%{kept: ""}), do: ""
    defp kept(%{kind: :term, kept: name}), do: ", #{name}"
    defp kept(%{kept: kept}), do: ", begins with #{Kernel.inspect(kept, limit: 20)}"

    defp unit(:map), do: "keys"
    defp unit(:tuple), do: "elements"
    defp unit(:list), do: "elements"
    defp unit(_bytes), do: "bytes"
  end
end
