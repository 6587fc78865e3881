# Forms written as Erlang text, for tests of the rewriter that need what Elixir does not make.
defmodule ElixirScope.ErlangText do
  @moduledoc false

  @doc "The forms of a text; each ends with a full stop."
  @spec forms(String.t()) :: [tuple()]
  def forms(text) do
    {:ok, tokens, _} = text |> String.to_charlist() |> :erl_scan.string()

    for form <- Enum.chunk_while(tokens, [], &chunk/2, fn [] -> {:cont, []} end) do
      {:ok, form} = :erl_parse.parse_form(form)
      form
    end
  end

  defp chunk({:dot, _} = dot, tokens), do: {:cont, Enum.reverse([dot | tokens]), []}
  defp chunk(token, tokens), do: {:cont, [token | tokens]}
end
