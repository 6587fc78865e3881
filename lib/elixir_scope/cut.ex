defmodule ElixirScope.Cut do
  @moduledoc """
  Stands in a recorded term where a limit kept something out, so that a part is never taken for the whole.

  `kind` is `:binary`, `:list` (the rest of a list), `:tuple`, `:map` or `:term`; `size` is the true size where it is
  known (bytes, elements or keys), else `nil`; `kept` holds the first bytes of a binary. The limits are options of
  `ElixirScope.start/1`.
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
      kept = if cut.kept == "", do: "", else: ", begins with #{Kernel.inspect(cut.kept, limit: 20)}"
      "#ElixirScope.Cut<#{cut.kind}#{size}#{kept}>"
    end

    defp unit(:map), do: "keys"
    defp unit(:tuple), do: "elements"
    defp unit(:list), do: "elements"
    defp unit(_bytes), do: "bytes"
  end
end
