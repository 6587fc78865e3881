# How a configuration names modules: one by its name, many by a text with stars in it.
defmodule ElixirScope.Project.Pattern do
  @moduledoc false

  @type t :: module() | String.t()

  @doc """
  Whether a term may stand for modules.

      iex> Enum.map([Shop.Cart, "Shop.*", "", 7], &ElixirScope.Project.Pattern.valid?/1)
      [true, true, false, false]
  """
  @spec valid?(term()) :: boolean()
  def valid?(text) when is_binary(text), do: text != "" and String.valid?(text)
  def valid?(other), do: is_atom(other) and other not in [nil, true, false]

  @doc """
  Whether a pattern names this module. A star stands for any text, dots included.

      iex> Enum.map([Shop, Shop.Cart, Shop.Cart.Item], &ElixirScope.Project.Pattern.names?("Shop.*", &1))
      [false, true, true]
      iex> ElixirScope.Project.Pattern.names?("*.Cart*", Shop.CartItem)
      true
      iex> ElixirScope.Project.Pattern.names?(Shop, Shop.Cart)
      false
  """
  @spec names?(t(), module()) :: boolean()
  def names?(module, module), do: true
  def names?(pattern, _module) when is_atom(pattern), do: false

  def names?(pattern, module) do
    text = inspect(module)

    case String.split(pattern, "*") do
      [whole] -> whole == text
      [start | rest] -> String.starts_with?(text, start) and rest?(rest, drop(text, start))
    end
  end

  defp rest?([last], text), do: String.ends_with?(text, last)

  defp rest?([next | rest], text) do
    case String.split(text, next, parts: 2) do
      [_skipped, behind] -> rest?(rest, behind)
      [_] -> false
    end
  end

  defp drop(text, start), do: binary_part(text, byte_size(start), byte_size(text) - byte_size(start))
end
