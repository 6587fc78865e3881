defmodule ElixirScope.Cut do
  @moduledoc """
  Stands in a recorded term where a limit kept something out, so that a part is never taken for the whole.

  `kind` is `:binary`, `:list` (the rest of a list), `:tuple`, `:map` or `:term`; `size` is the true size where it is
  known (bytes, elements or keys), else `nil`; `kept` holds the first bytes of a binary, and the name of a function. The limits
  are options of `ElixirScope.start/1`.

  A function is recorded with all that it closes over, or cut. Where that was far too much for a function of one place in the
  code, the next thousand from there are cut without being looked at: only the VM can take functions apart, and does not stop
  half way. The same holds for integers and bit strings of many kilobytes.
  """

  @type t :: %__MODULE__{
          kind: :binary | :list | :tuple | :map | :term,
          size: pos_integer | nil,
          kept: binary
        }

  defstruct kind: :term, size: nil, kept: ""

  defimpl Inspect do
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
