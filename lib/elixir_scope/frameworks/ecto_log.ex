defmodule ElixirScope.Frameworks.EctoLog do
  @moduledoc false
  # The lines that Ecto writes of its queries, without the values of their parameters, which nothing names. A line is
  #
  #     QUERY OK source="users" db=0.3ms
  #     INSERT INTO "users" ("name") VALUES ($1) ["ann"]
  #     ↳ Shop.Accounts.add/1, at: lib/shop/accounts.ex:7
  #
  # The parameters are the list that ends where the line ends, but for what follows an arrow. A query has brackets too, and a parameter may have any
  # text in it. So they are what begins with the first bracket that is closed at the end; where none is, because the text was
  # bounded or an `Inspect` writes brackets of its own, all from the first bracket on is taken out that may begin them.
  #
  # It runs in the process that writes the line, so it takes the text apart by patterns and built-in functions alone.

  @doc ~S"""
  The text of a line of the log without them, if it is one of Ecto's.

      iex> line = "QUERY OK db=0.3ms\nSELECT u.tags[1] FROM users AS u WHERE u.name = ANY($1) [[\"a]\", \"b\"]]\n↳ Shop.all/0"
      iex> ElixirScope.Frameworks.EctoLog.without(line, %{mfa: {Ecto.Adapters.SQL, :log, 4}})
      "QUERY OK db=0.3ms\nSELECT u.tags[1] FROM users AS u WHERE u.name = ANY($1) [...]\n↳ Shop.all/0"
      iex> ElixirScope.Frameworks.EctoLog.without("sold [1]", %{mfa: {Shop, :sell, 1}})
      "sold [1]"
  """
  @spec without(String.t(), map) :: String.t()
  def without(text, %{mfa: {Ecto.Adapters.SQL, _function, _arity}}), do: parameters(text)
  def without(text, %{module: Ecto.Adapters.SQL}), do: parameters(text)
  def without(text, _metadata), do: text

  defp parameters(text), do: parameters(text, text, 0, true, nil)

  # `free?`: a blank, the end of a line or a colour stands before it, or nothing. `first` is where the first bracket was that was free.
  defp parameters(<<"\e[", rest::binary>>, text, at, _free?, first) do
    {rest, size} = color(rest, 2)
    parameters(rest, text, at + size, true, first)
  end

  defp parameters(<<"[", rest::binary>>, text, at, true, first) do
    case closed(rest, 1, 1) do
      :open -> cut(text, at)
      {behind, size} -> closed(ended?(behind), behind, size, text, at, first)
    end
  end

  defp parameters(<<byte, rest::binary>>, text, at, _free?, first),
    do: parameters(rest, text, at + 1, byte in [?\s, ?\n, ?\t], first)

  defp parameters(<<>>, text, _at, _free?, nil), do: text
  defp parameters(<<>>, text, _at, _free?, first), do: cut(text, first)

  # An empty list.
  defp closed(true, _behind, 2, text, _at, _first), do: text
  defp closed(true, behind, _size, text, at, _first), do: cut(text, at) <> behind
  defp closed(false, behind, size, text, at, nil), do: parameters(behind, text, at + size, false, at)
  defp closed(false, behind, size, text, at, first), do: parameters(behind, text, at + size, false, first)

  defp cut(text, at), do: :erlang.binary_part(text, 0, at) <> "[...]"

  # What is behind the bracket that closes the one that was opened, and how many bytes are before that.
  defp closed(<<"\e[", rest::binary>>, depth, size) do
    {rest, more} = color(rest, 2)
    closed(rest, depth, size + more)
  end

  defp closed(<<"\"", rest::binary>>, depth, size), do: quoted(rest, depth, size + 1)
  defp closed(<<"[", rest::binary>>, depth, size), do: closed(rest, depth + 1, size + 1)
  defp closed(<<"]", rest::binary>>, 1, size), do: {rest, size + 1}
  defp closed(<<"]", rest::binary>>, depth, size), do: closed(rest, depth - 1, size + 1)
  defp closed(<<_byte, rest::binary>>, depth, size), do: closed(rest, depth, size + 1)
  defp closed(<<>>, _depth, _size), do: :open

  defp quoted(<<"\\", _byte, rest::binary>>, depth, size), do: quoted(rest, depth, size + 2)
  defp quoted(<<"\"", rest::binary>>, depth, size), do: closed(rest, depth, size + 1)
  defp quoted(<<_byte, rest::binary>>, depth, size), do: quoted(rest, depth, size + 1)
  defp quoted(<<>>, _depth, _size), do: :open

  defp color(<<byte, rest::binary>>, size) when byte in ?0..?9 or byte == ?;, do: color(rest, size + 1)
  defp color(<<"m", rest::binary>>, size), do: {rest, size + 1}
  defp color(rest, size), do: {rest, size}

  defp ended?(<<"\e[", rest::binary>>), do: :erlang.element(1, color(rest, 2)) |> ended?()
  defp ended?(<<byte, rest::binary>>) when byte in [?\s, ?\n, ?\r, ?\t], do: ended?(rest)
  defp ended?(<<"↳", _where::binary>>), do: true
  defp ended?(<<"... (cut)">>), do: true
  defp ended?(rest), do: rest == <<>>
end
