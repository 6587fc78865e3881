defmodule Shop.Catalog do
  @moduledoc """
  What there is to buy, and for how many cents.
  """

  use ElixirScope

  @type article :: atom
  @type items :: %{article => pos_integer}

  @prices %{cup: 1_290, jam: 450, pot: 3_990, tea: 720}

  @spec articles() :: [article]
  def articles, do: Map.keys(@prices)

  @spec price(article) :: pos_integer
  def price(article), do: Map.fetch!(@prices, article)

  @spec total(items) :: non_neg_integer
  def total(items), do: items |> Enum.map(fn {article, count} -> count * price(article) end) |> Enum.sum()
end
